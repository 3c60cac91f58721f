"""Frames in which no face was seen: their motion from the frames around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import HEAD, JAW, MOTION_DIM, Floats
from dimcli.core.rotations import slerp_axis_angle


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
