"""Taking the tracker's jitter out of motion without delaying it or losing blinks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dimcli.core.motion import MOTION_DIM, NUM_POSE, Motion, expression_index

POSE_WINDOW_S = 0.28
EXPRESSION_WINDOW_S = 0.2
BLINK_WINDOW_S = 0.12
"""A blink is 0.13 s wide at half its height: a window as wide as that keeps it."""


def smooth_motion(motion: Motion) -> Motion:
    """The same motion through Savitzky-Golay filters (second order, zero phase).

    Windows are as short as what they must keep: blinks 0.12 s, expression 0.2 s, head 0.28 s.
    Clips shorter than a window keep their values.
    """
    from scipy.signal import savgol_filter  # half a second to import

    values = motion.values.copy()
    windows = np.full(MOTION_DIM, EXPRESSION_WINDOW_S)
    windows[:NUM_POSE] = POSE_WINDOW_S
    windows[3:NUM_POSE] = EXPRESSION_WINDOW_S
    if motion.space == "arkit":
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            windows[expression_index(name)] = BLINK_WINDOW_S
    for seconds in np.unique(windows):
        columns = np.flatnonzero(windows == seconds)
        length = 2 * round(seconds * motion.fps / 2) + 1
        if 3 < length <= len(motion):
            values[:, columns] = savgol_filter(values[:, columns], length, 2, axis=0)
    if motion.space == "arkit":
        values[:, NUM_POSE:] = values[:, NUM_POSE:].clip(0, 1)
        values[:, 3] = values[:, 3].clip(0)
    return replace(motion, values=values)
