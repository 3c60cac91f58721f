import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli.core.motion import JAW_OPEN_RAD, MOTION_DIM, expression_index
from renderers.heads.open_head import REGIONS, OpenHead
from renderers.mesh.mesh import MeshRenderer
from renderers.mesh.raster import FAR_M, Camera, OpenCVRasteriser

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def head() -> OpenHead:
    return OpenHead.bundled()


@pytest.fixture(scope="module")
def renderer(head: OpenHead) -> MeshRenderer:
    return MeshRenderer(160, head=head)


def motion(*, jaw: float = 0.0, head: tuple[float, float, float] = (0, 0, 0), **more: float):
    values = np.zeros((1, MOTION_DIM), np.float32)
    values[0, :3] = head
    values[0, 3] = jaw
    for name, amount in more.items():
        for side in ("Left", "Right"):
            values[0, expression_index(name + side)] = amount
    return values


def shown_regions(renderer: MeshRenderer, values: np.ndarray) -> np.ndarray:
    """Pixels of a 480 px picture that show each region, [len(REGIONS)]."""
    one_hot = np.eye(len(REGIONS), dtype=np.float32)[renderer.head.vertex_region]
    vertices = renderer.pose(values)[0]
    counts = []
    for kind in range(len(REGIONS)):
        attributes = np.repeat(one_hot[:, kind : kind + 1], 3, axis=1)
        fragments = renderer.rasteriser.rasterise(vertices, renderer.head.faces, attributes, 480)
        counts.append(int((fragments.attributes[..., 0] > 0.5).sum()))
    return np.array(counts)


def test_a_triangle_is_drawn_where_the_camera_projects_it() -> None:
    camera = Camera()
    corners = np.array([[-0.05, -0.05, 0.02], [0.06, -0.04, 0], [0, 0.08, 0.05]], np.float32)
    colours = np.eye(3, dtype=np.float32)
    fragments = OpenCVRasteriser(camera).rasterise(
        corners, np.array([[0, 1, 2]], np.int32), colours, 128
    )
    for weights in ([0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]):
        x, y, depth = camera.project(np.array(weights, np.float32) @ corners, 128)
        seen = fragments.attributes[int(y), int(x)]
        np.testing.assert_allclose(seen, weights, atol=0.03)
        assert fragments.depth[int(y), int(x)] == pytest.approx(depth, abs=0.001)
    assert fragments.depth[2, 2] == pytest.approx(FAR_M, abs=1e-3)


def test_the_nearer_triangle_wins_whatever_the_order() -> None:
    corners = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0, 0.1, 0]], np.float32)
    both = np.concatenate([corners, corners + np.array([0, 0, 0.02])]).astype(np.float32)
    colours = np.repeat(np.eye(2, 3, dtype=np.float32), 3, axis=0)
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        fragments = OpenCVRasteriser(Camera()).rasterise(
            both, np.array(faces, np.int32), colours, 64
        )
        np.testing.assert_allclose(fragments.attributes[32, 32], [0, 1, 0], atol=1e-3)


def test_the_resting_head_is_framed_with_room_around_it(renderer: MeshRenderer) -> None:
    points = renderer.head.landmarks(renderer.head.template[None])[0].numpy()
    x, y, _ = renderer.camera.project(points, 160).T
    assert x.mean() == pytest.approx(80, abs=2)
    assert 25 < y.min() < y.max() < 130
    crown = renderer.head.template.numpy()[:, 1].argmax()
    assert renderer.camera.project(renderer.head.template.numpy()[crown], 160)[1] > 8


def test_frames_come_in_order_and_of_the_asked_size(head: OpenHead) -> None:
    values = np.concatenate([motion(jaw=JAW_OPEN_RAD * (i % 7) / 7) for i in range(40)])
    renderer = MeshRenderer(64, head=head)
    frames = list(renderer.render(values))
    assert len(frames) == 40
    assert frames[0].shape == (64, 64, 3)
    assert frames[0].dtype == np.uint8
    for index in (0, 5, 20, 39):
        np.testing.assert_array_equal(frames[index], renderer.draw(renderer.pose(values)[index]))


def test_supersampled_frames_keep_their_size(head: OpenHead) -> None:
    frame = next(MeshRenderer(64, head=head, supersample=1.5).render(motion()))
    assert frame.shape == (64, 64, 3)


def test_no_motion_gives_no_frames(renderer: MeshRenderer) -> None:
    assert list(renderer.render(np.zeros((0, MOTION_DIM), np.float32))) == []


def test_a_blink_covers_the_eyes(renderer: MeshRenderer) -> None:
    eyes = [REGIONS.index("eye_left"), REGIONS.index("eye_right")]
    opened = shown_regions(renderer, motion())[eyes]
    closed = shown_regions(renderer, motion(eyeBlink=1.0))[eyes]
    assert (opened > 200).all()
    assert (closed < 0.12 * opened).all()


def test_an_open_jaw_shows_the_mouth_and_teeth_and_a_shut_one_neither(
    renderer: MeshRenderer,
) -> None:
    inside = [REGIONS.index(name) for name in ("teeth_upper", "teeth_lower", "tongue")]
    shut = shown_regions(renderer, motion())[inside]
    opened = shown_regions(renderer, motion(jaw=0.6 * JAW_OPEN_RAD))[inside]
    assert shut.sum() <= 30
    assert (opened > 50).all()


def test_the_picture_is_dark_inside_an_open_mouth(renderer: MeshRenderer) -> None:
    values = motion(jaw=0.8 * JAW_OPEN_RAD)
    vertices = renderer.pose(values)[0]
    points = renderer.head.landmarks(renderer.head.vertices(_tensor(values)))[0].numpy()
    x, y, _ = renderer.camera.project((points[13] + points[14]) / 2, 160)
    picture = renderer.draw(vertices)
    assert picture[int(y), int(x)].mean() < 0.6 * picture[60:70, 70:90].mean()


def _tensor(values: np.ndarray):
    import torch

    return torch.from_numpy(values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rest", motion()),
        ("turned", motion(jaw=0.15, head=(0.1, 0.35, -0.1), mouthSmile=0.5)),
    ],
)
def test_pictures_match_the_golden_ones(
    renderer: MeshRenderer, name: str, values: np.ndarray
) -> None:
    picture = next(renderer.render(values))
    path = GOLDEN / f"mesh_{name}.png"
    if os.environ.get("DIM_UPDATE_GOLDEN"):
        cv2.imwrite(str(path), picture[..., ::-1])
    expected = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB).astype(np.int16)
    difference = np.abs(picture - expected)
    assert difference.mean() < 1.5, "set DIM_UPDATE_GOLDEN=1 to rewrite, then look at the picture"
    assert np.percentile(difference, 99) < 25
