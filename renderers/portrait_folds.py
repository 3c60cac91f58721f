"""Clean edges where a turned head covers what is behind it, or uncovers what nobody has seen.

There the motion field jumps, at the coarseness it is drawn with: a jagged edge. Smoothed until no
step is left, the jump becomes a short way on which what is being covered is drawn narrower, and
what is uncovered is stretched evenly.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from renderers.portrait_mesh import smoothstep

Floats = NDArray[np.floating]

FOLDS = (0.6, 1.5)
"""By how much the place in the picture runs ahead of the drawn one, from sample to sample as a
share of their distance: above 1 more is skipped than shown. Between these the smoothing comes."""

STRETCHES = (0.45, 0.7)
"""The same where it falls behind: at 0.5 the picture is drawn twice as large, at 1 it stands."""

SPREAD = 2.8
"""Smoothing across folds and stretches, in samples."""


def smooth_folds(smooth: Floats, drawn: Floats, step: float) -> None:
    """Smooth ``smooth`` [rows, columns, 2] px further where ``drawn``, the motion as drawn with
    samples ``step`` px apart, folds or stretches the picture."""
    across = (drawn[:, 1:, 0] - drawn[:, :-1, 0]) / step
    down = (drawn[1:, :, 1] - drawn[:-1, :, 1]) / step
    if max(across.max(), down.max()) <= FOLDS[0] and min(across.min(), down.min()) > -STRETCHES[0]:
        return
    rough = np.zeros(drawn.shape[:2], np.float32)
    rough[:, :-1] = np.maximum(smoothstep(across, *FOLDS), smoothstep(-across, *STRETCHES))
    rough[:-1] = np.maximum(rough[:-1], smoothstep(down, *FOLDS))
    rough[:-1] = np.maximum(rough[:-1], smoothstep(-down, *STRETCHES))
    share = cv2.GaussianBlur(cv2.dilate(rough, np.ones((9, 9), np.uint8)), (0, 0), SPREAD)
    smooth += share[..., None] * (cv2.GaussianBlur(drawn, (0, 0), SPREAD) - smooth)
