"""The figures as the paper's released code computes them, so that its numbers can be reproduced.

Written from what that code does (its ``mymetrics.py``, ``metrics/eval_utils.py`` and
``x_engine_pt.py``), to be set beside numbers it printed, not to judge methods by: see
:data:`NOT_COMPARABLE`. Arrays are those it works on: lists of [T, 56] with pose 0..5 and expression
6..55, of the true listener, the prediction and the speaker.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from dimcli.core.errors import InputError
from dimcli.evaluation.metrics import CLUSTERS, PARTS, check_pairs
from dimcli.evaluation.official_clusters import fit_centres, nearest

Array = NDArray[np.floating[Any]]
Arrays = Sequence[Array]

DRAWS = 10
"""Samples a clip, of which the released code keeps the one nearest to the truth."""
FIGURES = ("fd", "p_fd", "mse", "sid_pooled", "var_pooled", "rpcc", "sts")

NOT_COMPARABLE = (
    f"Each clip's prediction is the best of {DRAWS} draws, chosen by its Fréchet distance to the "
    "true listener: knowledge that no method has when it is used. Such figures fall as the number "
    "of draws grows, however random the draws are, and methods that draw once cannot be set "
    "beside them.",
    "SID is the entropy of one histogram over the frames of all clips together; the paper defines "
    "it within each sequence. Clips that each stand still, but differently, count as diverse.",
    "Var is the variance of all numbers flattened into one list, so it also holds how far the "
    "coefficients' means lie apart, which is no movement; rPCC is one correlation over such lists.",
    "FD and P-FD are a mean over clips, as ours are, but the matrix root is taken of a singular "
    "product wherever a clip has fewer frames than coefficients, which adds numerical noise.",
    "The true listener begins a frame later than the speaker it is paired with, as in the released "
    "code, whose decoder is prompted with the listener's true first frame; our predictors never "
    "see it, and their first frame is left out.",
    "The released code picks its weights on the clips that it then reports; nothing here does.",
)
"""Why the official protocol's figures are no measure of a method, in words for the report."""

_JITTER = 1e-6
_STEP_S = 0.1
_ENTROPY_FLOOR = 1e-6


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
    check_pairs(truth, prediction, speaker)
    found = {}
    for part, columns in PARTS.items():
        t, p, s = ([clip[:, columns] for clip in clips] for clips in (truth, prediction, speaker))
        centres = fit_centres(np.concatenate(t), CLUSTERS[part])
        pooled = [np.concatenate(clips).reshape(-1) for clips in (t, p, s)]
        found[part] = {
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
    return found


def truth_scores(truth: Arrays) -> dict[str, dict[str, float]]:
    """The true listener's ``sid_pooled`` and ``var_pooled`` by the same definitions."""
    found = {}
    for part, columns in PARTS.items():
        frames = np.concatenate([clip[:, columns] for clip in truth])
        centres = fit_centres(frames, CLUSTERS[part])
        found[part] = {
            "sid_pooled": entropy(frames, centres),
            "var_pooled": float(np.var(frames.reshape(-1))),
        }
    return found


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
    share = np.bincount(nearest(frames, centres), minlength=len(centres)) / len(frames)
    return float(-(share * np.log2(share + _ENTROPY_FLOOR)).sum())


def _root(product: Array) -> Array:
    with warnings.catch_warnings():
        # Of a singular product it says so; the released code's figures are made of such roots.
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
