"""DualTalk's split: FD, P-FD, MSE, SID and rPCC of expression, jaw and head apart.

Per clip, mean over clips; p the prediction, t the truth, s the partner, [T, D] each. FD, P-FD and
MSE as in :mod:`dimcli.evaluation.metrics`, rPCC as in :mod:`dimcli.evaluation.measures.listening`;
smaller is better. **SID** is the entropy in bits (1e-6 in the logarithm) of a clip's frames over
k-means clusters (40, 10 and 10) of its own: fitted to the truth's frames and counted over the
prediction's (``sid``), or the other way round (``sid_reverse``), as DualTalk's own code has it;
larger is better. Published figures are multiplied by 1, 10^3 and 10^2 for FD and P-FD, 10, 10^3 and
10^2 for MSE, and 10^2, 10 and 10 for rPCC.

Source: DualTalk (CVPR 2025, arXiv 2505.18096) ``metric/metric.py``; TIMAR (arXiv 2512.15340)
``util/metrics.py``, which does not say which of the two SIDs it printed. Falsely rewarded: MSE has
the mean face first; the reverse SID counts the truth's spread over the prediction's clusters, which
a prediction without any order raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import EXPRESSION, HEAD, JAW, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import SHORT, STILL, Family, MeanTally, Shares, Tally
from dimcli.evaluation.measures.listening import rpcc
from dimcli.evaluation.metrics import Gaussian
from dimcli.evaluation.official import entropy, fit_centres

Array = NDArray[np.floating[Any]]

REGIONS = {"EXP": EXPRESSION, "JAW": JAW, "POSE": HEAD}
CLUSTERS = {"EXP": 40, "JAW": 10, "POSE": 10}


class RegionTruth:
    """One region of one clip; what every prediction of it is measured against."""

    def __init__(self, truth: Array, partner: Array, k: int) -> None:
        """``truth`` and ``partner`` [T, D]; ``k`` clusters."""
        self._truth, self._partner, self._k = np.asarray(truth, float), partner, k
        self._alone = Gaussian.fit(truth)
        self._paired = Gaussian.fit(np.concatenate([partner, truth], axis=1))
        self._centres = fit_centres(self._truth, k) if len(truth) >= k else None

    def figures(self, prediction: Array) -> dict[str, float]:
        """By name; NaN where there is no figure."""
        p = np.asarray(prediction, float)
        paired = Gaussian.fit(np.concatenate([self._partner, p], axis=1))
        sid = reverse = float("nan")
        if self._centres is not None:
            # the floor in the logarithm gives one cluster alone a little less than nothing
            sid = max(entropy(p, self._centres), 0.0)
            reverse = max(entropy(self._truth, fit_centres(p, self._k)), 0.0)
        return {
            "fd": Gaussian.fit(p).distance(self._alone),
            "p_fd": paired.distance(self._paired),
            "mse": float(np.mean((p - self._truth) ** 2)),
            "sid_clip": sid,
            "sid_reverse": reverse,
            "rpcc_clip": rpcc(self._partner, self._truth, p),
        }


class DualTalk(Family):
    """DualTalk's split."""

    title = "DualTalk's split"
    columns = ("fd", "p_fd", "mse", "sid_clip", "sid_reverse", "rpcc_clip")
    of_truth = ("sid_clip",)
    rewards = (
        "Rewards falsely: MSE the mean face; SID reverse (DualTalk's own) a prediction without any "
        "order, whose clusters cut the truth evenly. SID is TIMAR's other reading."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del store, records

    def measure(self, clip: Clip) -> Callable[[Motion], Shares]:
        """Figures of a prediction by region."""
        truths = {
            region: RegionTruth(
                clip.listener.values[:, columns].astype(float),
                clip.speaker.values[:, columns].astype(float),
                CLUSTERS[region],
            )
            for region, columns in REGIONS.items()
        }
        return lambda motion: {
            (region, name): value if np.isfinite(value) else f"{SHORT}, or {STILL}"
            for region, truth in truths.items()
            for name, value in truth.figures(
                motion.values[:, REGIONS[region]].astype(float)
            ).items()
        }

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a region."""
        return MeanTally.by_part(shares)
