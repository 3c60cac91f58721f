"""Paint the open head's texture from its geometry: skin, lips, brows, hair, eyes, teeth, clothes.

Every colour is a function of where a texel lies on the resting head, so nothing is copied from a
picture. Colours are RGB in 0..255. Part of building ``open_head.npz``; not used at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Colour = tuple[float, ...]


TOOTH_GAPS_M = ((0.0, 0.0082, 0.0145, 0.021), (0.0, 0.0052, 0.0108, 0.017))
"""Where one tooth ends and the next begins, from the middle, along x: uppers, lowers."""


@dataclass(frozen=True)
class Look:
    """Colours and habits of one painted face."""

    skin: Colour = (222, 176, 150)
    blush: Colour = (205, 120, 104)
    lips: Colour = (188, 104, 98)
    brow: Colour = (74, 52, 40)
    hair: Colour = (62, 44, 35)
    iris: Colour = (92, 112, 98)
    shirt: Colour = (70, 92, 112)
    hairline: float = 0.088
    """Height of the hairline over the head joint at the forehead, metres."""
    hair_thickness_m: float = 0.009
    brow_weight: float = 1.0
    brow_lift_m: float = 0.0025
    grain: float = 1.0
    """Strength of pores and blotches."""
    seed: int = 0


def blend(image: Array, colour: Colour | Array, amount: Array) -> None:
    """Mix ``colour`` into float ``image`` [H, W, 3] in place by ``amount`` [H, W] in 0..1."""
    image += (np.asarray(colour, np.float32) - image) * amount[..., None]


def step(low: float, high: float, position: Array) -> Array:
    """Smooth 0..1 ramp between two positions (``low`` may lie above ``high``)."""
    t = np.clip((position - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def surface_map(arrays: dict[str, Array], values: Array, size: tuple[int, int]) -> Array:
    """Per-vertex ``values`` [V, 3] spread over the texture, float32 [H, W, 3]; NaN outside."""
    width, height = size
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = ((values - low) / (high - low)).astype(np.float32)
    plane = np.empty((len(values), 3), np.float32)
    plane[:, 0] = (arrays["uv"][:, 0] * 2 - 1) * width / height
    plane[:, 1] = 1 - arrays["uv"][:, 1] * 2
    plane[:, 2] = -1
    colour = np.full((height, width, 3), np.nan, np.float32)
    depth = np.full((height, width), 10, np.float32)
    settings = cv2.TriangleRasterizeSettings().setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings = settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    camera = np.eye(4, dtype=np.float32)
    cv2.triangleRasterize(
        plane, arrays["faces"], scaled, colour, depth, camera, np.pi / 2, 0.1, 10.0, settings
    )
    return colour * (high - low).astype(np.float32) + low.astype(np.float32)


def noise(shape: tuple[int, int], scale_px: float, generator: np.random.Generator) -> Array:
    """Smooth noise [H, W] of unit deviation with features about ``scale_px`` wide."""
    field = generator.standard_normal(shape, dtype=np.float32)
    if scale_px > 1:
        small = (max(2, int(shape[1] / scale_px)), max(2, int(shape[0] / scale_px)))
        field = cv2.resize(
            field[: small[1], : small[0]], shape[::-1], interpolation=cv2.INTER_CUBIC
        )
    return field / field.std()


def paint_eye(image: Array, box: tuple[int, int, int], look: Look) -> None:
    """Sclera, iris and pupil into the square that both eyeballs share."""
    left, top, side = box
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    across, down = np.meshgrid(grid, grid)
    degrees = np.hypot(across, down) * 180
    turn = np.arctan2(down, across)
    eye = np.empty((side, side, 3), np.float32)
    eye[:] = (238, 234, 230)
    blend(eye, (214, 150, 138), 0.55 * step(38, 85, degrees))
    fibres = 0.5 + 0.5 * np.sin(turn * 37 + 3 * np.sin(turn * 11))
    iris = np.asarray(look.iris, np.float32) * (0.75 + 0.45 * fibres[..., None])
    iris += 26 * step(20, 11, degrees)[..., None]
    blend(eye, iris, step(26.5, 24.0, degrees))
    blend(eye, (30, 28, 28), 0.75 * step(19.5, 24, degrees) * step(27.5, 24.5, degrees))
    blend(eye, (12, 10, 10), step(11.5, 9.5, degrees))
    image[top : top + side, left : left + side] = eye


def paint(
    arrays: dict[str, Array],
    size: tuple[int, int],
    lips: Array,
    eye_box: tuple[int, int, int],
    landmarks: Array | None,
    look: Look,
) -> Array:
    """The texture, uint8 [H, W, 3] RGB.

    ``lips`` [H, W] in 0..1 says where the lips are; ``landmarks`` [478, 3] metres on the resting
    head place brows and lids (without them those stay bare).
    """
    width, height = size
    generator = np.random.default_rng(look.seed)
    template = arrays["template"]
    place = surface_map(arrays, template, size)
    region = surface_map(
        arrays, np.repeat(arrays["vertex_region"][:, None].astype(np.float32), 3, 1), size
    )[..., 0]
    outside = np.isnan(region)
    nearest = cv2.distanceTransformWithLabels(
        outside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    first = np.zeros(nearest.max() + 1, np.int64)
    first[nearest[~outside]] = np.flatnonzero(~outside.ravel())
    source = first[nearest]
    place = place.reshape(-1, 3)[source]
    region = region.ravel()[source]
    x, y, z = np.moveaxis(place, 2, 0)

    image = np.empty((height, width, 3), np.float32)
    image[:] = look.skin
    front = step(0.02, 0.07, z)
    for side in (-1, 1):
        cheek = ((x - side * 0.038) / 0.024) ** 2 + ((y - 0.004) / 0.022) ** 2
        blend(image, look.blush, 0.34 * np.exp(-cheek) * front)
    blend(
        image, look.blush, 0.30 * np.exp(-((x / 0.016) ** 2) - ((y - 0.008) / 0.014) ** 2) * front
    )
    blend(image, look.blush, 0.14 * np.exp(-((x / 0.03) ** 2) - ((y + 0.060) / 0.014) ** 2) * front)
    blend(
        image,
        look.blush,
        0.28 * step(0.066, 0.078, np.abs(x)) * step(0.045, 0.02, np.abs(y - 0.02)),
    )
    blotches = (
        noise((height, width), 60, generator) * 3 + noise((height, width), 9, generator) * 1.6
    )
    pores = noise((height, width), 2.5, generator) * 2.2
    image += (look.grain * (blotches + pores))[..., None] * np.array([1, 1.05, 1.1], np.float32)
    blend(image, look.lips, 0.85 * lips)

    if landmarks is not None:
        paint_brows(image, x, y, z, landmarks, look, generator)
        paint_lids(image, x, y, z, landmarks, look)
    paint_hair(image, x, y, z, look, generator)
    collar = -0.128 - 0.055 * np.exp(-((x / 0.055) ** 2)) * step(-0.02, 0.06, z)
    weave = noise((height, width), 3, generator) * 3
    shirt = np.asarray(look.shirt, np.float32) + weave[..., None]
    blend(
        image, tuple(0.72 * c for c in look.shirt), step(0.005, 0.003, np.abs(y - collar - 0.001))
    )
    blend(image, shirt, step(0.002, -0.002, y - collar))

    mouth, teeth, tongue = (np.isin(region.round(), kind) for kind in ([1], [2, 3], [4]))
    deep = step(0.088, 0.050, z)
    inner = np.empty_like(image)
    inner[:] = (128, 52, 50)
    blend(inner, (46, 15, 15), deep)
    image[mouth] = inner[mouth]
    inner[:] = (236, 228, 214)
    blend(inner, (96, 66, 56), step(0.084, 0.062, z))
    lower = region.round() == 3
    uppers, lowers = np.array(TOOTH_GAPS_M, np.float32)
    gap = np.full(x.shape, np.inf, np.float32)
    for above, below in zip(uppers, lowers, strict=True):
        gap = np.minimum(gap, np.abs(np.abs(x) - np.where(lower, below, above)))
    blend(inner, (150, 118, 100), 0.55 * step(0.0006, 0.0001, gap))
    image[teeth] = inner[teeth]
    inner[:] = (182, 92, 90)
    blend(inner, (70, 24, 26), step(0.070, 0.045, z))
    image[tongue] = inner[tongue]
    paint_eye(image, eye_box, look)
    return np.clip(image, 0, 255).astype(np.uint8)


def hair_amount(x: Array, y: Array, z: Array, look: Look, ragged: Array | float = 0.0) -> Array:
    """How much hair grows at points of the head, 0..1; ``ragged`` metres disturb the hairline."""
    back = step(0.075, -0.02, z)
    line = look.hairline - 0.030 * step(0.03, 0.066, np.abs(x)) * step(0.09, 0.05, z)
    line = line - 0.075 * back - 0.05 * step(-0.03, -0.08, z)
    amount = step(-0.004, 0.006, y - line + ragged)
    ear = ((y - 0.010) / 0.043) ** 2 + ((z + 0.004) / 0.031) ** 2
    return amount * step(0.95, 1.15, ear + 30 * np.asarray(ragged))


def paint_hair(
    image: Array, x: Array, y: Array, z: Array, look: Look, generator: np.random.Generator
) -> None:
    """Short hair over the scalp, its line falling from the forehead to the temples and the nape."""
    ragged = noise(x.shape, 5, generator) * 0.0011 + noise(x.shape, 2, generator) * 0.0006
    amount = hair_amount(x, y, z, look, ragged)
    strands = noise(x.shape, 3, generator) * 7 + noise(x.shape, 14, generator) * 5
    blend(image, np.asarray(look.hair, np.float32) + strands[..., None], 0.97 * amount)


def paint_brows(
    image: Array,
    x: Array,
    y: Array,
    z: Array,
    landmarks: Array,
    look: Look,
    generator: np.random.Generator,
) -> None:
    """Eyebrows along MediaPipe's two brow lines on either side, thinner and lighter outwards."""
    rows = (
        ((107, 66, 105, 63, 70), (55, 65, 52, 53, 46)),
        (
            (336, 296, 334, 293, 300),
            (285, 295, 282, 283, 276),
        ),
    )
    grain = noise(x.shape, 2.2, generator)
    for upper, lower in rows:
        top, bottom = landmarks[list(upper)], landmarks[list(lower)]
        side = np.sign(top[:, 0].mean())
        along = np.abs(top[:, 0] + bottom[:, 0]) / 2
        order = np.argsort(along)
        reach = np.clip(np.abs(x), along.min(), along.max())
        middle = np.interp(reach, along[order], ((top + bottom)[:, 1] / 2)[order])
        middle = middle + look.brow_lift_m
        half = np.interp(reach, along[order], ((top - bottom)[:, 1] / 2)[order])
        half = np.maximum(half * 0.95, 0.0016)
        share = (reach - along.min()) / np.ptp(along)
        height = np.abs(y - middle) / half
        ends = step(-0.004, 0.003, np.abs(x) - along.min()) * step(
            0.004, -0.003, np.abs(x) - along.max()
        )
        amount = step(1.35, 0.45, height + 0.16 * grain) * ends * step(-0.01, 0.03, z)
        amount = amount * (np.sign(x) == side) * (0.97 - 0.3 * share**2) * look.brow_weight
        blend(image, look.brow, np.clip(amount, 0, 1))


def paint_lids(image: Array, x: Array, y: Array, z: Array, landmarks: Array, look: Look) -> None:
    """Lash line and a soft shadow above the eye."""
    upper = (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (263, 466, 388, 387, 386, 385, 384, 398, 362),
    )
    lower = (
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (263, 249, 390, 373, 374, 380, 381, 382, 362),
    )
    shade = tuple(0.62 * channel for channel in look.skin)
    lash = tuple(0.55 * channel for channel in look.brow)
    place = np.stack([x, y, z], axis=-1)
    for lines, strength, thickness in ((upper, 0.95, 0.0016), (lower, 0.5, 0.0011)):
        for line in lines:
            near = distance_to_line(place, landmarks[list(line)])
            if lines is upper:
                blend(
                    image,
                    shade,
                    0.35 * step(0.011, 0.002, near) * (y > landmarks[list(line), 1].mean()),
                )
            inner = np.abs(landmarks[line[-1], 0])
            fade = step(inner - 0.001, inner + 0.007, np.abs(x))
            blend(image, lash, fade * strength * step(thickness, 0.4 * thickness, near))


def distance_to_line(place: Array, line: Array) -> Array:
    """Distance [H, W] in metres of every texel to a polyline [K, 3]; infinite beyond 2 cm."""
    distance = np.full(place.shape[:2], np.inf, np.float32)
    close = np.linalg.norm(place - line.mean(axis=0), axis=2) < 0.035
    points = place[close]
    best = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        span = end - start
        t = np.clip((points - start) @ span / (span @ span), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - t[:, None] * span, axis=1))
    distance[close] = best
    return distance
