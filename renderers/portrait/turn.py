"""How far a portrait's head turns, so that the tracker sees in the frames what the motion asked.

The numbers were found by turning pictures by known angles and tracking the frames (the benchmark
``tests/bench/bench_portrait.py`` repeats the check).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD, expression_index

Floats = NDArray[np.floating]

SMILES = [expression_index(f"mouthSmile{side}") for side in ("Left", "Right")]
BLINKS = [expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]

TRACKER_VIEW_RAD = float(np.radians(63))
"""Vertical view angle of the camera that the tracker takes every picture to be made with."""

TURN_SHIFT_CM = 4.2
TURN_SEEN = (0.8, 0.9, 1.0)
"""Shares of a turn about x, y, z that the tracker measures in portraits turned so (medians over six
pictures at +-6 and +-12 degrees), once the shift is accounted for."""

TURN_GAIN_LIMIT = 1.45
"""No more than this even for a face that fills the picture."""

SIGHT_SHARE = 0.55
"""Share of the angle between picture axis and face by which the tracker's axes are turned."""

TURN_FREE_RAD = 0.17
"""Turns far beyond this are not enlarged further: a picture has no other side to show."""


SMILE_AS_PITCH_RAD = float(np.radians(3.6))
JAW_AS_PITCH_RAD = float(np.radians(0.35))
BLINK_AS_PITCH_RAD = float(np.radians(0.8))
"""What the tracker takes for a nod when no head moves: a full smile's raised cheeks, an open jaw,
half of what it sees in a blink (medians over seven pictures). The head turns back by as much."""


def _seen_as_pitch(values: Floats) -> float:
    """Turn about x, radians, that the tracker sees in a frame's smile, jaw and blink."""
    return float(
        SMILE_AS_PITCH_RAD * values[SMILES].mean()
        + JAW_AS_PITCH_RAD * np.tanh(values[JAW.start] / (0.15 * JAW_OPEN_RAD))
        + BLINK_AS_PITCH_RAD * values[BLINKS].mean()
    )


class HeadTurn:
    """Turns of one reference picture's head.

    The tracker assumes a camera of :data:`TRACKER_VIEW_RAD`. A head that turns also moves to the
    side, and to a camera so close that is a turn the other way; so heads turn further than asked,
    the more the larger they are in the picture, and by what the tracker fails to see of a turned
    picture (``TURN_SEEN``). Its axes are those of its line of sight to the face.
    """

    def __init__(self, own: Floats, landmarks: Floats, scale: float, size: tuple[int, int]) -> None:
        """``own`` [56] the picture's frame; ``landmarks`` [478, 3] px; ``scale`` px a centimetre;
        ``size`` (width, height) of the picture."""
        self._own_turn = Rotation.from_rotvec(own[HEAD])
        self._own_nod = _seen_as_pitch(own)
        focal = size[1] / 2 / np.tan(TRACKER_VIEW_RAD / 2)
        distance_cm = max(12.0, focal / scale)
        seen = 1 - np.array([1, 1, 0]) * TURN_SHIFT_CM / distance_cm
        self._gain = np.minimum(1 / (seen * np.array(TURN_SEEN)), TURN_GAIN_LIMIT)
        right, down = landmarks[:, :2].mean(0) - np.array(size) / 2
        self._sight = Rotation.from_rotvec(SIGHT_SHARE * np.array([-down, right, 0]) / focal)

    def __call__(self, values: Floats) -> Floats:
        """Rotation [3, 3] from the picture to one frame's ``values`` [56]."""
        asked = (Rotation.from_rotvec(values[HEAD]) * self._own_turn.inv()).as_rotvec()
        asked[0] -= _seen_as_pitch(values) - self._own_nod
        asked = self._sight.inv().apply(asked)
        turned = asked + (self._gain - 1) * TURN_FREE_RAD * np.tanh(asked / TURN_FREE_RAD)
        return Rotation.from_rotvec(turned).as_matrix().astype(np.float32)
