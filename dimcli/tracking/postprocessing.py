"""What happens to tracked numbers before they are motion: gaps filled and jitter smoothed.

Frames in which no face was seen get their motion from the frames around them. Smoothing takes the
tracker's jitter out without delaying motion or losing blinks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import (
    EXPRESSION,
    HEAD,
    JAW,
    JAW_PITCH,
    MOTION_DIM,
    Floats,
    Motion,
    expression_index,
    slerp_axis_angle,
)


def finite_rows(table: Floats) -> NDArray[np.bool_]:
    """Which rows of ``table`` [T, N] have no NaN or infinite value: bool [T]."""
    return np.asarray(np.isfinite(table).all(axis=1))


def fill_columns(table: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Columns of ``table`` [T, N] with rows that are not ``valid`` interpolated linearly; the ends
    are held. At least one row must be valid.
    """
    filled = table.copy()
    times = np.arange(len(valid))
    for column in range(table.shape[1]):
        filled[:, column] = np.interp(times, times[valid], table[valid, column])
    return filled


def bridge_rotations(rotations: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Rotations [T, 3] (axis-angle) with those that are not ``valid`` taken from their neighbours
    by slerp; the ends are held. At least one must be valid.
    """
    gaps, known = np.flatnonzero(~valid), np.flatnonzero(valid)
    if len(gaps) == 0:
        return rotations
    after = np.searchsorted(known, gaps)
    low, high = known[(after - 1).clip(0)], known[after.clip(max=len(known) - 1)]
    weight = (gaps - low) / np.maximum(high - low, 1)
    bridged = rotations.copy()
    bridged[gaps] = slerp_axis_angle(
        rotations[low], rotations[high], weight.clip(0, 1).astype(np.float32)
    )
    return bridged


def fill_motion(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Motion values [T, 56] with gaps filled: rotations by slerp, the rest linearly."""
    assert values.shape[1] == MOTION_DIM
    filled = fill_columns(values, valid)
    for part in (HEAD, JAW):
        filled[:, part] = bridge_rotations(values[:, part], valid)
    return filled


POSE_WINDOW_S = 0.28
EXPRESSION_WINDOW_S = 0.2
BLINK_WINDOW_S = 0.12
"""A blink is 0.13 s wide at half its height: a window as wide as that keeps it."""


def smooth_motion(motion: Motion) -> Motion:
    """The same motion through Savitzky-Golay filters (second order, zero phase).

    Windows are as short as what they must keep: blinks 0.12 s, expression 0.2 s, head 0.28 s. The
    jaw that the lips say stays as it is: they close for two frames, and any window takes a tenth of
    fast speech.
    Clips shorter than a window keep their values.
    """
    values = motion.values.copy()
    windows = np.full(MOTION_DIM, EXPRESSION_WINDOW_S)
    windows[HEAD] = POSE_WINDOW_S
    if motion.space == "arkit":
        windows[JAW] = 0
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            windows[expression_index(name)] = BLINK_WINDOW_S
    for seconds in np.unique(windows):
        columns = np.flatnonzero(windows == seconds)
        length = 2 * round(seconds * motion.fps / 2) + 1
        if 3 < length <= len(motion):
            values[:, columns] = parabolas(values[:, columns], length)
    if motion.space == "arkit":
        values[:, EXPRESSION] = values[:, EXPRESSION].clip(0, 1)
        values[:, JAW_PITCH] = values[:, JAW_PITCH].clip(0)
    camera, length = motion.camera, 2 * round(POSE_WINDOW_S * motion.fps / 2) + 1
    if camera is not None and 3 < length <= len(motion):
        camera = parabolas(camera, length)
    return replace(motion, values=values, camera=camera)


def parabolas(values: Floats, length: int) -> Floats:
    """Each of ``values`` [T, C] as the parabola has it that fits the ``length`` (odd, at most T)
    around it, or at the ends the first and the last of them, best (Savitzky and Golay 1964)."""
    at = np.vander(np.arange(length) - (length - 1) / 2, 3)
    fit = at @ np.linalg.pinv(at)
    half = length // 2
    around = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), length, axis=0)
    fitted = [fit[:half] @ around[0].T, around @ fit[half], fit[half + 1 :] @ around[-1].T]
    return np.concatenate(fitted).astype(values.dtype)
