"""Teeth and colours for the inside of a portrait's mouth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renderers.contours import INNER_LIP_LOWER, OUTER_LIP_LOWER
from renderers.portrait.mesh import NUM_FACE, smoothstep

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

UPPER_WIDTHS_CM = (0.86, 0.68, 0.72, 0.58, 0.46, 0.36)
LOWER_WIDTHS_CM = (0.52, 0.56, 0.62, 0.55, 0.45, 0.36)
"""Visible widths of the teeth from the middle outwards, shorter where the arch turns away."""

SHEET_CM = (6.6, 3.2)
"""Width and height of the sheets the teeth are painted on; the bite is in their middle."""

BRIGHT_SKIN = 230.0
"""Teeth are the brighter than skin the further that is below this."""


@dataclass(frozen=True)
class MouthColours:
    """Colours [3] of the picture's mouth, float32 RGB."""

    teeth: Floats
    cavity: Floats
    tongue: Floats
    seam: Floats


def mouth_colours(image: Picture, landmarks: Floats, white: Floats) -> MouthColours:
    """Colours for a mouth in the light of ``image``; ``white`` [3] is the white of its eyes."""
    outline = np.concatenate([OUTER_LIP_LOWER, INNER_LIP_LOWER[::-1]])
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(landmarks[outline, :2]).astype(np.int32)], 1)
    lips = image[mask > 0]
    lip = np.median(lips, axis=0) if len(lips) else np.asarray([150, 90, 85], np.float32)
    oval = landmarks[:NUM_FACE, :2].astype(int)
    inside = ((oval >= 0) & (oval < [image.shape[1], image.shape[0]])).all(1)
    skin = image[oval[inside, 1], oval[inside, 0]].astype(np.float32)
    bright = (
        np.percentile(skin, 85, axis=0) if len(skin) else np.asarray([210, 180, 165], np.float32)
    )
    tinted = bright * np.mean(white) / max(float(bright.mean()), 1.0)
    teeth = 0.65 * np.asarray(white, np.float32) + 0.35 * tinted
    teeth = teeth + 0.4 * (teeth.mean() - teeth)  # not as coloured as skin, or they look like it
    least = 0.88 * bright.mean() + 0.22 * max(0.0, BRIGHT_SKIN - bright.mean())
    level = np.clip(teeth.mean(), least, max(least, 0.98 * bright.mean()))
    level = min(level, float(np.percentile(image.mean(-1), 98)))  # no whiter than its whites
    teeth = teeth * level / max(float(teeth.mean()), 1.0)
    return MouthColours(
        teeth=np.asarray(teeth, np.float32),
        cavity=np.asarray(lip * np.asarray([0.34, 0.21, 0.2]), np.float32),
        tongue=np.asarray(lip * np.asarray([0.82, 0.68, 0.7]), np.float32),
        seam=np.asarray(0.5 * lip, np.float32),
    )


def teeth_sheet(widths: tuple[float, ...], upper: bool, density: float) -> tuple[Floats, Floats]:
    """Shade and opacity [h, w] of a row of teeth; row 0 is the top, the bite in the middle."""
    columns, rows = (round(length * density) for length in SHEET_CM)
    across = np.abs((np.arange(columns) + 0.5) / density - SHEET_CM[0] / 2)
    down = (np.arange(rows) + 0.5) / density - SHEET_CM[1] / 2
    borders = np.concatenate([[0.0], np.cumsum(widths)])
    tooth = np.clip(np.searchsorted(borders, across, side="right") - 1, 0, len(widths) - 1)
    middle = (borders[tooth] + borders[tooth + 1]) / 2
    beside = np.clip(2 * np.abs(across - middle) / np.asarray(widths)[tooth], 0, 1)
    shorter = np.array([0.0, 0.07, 0.02, 0.1, 0.14, 0.18])[tooth]
    edge = shorter + 0.05 * beside**4 + 0.02 * across**2
    if not upper:
        edge, down = edge * 0.4, -down
    soft = 0.04 + 0.5 / density
    opacity = smoothstep(-(down[:, None] + edge), -soft, soft)
    opacity = opacity * smoothstep(across, borders[-1], borders[-1] - 0.3)
    gap = np.exp(-(((1 - beside) * np.asarray(widths)[tooth] / (0.05 + 0.4 / density)) ** 2))
    height = np.clip(-(down[:, None] + edge), 0, None)
    shade = (1 - (0.2 if upper else 0.14) * gap) * (1 - 0.1 * across**2)
    shade = shade * (0.9 + 0.1 * smoothstep(height, 0.0, 0.25)) * (1.02 - 0.12 * height)
    return shade.astype(np.float32), opacity.astype(np.float32)
