"""How the lips move with the sound: opening, closures, offset and correlation.

What people see of a talking face that vertex distances hide: whether the lips meet at p, b and m,
and whether they open when the sound says so. Openings are :func:`renderers.heads.regions.lip_gap`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, Floats, Motion
from renderers.heads.flame import FlameHead, FlameLandmarks
from renderers.heads.regions import CLOSED, LOWER_LIP_INNER, UPPER_LIP_INNER, lip_gap
from weights.importing import find_imported

MAX_LAG = 2
"""Frames by which lips may be off the sound when they are compared."""
EYE_CORNERS = (33, 263)
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


@dataclass(frozen=True)
class FlameLips:
    """The lips of a FLAME face: the user's FLAME with MediaPipe's landmarks of the inner lips and
    outer eye corners."""

    head: FlameHead
    landmarks: FlameLandmarks
    columns: tuple[int, int, int, int]

    @classmethod
    def of_imported(cls) -> FlameLips | None:
        """From the imported files, or None where they are not all there."""
        flame, embedding = find_imported("flame"), find_imported("flame-landmarks")
        if flame is None or embedding is None:
            return None
        head = FlameHead.load(flame)
        landmarks = FlameLandmarks.load(embedding, head.faces)
        known = landmarks.mediapipe_indices.tolist()
        needed = (UPPER_LIP_INNER, LOWER_LIP_INNER, *EYE_CORNERS)
        if not set(needed) <= set(known):
            return None
        upper, lower, right, left = (known.index(number) for number in needed)
        return cls(head, landmarks, (upper, lower, right, left))

    def opening(self, motion: Motion) -> Floats:
        """Distance of the inner lips, less that at rest, over that of the eyes: float32 [T]."""
        values = torch.from_numpy(np.array(motion.values))
        values[:, HEAD] = 0
        with torch.inference_mode():
            gaps = torch.cat([self._gap(part) for part in values.split(256)])
            gaps = gaps - self._gap(torch.zeros_like(values[:1]))
        return gaps.clamp(min=0).numpy()

    def _gap(self, values: Tensor) -> Tensor:
        points = self.landmarks.points("mediapipe", self.head.vertices(values))
        upper, lower, right, left = (points[:, column] for column in self.columns)
        return (upper[:, 1] - lower[:, 1]) / (right - left).norm(dim=1)


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
    correlations = {}
    for lag in range(-max_lag, max_lag + 1):
        first = prediction[max(lag, 0) : len(prediction) + min(lag, 0)]
        second = truth[max(-lag, 0) : len(truth) + min(-lag, 0)]
        correlations[lag] = _pearson(first, second)
    best = max(correlations, key=lambda lag: (correlations[lag], -abs(lag)))
    return LipAgreement(correlations[best], best, correlations[0])


def _pearson(first: Floats, second: Floats) -> float:
    # what a head that stands still differs by from frame to frame is rounding
    if not len(first) or min(np.ptp(first), np.ptp(second)) < STILL:
        return 0.0
    one, other = first - first.mean(), second - second.mean()
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum()))
