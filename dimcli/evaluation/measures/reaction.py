"""The REACT challenges' figures, over any coefficients and any number K of predictions a clip.

- **FRCorr** (larger is better): concordance correlation (CCC) of a prediction and an appropriate
  reaction, mean over columns; the best of the appropriate set, summed over the K predictions, mean
  over clips. K is the best that there is.
- **FRDist** (smaller): dynamic time warping between them, each block of columns apart and weighted;
  the least of the set, summed over the K, mean over clips.
- **FRDiv** (larger): mean squared difference between the K predictions of a clip, 0 for one.
- **FRVar** (larger): variance over time (T - 1) of each column, mean.
- **FRDvs** (larger): mean squared difference between the predictions of different clips, which
  needs clips of one length.
- **FRSyn** (smaller): |offset| in frames of the best lag to the speaker within 2 s
  (:mod:`dimcli.evaluation.measures.timing`).

Source: reactmultimodalchallenge/baseline_react2024 ``metric/`` (arXiv 2401.05166), and the list
forms of 2025 and 2026; lingjivoo/ReactFace differs in constants, which are arguments here. There a
still column in the speaker or the prediction makes FRSyn 49; here it is left out.

Falsely rewarded: noise has the largest FRDiv, FRDvs and FRVar, whatever the truth's is; mimicry has
FRSyn 0, which the truth has not; a copy of the truth misses FRCorr = K where a column stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from dimcli.core.motion import Floats, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import Family, Joined, MeanTally, Shares, Tally, mean_over
from dimcli.evaluation.measures.timing import tlcc
from dimcli.evaluation.metrics import PARTS

Array = NDArray[np.floating[Any]]
Blocks = Sequence[tuple[slice, float]]
"""Columns that are warped together, and their weight."""

ATTRIBUTES: Blocks = ((slice(0, 15), 1 / 15), (slice(15, 17), 1.0), (slice(17, 25), 1 / 8))
"""REACT's 25 columns: action units; valence and arousal; expressions."""
LONGEST_WARP = 6000
"""Frames of the longest clip that is warped: the table of distances grows with the square."""
_CCC_FLOOR = 1e-8


def ccc(truth: Array, prediction: Array, floor: float = _CCC_FLOOR) -> float:
    """Concordance correlation of two [T, D], 2 cov / (var + var + (mean - mean)^2 + floor), mean
    over columns; a still column counts 0. ReactFace's ``floor`` is 1e-50.
    """
    one, other = np.asarray(truth, float), np.asarray(prediction, float)
    apart = (one.mean(axis=0) - other.mean(axis=0)) ** 2
    spread = one.var(axis=0) + other.var(axis=0)
    together = ((one - one.mean(axis=0)) * (other - other.mean(axis=0))).mean(axis=0)
    still = (np.ptp(one, axis=0) == 0) | (np.ptp(other, axis=0) == 0)
    return float(np.where(still, 0.0, 2 * together / (spread + apart + floor)).mean())


def warped_distance(first: Array, second: Array) -> float:
    """Root of the least sum of squared Euclidean distances along a path through [N, D] and [M, D]
    with steps (1, 0), (0, 1) and (1, 1). Inputs are rounded to float32, as theirs are.
    """
    one, other = (np.asarray(m, np.float32).astype(float) for m in (first, second))
    cost = cdist(one, other, "sqeuclidean")
    rows, columns = cost.shape
    flat = cost.ravel()
    # Anti-diagonals, in which every cell needs only the two before; row i is at i + 1.
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    before[0] = 0.0
    for total in range(rows + columns - 1):
        low, high = max(0, total - columns + 1), min(total, rows - 1) + 1
        here = np.full(rows + 1, np.inf)
        steps = flat[np.arange(low, high) * (columns - 1) + total]
        least = np.minimum(last[low + 1 : high + 1], last[low:high])
        here[low + 1 : high + 1] = steps + np.minimum(least, before[low:high])
        before, last = last, here
    return float(np.sqrt(last[rows]))


def warped(first: Array, second: Array, blocks: Blocks) -> float:
    """Weighted sum of the blocks' :func:`warped_distance`."""
    return sum(weight * warped_distance(first[:, c], second[:, c]) for c, weight in blocks)


def fr_corr(predictions: Sequence[Array], appropriate: Sequence[Array], **more: float) -> float:
    """FRCorr of one clip: its K predictions against its appropriate reactions, [T, D] each."""
    return sum(max(ccc(one, p, **more) for one in appropriate) for p in predictions)


def fr_dist(predictions: Sequence[Array], appropriate: Sequence[Array], blocks: Blocks) -> float:
    """FRDist of one clip."""
    return sum(min(warped(p, one, blocks) for one in appropriate) for p in predictions)


def fr_var(prediction: Array) -> float:
    """FRVar of one prediction [T, D]."""
    return float(np.var(prediction, axis=0, ddof=1).mean())


def squared_apart(sequences: Sequence[Array]) -> float:
    """Mean squared difference over ordered pairs of sequences of one shape, and their numbers:
    FRDiv of a clip's predictions, FRDvs of the clips'. 0 for one.
    """
    stacked = np.stack([np.asarray(each, float).reshape(-1) for each in sequences])
    n = len(stacked)
    if n < 2:
        return 0.0
    centred = stacked - stacked.mean(axis=0)
    return float(2.0 * (centred**2).sum() / ((n - 1) * stacked.shape[1]))


class Reaction(Family):
    """The REACT family; the set of appropriate reactions is the true one, and those that the data
    set names beside it. One of another length is cut, or cuts, to the shorter for FRCorr; the
    challenges of 2025 and 2026 have a learnt step in its place."""

    title = "reaction"
    columns = ("fr_corr", "fr_dist", "fr_div", "fr_var", "fr_dvs", "fr_syn")
    of_truth = ("fr_var", "fr_dvs", "fr_syn")
    rewards = (
        "Rewards falsely: noise has the largest FRDiv, FRVar and FRDvs; mimicry has FRSyn 0, which "
        "the truth has not; FRDist rewards standing still near the mean."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._store = store
        self._sets = {record.id: store.appropriate(record) for record in records}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the sums and the sets are."""
        sizes = [1 + len(others) for others in self._sets.values()]
        if max(sizes) == 1:
            sets = "The set of appropriate reactions is the true one alone."
        else:
            sets = (
                f"The set of appropriate reactions is as the data set has it: {min(sizes)} to "
                f"{max(sizes)}, the true one among them."
            )
        return (
            "FRCorr and FRDist are sums over the samples of a clip, as published: compare equal "
            f"numbers of samples. {sets}",
        )

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """Figures of one prediction, and itself."""
        speaker = clip.speaker.values
        others = [self._store.motion_values(*one) for one in self._sets[clip.record.id]]
        suitable = [clip.listener.values, *others]

        def share(motion: Motion) -> tuple[Shares, Floats]:
            found: Shares = {}
            for part, c in PARTS.items():
                p, reactions = motion.values[:, c], [one[:, c] for one in suitable]
                whole = [(slice(None), 1 / p.shape[1])]
                fits = max(len(p), *map(len, reactions)) <= LONGEST_WARP
                lag = tlcc(speaker[:, c], p, motion.fps)
                found[part, "fr_corr"] = max(ccc(one[: len(p)], p[: len(one)]) for one in reactions)
                found[part, "fr_dist"] = (
                    fr_dist([p], reactions, whole)
                    if fits
                    else f"the clip has over {LONGEST_WARP} frames"
                )
                found[part, "fr_var"] = fr_var(p)
                found[part, "fr_syn"] = lag if isinstance(lag, str) else float(abs(lag.offset))
            return found, motion.values

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a part."""
        means = MeanTally.by_part([[one[0] for one in sample] for sample in shares])
        return {
            part: Joined(
                (
                    _Summed(
                        {name: means[part].values[name] for name in ("fr_corr", "fr_dist")},
                        means[part].reasons,
                    ),
                    MeanTally(
                        {name: means[part].values[name] for name in ("fr_var", "fr_syn")}, {}
                    ),
                    _Diversity.of(
                        [[values[:, columns] for _, values in sample] for sample in shares]
                    ),
                )
            )
            for part, columns in PARTS.items()
        }


@dataclass(frozen=True)
class _Summed:
    """Means over clips of sums over samples: ``values`` [S, C] by name."""

    values: Mapping[str, Array]
    reasons: Mapping[str, str]

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        return {
            name: mean_over(values.sum(axis=0, keepdims=True), draws)
            for name, values in self.values.items()
        }


@dataclass(frozen=True)
class _Diversity:
    """FRDiv [1, C], and what FRDvs is made of: mean squared differences of clips [S, C, C]."""

    within: Array
    between: Array | None
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, samples: Sequence[Sequence[Floats]]) -> _Diversity:
        reasons = {}
        if len(samples) == 1:
            reasons["fr_div"] = "it needs several samples a clip (--samples)"
        within = np.array([squared_apart(each) for each in zip(*samples, strict=True)])
        between = None
        if len(samples[0]) < 2 or len({len(values) for values in samples[0]}) > 1:
            reasons["fr_dvs"] = "it needs two clips or more, of one length"
        else:
            between = np.stack([_squares_apart(sample) for sample in samples])
        return cls(within[None] if len(samples) > 1 else np.full((1, len(within)), np.nan),
                   between, reasons)  # fmt: skip

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        draws = np.ones((1, self.within.shape[1])) if draws is None else np.asarray(draws, float)
        found = {"fr_div": mean_over(self.within, draws)}
        if self.between is None:
            return found | {"fr_dvs": np.full((1, len(draws)), np.nan)}
        pairs = draws.sum(axis=1) ** 2 - (draws**2).sum(axis=1)  # a clip is no pair with itself
        sums = np.einsum("bi,sij,bj->sb", draws, self.between, draws, optimize=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return found | {"fr_dvs": sums / pairs}


def _squares_apart(sample: Sequence[Floats]) -> Array:
    flat = np.stack([values.reshape(-1) for values in sample]).astype(float)
    flat -= flat.mean(axis=0)
    squares = (flat**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * flat @ flat.T
    np.fill_diagonal(apart, 0.0)
    return np.maximum(apart, 0.0) / flat.shape[1]
