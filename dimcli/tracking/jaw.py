"""How far the jaw is open, where the blendshape network does not say.

The network reads ``jawOpen`` off the face's length against its width. On faces that look broader
than they are (broadcast crops stored as squares: the box of the landmarks is wider than high) it
stays near 0 through whole sentences, while squeezing the same landmarks to a usual face's shape
brings it to life. The lips say it there: over clips on which the network works, ``jawOpen`` rises
by 0.95 to 1.5 for each unit of inner-lip distance over outer-eye distance, whether or not the face
smiles.
"""

from __future__ import annotations

import numpy as np

from dimcli.core.motion import Floats
from dimcli.tracking.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14

JAW_OPEN_PER_GAP = 1.25
CLOSED_GAP = 0.01
"""Lip gap of a closed mouth: the landmarks never quite meet."""

_OPEN = 0.05
"""The lips are apart where they say at least this much ``jawOpen``."""

_MOVING_GAP = 0.04
"""Lips that move less than this may be a still smile that shows the teeth: no jaw to speak of."""

_EVIDENCE_S = 0.2
_DEAF = 0.4


def lip_gap(landmarks: Floats) -> Floats:
    """Inner-lip distance over outer-eye distance [T], from landmarks [T, 478, 3] px."""

    def distance(one: int, other: int) -> Floats:
        between = landmarks[:, one, :2] - landmarks[:, other, :2]
        return np.sqrt(np.square(between).sum(axis=1))

    return distance(UPPER_LIP_INNER, LOWER_LIP_INNER) / distance(RIGHT_EYE_OUTER, LEFT_EYE_OUTER)


def ignores_lips(jaw_open: Floats, gaps: Floats, fps: float) -> bool:
    """Whether the network's ``jawOpen`` [T] fails over a clip with these lip gaps [T].

    It does where the lips move, are apart for 0.2 s or more, and even the best tenth of those
    frames has less than 40 % of the ``jawOpen`` that the lips say. Measured: 2 to 8 % on broadcast
    crops, 170 % on usual ones, and when these are stretched by 1.1, 1.2 and 1.35: 50 to 90 %, 13 to
    22 % and 2 to 4 %.
    """
    said = (gaps - CLOSED_GAP) * JAW_OPEN_PER_GAP
    apart = said > _OPEN
    if apart.sum() < _EVIDENCE_S * fps:
        return False
    low, high = np.percentile(gaps, [5, 99])
    if high - low < _MOVING_GAP:
        return False
    return bool(np.percentile(jaw_open[apart] / said[apart], 90) < _DEAF)


def jaw_open_of_lips(gaps: Floats) -> Floats:
    """``jawOpen`` [T] in 0..1 that lip gaps [T] say."""
    return ((gaps - CLOSED_GAP) * JAW_OPEN_PER_GAP).clip(0, 1).astype(np.float32)
