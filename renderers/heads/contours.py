"""Named contours of the 478 landmarks, and fitting one set of landmarks to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Reals

FACE_OVAL = np.array(
    """
    10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377
    152 148 176 149 150 136 172 58 132 93 234 127 162 21 54 103 67 109
    """.split(),  # noqa: SIM905
    dtype=np.int64,
)
"""The face's outline from the forehead's middle over the subject's left cheek and the chin."""

INNER_LIP_UPPER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
INNER_LIP_LOWER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
OUTER_LIP_UPPER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291])
OUTER_LIP_LOWER = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291])
"""Lip contours from the subject's right corner to the left one."""


def lips_apart(points: Reals, axis: int = 1) -> Reals:
    """How far the upper inner lip lies beyond the lower one along an ``axis`` of ``points`` [L, 3]
    (positions or displacements), at each of their 11 pairs."""
    return (points[INNER_LIP_UPPER] - points[INNER_LIP_LOWER])[:, axis]


@dataclass(frozen=True)
class EyeContour:
    """Landmark numbers of one eye: lids from the outer to the inner corner, brow, iris."""

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    brow: NDArray[np.int64]
    iris: NDArray[np.int64]


EYES = {
    "Right": EyeContour(
        upper=np.array([33, 246, 161, 160, 159, 158, 157, 173, 133]),
        lower=np.array([33, 7, 163, 144, 145, 153, 154, 155, 133]),
        brow=np.array([46, 53, 52, 65, 55]),
        iris=np.array([468, 469, 470, 471, 472]),
    ),
    "Left": EyeContour(
        upper=np.array([263, 466, 388, 387, 386, 385, 384, 398, 362]),
        lower=np.array([263, 249, 390, 373, 374, 380, 381, 382, 362]),
        brow=np.array([276, 283, 282, 295, 285]),
        iris=np.array([473, 474, 475, 476, 477]),
    ),
}
"""The subject's right eye is at the image's left."""


def fit_similarity(source: Reals, target: Reals) -> tuple[float, Reals]:
    """Scale and rotation [3, 3] of the least-squares map of ``source`` to ``target`` [K, 3]."""
    centred = source - source.mean(0)
    moment = (target - target.mean(0)).T @ centred
    left, _, right = np.linalg.svd(moment)
    turn = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ turn @ right
    scale = float(np.trace(rotation.T @ moment) / (centred**2).sum())
    return scale, rotation.astype(np.float32)
