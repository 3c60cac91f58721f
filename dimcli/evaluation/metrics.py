"""The listeners' figures of merit (the paper's supplement A): the code that ``dim eval`` runs.

Every figure is computed for expression (D = 50) and pose (D = 6, radians for rotations) apart, from
the prediction p, the true listener t and the speaker s of each clip, [T, D] each. T may differ from
clip to clip. ``fd``, ``p_fd``, ``mse``, ``sid``, ``var`` and ``rpcc_temporal`` are figures of a
clip, averaged over clips (:meth:`ClipTruth.share`); ``sid_pooled``, ``var_pooled`` and ``rpcc`` are
functions of sums over the numbers of all clips (:meth:`Tally.figures`). What each clip adds is
kept apart, so that a bootstrap over clips is a matrix product.

Axes: S samples, C clips, B bootstrap draws, N and T frames, D dimensions, k clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, NUM_POSE

Array = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]

PARTS: dict[str, slice] = {"expression": EXPRESSION, "pose": slice(0, NUM_POSE)}
CLUSTERS = {"expression": 40, "pose": 20}
"""k of the k-means behind SID, as in the authors' released code; the paper does not name it."""
MAX_FRAMES = 100_000
"""At most so many true frames, drawn by chance, make the clusters: more change nothing visible."""
PER_CLIP = ("fd", "p_fd", "mse", "sid", "var", "rpcc_temporal")


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

        Heusel et al. 2017. The trace of the root is the sum of the singular values of A1 A2^T for
        roots A (C = A^T A): exact also where clips have fewer frames than dimensions and matrix
        square roots are ill-defined.
        """
        if self.mean.shape != other.mean.shape:
            raise InputError(f"cannot compare {len(self.mean)} and {len(other.mean)} dimensions")
        offset = self.mean - other.mean
        cross = np.linalg.svd(self.root @ other.root.T, compute_uv=False).sum()
        spread = np.sum(self.root**2) + np.sum(other.root**2)
        return float(max(offset @ offset + spread - 2.0 * cross, 0.0))


def entropy_bits(counts: Array | Counts) -> Array:
    """Entropy in bits, -sum p log2 p, of histograms ``counts`` [..., k]: [...]."""
    counts = np.asarray(counts, float)
    share = counts / counts.sum(axis=-1, keepdims=True)
    return -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=-1)


def temporal_correlation(first: Array, second: Array) -> float:
    """Pearson correlation over time of each column of two [T, D], mean over the columns.

    A column that stands still counts as uncorrelated.
    """
    one, other = (np.asarray(m, float) - np.mean(m, axis=0, dtype=float) for m in (first, second))
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    # What rounding leaves of a column that stands still is no movement.
    still = scale <= 1e-15 * len(one)
    return float(np.where(still, 0.0, (one * other).sum(axis=0) / np.where(still, 1, scale)).mean())


def pooled_correlation(n: Array, a: Array, aa: Array, b: Array, bb: Array, ab: Array) -> Array:
    """Pearson correlation of n pairs of numbers from the sums of a, a^2, b, b^2 and ab.

    Zero where either side does not vary.
    """
    spread_a, spread_b = n * aa - a**2, n * bb - b**2
    # What rounding leaves of numbers that are all the same is no variation.
    flat = (spread_a <= 1e-12 * n * aa) | (spread_b <= 1e-12 * n * bb)
    spread = np.where(flat, 1.0, spread_a * spread_b)
    return np.where(flat, 0.0, (n * ab - a * b) / np.sqrt(spread))


@dataclass(frozen=True)
class Clusters:
    """k-means centres of true listener frames: [k, D]. Fit once, used for every method's SID."""

    centres: Array

    @classmethod
    def fit(cls, truth: Sequence[Array], k: int, *, seed: int = 0) -> Clusters:
        """Lloyd's algorithm from k-means++ starts on the true frames, or MAX_FRAMES of them."""
        frames = np.concatenate([np.asarray(t, float) for t in truth])
        random = np.random.default_rng(seed)
        if len(frames) > MAX_FRAMES:
            frames = frames[random.choice(len(frames), MAX_FRAMES, replace=False)]
        centres = frames[random.integers(len(frames))][None]
        closest = np.full(len(frames), np.inf)
        while len(centres) < k:
            closest = np.minimum(closest, ((frames - centres[-1]) ** 2).sum(axis=1))
            if not closest.any():  # fewer different frames than clusters
                break
            pick = random.choice(len(frames), p=closest / closest.sum())
            centres = np.concatenate([centres, frames[pick][None]])
        return cls(lloyd(frames, centres, _nearest, _means, iterations=50))

    def histogram(self, frames: Array) -> Counts:
        """How many of these frames [T, D] fall to each cluster: [k]."""
        labels = _nearest(np.asarray(frames, float), self.centres)
        return np.bincount(labels, minlength=len(self.centres))


def lloyd(
    frames: Array,
    centres: Array,
    nearest: Callable[[Array, Array], NDArray[np.intp]],
    means: Callable[[Array, NDArray[np.intp], Array], Array],
    *,
    iterations: int,
    tolerance: float = -1.0,
) -> Array:
    """Centres [k, D] after turns of ``nearest`` (frames and centres to labels [N]) and ``means``
    (frames, labels and centres to centres), until the labels stay as they are or the centres'
    squared shift is at most ``tolerance``.
    """
    previous: NDArray[np.intp] | None = None
    for _ in range(iterations):
        labels = nearest(frames, centres)
        moved = means(frames, labels, centres)
        shift = float(((moved - centres) ** 2).sum())
        centres = moved
        if (previous is not None and np.array_equal(labels, previous)) or shift <= tolerance:
            break
        previous = labels
    return centres


def _nearest(frames: Array, centres: Array) -> NDArray[np.intp]:
    distance = (centres**2).sum(axis=1) - 2.0 * frames @ centres.T
    return distance.argmin(axis=1)


def _means(frames: Array, labels: NDArray[np.intp], centres: Array) -> Array:
    """Each cluster's mean; an empty one stays where it is."""
    members = np.zeros((len(centres), len(frames)))
    members[labels, np.arange(len(frames))] = 1.0
    counts = members.sum(axis=1, keepdims=True)
    return np.where(counts > 0, members @ frames / np.maximum(counts, 1), centres)


@dataclass(frozen=True)
class Share:
    """What one clip adds to one part's figures, for one prediction.

    ``own`` [6] its PER_CLIP figures; ``counts`` [k] frames a cluster; ``moments`` [9] the number
    of its numbers and the sums of p, p^2, s, s^2, ps, t, t^2, ts.
    """

    own: Array
    counts: Counts
    moments: Array


class ClipTruth:
    """One part of one true clip; what every prediction of it is measured against."""

    def __init__(self, truth: Array, speaker: Array, clusters: Clusters) -> None:
        """``truth`` and ``speaker`` [T, D]."""
        self._truth, self._speaker = np.asarray(truth, float), np.asarray(speaker, float)
        self._clusters = clusters
        self._alone = Gaussian.fit(self._truth)
        self._paired = Gaussian.fit(np.concatenate([self._speaker, self._truth], axis=1))
        self._correlation = temporal_correlation(self._truth, self._speaker)

    def share(self, prediction: Array) -> Share:
        """What ``prediction`` [T, D] adds.

        - ``fd``: Fréchet distance between Gaussians fitted to the frames of p and of t.
        - ``p_fd`` (P-FD): the same on the speaker's and the listener's frames side by side,
          [T, 2 D].
        - ``mse``: mean over frames and dimensions of (p - t)^2.
        - ``sid`` (SID): entropy in bits of the cluster ids of the clip's own frames.
        - ``var``: variance over time of each dimension, mean over dimensions: the supplement's
          "variance of the listener motions on time series".
        - ``rpcc_temporal``: |corr(t, s) - corr(p, s)| with correlations over time within each
          dimension: what the supplement's words ("frame by frame") say.
        """
        p, s, t = np.asarray(prediction, float), self._speaker, self._truth
        if p.shape != t.shape:
            raise InputError(f"shapes {t.shape} and {p.shape} differ; clips must match the truth")
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
    """What all clips add to one part, of one method: own [S, C, 6], counts [S, C, k] and moments
    [S, C, 9].
    """

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

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure for each sample and draw: name to [S, B].

        ``draws`` [B, C] says how often each clip is in each draw; by default once in one draw.
        The PER_CLIP figures are means over clips. Besides, as the released code has them:

        - ``sid_pooled``: entropy of one histogram over the frames of all clips.
        - ``var_pooled``: variance of all numbers of all clips in one list. It also holds how far
          the dimensions' means lie apart, so that a face that stands still has some.
        - ``rpcc`` (rPCC): |corr(t, s) - corr(p, s)|, each one Pearson correlation over every frame
          and dimension of every clip; the supplement's words leave open over what.
        """
        draws = np.ones((1, self.own.shape[1])) if draws is None else np.asarray(draws, float)
        own = draws @ self.own / draws.sum(axis=1)[:, None]
        figures = {name: own[..., index] for index, name in enumerate(PER_CLIP)}
        n, p, pp, s, ss, ps, t, tt, ts = np.moveaxis(draws @ self.moments, -1, 0)
        figures["sid_pooled"] = entropy_bits(draws @ self.counts)
        figures["var_pooled"] = np.maximum(pp / n - (p / n) ** 2, 0.0)
        figures["rpcc"] = np.abs(
            pooled_correlation(n, t, tt, s, ss, ts) - pooled_correlation(n, p, pp, s, ss, ps)
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
