"""What R-DGG (:mod:`dimcli.evaluation.measures.rdgg`) is computed from: frames, columns, folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.masks import runs, widened
from dimcli.core.motion import Bools

Array = NDArray[np.floating[Any]]

AUDIO_PARTS, MOTION_PARTS = 64, 32
"""Principal components of the speaker's voice and motion."""
SILENCE_MARGIN_S, SHORTEST_LISTENING_S = 0.2, 3.0
_PCA_STEMS, _PCA_ROWS = 60, 40_000


def reactive(
    own_voice: Bools, partner_voice: Bools, fps: float, *, margin_s: float = SILENCE_MARGIN_S
) -> Bools:
    """Frames [T] of listening: runs in which the listener is silent (its voice widened by
    ``margin_s``) for at least 3 s, and the partner is heard at least once.
    """
    margin = round(margin_s * fps)
    listening = np.zeros(len(own_voice), bool)
    for start, stop in runs(~widened(own_voice, margin, margin)):
        if stop - start >= round(SHORTEST_LISTENING_S * fps) and partner_voice[start:stop].any():
            listening[start:stop] = True
    return listening


@dataclass(frozen=True)
class Projection:
    """Principal components of standardised columns: mean, std [C], axes [C, K]."""

    mean: Array
    std: Array
    axes: Array

    @classmethod
    def fit(cls, sequences: Sequence[Array], parts: int, seed: int) -> Projection:
        """From the rows of at most 60 ``sequences`` [n, C], drawn by ``seed``."""
        if len(sequences) > _PCA_STEMS:
            random = np.random.default_rng(seed)
            picked = np.sort(random.choice(len(sequences), _PCA_STEMS, replace=False))
            sequences = [sequences[index] for index in picked]
        rows = np.concatenate(sequences).astype(float)
        mean, std = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-8)
        rows = (rows - mean) / std
        if len(rows) > _PCA_ROWS:
            picked = np.random.default_rng(0).choice(len(rows), _PCA_ROWS, replace=False)
            rows = rows[picked]
        _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
        # what rounding leaves along further axes would be blown up to full size later
        real = sizes > 1e-9 * sizes[0]
        return cls(mean, std, axes[real][:parts].T)

    def scores(self, rows: Array) -> Array:
        """Rows [n, C] along the axes: [n, K]."""
        return (rows - self.mean) / self.std @ self.axes


def join_folds(people: Mapping[str, Sequence[str]], most: int = 5) -> dict[str, int]:
    """The fold of each listener, by the ``people`` who are to be in one fold only.

    Whoever shares a person is in one group, transitively; groups are folds, the largest first, or
    are shared out among ``most`` folds.
    """
    parent: dict[str, str] = {}

    def root(person: str) -> str:
        while parent.setdefault(person, person) != person:
            person = parent[person]
        return person

    for first, *others in people.values():
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[str, list[str]] = {}
    for name, (first, *_) in people.items():
        groups.setdefault(root(first), []).append(name)
    sizes = [0] * min(most, len(groups))
    folds = {}
    for group in sorted(groups.values(), key=len, reverse=True):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(group)
        folds.update(dict.fromkeys(group, fold))
    return folds
