"""The figures as the paper's released code computes them, so that its numbers can be reproduced.

Written from what that code does (its ``mymetrics.py``, ``metrics/eval_utils.py`` and
``x_engine_pt.py``), to be set beside numbers it printed, not to judge methods by: the
report says why. Arrays are those it works on: lists of [T, 56] with pose 0..5 and expression
6..55, of the true listener, the prediction and the speaker. N frames, D dimensions, K clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from dimcli.core.errors import InputError
from dimcli.evaluation.metrics import CLUSTERS, PARTS, lloyd

Array = NDArray[np.floating[Any]]
Arrays = Sequence[Array]

DRAWS = 10
"""Samples a clip, of which the released code keeps the one nearest to the truth."""
FIGURES = ("fd", "p_fd", "mse", "sid_pooled", "var_pooled", "rpcc", "sts")

_JITTER = 1e-6
_STEP_S = 0.1
_ENTROPY_FLOOR = 1e-6
_ITERATIONS = 300
_TOLERANCE = 1e-4
"""Stop once the centres' squared shift is under this share of the mean variance a column."""


def aligned(listener: Array, speaker: Array) -> tuple[Array, Array]:
    """Listener and speaker motion [T, 56] as the released code pairs them: [T - 1, 56]."""
    return listener[1:], speaker[:-1]


def choose(truth: Array, draws: Sequence[Array]) -> int:
    """The index of the draw [T, 56] with the lowest Fréchet distance to the truth on all columns.

    This uses the truth: what it picks is no prediction.
    """
    return int(np.argmin([distance(truth, draw) for draw in draws]))


def scores(truth: Arrays, prediction: Arrays, speaker: Arrays) -> dict[str, dict[str, float]]:
    """Every figure of :data:`FIGURES`, for ``expression`` and ``pose``."""
    figures = {}
    for part, columns in PARTS.items():
        t, p, s = ([clip[:, columns] for clip in clips] for clips in (truth, prediction, speaker))
        centres = fit_centres(np.concatenate(t), CLUSTERS[part])
        pooled = [np.concatenate(clips).reshape(-1) for clips in (t, p, s)]
        figures[part] = {
            "fd": _mean(distance(a, b) for a, b in zip(t, p, strict=True)),
            "p_fd": _mean(
                distance(np.concatenate([c, a], axis=-1), np.concatenate([c, b], axis=-1))
                for a, b, c in zip(t, p, s, strict=True)
            ),
            "mse": _mean(np.mean((a - b) ** 2) for a, b in zip(t, p, strict=True)),
            "sid_pooled": entropy(np.concatenate(p), centres),
            "var_pooled": float(np.var(pooled[1])),
            "rpcc": abs(_correlation(pooled[0], pooled[2]) - _correlation(pooled[1], pooled[2])),
            "sts": _speed_difference(np.concatenate(t), np.concatenate(p)),
        }
    return figures


def distance(first: Array, second: Array) -> float:
    """Fréchet distance of the frames [N, D] and [M, D] by the root of the covariances' product."""
    if min(len(first), len(second)) < 2:
        raise InputError("a Fréchet distance needs at least two frames on each side")
    offset = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = _root(one @ two)
    if not np.isfinite(root).all():
        jitter = np.eye(len(one)) * _JITTER
        root = _root((one + jitter) @ (two + jitter))
    return float(offset @ offset + np.trace(one) + np.trace(two) - 2.0 * np.trace(root.real))


def entropy(frames: Array, centres: Array) -> float:
    """Entropy in bits of the clusters of all ``frames`` together, with their floor in the log."""
    counts = np.bincount(nearest(frames, centres), minlength=len(centres))
    return float(entropy_of_counts(counts.astype(float)))


def entropy_of_counts(counts: Array) -> Array:
    """The same of histograms [..., K]: [...]. One cluster alone has -1e-6 bits."""
    share = counts / counts.sum(axis=-1, keepdims=True)
    return np.asarray(-(share * np.log2(share + _ENTROPY_FLOOR)).sum(axis=-1))


def _root(product: Array) -> Array:
    with warnings.catch_warnings():
        # It warns of a singular product; the released code's figures come from such roots.
        warnings.simplefilter("ignore")
        return np.asarray(sqrtm(product))


def _correlation(first: Array, second: Array) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(first, second)[0, 1])


def _speed_difference(truth: Array, prediction: Array) -> float:
    """STS: root of the summed squared differences of frame steps over 0.1, across clip borders."""
    steps = np.diff(truth.astype(float), axis=0) - np.diff(prediction.astype(float), axis=0)
    return float(np.sqrt((steps**2 / _STEP_S).sum()))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def fit_centres(frames: Array, k: int, seed: int = 0) -> Array:
    """k-means centres [K, D] of ``frames`` [N, D], in their dtype, draw for draw those of the
    released code: ``KMeans(n_clusters=k, random_state=0, n_init="auto")`` of scikit-learn 1.5.

    Greedy k-means++ starts from NumPy's legacy generator, then Lloyd's iterations. SID depends on
    every such choice, and a comparison to 1e-6 needs them all; our own figures have the simpler
    :class:`dimcli.evaluation.metrics.Clusters`, whose starts, distances and empty clusters differ.
    """
    if len(frames) < k:
        raise InputError(f"{len(frames)} frames; the released code's SID needs at least {k}")
    mean = frames.mean(axis=0)
    centred = frames - mean
    tolerance = float(np.mean(np.var(frames, axis=0))) * _TOLERANCE
    centres = _spread_starts(centred, k, np.random.RandomState(seed))
    return mean + lloyd(
        centred, centres, nearest, _means, iterations=_ITERATIONS, tolerance=tolerance
    )


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
    """Each cluster's mean; an empty one starts again from the frame that fits its own worst. One
    that loses its last frame so is at zero, as there."""
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
    return sums / np.where(counts > 0, counts, 1)[:, None]


def _squared_distances(centres: Array, frames: Array) -> Array:
    """[K, N], never below zero. Float32 frames are multiplied in float64, as theirs are."""
    one, other = centres.astype(np.float64), frames.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, None] - 2.0 * one @ other.T + (other**2).sum(axis=1)
    return np.maximum(squares, 0.0).astype(frames.dtype)
