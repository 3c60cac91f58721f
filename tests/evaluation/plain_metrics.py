"""The listeners' figures from lists of whole clips, by the words of their definitions.

An independent reference for :mod:`dimcli.evaluation.metrics`, which computes them from what each
clip adds. Slow, and nothing but tests uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dimcli.core.motion import Motion
from dimcli.evaluation.metrics import CLUSTERS, PARTS, ClipTruth, Clusters, Tally

Clips = Sequence[np.ndarray]


def computed(
    truth: Clips, prediction: Clips, speaker: Clips, clusters: Clusters
) -> dict[str, float]:
    """Every figure as the product computes it."""
    shares = [
        ClipTruth(t, s, clusters).share(p)
        for t, p, s in zip(truth, prediction, speaker, strict=True)
    ]
    return {name: float(values[0, 0]) for name, values in Tally.of([shares]).figures().items()}


def plain_figures(
    truth: Clips, prediction: Clips, speaker: Clips, centres: np.ndarray
) -> dict[str, float]:
    """Every figure, clip by clip and frame by frame."""

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        # tr (C1 C2)^(1/2) is the nuclear norm of the product of the centred frames.
        first, second = ((m - m.mean(axis=0)) / np.sqrt(len(m) - 1) for m in (one, other))
        gap = one.mean(axis=0) - other.mean(axis=0)
        spread = np.trace(np.cov(one.T)) + np.trace(np.cov(other.T))
        return gap @ gap + spread - 2 * np.linalg.norm(first @ second.T, "nuc")

    def entropy(labels: list[int]) -> float:
        share = np.array([labels.count(k) for k in set(labels)]) / len(labels)
        return -sum(one * np.log2(one) for one in share)

    def labelled(clip: np.ndarray) -> list[int]:
        return [int(np.argmin([np.linalg.norm(f - c) for c in centres])) for f in clip]

    def correlation(one: np.ndarray, other: np.ndarray) -> float:
        if min(np.ptp(one), np.ptp(other)) == 0:
            return 0.0
        return np.corrcoef(one, other)[0, 1]

    def over_time(one: np.ndarray, other: np.ndarray) -> float:
        return np.mean([correlation(a, b) for a, b in zip(one.T, other.T, strict=True)])

    triples = [
        tuple(np.asarray(clip, float) for clip in clips)
        for clips in zip(truth, prediction, speaker, strict=True)
    ]
    flat = [np.concatenate([m.ravel() for m in clips]) for clips in zip(*triples, strict=True)]
    labels = [labelled(p) for _, p, _ in triples]
    return {
        "fd": np.mean([distance(t, p) for t, p, _ in triples]),
        "p_fd": np.mean([distance(np.hstack([s, t]), np.hstack([s, p])) for t, p, s in triples]),
        "mse": np.mean([((t - p) ** 2).sum() / t.size for t, p, _ in triples]),
        "sid": np.mean([entropy(clip) for clip in labels]),
        "sid_pooled": entropy([label for clip in labels for label in clip]),
        "var": np.mean([np.mean([np.var(column) for column in p.T]) for _, p, _ in triples]),
        "var_pooled": np.var(flat[1]),
        "rpcc": abs(correlation(flat[0], flat[2]) - correlation(flat[1], flat[2])),
        "rpcc_temporal": np.mean([abs(over_time(t, s) - over_time(p, s)) for t, p, s in triples]),
    }


def fit_clusters(truth: Sequence[Motion]) -> dict[str, Clusters]:
    """The clusters behind SID for each part, from true listener motion."""
    return {
        part: Clusters.fit([m.values[:, columns] for m in truth], CLUSTERS[part])
        for part, columns in PARTS.items()
    }


def plain_scores(
    truth: Sequence[Motion],
    prediction: Sequence[Motion],
    speaker: Sequence[Motion],
    clusters: dict[str, Clusters],
) -> dict[str, dict[str, float]]:
    """:func:`plain_figures` of ``expression`` and ``pose``."""
    return {
        part: plain_figures(
            *([m.values[:, columns] for m in motions] for motions in (truth, prediction, speaker)),
            clusters[part].centres,
        )
        for part, columns in PARTS.items()
    }
