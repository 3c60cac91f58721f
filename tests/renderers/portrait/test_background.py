"""What is behind a person stays where it is when the head turns, and can be something else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD
from dimcli.jobs.render import read_reference, renderer_for
from renderers.base import Reference
from renderers.portrait.background import MovingPerson, filled, over, person_part
from renderers.portrait.portrait import PortraitRenderer

TURNED = 12.0


@pytest.fixture(scope="module")
def at_the_wall(examples, tmp_path_factory) -> Reference:
    """The example's listener in front of a chequered wall."""
    listener, _ = read_reference(examples / "listener.png")
    height, width = listener.image.shape[:2]
    rows, columns = np.mgrid[:height, :width] // 24 % 2
    wall = np.where((rows == columns)[..., None], 210, 60).astype(np.uint8)
    matte = listener.matte[..., None]
    image = (matte * listener.image + (1 - matte) * wall).astype(np.uint8)
    path = tmp_path_factory.mktemp("wall") / "wall.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return read_reference(path)[0]


def turned(reference: Reference) -> np.ndarray:
    values = np.repeat(reference.values[None], 4, 0)
    own = Rotation.from_rotvec(reference.values[HEAD])
    for row, (axis, side) in enumerate(((1, 1), (1, -1), (2, 1), (0, 1))):
        turn = Rotation.from_rotvec(side * np.radians(TURNED) * np.eye(3)[axis])
        values[row, HEAD] = (turn * own).as_rotvec()
    return values


def drawn(reference: Reference, values: np.ndarray, **settings) -> list[np.ndarray]:
    renderer = PortraitRenderer(**settings)
    renderer.prepare(reference)
    return list(renderer.render(values))


def widened(mask: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def changed(frame: np.ndarray, picture: np.ndarray) -> np.ndarray:
    return np.abs(frame.astype(int) - picture).max(-1) > 40


def test_the_person_is_told_from_a_wall(at_the_wall, examples):
    truth, remarks = read_reference(examples / "listener.png")
    assert np.abs(at_the_wall.matte - truth.matte).mean() < 0.03
    assert remarks == ()


def test_lines_of_the_wall_stay_where_they_are(at_the_wall):
    """To the pixel, everywhere beside the person as they were and as they are now."""
    values = turned(at_the_wall)
    was = widened(at_the_wall.matte > 0.02, 6)
    for frame, cut in zip(
        drawn(at_the_wall, values), drawn(at_the_wall, values, transparent=True), strict=True
    ):
        beside = ~was & ~widened(cut[..., 3] > 0, 2)
        assert beside.mean() > 0.3
        assert np.abs(frame[beside].astype(int) - at_the_wall.image[beside]).max() <= 8


def test_a_transparent_frame_over_a_background_is_the_frame_before_it(examples):
    listener, _ = read_reference(examples / "listener.png")
    values, grey = turned(listener)[:2], np.full_like(listener.image, 90)
    for frame, cut in zip(
        drawn(listener, values, background=lambda own: grey),
        drawn(listener, values, transparent=True),
        strict=True,
    ):
        alpha = cut[..., 3:] / 255.0
        composed = alpha * cut[..., :3] + (1 - alpha) * grey
        assert np.abs(composed - frame).mean() < 0.3
        assert np.percentile(np.abs(composed - frame), 99.9) < 8


def test_the_picture_s_own_motion_gives_exactly_the_picture(at_the_wall):
    (frame,) = drawn(at_the_wall, at_the_wall.values[None])
    assert np.array_equal(frame, at_the_wall.image)


def test_another_background_is_seen_where_the_person_is_not(at_the_wall, tmp_path):
    green = tmp_path / "green.png"
    cv2.imwrite(str(green), np.full((40, 90, 3), (0, 200, 0), np.uint8))
    for name, colour in (("#204060", (32, 64, 96)), (str(green), (0, 200, 0))):
        ready = renderer_for("arkit", "portrait", at_the_wall, 400, background=name)
        (frame,) = ready.renderer.render(at_the_wall.values[None])
        own = at_the_wall.resized((frame.shape[1], frame.shape[0]))
        away, there = ~widened(own.matte > 0.01, 10), ~widened(own.matte < 0.99, 10)
        assert np.abs(frame[away].astype(int) - colour).max() <= 2
        assert np.abs(frame[there].astype(int) - own.image[there]).max() <= 2
    with pytest.raises(InputError, match="--background bluish: no such picture and no colour"):
        renderer_for("arkit", "portrait", at_the_wall, 64, background="bluish")
    with pytest.raises(InputError, match="is for --renderer portrait"):
        renderer_for("arkit", "mesh", None, 64, background="grey")


def test_who_cannot_be_told_from_the_background_is_drawn_as_before_and_told(at_the_wall):
    nobody = replace(at_the_wall, matte=np.zeros_like(at_the_wall.matte))
    renderer = PortraitRenderer()
    renderer.prepare(nobody)
    assert "cannot be told from what is behind" in renderer.remarks[0]
    (plain,) = drawn(replace(at_the_wall, matte=None), turned(at_the_wall)[:1])
    assert np.array_equal(next(iter(renderer.render(turned(at_the_wall)[:1]))), plain)
    with pytest.raises(InputError, match="--background"):
        drawn(nobody, turned(nobody), background=lambda own: own)


def test_what_is_hidden_is_filled_in_from_around_it():
    gradient = np.repeat(np.linspace(40, 200, 120)[None, :, None], 100, 0).repeat(3, 2)
    known = np.ones((100, 120), bool)
    known[30:70, 40:80] = False
    spoilt = np.where(known[..., None], gradient, 0).astype(np.uint8)
    result = filled(spoilt, known).astype(float)
    assert np.array_equal(result[known], spoilt[known])
    assert np.abs(result - gradient)[~known].max() < 40
    assert np.abs(result - gradient)[~known].mean() < 15


@pytest.mark.parametrize("room", [0, 9])
def test_drawing_only_where_somebody_moves_gives_what_drawing_all_gives(room):
    random = np.random.default_rng(3)
    side = 150 + 2 * room
    image, behind = random.integers(0, 255, (2, side, side, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:side, :side]
    matte = np.clip(45 - np.hypot(rows - 60, columns - 85), 0, 1).astype(np.float32)
    person = person_part(image, behind, matte)
    inside = slice(room, side - room)
    behind = np.ascontiguousarray(behind[inside, inside])
    flow = 14 * cv2.GaussianBlur(random.normal(size=(150, 150, 2)).astype(np.float32), (0, 0), 9)
    flow *= 8 * (rows[inside, inside] < 100)[..., None]
    assert 5 < np.abs(flow).max() < 60
    place = np.stack([columns, rows], -1)[inside, inside].astype(np.float32) + flow
    whole = cv2.remap(person, place, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    view = over(person[inside, inside], behind)
    before = view.copy()
    MovingPerson(person, room, behind, cv2.INTER_CUBIC).draw(view, flow)
    mixed = whole[..., :3] + (1 - whole[..., 3:]) * behind
    assert np.abs(view - mixed.clip(0, 255)).max() <= 1.01
    assert (view != before).any(-1).mean() > 0.1
    assert np.array_equal(view[101:], before[101:])
