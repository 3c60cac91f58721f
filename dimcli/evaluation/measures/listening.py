"""The paper's figures as the SI-184 benchmark has them, over all frames or those of listening.

- **rPCC** of a clip: |r(s, t) - r(s, p)|, r Pearson's over all its T * D numbers in one list; mean
  over clips (:mod:`dimcli.evaluation.metrics` pools all clips first). No unit; smaller is better.
- **P-FD**: Fréchet distance of [s, t] and [s, p], as there; smaller is better.
- **SID**: entropy in bits, with 1e-6 in the logarithm, of one histogram over the frames of all
  clips; scikit-learn's k-means of all true frames. **Var**: variance of all numbers of all clips.
  Both: the nearer to the truth's the better.
- FD and MSE as in :mod:`dimcli.evaluation.metrics`.

Source: Donfa1con/R-DGG, ``classic_metrics/`` and ``extractors/vad/vad_mask.py``. Falsely rewarded:
taking frames out leaves gaps, over which nothing here looks; rPCC and Var hold how far the columns'
means lie apart, so that two still faces correlate; and all of them have ranked systems first that
never hear the partner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Bools, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import SHORT, STILL, Family, Joined, MeanTally, Tally, Value
from dimcli.evaluation.metrics import CLUSTERS, PARTS, Gaussian
from dimcli.evaluation.official import entropy, entropy_of_counts, fit_centres, nearest

Array = NDArray[np.floating[Any]]

FEWEST_FRAMES = 5
_STILL = 1e-12


def voiced(starts: Array, ends: Array, seconds: float, frames: int) -> Bools:
    """Frames [T] in which a voice is heard that sounds from ``starts`` to ``ends`` (seconds), of
    a sound of ``seconds`` that the ``frames`` cover.

    Segment [s, e] covers frames floor(s f) to ceil(e f) - 1, f frames a second. The benchmark's
    files hold all three in float32, which decides on single frames.
    """
    rate = frames / float(seconds)
    mask = np.zeros(frames, bool)
    for start, end in zip(starts, ends, strict=True):
        mask[int(np.floor(float(start) * rate)) : int(np.ceil(float(end) * rate))] = True
    return mask


def flat_correlation(first: Array, second: Array) -> float:
    """Pearson's r of all numbers of two [T, D] in one list each; NaN where one does not vary."""
    one, other = (np.asarray(m, float).reshape(-1) for m in (first, second))
    if min(one.std(), other.std()) < _STILL:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def rpcc(speaker: Array, truth: Array, prediction: Array) -> float:
    """|r(s, t) - r(s, p)| of one clip; NaN where one of the three does not vary."""
    return abs(flat_correlation(speaker, truth) - flat_correlation(speaker, prediction))


@dataclass(frozen=True)
class PooledEntropy:
    """SID over the frames of all clips, by clusters of all true frames; see the module."""

    centres: Array

    @classmethod
    def fit(cls, truth: Array, k: int) -> PooledEntropy:
        """From all true frames [N, D]; at least k of them."""
        return cls(fit_centres(truth, k))

    def histogram(self, frames: Array) -> NDArray[np.int64]:
        """Frames a cluster: [k]."""
        return np.bincount(nearest(frames, self.centres), minlength=len(self.centres))

    def entropy(self, frames: Array) -> float:
        """Bits, of frames [N, D]."""
        return entropy(frames, self.centres)


class Listening(Family):
    """The paper's figures over all frames, and over those in which the listener is silent."""

    title = "while listening"
    columns = ("fd", "p_fd", "mse", "sid_si184", "var_pooled", "rpcc_clip")
    of_truth = ("sid_si184", "var_pooled")
    rewards = (
        "Rewards falsely: systems that never hear the partner have come first in all of these; two "
        "faces at rest correlate (rPCC) and a still face has variance (Var), as columns differ."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._store = store
        silent = [store.listener_voice(record) for record in records]
        self._known = any(voice is not None for voice in silent)
        frames = [
            (store.motion_values(record, "listener"), voice)
            for record, voice in zip(records, silent, strict=True)
        ]
        self._clusters: dict[str, PooledEntropy | None] = {}
        for variant in self._variants():
            kept = np.concatenate(
                [values if not variant or v is None else values[~v] for values, v in frames]
            )
            for part, columns in PARTS.items():
                self._clusters[part + variant] = (
                    PooledEntropy.fit(kept[:, columns], CLUSTERS[part])
                    if len(kept) >= CLUSTERS[part]
                    else None
                )

    def _variants(self) -> tuple[str, ...]:
        return ("", ", listening") if self._known else ("",)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What counts as silence."""
        if self._known:
            return (
                "listening: frames in which the data set has no voice of the listener; the others "
                "are taken out, and gaps closed.",
            )
        return (
            "The data set does not say when its listeners talk: every frame of a clip counts as "
            "listening.",
        )

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """Figures, counts and moments of each part and variant."""
        voice = self._store.listener_voice(clip.record)
        whole = np.ones(len(clip), bool)
        kept = {"": whole, ", listening": whole if voice is None else ~voice}

        def share(motion: Motion) -> dict[str, _ListeningShare]:
            return {
                part + variant: _ListeningShare.of(
                    clip.speaker.values[kept[variant]][:, columns].astype(float),
                    clip.listener.values[kept[variant]][:, columns].astype(float),
                    motion.values[kept[variant]][:, columns].astype(float),
                    self._clusters[part + variant],
                )
                for variant in self._variants()
                for part, columns in PARTS.items()
            }

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a part and variant."""
        parts = {}
        for part in shares[0][0]:
            means = [
                [{(part, name): value for name, value in one[part].own.items()} for one in sample]
                for sample in shares
            ]
            pooled = _Pooled(
                np.array([[one[part].counts for one in sample] for sample in shares], float),
                np.array([[one[part].moments for one in sample] for sample in shares], float),
            )
            parts[part] = Joined((MeanTally.by_part(means)[part], pooled))
        return parts


@dataclass(frozen=True)
class _ListeningShare:
    own: dict[str, Value]
    counts: NDArray[np.int64]
    moments: Array

    @classmethod
    def of(
        cls, speaker: Array, truth: Array, prediction: Array, clusters: PooledEntropy | None
    ) -> _ListeningShare:
        own: dict[str, Value] = dict.fromkeys(("fd", "p_fd", "mse", "rpcc_clip"), SHORT)
        if len(truth) >= FEWEST_FRAMES:
            joint = [np.hstack([speaker, each]) for each in (prediction, truth)]
            gap = rpcc(speaker, truth, prediction)
            own = {
                "fd": Gaussian.fit(prediction).distance(Gaussian.fit(truth)),
                "p_fd": Gaussian.fit(joint[0]).distance(Gaussian.fit(joint[1])),
                "mse": float(np.mean((prediction - truth) ** 2)),
                "rpcc_clip": gap if np.isfinite(gap) else STILL,
            }
        counts = np.zeros(1, np.int64) if clusters is None else clusters.histogram(prediction)
        moments = np.array([prediction.size, prediction.sum(), (prediction**2).sum()])
        return cls(own, counts, moments)


@dataclass(frozen=True)
class _Pooled:
    """SID and Var over the frames of all clips: counts [S, C, k], moments [S, C, 3]."""

    counts: Array
    moments: Array

    @property
    def reasons(self) -> Mapping[str, str]:
        """SID needs as many true frames as clusters."""
        too_few = self.counts.shape[2] == 1
        return {"sid_si184": "there are fewer true frames than clusters"} if too_few else {}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        draws = np.ones((1, self.counts.shape[1])) if draws is None else np.asarray(draws, float)
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = draws @ self.counts
            n, total, squares = np.moveaxis(draws @ self.moments, -1, 0)
            sid = np.full(n.shape, np.nan)
            if counts.shape[-1] > 1:
                sid = np.maximum(entropy_of_counts(counts), 0.0)
            return {"sid_si184": sid, "var_pooled": squares / n - (total / n) ** 2}
