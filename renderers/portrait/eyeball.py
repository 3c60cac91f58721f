"""The eyeball of a portrait's eye, with what its lids cover painted on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]


def uncovered(
    patch: Picture, spot: Floats, depth: Floats, width: float, iris: tuple[Floats, float]
) -> Picture:
    """``patch`` [h, w, 3] of a picture around an eye with lids painted over by more eyeball.

    ``spot`` [h, w, 2]: where its pixels are, and ``depth`` [h, w]: how far inside the lids, both in
    eye widths of ``width`` px; ``iris``: its middle [2] and its radius.
    """
    middle, radius = iris
    inside = depth > 0.03 + 1.0 / width  # lid and eyeball mix closer to the edge
    in_iris = np.linalg.norm(spot - middle, axis=-1) < radius * 1.05
    usable = in_iris & ~inside
    filled = np.where(usable[..., None], _whole_iris(patch, spot, inside, iris), patch)
    sclera = (inside & ~in_iris).astype(np.float32)
    spread = 0.12 * width
    weight = cv2.GaussianBlur(sclera, (0, 0), spread)[..., None] + 1e-4
    colour = cv2.GaussianBlur(patch * sclera[..., None], (0, 0), spread)
    white = patch[sclera > 0]
    usual = np.median(white, axis=0) if len(white) else np.full(3, 195.0)
    painted = (colour + 1e-4 * usual) / weight
    filled = np.where((inside | usable)[..., None], filled, painted)
    soft = np.clip(depth * width - 0.5, 0, 1)[..., None]
    mixed = filled + soft * (patch - filled)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _whole_iris(
    patch: Picture, spot: Floats, inside: NDArray[np.bool_], iris: tuple[Floats, float]
) -> Picture:
    """``patch`` [h, w, 3] as if the iris were whole: the median colour at each radius."""
    middle, size = iris
    radius = np.linalg.norm(spot - middle, axis=-1) / size
    bins = np.clip((radius * 8).astype(int), 0, 9)
    colours = np.zeros((10, 3), np.float32)
    latest = np.asarray([60, 50, 45], np.float32)
    for ring in range(10):
        seen = patch[(bins == ring) & inside & (radius < 1.25)]
        latest = np.median(seen, axis=0) if len(seen) > 2 else latest
        colours[ring] = latest
    return np.clip(colours[bins], 0, 255).astype(np.uint8)
