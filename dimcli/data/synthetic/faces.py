"""What speakers' and listeners' faces do alike: smile, look away and blink."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dimcli.core.motion import EXPRESSION, JAW, JAW_OPEN_RAD, expression_index
from dimcli.data.synthetic.rule import FACE, SMILE_WITH, Pair
from dimcli.data.synthetic.signals import Floats, Random, Track, add, add_episode, add_gaze


def add_smile(values: Floats, smile: Floats, tilt: float) -> None:
    """Add ``smile`` [T], stronger by the share ``tilt`` on the left, and what moves with it."""
    add(values, "mouthSmileLeft", smile * (1.0 + tilt))
    add(values, "mouthSmileRight", smile * (1.0 - tilt))
    for name, weight in SMILE_WITH.items():
        add(values, name, weight * smile)


def add_looks(
    values: Floats,
    head_degrees: Track,
    random: Random,
    fps: float,
    shifts: Floats,
    *,
    away_s: Callable[[], float],
    right: Pair,
    down: Pair,
) -> None:
    """Eyes that hold their aim while the head [T, 3] turns, and look away at ``shifts`` (s).

    A look lasts a draw of ``away_s`` and goes ``right`` and ``down``: mean and spread.
    """
    tracks = FACE.eyes_per_yaw * head_degrees[:, 1], FACE.eyes_per_pitch * head_degrees[:, 0]
    flanks_s = FACE.gaze_flank_s, FACE.gaze_flank_s
    for time in shifts:
        length_s = away_s()
        for track, place in zip(tracks, (right, down), strict=True):
            size = random.normal(*place)
            add_episode(track, fps, float(time), length_s=length_s, size=size, flanks_s=flanks_s)
    add_gaze(values, *tracks)


def add_lids(values: Floats, lid: Floats, *, squint: float, look_down: float) -> None:
    """Close the eyes by ``lid`` [T] over what they show, with what trackers couple to a blink."""
    for side in ("Left", "Right"):
        column = expression_index(f"eyeBlink{side}")
        rest = values[:, column]
        values[:, column] = np.maximum(rest, rest * (1.0 - lid) + lid)
    add(values, "eyeSquint", squint * lid)
    add(values, "eyeLookDown", look_down * lid)
    add(values, "eyeLookUp", FACE.blink_look_up * lid)


def clip_to_range(values: Floats) -> None:
    """Clip expressions to 0..1 and the jaw to 0..JAW_OPEN_RAD, in place."""
    values[:, EXPRESSION] = np.clip(values[:, EXPRESSION], 0.0, 1.0)
    values[:, JAW.start] = np.clip(values[:, JAW.start], 0.0, JAW_OPEN_RAD)
