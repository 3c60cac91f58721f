"""Clusters of true listener frames, and how evenly motion spreads over them: what SID counts.

Axes: T and N frames, D dimensions, k clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Arrays = Sequence[Array]

MAX_FRAMES = 100_000
"""At most so many true frames, drawn by chance, make the clusters: more change nothing visible."""


@dataclass(frozen=True)
class Clusters:
    """k-means centres of true listener frames: [k, D]. Fit once, used for every method's SID."""

    centres: Array

    @classmethod
    def fit(cls, truth: Arrays, k: int, *, seed: int = 0, iterations: int = 50) -> Clusters:
        """Lloyd's algorithm from k-means++ starts on the true frames, or MAX_FRAMES of them."""
        frames = np.concatenate([np.asarray(t, float) for t in truth])
        random = np.random.default_rng(seed)
        if len(frames) > MAX_FRAMES:
            frames = frames[random.choice(len(frames), MAX_FRAMES, replace=False)]
        centres = frames[random.integers(len(frames))][None]
        nearest = np.full(len(frames), np.inf)
        while len(centres) < k:
            nearest = np.minimum(nearest, ((frames - centres[-1]) ** 2).sum(axis=1))
            if not nearest.any():  # fewer different frames than clusters
                break
            pick = random.choice(len(frames), p=nearest / nearest.sum())
            centres = np.concatenate([centres, frames[pick][None]])
        previous: NDArray[np.int64] | None = None
        for _ in range(iterations):
            labels = _nearest(frames, centres)
            if previous is not None and np.array_equal(labels, previous):
                break
            previous = labels
            members = np.zeros((len(centres), len(frames)))
            members[labels, np.arange(len(frames))] = 1.0
            counts = members.sum(axis=1, keepdims=True)
            centres = np.where(counts > 0, members @ frames / np.maximum(counts, 1), centres)
        return cls(centres)

    def histogram(self, frames: Array) -> NDArray[np.int64]:
        """How many of these frames [T, D] fall to each cluster: [k]."""
        return np.bincount(_nearest(np.asarray(frames, float), self.centres), minlength=self.k)

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.centres)

    def entropy(self, frames: Array) -> float:
        """Entropy in bits of the histogram of these frames' cluster ids."""
        return float(entropy_bits(self.histogram(frames)))


def entropy_bits(counts: Array | NDArray[np.int64]) -> Array:
    """Entropy in bits of histograms ``counts`` [..., k]: [...]."""
    counts = np.asarray(counts, float)
    share = counts / counts.sum(axis=-1, keepdims=True)
    return -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=-1)


def _nearest(frames: Array, centres: Array) -> NDArray[np.int64]:
    distance = (centres**2).sum(axis=1) - 2.0 * frames @ centres.T
    return distance.argmin(axis=1)
