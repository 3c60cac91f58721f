"""UniLS' LVE, MHD, FDD, PDD and JDD: distances of a head's vertices, in millimetres.

Vertices are posed without shape and head rotation, [T, V, 3] in millimetres. Smaller is better.

- **LVE**: root of the mean over frames of the largest squared distance of a lip vertex.
- **MHD**: root of the mean over frames and all vertices of the squared distance.
- **FDD**: 100 times the mean over upper-face vertices of |std(x + y + z) of the prediction less
  the truth's|, std over time with T - 1. **PDD**, **JDD**: the same of the head's three rotations
  and of the jaw's, in radians. Of the frames in which the target speaks (S_) or does not (L_).

Lists of vertices may name one twice, which then counts twice, as UniLS' own do.

Source: xg-chu/UniLS (CVPR 2026, arXiv 2512.09327) ``core/models/modules/metrics.py``. Falsely
rewarded: FDD, PDD and JDD compare amounts, so that motion at the wrong time scores 0; LVE and MHD
are smallest for a face that keeps still at the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
_PER_CENT = 100.0


def lip_error(truth: Array, prediction: Array) -> float:
    """LVE of lip vertices [T, L, 3]."""
    return float(np.sqrt(_squares(truth, prediction).max(axis=1).mean()))


def head_error(truth: Array, prediction: Array) -> float:
    """MHD of all vertices [T, V, 3]."""
    return float(np.sqrt(_squares(truth, prediction).mean()))


def dynamics_error(truth: Array, prediction: Array) -> float:
    """FDD of vertices [T, U, 3], or PDD and JDD of rotations [T, R, 1]; NaN of one frame."""
    if len(truth) < 2:
        return float("nan")
    one, other = (np.asarray(m, float).sum(axis=2).std(axis=0, ddof=1) for m in (truth, prediction))
    return float(_PER_CENT * np.abs(other - one).mean())


def _squares(truth: Array, prediction: Array) -> Array:
    return ((np.asarray(prediction, float) - np.asarray(truth, float)) ** 2).sum(axis=2)
