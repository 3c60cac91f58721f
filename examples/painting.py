"""Paint the example listener's portrait: a rendered head, then hair, light and grain in 2-D.

Build-time only. Places are metres in the plane of the face, so that the hair fits the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from renderers.mesh import MeshRenderer

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Project = Callable[[Floats], Floats]

HAIR_PLANE_Z_M = 0.045


@dataclass(frozen=True)
class Hair:
    """Colour and cut of long hair, parted on one side."""

    dark: tuple[float, float, float] = (44, 26, 18)
    light: tuple[float, float, float] = (148, 96, 62)
    part_x_m: float = 0.018
    strands: int = 2600
    seed: int = 4


def strand(side: int, depth: float, hair: Hair, jitter: Floats) -> Floats:
    """One strand from the parting past the temple to the shoulder, [40, 2] metres.

    ``depth`` 0 lies at the face's edge, 1 at the outline of the hair; ``jitter`` [6, 2] metres.
    """
    part = hair.part_x_m
    knots = np.array(
        [
            [part, 0.112 + 0.050 * depth],
            [part + side * (0.030 + 0.010 * depth) - 0.3 * part, 0.108 + 0.052 * depth],
            [side * (0.071 + 0.020 * depth), 0.052 + 0.030 * depth],
            [side * (0.074 + 0.027 * depth), -0.010],
            [side * (0.069 + 0.034 * depth), -0.075],
            [side * (0.052 + 0.052 * depth), -0.150 - 0.02 * depth],
        ]
    )
    path = CubicSpline(np.linspace(0, 1, len(knots)), knots + jitter)
    return path(np.linspace(0, 1, 40))


def paint_strands(
    canvas: Picture,
    project: Project,
    hair: Hair,
    depths: tuple[float, float],
    count: int,
    shade: float,
    seed: int,
) -> None:
    """Draw ``count`` strands into ``canvas`` in place, the outer ones first."""
    generator = np.random.default_rng(seed)
    dark, light = np.array(hair.dark), np.array(hair.light)
    depth_of = np.sort(generator.uniform(*depths, count))[::-1]
    # neighbours share a lock's wave and tone: hair falls in locks, not in single strands
    lock_tone = generator.uniform(0.0, 1.0, 64)
    lock_wave = generator.normal(0, 0.0022, (64, 6, 2))
    for depth in depth_of:
        side = 1 if generator.random() < 0.5 else -1
        lock = int(depth * 24) + (32 if side > 0 else 0)
        jitter = lock_wave[lock % 64] + generator.normal(0, 0.0009, (6, 2))
        jitter[0] *= 0.4
        points = project(strand(side, depth, hair, jitter))
        tone = 0.25 + 0.35 * lock_tone[lock % 64] + generator.normal(0, 0.10)
        t = np.linspace(0, 1, len(points))
        sheen = 0.55 * np.exp(-(((t - 0.27 + 0.02 * jitter[2, 1]) / 0.07) ** 2)) + 0.22 * np.exp(
            -(((t - 0.68) / 0.10) ** 2)
        )
        inner = 0.30 * np.exp(-depth / 0.12)  # the edge by the face lies in the head's shade
        lit = np.clip(tone + sheen * (1.1 if side < 0 else 0.75) - inner, 0, 1)[:, None] * shade
        colours = dark * (0.55 + 0.45 * shade) + (light - dark) * lit
        width = int(generator.integers(1, 4))
        fixed = np.round(points * 8).astype(np.int32)
        for start in range(0, len(points) - 1, 3):
            piece = fixed[start : start + 4].reshape(-1, 1, 2)
            colour = colours[start].tolist()
            cv2.polylines(canvas, [piece], False, colour, width, cv2.LINE_AA, 3)


def paint_portrait(
    renderer: MeshRenderer, values: NDArray[np.float32], room: Picture, hair: Hair, size: int
) -> Picture:
    """A portrait [size, size, 3] of the renderer's head at motion ``values`` [56]."""
    big = renderer.inner_size

    def project(points: Floats) -> Floats:
        deep = np.full((len(points), 1), HAIR_PLANE_Z_M)
        placed = np.concatenate([points, deep], axis=1).astype(np.float32)
        return renderer.camera.project(placed, big)[:, :2].astype(np.float64)

    behind = room.copy()
    paint_strands(behind, project, hair, (-0.6, 1.0), hair.strands, 0.35, hair.seed)
    renderer.shader.backdrop = behind
    picture = renderer.draw(renderer.pose(values[None])[0])

    # the curtain throws a soft shadow on the face before it is drawn itself
    curtain = np.zeros((big, big, 3), np.uint8)
    white = Hair(dark=(255, 255, 255), light=(255, 255, 255), part_x_m=hair.part_x_m)
    paint_strands(curtain, project, white, (0.0, 1.0), hair.strands // 2, 1.0, hair.seed + 1)
    shadow = cv2.GaussianBlur(curtain, (0, 0), big / 70).astype(np.float32) / 255
    shadow = np.roll(shadow, (big // 120, big // 160), axis=(0, 1))
    picture = (picture * (1 - 0.42 * shadow)).astype(np.uint8)
    paint_strands(picture, project, hair, (0.0, 1.0), hair.strands, 1.0, hair.seed + 1)
    return finish(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), hair.seed)


def finish(picture: Picture, seed: int) -> Picture:
    """Soft light, a touch of warmth, vignette and grain."""
    size = len(picture)
    light = picture.astype(np.float32)
    glow = cv2.GaussianBlur(light, (0, 0), size / 50)
    light = 255 - (255 - light) * (255 - 0.16 * glow) / 255
    light = (light / 255) ** 1.10 * 255
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    radius = np.hypot(grid[None], grid[:, None])[..., None]
    light *= 1 - 0.20 * np.clip(radius - 0.55, 0, 1) ** 1.5
    light *= np.array([1.02, 1.0, 0.975], np.float32)
    generator = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(generator.standard_normal((size, size), np.float32), (0, 0), 0.6)
    return np.clip(light + 3.2 * grain[..., None], 0, 255).astype(np.uint8)
