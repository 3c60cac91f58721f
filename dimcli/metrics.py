"""The paper's figures of merit (supplement A), on expression and pose separately.

Inputs are lists of arrays, one a clip: ``truth`` and ``prediction`` [T, D] of the listener and
``speaker`` [T, D]; expression is D = 50, pose is D = 6 (radians for rotations). T may differ from
clip to clip but not inside one. Every figure is computed per clip and averaged over clips, but
where a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.errors import InputError
from dimcli.motion import EXPRESSION, NUM_POSE, Motion

Array = NDArray[np.floating[Any]]
Arrays = Sequence[Array]

CLUSTERS = {"expression": 40, "pose": 20}
"""k of the k-means behind SID, as in the authors' released code; the paper does not name it."""
PARTS: dict[str, slice] = {"expression": EXPRESSION, "pose": slice(0, NUM_POSE)}


@dataclass(frozen=True)
class PartScores:
    """One part's figures (expression or pose).

    ``fd``, ``p_fd``, ``mse``, ``rpcc``: smaller is better. ``sid``, ``var`` (and the pooled or
    temporal forms beside them): nearer to the ground truth's is better.
    """

    fd: float
    p_fd: float
    mse: float
    sid: float
    sid_pooled: float
    var: float
    var_temporal: float
    rpcc: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def frechet_distance(first: Array, second: Array) -> float:
    """Fréchet distance between Gaussians fitted to the rows of [N, D] and [M, D].

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances with N - 1. The trace of the root is
    the sum of the singular values of A1 A2^T for centred data A (C = A^T A): exact also where
    clips have fewer frames than dimensions and matrix square roots are ill-defined.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(f"cannot compare shapes {first.shape} and {second.shape}")
    if min(len(first), len(second)) < 2:
        raise InputError("a Fréchet distance needs at least two frames on each side")
    mean = first.mean(axis=0) - second.mean(axis=0)
    root1 = (first - first.mean(axis=0)) / np.sqrt(len(first) - 1)
    root2 = (second - second.mean(axis=0)) / np.sqrt(len(second) - 1)
    if len(first) > first.shape[1]:
        # The R of a QR decomposition has the same A^T A and is small.
        root1 = np.linalg.qr(root1, mode="r")
    if len(second) > second.shape[1]:
        root2 = np.linalg.qr(root2, mode="r")
    cross = np.linalg.svd(root1 @ root2.T, compute_uv=False).sum()
    distance = mean @ mean + np.sum(root1**2) + np.sum(root2**2) - 2.0 * cross
    return float(max(distance, 0.0))


def fd(truth: Arrays, prediction: Arrays) -> float:
    """FD: the Fréchet distance of each clip's frames to the truth's, mean over clips."""
    _check(truth, prediction)
    return float(np.mean([frechet_distance(t, p) for t, p in zip(truth, prediction, strict=True)]))


def paired_fd(truth: Arrays, prediction: Arrays, speaker: Arrays) -> float:
    """P-FD: as FD on the speaker's and the listener's frames side by side, [T, 2 D]."""
    _check(truth, prediction, speaker)
    return fd(
        [np.concatenate(pair, axis=1) for pair in zip(speaker, truth, strict=True)],
        [np.concatenate(pair, axis=1) for pair in zip(speaker, prediction, strict=True)],
    )


def mse(truth: Arrays, prediction: Arrays) -> float:
    """MSE: mean over frames and dimensions of the squared difference, mean over clips."""
    _check(truth, prediction)
    return float(np.mean([np.mean((t - p) ** 2) for t, p in zip(truth, prediction, strict=True)]))


def variation(motions: Arrays, *, temporal: bool = False) -> float:
    """Var: the variance of all numbers of all clips, flattened, as the released code has it.

    With ``temporal`` the variance over time of each dimension of each clip, averaged: what the
    paper's words say. The first also holds how far the dimensions' means lie apart.
    """
    if temporal:
        return float(np.mean([np.asarray(m, float).var(axis=0).mean() for m in motions]))
    return float(np.concatenate([np.ravel(m) for m in motions]).astype(float).var())


@dataclass(frozen=True)
class Clusters:
    """k-means centres of true listener frames: [k, D]. Fit once, used for every method's SID."""

    centres: Array

    @classmethod
    def fit(cls, truth: Arrays, k: int, *, seed: int = 0, iterations: int = 50) -> Clusters:
        """Lloyd's algorithm from k-means++ starts on all true frames."""
        frames = np.concatenate([np.asarray(t, float) for t in truth])
        random = np.random.default_rng(seed)
        k = min(k, len(np.unique(frames, axis=0)))
        centres = frames[random.integers(len(frames))][None]
        nearest = np.full(len(frames), np.inf)
        while len(centres) < k:
            nearest = np.minimum(nearest, ((frames - centres[-1]) ** 2).sum(axis=1))
            pick = random.choice(len(frames), p=nearest / nearest.sum())
            centres = np.concatenate([centres, frames[pick][None]])
        previous: NDArray[np.int64] | None = None
        for _ in range(iterations):
            labels = _nearest(frames, centres)
            if previous is not None and np.array_equal(labels, previous):
                break
            previous = labels
            counts = np.bincount(labels, minlength=k)
            sums = np.zeros_like(centres)
            np.add.at(sums, labels, frames)
            centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        return cls(centres)

    def entropy(self, frames: Array) -> float:
        """Entropy in bits of the histogram of these frames' cluster ids."""
        counts = np.bincount(_nearest(np.asarray(frames, float), self.centres))
        share = counts[counts > 0] / counts.sum()
        return float(-(share * np.log2(share)).sum())


def sid(motions: Arrays, clusters: Clusters, *, pooled: bool = False) -> float:
    """SID: entropy of cluster ids within each sequence, mean over sequences (supplement A).

    With ``pooled`` one histogram over all clips, as the released code does.
    """
    if pooled:
        return clusters.entropy(np.concatenate([np.asarray(m) for m in motions]))
    return float(np.mean([clusters.entropy(m) for m in motions]))


def residual_correlation(truth: Arrays, prediction: Arrays, speaker: Arrays) -> float:
    """rPCC: |corr(truth, speaker) - corr(prediction, speaker)| of all numbers, flattened.

    One Pearson correlation over every frame and dimension of every clip, as the released code
    has it; a constant prediction counts as uncorrelated.
    """
    _check(truth, prediction, speaker)
    flat_truth, flat_prediction, flat_speaker = (
        np.concatenate([np.ravel(m) for m in arrays]).astype(float)
        for arrays in (truth, prediction, speaker)
    )
    return abs(_pearson(flat_truth, flat_speaker) - _pearson(flat_prediction, flat_speaker))


def score(truth: Arrays, prediction: Arrays, speaker: Arrays, clusters: Clusters) -> PartScores:
    """Every figure of one part."""
    return PartScores(
        fd=fd(truth, prediction),
        p_fd=paired_fd(truth, prediction, speaker),
        mse=mse(truth, prediction),
        sid=sid(prediction, clusters),
        sid_pooled=sid(prediction, clusters, pooled=True),
        var=variation(prediction),
        var_temporal=variation(prediction, temporal=True),
        rpcc=residual_correlation(truth, prediction, speaker),
    )


def score_motions(
    truth: Sequence[Motion],
    prediction: Sequence[Motion],
    speaker: Sequence[Motion],
    clusters: dict[str, Clusters] | None = None,
) -> dict[str, PartScores]:
    """Scores of ``expression`` and ``pose``. ``clusters`` by part; by default fitted to truth."""
    clusters = clusters or fit_clusters(truth)
    scores = {}
    for part, columns in PARTS.items():
        cut = [[m.values[:, columns] for m in motions] for motions in (truth, prediction, speaker)]
        scores[part] = score(cut[0], cut[1], cut[2], clusters[part])
    return scores


def fit_clusters(truth: Sequence[Motion], seed: int = 0) -> dict[str, Clusters]:
    """The clusters behind SID for each part, from true listener motion."""
    return {
        part: Clusters.fit([m.values[:, columns] for m in truth], CLUSTERS[part], seed=seed)
        for part, columns in PARTS.items()
    }


def _nearest(frames: Array, centres: Array) -> NDArray[np.int64]:
    distance = (centres**2).sum(axis=1) - 2.0 * frames @ centres.T
    return distance.argmin(axis=1)


def _pearson(first: Array, second: Array) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0


def _check(first: Arrays, *others: Arrays) -> None:
    for other in others:
        if len(first) != len(other):
            raise InputError(f"{len(first)} clips against {len(other)}; they must match")
        for index, (one, two) in enumerate(zip(first, other, strict=True)):
            if one.shape != two.shape:
                raise InputError(f"clip {index}: shapes {one.shape} and {two.shape} differ")
    if not len(first):
        raise InputError("no clip to compare")
