"""How the lips move with the sound: opening, closures, offset and correlation.

What people see of a talking face that vertex distances hide: whether the lips meet at p, b and m,
and whether they open when the sound says so. Openings are :func:`renderers.heads.lip_gap.lip_gap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from renderers.heads.lip_gap import CLOSED, lip_gap

Floats = NDArray[np.float32]

MAX_LAG = 2
"""Frames by which lips may be off the sound when they are compared."""
STILL = 1e-5
"""Openings within less than this do not move."""


def lip_opening(motion: Motion) -> Floats:
    """Distance of the inner lips over that of the outer eye corners: float32 [T], 0 when they meet.

    ``motion`` in the arkit space, on the open head. Raises InputError for another space.
    """
    if motion.space != "arkit":
        raise InputError(f"lips of space '{motion.space}'; expected arkit: see `dim convert`")
    with torch.no_grad():
        gap = lip_gap(torch.from_numpy(np.array(motion.values, np.float32)))
    return gap.clamp(min=0).numpy()


def closure_hits(opening: Floats, closures: Floats, fps: float, *, slack: int = 1) -> float:
    """Share of closures with closed lips in at least one frame: 0..1, NaN without any closure.

    ``opening`` [T]; ``closures`` [C, 2] start and end in seconds; lips may be ``slack`` frames
    early or late.
    """
    hits = []
    for start, end in closures:
        first = max(round(float(start) * fps) - slack, 0)
        last = round(float(end) * fps) + slack + 1
        if first < len(opening):
            hits.append(bool((opening[first:last] < CLOSED).any()))
    return float(np.mean(hits)) if hits else float("nan")


@dataclass(frozen=True)
class LipAgreement:
    """How two lip openings agree: ``correlation`` at the best ``lag`` (frames by which the first
    comes later than the second) and ``at_zero`` without one.
    """

    correlation: float
    lag: int
    at_zero: float


def lip_agreement(prediction: Floats, truth: Floats, *, max_lag: int = MAX_LAG) -> LipAgreement:
    """Pearson's correlation of two tracks [T] at the best lag within ``max_lag`` frames.

    A track that does not move correlates with nothing: 0. Raises InputError where the lengths
    differ.
    """
    if len(prediction) != len(truth):
        raise InputError(f"lip tracks of {len(prediction)} and {len(truth)} frames")
    found = {}
    for lag in range(-max_lag, max_lag + 1):
        first = prediction[max(lag, 0) : len(prediction) + min(lag, 0)]
        second = truth[max(-lag, 0) : len(truth) + min(-lag, 0)]
        found[lag] = _pearson(first, second)
    best = max(found, key=lambda lag: (found[lag], -abs(lag)))
    return LipAgreement(found[best], best, found[0])


def _pearson(first: Floats, second: Floats) -> float:
    # what a head that stands still differs by from frame to frame is rounding
    if not len(first) or min(np.ptp(first), np.ptp(second)) < STILL:
        return 0.0
    one, other = first - first.mean(), second - second.mean()
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum()))


def loudness(samples: Floats, rate: int, fps: float, frames: int) -> Floats:
    """Root mean square of the sound over 60 ms around each frame, in dB over -60: float32 [frames].

    What a face that only follows the volume would do: the baseline of lip sync. ``samples`` [N].
    """
    half = 0.03
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    times = np.arange(frames) / fps
    first = np.clip(np.round((times - half) * rate), 0, len(samples)).astype(int)
    last = np.clip(np.round((times + half) * rate), 0, len(samples)).astype(int)
    power = (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.maximum(10.0 * np.log10(power + 1e-12) + 60.0, 0.0).astype(np.float32)


def mouth_at_rest(opening: Floats, pauses: Sequence[tuple[float, float]], fps: float) -> float:
    """Mean opening inside ``pauses`` (start, end in seconds), 0.15 s from their ends: NaN if none.

    Pauses of 0.4 s and more are meant; in shorter ones mouths stay open.
    """
    inside = np.zeros(len(opening), bool)
    for start, end in pauses:
        inside[round((start + 0.15) * fps) : round((end - 0.15) * fps)] = True
    return float(opening[inside].mean()) if inside.any() else float("nan")
