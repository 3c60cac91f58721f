import numpy as np
import pytest
import torch

from renderers.heads.correspondence import closest_on_triangles, correspond
from renderers.heads.flame import FlameHead, FlameLandmarks
from renderers.heads.open_head import OpenHead
from tests.flame_files import NECK_JOINT, mediapipe_embedding
from tests.renderers.heads.test_flame import head_arrays


@pytest.fixture(scope="module")
def open_head() -> OpenHead:
    return OpenHead.bundled()


def stretched_flame() -> tuple[FlameHead, FlameLandmarks]:
    """The made-up head, 10 % larger and elsewhere, and its embedding."""
    arrays = head_arrays()
    arrays["template"] = arrays["template"] * 1.1 + [0.0, 0.02, -0.01]
    flame = FlameHead(arrays)
    found = mediapipe_embedding()
    embedding = {
        "mediapipe_faces": found["lmk_face_idx"],
        "mediapipe_barycentric": found["lmk_b_coords"],
        "mediapipe_indices": found["landmark_indices"],
    }
    return flame, FlameLandmarks(embedding, flame.faces)


@pytest.mark.parametrize("embedded", [True, False])
def test_both_heads_points_are_the_same_places_of_the_face(
    open_head: OpenHead, embedded: bool
) -> None:
    flame, landmarks = stretched_flame()
    pairs = correspond(open_head, flame, landmarks if embedded else None)
    ours = pairs.open.on(open_head.template[None])[0].double().numpy()
    theirs = pairs.flame.on(flame.template[None])[0].double().numpy()
    expected = (ours + NECK_JOINT) * 1.1 + [0.0, 0.02, -0.01]
    gap = 1000 * np.linalg.norm(theirs - expected, axis=1)
    assert len(gap) > 440
    # the made-up head's faces are up to 6 mm wide, and its lips have no slit
    assert np.median(gap) < 1.2
    assert np.percentile(gap, 95) < 3.0
    assert pairs.scale == pytest.approx(1.1, rel=0.02)
    assert pairs.exact == (105 if embedded else 0)


def test_a_mask_keeps_the_points_in_its_region(open_head: OpenHead) -> None:
    flame, _ = stretched_flame()
    upper = np.flatnonzero(flame.template[:3931, 1].numpy() > 0.02).astype(np.int32)
    pairs = correspond(open_head, flame, None, upper)
    assert np.isin(pairs.flame.corners.numpy(), upper).all()
    assert 100 < len(pairs.flame.corners) < 400


def test_the_lips_land_on_their_own_sides(open_head: OpenHead) -> None:
    flame, _ = stretched_flame()
    pairs = correspond(open_head, flame)
    weights = pairs.open.weights
    ours = (open_head.skin_weights[pairs.open.corners, 3] * weights).sum(1)
    theirs = (flame.skin_weights[pairs.flame.corners, 2] * pairs.flame.weights).sum(1)
    assert (theirs[ours > 0.9] > 0.4).all()
    assert (theirs[ours < 0.1] < 0.6).all()


def test_points_on_a_part_of_the_mesh_are_where_they_were(open_head: OpenHead) -> None:
    flame, _ = stretched_flame()
    pairs = correspond(open_head, flame)
    generator = torch.Generator().manual_seed(0)
    values = 0.1 * torch.rand(2, 56, generator=generator)
    for head, points in ((open_head, pairs.open), (flame, pairs.flame)):
        needed, on_part = points.support()
        assert len(needed) < 0.4 * len(head.template)
        whole = points.on(head.vertices(values))
        part = on_part.on(head.restricted(needed).vertices(values))
        torch.testing.assert_close(part, whole, atol=1e-6, rtol=0)


def test_nearest_points_of_triangles_equal_a_dense_search() -> None:
    generator = np.random.default_rng(0)
    triangles = generator.normal(size=(40, 3, 3))
    points = 1.5 * generator.normal(size=(40, 3))
    found = closest_on_triangles(points, triangles)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    away = np.linalg.norm(np.einsum("tc,tcd->td", found, triangles) - points, axis=1)
    steps = np.linspace(0, 1, 101)
    grid = np.array([(1 - u - v, u, v) for u in steps for v in steps if u + v <= 1 + 1e-9])
    dense = np.einsum("gc,tcd->tgd", grid, triangles) - points[:, None]
    best = np.linalg.norm(dense, axis=2).min(axis=1)
    assert (away <= best + 1e-9).all()
    np.testing.assert_allclose(away, best, atol=0.03)
