"""Clean edges where a turned head covers what is behind it, or uncovers what nobody has seen.

There the motion field jumps, at the coarseness it is drawn with: a jagged edge. Smoothed until no
step is left, the jump becomes a short way on which what is being covered is drawn narrower, and
what is uncovered is stretched evenly.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from renderers.portrait.mesh import smoothstep

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

FOLDS = (0.6, 1.5)
"""By how much the place in the picture runs ahead of the drawn one, from sample to sample as a
share of their distance: above 1 more is skipped than shown. Between these the smoothing comes."""

STRETCHES = (0.45, 0.7)
"""The same where it falls behind: at 0.5 the picture is drawn twice as large, at 1 it stands."""

STREAKS = (0.3, 0.6)
"""Stretches in which the grain of the picture becomes streaks."""

STREAK_CM, STREAK_STEPS = 0.14, 18.0
"""Width of the smoothing that takes streaks away, and the colour difference that it leaves."""

SPREAD = 2.8
"""Smoothing across folds and stretches, in samples."""


def smooth_folds(smooth: Floats, drawn: Floats, step: float) -> None:
    """Smooth ``smooth`` [rows, columns, 2] px further where ``drawn``, the motion as drawn with
    samples ``step`` px apart, folds or stretches the picture."""
    across = (drawn[:, 1:, 0] - drawn[:, :-1, 0]) / step
    down = (drawn[1:, :, 1] - drawn[:-1, :, 1]) / step
    rough = np.zeros(drawn.shape[:2], np.float32)
    rough[:, :-1] = np.maximum(smoothstep(across, *FOLDS), smoothstep(-across, *STRETCHES))
    rough[:-1] = np.maximum(rough[:-1], smoothstep(down, *FOLDS))
    rough[:-1] = np.maximum(rough[:-1], smoothstep(-down, *STRETCHES))
    left, top, columns, rows = cv2.boundingRect((rough > 0).astype(np.uint8))
    if columns == 0:
        return
    near = round(4 * SPREAD) + 4
    part = (
        slice(max(0, top - near), top + rows + near),
        slice(max(0, left - near), left + columns + near),
    )
    share = cv2.GaussianBlur(cv2.dilate(rough[part], np.ones((9, 9), np.uint8)), (0, 0), SPREAD)
    wide = cv2.GaussianBlur(drawn[part], (0, 0), SPREAD)
    smooth[part] += share[..., None] * (wide - smooth[part])


def streaked(smooth: Floats, step: float) -> Floats | None:
    """How much [rows, columns] the motion ``smooth`` [rows, columns, 2] px, with samples ``step``
    px apart, draws the picture's grain into streaks. None when nowhere."""
    share = np.zeros(smooth.shape[:2], np.float32)
    share[:, 1:-1] = smooth[:, :-2, 0] - smooth[:, 2:, 0]
    share[1:-1] = np.maximum(share[1:-1], smooth[:-2, :, 1] - smooth[2:, :, 1])
    share /= 2 * step
    if share.max() <= STREAKS[0]:
        return None
    return cv2.GaussianBlur(smoothstep(share, *STREAKS), (0, 0), 1.5)


def take_streaks(view: Picture, share: Floats, scale: float) -> None:
    """Smooth the streaks of ``view`` [h, w, 3], which ``share`` [rows, columns] says where they
    are, but no edges. ``scale``: pixels a centimetre."""
    height, width = view.shape[:2]
    grid = np.asarray([share.shape[1] / width, share.shape[0] / height])
    left, top, columns, rows = cv2.boundingRect((share > 0.02).astype(np.uint8))
    if columns == 0:
        return
    first = np.floor(np.asarray([left, top]) / grid).astype(int)
    last = np.ceil(np.asarray([left + columns, top + rows]) / grid).astype(int)
    part = (slice(first[1], last[1]), slice(first[0], last[0]))
    streaks = view[part]
    enlarged = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)[part]
    smooth = cv2.GaussianBlur(streaks, (0, 0), STREAK_CM * scale)
    apart = cv2.absdiff(smooth, streaks).max(-1).astype(np.float32) / STREAK_STEPS
    weight = enlarged * np.exp(-apart * apart)
    mixed = streaks + weight[..., None] * (smooth.astype(np.float32) - streaks)
    streaks[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
