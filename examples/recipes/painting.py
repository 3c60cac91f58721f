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

from renderers.mesh.mesh import MeshRenderer

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Project = Callable[[Floats], Floats]

HAIR_PLANE_Z_M = 0.045


@dataclass(frozen=True)
class Hair:
    """Colour and cut of long hair, parted on one side."""

    dark: tuple[float, float, float] = (42, 27, 21)
    light: tuple[float, float, float] = (150, 106, 76)
    part_x_m: float = 0.018
    strands: int = 3600
    seed: int = 4


def strand(side: int, depth: float, length: float, hair: Hair, jitter: Floats) -> Floats:
    """One strand from the parting past the temple to the shoulder, [POINTS, 2] metres.

    ``depth`` 0 lies at the face's edge, 1 at the outline of the hair; ``length`` 1 reaches below
    the shoulder; ``jitter`` [KNOTS, 2] metres.
    """
    part = hair.part_x_m
    knots = np.array(
        [
            [part + side * 0.002, 0.101 + 0.053 * depth],
            [part * 0.6 + side * (0.032 + 0.018 * depth), 0.099 + 0.046 * depth],
            [side * (0.0645 + 0.0235 * depth), 0.056 + 0.036 * depth],
            [side * (0.0672 + 0.0308 * depth), 0.000 + 0.014 * depth],
            [side * (0.0662 + 0.0358 * depth), -0.060],
            [side * (0.058 + 0.042 * depth), -0.120],
            [side * (0.062 + 0.050 * depth), -0.172],
        ]
    )
    path = CubicSpline(np.linspace(0, 1, len(knots)), knots + jitter)
    return path(np.linspace(0, length, POINTS))


POINTS = 56
KNOTS = 7


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
    locks = 48
    lock_tone = generator.uniform(0.0, 1.0, 2 * locks)
    lock_shift = generator.normal(0, 0.03, 2 * locks)
    swing = np.linspace(0.1, 1.0, KNOTS)[:, None] * [1.0, 0.4]
    lock_wave = generator.normal(0, 0.0042, (2 * locks, KNOTS, 2)) * swing
    for depth in depth_of:
        side = 1 if generator.random() < 0.5 else -1
        lock = int(np.clip(depth + generator.normal(0, 0.015), 0, 1) * (locks - 1))
        lock += locks if side > 0 else 0
        jitter = lock_wave[lock] + generator.normal(0, 0.0013, (KNOTS, 2)) * swing
        length = min(1.0, 0.87 + 0.09 * lock_tone[lock] + generator.normal(0, 0.035))
        points = project(strand(side, depth, length, hair, jitter))
        tone = 0.22 + 0.30 * lock_tone[lock] + generator.normal(0, 0.09)
        t = np.linspace(0, 1, POINTS)
        shift = lock_shift[lock] + generator.normal(0, 0.02)
        sheen = 0.50 * np.exp(-(((t - 0.27 - shift) / 0.075) ** 2))
        sheen += 0.16 * np.exp(-(((t - 0.66 - 1.5 * shift) / 0.11) ** 2))
        inner = 0.26 * np.exp(-abs(depth) / 0.12)  # by the face it lies in the head's shade
        root = 0.25 * np.exp(-t / 0.05)
        lit = np.clip(tone + sheen * (1.1 if side < 0 else 0.75) - inner - root, 0, 1) * shade
        colours = dark * (0.55 + 0.45 * shade) + (light - dark) * lit[:, None]
        width = int(generator.integers(1, 4))
        fixed = np.round(points * 8).astype(np.int32)
        for start in range(POINTS - 1):
            piece = fixed[start : start + 2].reshape(-1, 1, 2)
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
