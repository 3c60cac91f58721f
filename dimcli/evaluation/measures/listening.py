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

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Bools
from dimcli.evaluation.official import entropy, fit_centres, nearest

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
