"""The zero-shot portrait renderer: on a drawn face, and through the tracker on real pictures."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from dimcli.core.motion import JAW_OPEN_RAD, expression_index
from dimcli.media import VideoWriter, read_picture
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import observe_picture, track_face
from renderers.base import Reference
from renderers.heads.contours import EYES, INNER_LIP_LOWER
from renderers.portrait.eyes import eye_state, through
from renderers.portrait.portrait import LEAN, PortraitRenderer, face_box
from tests.renderers.faces import (
    BROW_DOT,
    CORNER_DOT,
    IRIS,
    LIP,
    NOSE_DOT,
    SKIN,
    TOOTH,
    centre_of,
    drawn_face,
    frame,
    near,
)

MOUTH = np.s_[220:290, 145:215]


def psnr(image: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((image.astype(float) - other.astype(float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def render(reference: Reference, *frames: np.ndarray, **settings: object) -> list[np.ndarray]:
    renderer = PortraitRenderer(**settings)  # type: ignore[arg-type]
    renderer.prepare(reference)
    return list(renderer.render(np.stack(frames)))


@pytest.fixture(scope="module")
def face() -> Reference:
    return drawn_face()


OWN = pytest.mark.parametrize(
    "own",
    [{}, {"yaw": 8, "pitch": -5, "mouthSmile": 0.4, "eyeBlink": 0.2, "jaw": 0.1}],
    ids=["neutral", "posed"],
)


def test_a_head_leans_as_it_was_tracked_and_never_far(face: Reference) -> None:
    renderer = PortraitRenderer()
    renderer.prepare(face)
    values = frame(yaw=6, pitch=-4, jaw=0.23)
    own, size = face_box(renderer.mesh.points)
    for place in ([0.03, 0, 0], [0, -0.03, 0], [0, 0, 0.02], [-0.02, 0.02, -0.02]):
        shift = renderer.shift(values, np.asarray(place, np.float32))
        found, found_size = face_box(renderer.place(values, shift).points)
        assert (found - own) / size == pytest.approx(place[:2], abs=0.006)
        assert np.log(found_size / size) == pytest.approx(place[2], abs=0.006)
    far = renderer.shift(values, np.asarray([9, -9, 9], np.float32))
    assert np.abs([far.right, far.down]).max() <= LEAN[0] * size + 1e-3
    assert np.log(far.scale) <= LEAN[1] + 1e-6
    still, leant = renderer.render(
        np.stack([values, values]), np.asarray([[0, 0, 0], [0.05, 0, 0]], np.float32)
    )
    moved = centre_of(leant, NOSE_DOT) - centre_of(still, NOSE_DOT)
    assert moved[0] == pytest.approx(0.05 * size, rel=0.25)
    assert np.array_equal(still[-4:], leant[-4:])  # shoulders stay


@OWN
def test_the_reference_s_own_motion_gives_the_picture_back(own: dict[str, float]) -> None:
    face = drawn_face(**own)
    assert psnr(render(face, face.values)[0], face.image) >= 50


def test_an_open_mouth_s_own_motion_gives_the_picture_back() -> None:
    face = drawn_face(teeth_gap_cm=0.8, mouthSmile=0.6, jaw=0.1)
    assert psnr(render(face, face.values)[0], face.image) >= 50


def test_a_still_motion_gives_a_still_video(face: Reference) -> None:
    moved = frame(yaw=7, roll=3, eyeBlink=0.3, jaw=0.2, mouthSmile=0.4)
    first, *others = render(face, moved, moved, moved)
    assert all(np.array_equal(first, other) for other in others)


def test_the_same_motion_renders_to_the_same_bytes_whatever_came_before(face: Reference) -> None:
    wanted = frame(pitch=6, jaw=0.3)
    assert np.array_equal(render(face, wanted)[0], render(face, frame(yaw=12), wanted)[1])


def test_frames_drawn_beside_each_other_are_those_drawn_one_at_a_time(face: Reference) -> None:
    frames = [frame(yaw=yaw, jaw=0.02 * yaw, eyeBlink=0.05 * yaw) for yaw in range(12)]
    renderer = PortraitRenderer()
    renderer.prepare(face)
    alone = [next(iter(renderer.render(each[None]))) for each in frames]
    for _ in range(3):
        together = list(renderer.render(np.stack(frames)))
        assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("turn", "axis", "sign"),
    [("yaw", 0, 1), ("pitch", 1, 1)],
    ids=["yaw moves the nose to the image's right", "pitch moves it down"],
)
def test_turns_move_the_nose_the_way_the_motion_says(
    face: Reference, turn: str, axis: int, sign: int
) -> None:
    back, still, forth = render(face, frame(**{turn: -10}), frame(), frame(**{turn: 10}))
    at = [centre_of(image, NOSE_DOT)[axis] * sign for image in (back, still, forth)]
    assert at[0] < at[1] - 5 < at[2] - 10


def test_a_positive_roll_turns_the_head_counter_clockwise(face: Reference) -> None:
    still, rolled = render(face, frame(), frame(roll=10))
    assert centre_of(rolled, BROW_DOT)[0] < centre_of(still, BROW_DOT)[0] - 5


@pytest.mark.parametrize("turn", [{"yaw": 15}, {"pitch": -12}, {"roll": 15, "yaw": -10}])
def test_the_border_of_a_roomy_picture_rests_while_the_head_moves(
    face: Reference, turn: dict[str, float]
) -> None:
    room = 60
    image = np.pad(face.image, ((room, room), (room, room), (0, 0)), mode="edge")
    landmarks = face.landmarks + np.array([room, room, 0], np.float32)
    moved = render(Reference(image, landmarks, face.values), frame(**turn))[0]
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.array_equal(moved[edge], image[edge])
    assert not np.array_equal(moved, image)


def test_a_blink_covers_the_iris_and_a_half_blink_leaves_some(face: Reference) -> None:
    visible = [
        near(image, IRIS, 30).sum()
        for image in render(face, frame(), frame(eyeBlink=0.2), frame(eyeBlink=0.7))
    ]
    assert visible[2] < 0.03 * visible[0]
    assert 0.1 * visible[0] < visible[1] < 0.9 * visible[0]


def test_an_eye_that_the_picture_shows_half_closed_is_not_torn_open() -> None:
    assert eye_state(frame(eyeWide=1), frame(eyeBlink=0.5), "Left").upper <= 1.3
    assert eye_state(frame(eyeBlink=0.5), frame(eyeBlink=0.5), "Left").at_rest


def test_one_eye_blinks_alone(face: Reference) -> None:
    values = frame()
    values[expression_index("eyeBlinkLeft")] = 0.7
    seen = near(render(face, values)[0], IRIS, 30)
    assert seen[:, : face.image.shape[1] // 2].sum() > 50  # the subject's right eye
    assert seen[:, face.image.shape[1] // 2 :].sum() < 5


def test_a_look_moves_both_irises_with_it(face: Reference) -> None:
    to_left_of_subject = frame()
    to_left_of_subject[expression_index("eyeLookOutLeft")] = 0.8
    to_left_of_subject[expression_index("eyeLookInRight")] = 0.8
    still, looked = render(face, frame(), to_left_of_subject)
    for side in (np.s_[:, :180], np.s_[:, 180:]):
        before, after = (np.nonzero(near(image[side], IRIS))[1].mean() for image in (still, looked))
        assert after > before + 1.5


def test_an_opening_jaw_parts_the_lips_and_shows_a_dark_inside(face: Reference) -> None:
    still, opened = render(face, frame(), frame(jaw=0.5))
    assert (opened[MOUTH].sum(-1) < 200).sum() > (still[MOUTH].sum(-1) < 200).sum() + 150
    lips = [np.nonzero(near(image, LIP, 30))[0].max() for image in (still, opened)]
    assert lips[1] > lips[0] + 6


def test_an_open_mouth_shows_teeth_below_the_upper_lip_and_a_tongue_above_the_lower(
    face: Reference,
) -> None:
    opened = render(face, frame(jaw=0.5))[0][MOUTH].astype(int)
    red, green, blue = np.moveaxis(opened[:, opened.shape[1] // 2], -1, 0)
    lip = near(opened.astype(np.uint8), LIP, 30)[:, opened.shape[1] // 2]
    inside = np.arange(len(red))[~lip]
    inside = inside[(inside > np.nonzero(lip)[0].min()) & (inside < np.nonzero(lip)[0].max())]
    top, bottom = np.array_split(inside, 2)
    assert (red + green + blue)[top].max() > 400
    tongue = (red - green)[bottom]
    assert tongue.max() > 40
    assert ((red + green + blue)[top].min()) < 200


def test_lips_that_open_further_than_in_the_picture_leave_no_lip_behind() -> None:
    face = drawn_face(teeth_gap_cm=1.4, jaw=0.3)
    picture = face.image.copy()
    picture[near(picture, TOOTH)] = 40, 15, 15
    rim = np.zeros(picture.shape[:2], np.uint8)
    lower = np.round(face.landmarks[INNER_LIP_LOWER, :2]).astype(np.int32)
    cv2.polylines(rim, [lower], False, 1, 5)
    picture[rim > 0] = LIP  # tracked lips lie a little on the lip
    lips = near(render(replace(face, image=picture), frame(jaw=0.8))[0][MOUTH], LIP, 30)
    column = lips[:, lips.shape[1] // 2].astype(int)
    assert (np.diff(column) == 1).sum() + column[0] == 2


def test_a_closed_lid_has_the_colour_of_the_skin_around_it(face: Reference) -> None:
    closed = render(face, frame(eyeBlink=1))[0]
    eye = face.landmarks[EYES["Right"].upper].mean(0).astype(int)
    lid = closed[eye[1] - 1 : eye[1] + 2, eye[0] - 4 : eye[0] + 5].reshape(-1, 3)
    assert np.abs(np.median(lid, 0) - SKIN).max() < 20


@pytest.mark.parametrize("rim", [False, True], ids=["lashes go with the lid", "a rim stays"])
def test_dark_lines_go_with_a_closing_lid_if_they_stand_on_it(face: Reference, rim: bool) -> None:
    lines = np.zeros(face.image.shape[:2], np.uint8)
    for eye in EYES.values():
        edge = face.landmarks[eye.upper, :2]
        width = edge[-1, 0] - edge[0, 0]
        outer = edge[0] - [0.15 * width, 0]
        for x, y in [*edge[1:-1], outer]:
            ends = [[x, y], [x, y - 0.33 * abs(width)]]
            if not rim:
                cv2.polylines(lines, [np.round(ends).astype(int)], False, 255, 1)
        out = [edge[0], outer] if not rim else edge - [0, 0.36 * abs(width)]
        cv2.polylines(lines, [np.round(out).astype(int)], False, 255, 2)
    drawn = lines > 0
    picture = face.image.copy()
    picture[drawn] = 40, 30, 30
    blinking = render(replace(face, image=picture), frame(eyeBlink=0.6))[0]
    left = (blinking[drawn].astype(int).sum(-1) < 300).mean()
    assert left > 0.4 if rim else left < 0.2


def test_a_smile_draws_the_corners_up_and_apart(face: Reference) -> None:
    def corners(image: np.ndarray) -> tuple[float, float]:
        rows, columns = np.nonzero(near(image, CORNER_DOT, 90))
        middle = image.shape[1] / 2
        return float(np.abs(columns - middle).mean()), float(rows.mean())

    (width, height), (smiling_width, smiling_height) = (
        corners(image) for image in render(face, frame(), frame(mouthSmile=0.8))
    )
    assert smiling_width > width + 3
    assert smiling_height < height - 5


def test_a_picture_that_smiles_with_teeth_closes_its_mouth_when_the_smile_goes() -> None:
    face = drawn_face(teeth_gap_cm=0.9, mouthSmile=0.7, mouthUpperUp=0.3, mouthLowerDown=0.3)
    smiling, closed = render(face, face.values, frame())
    assert near(closed[MOUTH], TOOTH, 25).sum() < 0.1 * near(smiling[MOUTH], TOOTH, 25).sum()


def test_a_picture_s_own_teeth_stay_when_its_jaw_opens_further() -> None:
    face = drawn_face(teeth_gap_cm=0.6, mouthSmile=0.5)
    wider = face.values.copy()
    wider[3] = 0.3 * JAW_OPEN_RAD
    smiling, opened = render(face, face.values, wider)
    assert near(opened[MOUTH], TOOTH, 30).sum() > 0.6 * near(smiling[MOUTH], TOOTH, 30).sum()


def test_the_size_can_be_asked_for(face: Reference) -> None:
    renderer = PortraitRenderer(size=(180, 200))
    renderer.prepare(face)
    assert renderer.size == (180, 200)
    assert next(renderer.render(frame(yaw=5)[None])).shape == (200, 180, 3)


def test_a_face_that_is_cut_by_the_border_renders(face: Reference) -> None:
    top, left = 90, 110
    landmarks = face.landmarks - np.array([left, top, 0], np.float32)
    cut = Reference(face.image[top:330, left:260].copy(), landmarks, face.values)
    for image in render(cut, frame(yaw=15, jaw=0.4), frame(roll=-15, eyeBlink=0.5)):
        assert image.shape == cut.image.shape


def closed_loop(reference: Reference, path: Path) -> dict[str, float]:
    """Correlation of motion put in and motion tracked in the rendered video, by channel, and of
    the gaps of the lips as they were placed and as the video shows them."""
    time = np.arange(75) / 25
    values = np.repeat(reference.values[None], len(time), 0)
    for axis, (degrees, hertz) in enumerate(((8, 0.5), (10, 0.35), (8, 0.6))):
        values[:, axis] += np.radians(degrees) * np.sin(2 * np.pi * hertz * time)
    values[:, 3] = JAW_OPEN_RAD * 0.4 * np.sin(2 * np.pi * 0.8 * time).clip(0)
    smile = 0.4 + 0.35 * np.sin(2 * np.pi * 0.45 * time)
    blink = np.exp(-(((time[:, None] - [0.5, 1.3, 2.4]) / 0.09) ** 2)).max(1)
    for side in ("Left", "Right"):
        values[:, expression_index(f"mouthSmile{side}")] = smile
        values[:, expression_index(f"eyeBlink{side}")] += 0.6 * blink
    renderer = PortraitRenderer()
    renderer.prepare(reference)
    with VideoWriter(path, fps=25) as writer:
        for image in renderer.render(values):
            writer.write(image)
    track = track_face(path, smooth=True, keep_landmarks=True)
    assert track.landmarks is not None
    placed = np.stack([renderer.place(each).points for each in values])
    columns = {"pitch": 0, "yaw": 1, "roll": 2, "jaw": 3}
    columns |= {name: expression_index(f"{name}Left") for name in ("mouthSmile", "eyeBlink")}
    pairs = {
        name: (values[:, column], track.motion.values[:, column])
        for name, column in columns.items()
    }
    pairs["lips"] = lip_gaps(placed), lip_gaps(track.landmarks)
    return {name: float(np.corrcoef(*pair)[0, 1]) for name, pair in pairs.items()}


FLOORS = {"pitch": 0.95, "yaw": 0.95, "roll": 0.95, "lips": 0.95, "jaw": 0.9}
FLOORS |= {"mouthSmile": 0.8, "eyeBlink": 0.8}


def observed(path: Path) -> Reference:
    image = read_picture(path)
    seen = observe_picture(image)
    return Reference(image, seen.landmarks, seen.values)


@pytest.mark.slow
def test_the_tracker_gives_the_motion_back_from_the_example_portrait(
    examples: Path, tmp_path: Path
) -> None:
    got = closed_loop(observed(examples / "listener.png"), tmp_path / "loop.mp4")
    assert all(got[name] >= floor for name, floor in FLOORS.items()), got


@pytest.mark.slow
@pytest.mark.parametrize("name", ["people_0.png", "old_photo.jpg"])
def test_the_tracker_gives_the_motion_back_from_real_portraits(
    clips: Path, tmp_path: Path, name: str
) -> None:
    reference = observed(clips / "portraits" / name)
    own = next(iter(render(reference, reference.values)))
    assert psnr(own, reference.image) >= 38
    got = closed_loop(reference, tmp_path / "loop.mp4")
    assert all(got[name] >= floor for name, floor in FLOORS.items()), got


def test_the_curve_of_a_lid_is_scipy_s():
    random = np.random.default_rng(0)
    for _ in range(20):
        points = np.stack([np.arange(9) + random.uniform(-0.4, 0.4, 9), random.normal(size=9)], 1)
        places = np.linspace(-2, 10, 200)
        curve = PchipInterpolator(*points.T)(places.clip(points[0, 0], points[-1, 0]))
        assert np.allclose(through(points, places), curve, atol=1e-12)
    line = through(points[:2], places)
    assert np.allclose(line, PchipInterpolator(*points[:2].T)(places.clip(*points[:2, 0])))
