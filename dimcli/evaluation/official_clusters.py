"""k-means as the released code gets it from scikit-learn, draw for draw.

``KMeans(n_clusters=k, random_state=0, n_init="auto")`` of scikit-learn 1.5 (the version that the
released code asks for): greedy k-means++ starts from NumPy's legacy generator, then Lloyd's
iterations. SID depends on every such choice, so a comparison to 1e-6 needs them all; for our own
figures :class:`dimcli.evaluation.metrics.Clusters` is enough.

Axes: N frames, D dimensions, K clusters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError

Array = NDArray[np.floating[Any]]

_ITERATIONS = 300
_TOLERANCE = 1e-4
"""Stop once the centres' squared shift is under this share of the mean variance a column."""


def fit_centres(frames: Array, k: int, seed: int = 0) -> Array:
    """Centres [K, D] of ``frames`` [N, D], in their dtype."""
    if len(frames) < k:
        raise InputError(f"{len(frames)} frames; the released code's SID needs at least {k}")
    mean = frames.mean(axis=0)
    centred = frames - mean
    tolerance = float(np.mean(np.var(frames, axis=0))) * _TOLERANCE
    centres = _spread_starts(centred, k, np.random.RandomState(seed))
    previous: NDArray[np.intp] | None = None
    for _ in range(_ITERATIONS):
        labels = nearest(centred, centres)
        moved = _means(centred, labels, centres)
        shift = float(((moved - centres) ** 2).sum())
        centres = moved
        if (previous is not None and np.array_equal(labels, previous)) or shift <= tolerance:
            break
        previous = labels
    return centres + mean


def nearest(frames: Array, centres: Array) -> NDArray[np.intp]:
    """The cluster of each frame: [N]."""
    return _squared_distances(centres, frames).argmin(axis=0)


def _spread_starts(frames: Array, k: int, random: np.random.RandomState) -> Array:
    """Greedy k-means++: of 2 + ln k candidates drawn by squared distance, the one that helps most.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    trials = 2 + int(np.log(k))
    first = random.choice(len(frames), p=np.full(len(frames), 1.0 / len(frames)))
    picked = [int(first)]
    closest = _squared_distances(frames[first][None], frames)[0]
    while len(picked) < k:
        cumulative = np.cumsum(closest, dtype=np.float64)
        draws = random.uniform(size=trials) * closest.sum()
        candidates = np.minimum(np.searchsorted(cumulative, draws), len(frames) - 1)
        after = np.minimum(closest, _squared_distances(frames[candidates], frames))
        best = int(after.sum(axis=1).argmin())
        closest = after[best]
        picked.append(int(candidates[best]))
    return frames[picked]


def _means(frames: Array, labels: NDArray[np.intp], centres: Array) -> Array:
    """Each cluster's mean; an empty one starts again from the frame that fits its own worst."""
    k = len(centres)
    counts = np.bincount(labels, minlength=k).astype(frames.dtype)
    members = np.zeros((k, len(frames)), frames.dtype)
    members[labels, np.arange(len(frames))] = 1
    sums = members @ frames
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        misfit = ((frames - centres[labels]) ** 2).sum(axis=1)
        worst = np.argpartition(misfit, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, frame in zip(empty, worst, strict=True):
            sums[labels[frame]] -= frames[frame]
            counts[labels[frame]] -= 1
            sums[cluster], counts[cluster] = frames[frame], 1
    return sums / counts[:, None]


def _squared_distances(centres: Array, frames: Array) -> Array:
    """[K, N], never below zero. Float32 frames are multiplied in float64, as theirs are."""
    one, other = centres.astype(np.float64), frames.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, None] - 2.0 * one @ other.T + (other**2).sum(axis=1)
    return np.maximum(squares, 0.0).astype(frames.dtype)
