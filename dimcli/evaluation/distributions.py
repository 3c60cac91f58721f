"""How each motion coefficient's values spread: histograms of the truth and of every method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import MOTION_DIM

Array = NDArray[np.floating[Any]]

BINS = 48
_TAIL = 0.002
"""Share of the true frames on each side that may lie beyond the edges; ends count them."""
_MARGIN = 0.2


@dataclass
class Distributions:
    """Frames a bin: ``edges`` [56, BINS + 1]; ``counts`` name to int [56, BINS]."""

    edges: Array
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def around(cls, frames: Array) -> Distributions:
        """With edges that hold the ``frames`` [N, 56] and a margin."""
        low, high = np.quantile(np.asarray(frames, float), [_TAIL, 1.0 - _TAIL], axis=0)
        margin = np.maximum(_MARGIN * (high - low), 1e-3)
        steps = np.linspace(0.0, 1.0, BINS + 1)
        low, width = low - margin, high - low + 2 * margin
        return cls(low[:, None] + width[:, None] * steps)

    def add(self, name: str, frames: Array) -> None:
        """Count ``frames`` [T, 56] under ``name``."""
        counts = self.counts.setdefault(name, np.zeros((MOTION_DIM, BINS), np.int64))
        low, width = self.edges[:, 0], self.edges[:, 1] - self.edges[:, 0]
        bins = np.clip(((frames - low) / width).astype(int), 0, BINS - 1)
        column = np.broadcast_to(np.arange(MOTION_DIM), bins.shape)
        np.add.at(counts, (column, bins), 1)

    def density(self, name: str) -> Array:
        """Share of the frames in each bin: [56, BINS]."""
        counts = self.counts[name]
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
