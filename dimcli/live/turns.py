"""One face that listens and speaks, and how it goes over from the one to the other."""

from __future__ import annotations

import numpy as np

from dimcli.core.masks import Bools
from dimcli.core.motion import JAW, Floats
from dimcli.models.dim.vqvae import part_columns

HAND_OVER_S = 0.48
"""How long a face takes from the one to the other."""
MOUTH_HAND_OVER_S = 0.2
"""How long its mouth takes."""
LISTENING_JAW = 0.25
"""How much of a listener's jaw is kept: who does not have the turn is quiet."""


def reach(fps: float) -> int:
    """How many frames before and after a frame say how much of it is spoken."""
    return _half(HAND_OVER_S, fps)


def _half(seconds: float, fps: float) -> int:
    return max(round(seconds * fps) // 2, 1)


def hand_over(talks: Bools, half: int) -> Floats:
    """``talks`` [T + 2 half] as a share in 0..1 that takes 2 half frames to change: [T], smooth."""
    taps = np.hanning(2 * half + 3)[1:-1]
    shares = np.convolve(talks.astype(np.float64), taps / taps.sum(), mode="valid")
    return shares.astype(np.float32)


def blended(
    speaking: Floats | None, listening: Floats, talks: Bools, fps: float, space: str
) -> Floats:
    """Motion [T, 56] that is ``speaking`` where it ``talks``, listening with a quiet mouth
    elsewhere; both [T, 56] at ``fps`` in one ``space``, ``speaking`` None: nothing is said.

    ``talks`` bool begins :func:`reach` frames before the two, and ends so many after them.
    """
    quiet = listening.copy()
    quiet[:, JAW] *= LISTENING_JAW
    if speaking is None:
        return quiet
    columns = part_columns("speech", space).values()
    mouth = next(list(part) for part in columns if JAW.start in part)
    far, near = reach(fps), _half(MOUTH_HAND_OVER_S, fps)
    share = hand_over(talks, far)[:, None]
    values = share * speaking + (1 - share) * quiet
    share = hand_over(talks[far - near : len(talks) - (far - near)], near)[:, None]
    values[:, mouth] = share * speaking[:, mouth] + (1 - share) * quiet[:, mouth]
    return values
