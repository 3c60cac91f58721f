"""TLCC: at which lag a listener moves most like the speaker, and how much like.

For lags l from -L to L frames (L is 2 s less a frame), c(l) is Pearson's r of speaker[t + l] and
listener[t] over the frames that overlap, mean over the columns that move on both sides. The peak is
the largest c (signed), the offset L less the index of the peak: positive, the listener is late.
Offsets are in frames. In short clips L is at most (T - 4) // 2.

Source: time-lagged cross-correlation as in Donfa1con/R-DGG, ``classic_metrics/``, and in the REACT
challenges' FRSyn. There an offset of 0, or 49, is written where nothing could be computed, and
averaged in; here that is told.

Falsely rewarded: a copy of the speaker has the largest peak and an offset of 0; offsets of slow or
unrelated motion scatter over all lags, so that their mean is near 35 for whoever does not listen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import Family, MeanTally, Shares, Tally
from dimcli.evaluation.measures.gain import Gain
from dimcli.evaluation.metrics import PARTS

Array = NDArray[np.floating[Any]]

BOTH = "expression and pose"
LONGEST_LAG_S = 2.0
_STILL = 1e-24
_ROUNDING = 1e-13
"""What is left of sums over a column that stands still, as a share of its squares elsewhere."""


@dataclass(frozen=True)
class Lag:
    """The peak of a lagged correlation, its offset in frames, and the longest lag looked at."""

    peak: float
    offset: int
    longest: int


def longest_lag(frames: int, fps: float) -> int:
    """Frames of the longest lag that ``frames`` frames at ``fps`` allow; under 1: none."""
    return min(round(LONGEST_LAG_S * fps) - 1, (frames - 4) // 2)


def lagged_correlation(speaker: Array, listener: Array, longest: int) -> Array:
    """c(l) of two [T, D] for l from -``longest`` to ``longest``: [2 * longest + 1].

    NaN where no column moves on both sides.
    """
    one, other = (
        np.asarray(m, float) - np.mean(m, axis=0, dtype=float) for m in (speaker, listener)
    )
    frames = len(one)
    lags = np.arange(-longest, longest + 1)
    count = (frames - np.abs(lags))[:, None]
    size = 1 << (frames + longest).bit_length()
    cross = np.fft.irfft(
        np.fft.rfft(one, size, axis=0) * np.fft.rfft(other, size, axis=0).conj(), size, axis=0
    )[lags]
    first = np.maximum(lags, 0)
    a, aa = _windows(one, first, count[:, 0])
    b, bb = _windows(other, np.maximum(-lags, 0), count[:, 0])
    spread_a, spread_b = aa - a**2 / count, bb - b**2 / count
    still = (spread_a <= np.maximum(count * _STILL, _ROUNDING * (one**2).sum(axis=0))) | (
        spread_b <= np.maximum(count * _STILL, _ROUNDING * (other**2).sum(axis=0))
    )
    scale = np.sqrt(np.where(still, 1.0, spread_a * spread_b))
    r = np.where(still, 0.0, (cross - a * b / count) / scale)
    moving = (~still).sum(axis=1)
    return np.where(moving > 0, r.sum(axis=1) / np.maximum(moving, 1), np.nan)


def _windows(
    track: Array, first: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Sums and sums of squares of ``count`` rows from ``first`` on, for each lag: [L, D] each."""
    sums = []
    for values in (track, track**2):
        total = np.concatenate([np.zeros((1, track.shape[1])), np.cumsum(values, axis=0)])
        sums.append(total[first + count] - total[first])
    return sums[0], sums[1]


def tlcc(speaker: Array, listener: Array, fps: float) -> Lag | str:
    """TLCC of two [T, D], or why there is none."""
    longest = longest_lag(len(speaker), fps)
    if longest < 1:
        return "the clip is too short"
    found = lagged_correlation(speaker, listener, longest)
    if np.isnan(found).all():
        return "no coefficient moves on both sides"
    best = int(np.nanargmax(found))
    return Lag(float(found[best]), longest - best, longest)


class Timing(Family):
    """TLCC and R-DGG."""

    title = "timing"
    columns = ("tlcc_offset", "tlcc_peak", "rdgg")
    of_truth = columns
    rewards = (
        "Rewards falsely: the peak is largest for a copy of the speaker, and offsets of those who "
        "do not listen scatter to about the same mean as true ones. R-DGG is near zero for all who "
        "do not hear, but needs many listeners: an interval across zero is no verdict."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._gain = Gain(store, records)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How R-DGG was made."""
        return self._gain.remarks

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """TLCC of each part, and the prediction itself."""
        self._gain.keep(clip)

        def share(motion: Motion) -> tuple[Shares, str, Floats]:
            found: Shares = {}
            for part, columns in PARTS.items():
                lag = tlcc(clip.speaker.values[:, columns], motion.values[:, columns], motion.fps)
                offset = lag if isinstance(lag, str) else float(abs(lag.offset))
                found[part, "tlcc_offset"] = offset
                found[part, "tlcc_peak"] = lag if isinstance(lag, str) else lag.peak
            return found, clip.record.id, motion.values

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """TLCC by part, and R-DGG of both."""
        lags = MeanTally.by_part([[one[0] for one in sample] for sample in shares])
        answers = [{name: values for _, name, values in sample} for sample in shares]
        return {**lags, BOTH: self._gain.tally(answers)}
