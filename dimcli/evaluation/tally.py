"""What each clip adds to the figures of merit, kept apart so that clips can be drawn again.

Every figure of :mod:`dimcli.evaluation.metrics` is a mean over clips or a function of sums over
clips. With each clip's share kept, a bootstrap over clips is a matrix product.

Axes: S samples, C clips, B bootstrap draws, T frames, D dimensions, k clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.evaluation.clusters import Clusters, entropy_bits
from dimcli.evaluation.metrics import Gaussian, temporal_correlation

Array = NDArray[np.floating[Any]]

PER_CLIP = ("fd", "p_fd", "mse", "sid", "var", "rpcc_temporal")
"""Figures that are a clip's own, averaged over clips."""
POOLED = ("sid_pooled", "var_pooled", "rpcc")
"""Figures of all clips' numbers together."""


@dataclass(frozen=True)
class Share:
    """One clip's share of one part's figures, for one prediction.

    ``own`` [6] its PER_CLIP figures; ``counts`` [k] frames a cluster; ``moments`` [9] the number
    of its numbers and the sums of p, p^2, s, s^2, ps, t, t^2, ts for prediction p, speaker s and
    truth t.
    """

    own: Array
    counts: NDArray[np.int64]
    moments: Array


class ClipTruth:
    """One part of one true clip; what every prediction of it is measured against."""

    def __init__(self, truth: Array, speaker: Array, clusters: Clusters) -> None:
        """``truth`` and ``speaker`` [T, D]."""
        self.truth, self.speaker = np.asarray(truth, float), np.asarray(speaker, float)
        self._clusters = clusters
        self._alone = Gaussian.fit(self.truth)
        self._paired = Gaussian.fit(np.concatenate([self.speaker, self.truth], axis=1))
        self._correlation = temporal_correlation(self.truth, self.speaker)

    def share(self, prediction: Array) -> Share:
        """What ``prediction`` [T, D] adds."""
        p, s, t = np.asarray(prediction, float), self.speaker, self.truth
        counts = self._clusters.histogram(p)
        paired = Gaussian.fit(np.concatenate([s, p], axis=1))
        own = [
            Gaussian.fit(p).distance(self._alone),
            paired.distance(self._paired),
            np.mean((p - t) ** 2),
            entropy_bits(counts),
            p.var(axis=0).mean(),
            abs(self._correlation - temporal_correlation(p, s)),
        ]
        sums = [p, p**2, s, s**2, p * s, t, t**2, t * s]
        moments = [p.size, *(numbers.sum() for numbers in sums)]
        return Share(np.array(own, float), counts, np.array(moments, float))


@dataclass(frozen=True)
class Tally:
    """All clips' shares of one part, of one method: own [S, C, 6], counts [S, C, k], moments."""

    own: Array
    counts: Array
    moments: Array

    @classmethod
    def of(cls, shares: Sequence[Sequence[Share]]) -> Tally:
        """From shares by sample, then clip."""
        return cls(
            *(
                np.array([[getattr(share, name) for share in sample] for sample in shares], float)
                for name in ("own", "counts", "moments")
            )
        )

    @property
    def clips(self) -> int:
        """The number of clips."""
        return self.own.shape[1]

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure for each sample and draw: name to [S, B].

        ``draws`` [B, C] says how often each clip is in each draw; by default once in one draw.
        """
        draws = np.ones((1, self.clips)) if draws is None else np.asarray(draws, float)
        own = draws @ self.own / draws.sum(axis=1)[:, None]
        figures = {name: own[..., index] for index, name in enumerate(PER_CLIP)}
        n, p, pp, s, ss, ps, t, tt, ts = np.moveaxis(draws @ self.moments, -1, 0)
        figures["sid_pooled"] = entropy_bits(draws @ self.counts)
        figures["var_pooled"] = np.maximum(pp / n - (p / n) ** 2, 0.0)
        figures["rpcc"] = np.abs(
            _correlation(n, t, tt, s, ss, ts) - _correlation(n, p, pp, s, ss, ps)
        )
        return figures


def draw_clips(groups: Sequence[str], draws: int, seed: int) -> Array:
    """How often each clip is in each bootstrap draw: [B, C].

    Clips of one group are drawn together; with a group a clip this is the plain bootstrap.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    random = np.random.default_rng(seed)
    chances = np.full(len(names), 1.0 / len(names))
    return random.multinomial(len(names), chances, size=draws)[:, member].astype(float)


def _correlation(n: Array, a: Array, aa: Array, b: Array, bb: Array, ab: Array) -> Array:
    """Pearson correlation from sums; zero where either side does not vary."""
    spread_a, spread_b = n * aa - a**2, n * bb - b**2
    # What rounding leaves of numbers that are all the same is no variation.
    flat = (spread_a <= 1e-12 * n * aa) | (spread_b <= 1e-12 * n * bb)
    spread = np.where(flat, 1.0, spread_a * spread_b)
    return np.where(flat, 0.0, (n * ab - a * b) / np.sqrt(spread))
