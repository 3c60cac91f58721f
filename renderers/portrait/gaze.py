"""What a motion frame asks of a portrait's eyes: how open the lids, where the irises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import expression_index

Floats = NDArray[np.floating]

BLINK_SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.56, 0.6)
LID_OPENINGS = (1.1, 0.95, 0.66, 0.48, 0.39, 0.29, 0.15, 0.0)
"""How open an eye is at the tracker's blink scores. Measured: medians of what the tracker saw in
seven rendered portraits at each opening; the lids meet at the last, the most it says of any. Below
0.2 it sees less of a lid than moves: gentler here, for its noise there not to flutter the lids."""

WIDEST = 1.3
"""No lid opens further than this share of what the picture shows: behind it nothing is known."""

WIDE_GAIN = 0.2
LOWER_SHARE = 0.6
SQUINT_RISE = 2.5
LID_FOLLOW_UP, LID_FOLLOW_DOWN = 0.1, 0.15
"""How far the upper lid goes along with a look up or down, beyond what the blink score says."""

GAZE_REACH = np.asarray([0.18, 0.14], np.float32)
"""Shift of the iris at a full look sideways and up or down, in eye widths."""


@dataclass(frozen=True)
class EyeState:
    """What an eye does: ``upper`` and ``lower`` lid opening (1 as in the picture, 0 closed), and
    the iris's shift in eye widths, to the image's right and up."""

    upper: float = 1.0
    lower: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)

    @property
    def at_rest(self) -> bool:
        """Whether the eye is as the picture shows it."""
        return self == EyeState()


def eye_state(values: Floats, own: Floats, side: str) -> EyeState:
    """What the eye on the subject's ``side`` ("Left", "Right") does for one frame's ``values``
    [56], when the picture shows it as ``own`` [56] says."""
    gaze = gaze_of(values) - gaze_of(own)
    opening = _opening(values, side) / max(_opening(own, side), 0.25)
    follow = float(gaze[1]) * (LID_FOLLOW_UP if gaze[1] > 0 else LID_FOLLOW_DOWN)
    upper = float(np.clip(opening * (1 + follow), 0, WIDEST))
    lower = 1 - LOWER_SHARE * (1 - min(opening, 1.0))
    squint = _of(values, "eyeSquint", side) - _of(own, "eyeSquint", side)
    lower = float(np.clip(lower - SQUINT_RISE * squint, -3.0, 2.5)) if opening > 0 else 0.0
    right, up = (GAZE_REACH * gaze).tolist()
    return EyeState(round(upper, 4), round(lower, 4), (round(right, 4), round(up, 4)))


def _of(values: Floats, name: str, side: str) -> float:
    return float(values[expression_index(name + side)])


def _opening(values: Floats, side: str) -> float:
    """How open the upper lid is, 1 at a blink score of zero."""
    lids = float(np.interp(_of(values, "eyeBlink", side), BLINK_SCORES, LID_OPENINGS))
    return lids + WIDE_GAIN * _of(values, "eyeWide", side)


def gaze_of(values: Floats) -> Floats:
    """Where both eyes look together: shares [2] of the furthest, to the image's right and up."""
    left_out = _of(values, "eyeLookOut", "Left") - _of(values, "eyeLookIn", "Left")
    right_out = _of(values, "eyeLookOut", "Right") - _of(values, "eyeLookIn", "Right")
    up = [_of(values, "eyeLookUp", s) - _of(values, "eyeLookDown", s) for s in ("Left", "Right")]
    return np.asarray([(left_out - right_out) / 2, sum(up) / 2], np.float32)
