"""Looks, the turntable and pytorch3d's rasteriser; the last in an environment that has it."""

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.core.motion import MOTION_DIM
from renderers.heads.open_head import OpenHead
from renderers.mesh.looks import LOOKS, edges_of, make_shader
from renderers.mesh.mesh import MeshRenderer
from renderers.mesh.raster import (
    FAR_M,
    Camera,
    OpenCVRasteriser,
    PyTorch3DRasteriser,
    has_pytorch3d,
    make_rasteriser,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def head() -> OpenHead:
    return OpenHead.bundled()


def poses() -> np.ndarray:
    """A resting head, and one that turns, talks and smiles."""
    values = np.random.default_rng(3).uniform(0, 0.3, (2, MOTION_DIM)).astype(np.float32)
    values[0] = 0
    values[1, :6] = [0.2, -0.4, 0.1, 0.2, 0, 0]
    return values


def test_every_look_shows_the_same_silhouette(head: OpenHead) -> None:
    pictures = {}
    for look in LOOKS:
        renderer = MeshRenderer(128, head=head, look=look)
        (picture,) = renderer.render(poses()[1:])
        empty = renderer.draw(np.zeros_like(renderer.pose(poses()[:1])[0]))
        pictures[look] = np.abs(picture.astype(int) - empty).sum(axis=2) > 12
    for look in LOOKS:
        assert (pictures[look] == pictures["clay"]).mean() > 0.97


def test_clay_is_one_colour_and_wires_darken_it(head: OpenHead) -> None:
    (clay,), (wires,) = (
        MeshRenderer(128, head=head, look=look).render(poses()[:1]) for look in LOOKS[1:]
    )
    face = np.s_[40:90, 48:80]
    assert np.abs(np.diff(clay[face].astype(int), axis=2)).max() < 40
    assert wires[face].mean() < clay[face].mean() - 10
    np.testing.assert_array_equal(wires[:8], clay[:8])


def test_wires_behind_the_head_are_hidden(head: OpenHead) -> None:
    renderer = MeshRenderer(128, head=head, look="wireframe")
    vertices = renderer.pose(poses()[:1])[0]
    fragments = renderer.rasteriser.rasterise(
        vertices, renderer._faces, renderer.shader.attributes(vertices), 128
    )
    hidden = type(fragments)(fragments.attributes, np.full_like(fragments.depth, 0.1))
    assert renderer.shader._wires(fragments, vertices).any()
    assert not renderer.shader._wires(hidden, vertices).any()


def test_each_edge_is_listed_once() -> None:
    faces = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
    assert edges_of(faces).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]


def test_a_turntable_comes_round_to_the_first_picture(head: OpenHead) -> None:
    renderer = MeshRenderer(96, head=head, turn_rad=2 * np.pi / 20)
    still = np.zeros((21, MOTION_DIM), np.float32)
    pictures = list(renderer.render(still))
    assert np.abs(pictures[20].astype(int) - pictures[0]).mean() < 0.2
    # half a turn shows the back of the head: no skin where the face was, only hair
    assert pictures[10][40:56, 40:56].mean() < 0.6 * pictures[0][40:56, 40:56].mean()


def test_an_unknown_look_or_rasteriser_is_named(head: OpenHead) -> None:
    with pytest.raises(InputError, match="--look shiny: unknown; known: textured, clay, wireframe"):
        make_shader("shiny", head, Camera(), 64)
    with pytest.raises(InputError, match="--rasteriser gpu: unknown; known: auto, opencv"):
        make_rasteriser("gpu", Camera(), CPU)


def test_auto_rasterises_with_opencv_on_a_cpu() -> None:
    assert isinstance(make_rasteriser("auto", Camera(), CPU), OpenCVRasteriser)


@pytest.mark.skipif(has_pytorch3d(), reason="pytorch3d is installed here")
def test_without_pytorch3d_the_error_says_how_to_install_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[pytorch3d\]"):
        make_rasteriser("pytorch3d", Camera(), CPU)


@pytest.mark.skipif(not has_pytorch3d(), reason="needs pytorch3d: make test-pytorch3d")
@pytest.mark.parametrize(("size", "look"), [(128, "textured"), (128, "clay"), (256, "textured")])
def test_pytorch3d_and_opencv_draw_the_same_picture(head: OpenHead, size: int, look: str) -> None:
    camera = Camera()
    opencv = MeshRenderer(size, head=head, look=look)
    pytorch3d = MeshRenderer(
        size, head=head, look=look, rasteriser=PyTorch3DRasteriser(camera, CPU)
    )
    for vertices in opencv.pose(poses()):
        attributes = opencv.shader.attributes(vertices)
        drawn = [
            one.rasteriser.rasterise(vertices, opencv._faces, attributes, size)
            for one in (opencv, pytorch3d)
        ]
        first, second = drawn
        inside = first.depth < FAR_M - 1e-3, second.depth < FAR_M - 1e-3
        assert (inside[0] & inside[1]).sum() >= 0.995 * (inside[0] | inside[1]).sum()
        both = inside[0] & inside[1]
        assert np.abs(first.depth - second.depth)[both].mean() < 1e-4
        pictures = [opencv.shader.shade(each, vertices).astype(int) for each in drawn]
        assert np.abs(pictures[0] - pictures[1])[both].mean() < 2
