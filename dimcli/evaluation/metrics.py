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

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, NUM_POSE, Motion
from dimcli.evaluation.clusters import Clusters

Array = NDArray[np.floating[Any]]
Arrays = Sequence[Array]

CLUSTERS = {"expression": 40, "pose": 20}
"""k of the k-means behind SID, as in the authors' released code; the paper does not name it."""
PARTS: dict[str, slice] = {"expression": EXPRESSION, "pose": slice(0, NUM_POSE)}


@dataclass(frozen=True)
class PartScores:
    """One part's figures (expression or pose).

    ``fd``, ``p_fd``, ``mse``, ``rpcc`` and its temporal form: smaller is better. ``sid``, ``var``
    (and their pooled forms): nearer to the ground truth's is better.
    """

    fd: float
    p_fd: float
    mse: float
    sid: float
    sid_pooled: float
    var: float
    var_pooled: float
    rpcc: float
    rpcc_temporal: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian fitted to frames: ``mean`` [D] and ``root`` [R, D], root^T root = covariance."""

    mean: Array
    root: Array

    @classmethod
    def fit(cls, frames: Array) -> Gaussian:
        """Fit to the rows of ``frames`` [N, D], the covariance with N - 1."""
        frames = np.asarray(frames, float)
        if frames.ndim != 2:
            raise InputError(f"cannot fit a Gaussian to shape {frames.shape}; expected [N, D]")
        if len(frames) < 2:
            raise InputError("a Fréchet distance needs at least two frames on each side")
        mean = frames.mean(axis=0)
        root = (frames - mean) / np.sqrt(len(frames) - 1)
        if len(root) > root.shape[1]:
            # The R of a QR decomposition has the same A^T A and is small.
            root = np.linalg.qr(root, mode="r")
        return cls(mean, root)

    def distance(self, other: Gaussian) -> float:
        """Fréchet distance: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

        The trace of the root is the sum of the singular values of A1 A2^T for roots A (C = A^T A):
        exact also where clips have fewer frames than dimensions and matrix square roots are
        ill-defined.
        """
        if self.mean.shape != other.mean.shape:
            raise InputError(f"cannot compare {len(self.mean)} and {len(other.mean)} dimensions")
        offset = self.mean - other.mean
        cross = np.linalg.svd(self.root @ other.root.T, compute_uv=False).sum()
        spread = np.sum(self.root**2) + np.sum(other.root**2)
        return float(max(offset @ offset + spread - 2.0 * cross, 0.0))


def frechet_distance(first: Array, second: Array) -> float:
    """Fréchet distance between Gaussians fitted to the rows of [N, D] and [M, D]."""
    return Gaussian.fit(first).distance(Gaussian.fit(second))


def fd(truth: Arrays, prediction: Arrays) -> float:
    """FD: the Fréchet distance of each clip's frames to the truth's, mean over clips."""
    check_pairs(truth, prediction)
    return float(np.mean([frechet_distance(t, p) for t, p in zip(truth, prediction, strict=True)]))


def paired_fd(truth: Arrays, prediction: Arrays, speaker: Arrays) -> float:
    """P-FD: as FD on the speaker's and the listener's frames side by side, [T, 2 D]."""
    check_pairs(truth, prediction, speaker)
    return fd(
        [np.concatenate(pair, axis=1) for pair in zip(speaker, truth, strict=True)],
        [np.concatenate(pair, axis=1) for pair in zip(speaker, prediction, strict=True)],
    )


def mse(truth: Arrays, prediction: Arrays) -> float:
    """MSE: mean over frames and dimensions of the squared difference, mean over clips."""
    check_pairs(truth, prediction)
    gaps = [np.asarray(t, float) - p for t, p in zip(truth, prediction, strict=True)]
    return float(np.mean([np.mean(gap**2) for gap in gaps]))


def variation(motions: Arrays, *, pooled: bool = False) -> float:
    """Var: the variance over time of each dimension, mean over dimensions, then clips.

    The supplement's "variance of the listener motions on time series". With ``pooled`` the
    variance of all numbers of all clips in one list, as the released code does: it also holds how
    far the dimensions' means lie apart, so that a face that stands still has some.
    """
    if pooled:
        return float(np.concatenate([np.ravel(m) for m in motions]).astype(float).var())
    return float(np.mean([np.asarray(m, float).var(axis=0).mean() for m in motions]))


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
    has it: the supplement's words ("frame by frame") leave open over what. A constant prediction
    counts as uncorrelated.
    """
    check_pairs(truth, prediction, speaker)
    flat_truth, flat_prediction, flat_speaker = (
        np.concatenate([np.ravel(m) for m in arrays]).astype(float)
        for arrays in (truth, prediction, speaker)
    )
    return abs(_pearson(flat_truth, flat_speaker) - _pearson(flat_prediction, flat_speaker))


def residual_temporal_correlation(truth: Arrays, prediction: Arrays, speaker: Arrays) -> float:
    """rPCC over time: |corr(truth, speaker) - corr(prediction, speaker)|, mean over clips.

    A clip's correlation is the mean over dimensions of the Pearson correlation over its frames;
    a dimension that stands still counts as uncorrelated. What the paper's words say ("frame by
    frame"), without the share of the pooled figure that dimensions' different means make up.
    """
    check_pairs(truth, prediction, speaker)
    gaps = [
        abs(temporal_correlation(t, s) - temporal_correlation(p, s))
        for t, p, s in zip(truth, prediction, speaker, strict=True)
    ]
    return float(np.mean(gaps))


def temporal_correlation(first: Array, second: Array) -> float:
    """Pearson correlation over time of each column of two [T, D], mean over the columns."""
    one, other = (np.asarray(m, float) - np.mean(m, axis=0, dtype=float) for m in (first, second))
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    # What rounding leaves of a column that stands still is no movement.
    still = scale <= 1e-15 * len(one)
    return float(np.where(still, 0.0, (one * other).sum(axis=0) / np.where(still, 1, scale)).mean())


def score(truth: Arrays, prediction: Arrays, speaker: Arrays, clusters: Clusters) -> PartScores:
    """Every figure of one part."""
    return PartScores(
        fd=fd(truth, prediction),
        p_fd=paired_fd(truth, prediction, speaker),
        mse=mse(truth, prediction),
        sid=sid(prediction, clusters),
        sid_pooled=sid(prediction, clusters, pooled=True),
        var=variation(prediction),
        var_pooled=variation(prediction, pooled=True),
        rpcc=residual_correlation(truth, prediction, speaker),
        rpcc_temporal=residual_temporal_correlation(truth, prediction, speaker),
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


def _pearson(first: Array, second: Array) -> float:
    one, other = first - first.mean(), second - second.mean()
    spread = (one**2).sum() * (other**2).sum()
    # What rounding leaves of numbers that are all the same is no variation.
    if spread <= 1e-24 * (first**2).sum() * (second**2).sum():
        return 0.0
    return float((one * other).sum() / np.sqrt(spread))


def check_pairs(first: Arrays, *others: Arrays) -> None:
    """Raise InputError unless the lists hold clips of the same shapes, at least one."""
    for other in others:
        if len(first) != len(other):
            raise InputError(f"{len(first)} clips against {len(other)}; they must match")
        for index, (one, two) in enumerate(zip(first, other, strict=True)):
            if one.shape != two.shape:
                raise InputError(f"clip {index}: shapes {one.shape} and {two.shape} differ")
    if not len(first):
        raise InputError("no clip to compare")
