"""Runs of true frames in a boolean mask: found, filled, filtered and widened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Bools


def runs(mask: Bools) -> NDArray[np.int64]:
    """Start and stop (exclusive) of each run of true in ``mask`` [T]: [R, 2]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def with_gaps_filled(mask: Bools, longest: int, allowed: Bools) -> Bools:
    """``mask`` with its gaps of up to ``longest`` frames filled, where ``allowed`` all through."""
    filled = mask.copy()
    for start, stop in runs(~mask):
        inner = start > 0 and stop < len(mask)
        if inner and stop - start <= longest and allowed[start:stop].all():
            filled[start:stop] = True
    return filled


def without_short_runs(mask: Bools, shortest: int) -> Bools:
    """``mask`` without its runs of less than ``shortest`` frames."""
    kept = mask.copy()
    for start, stop in runs(mask):
        if stop - start < shortest:
            kept[start:stop] = False
    return kept


def widened(mask: Bools, before: int, after: int) -> Bools:
    """``mask`` with its runs begun ``before`` frames earlier and ended ``after`` frames later."""
    wide = mask.copy()
    for start, stop in runs(mask):
        wide[max(start - before, 0) : stop + after] = True
    return wide
