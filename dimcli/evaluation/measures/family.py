"""What a family of measures is: figures of a kind, beside the paper's, in a table of their own.

A family measures every answer to every clip as the paper's figures do
(:class:`dimcli.evaluation.protocols.Scorer`) and says what it rewards falsely. What cannot be
computed is a reason in words, never a number: it is told below the table.

Axes: S samples, C clips, B bootstrap draws.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Motion
from dimcli.data.clip import Clip

Array = NDArray[np.floating[Any]]

Value = float | str
"""A figure of one clip, or why there is none."""
Shares = dict[tuple[str, str], Value]
"""By part and figure, what one prediction of one clip adds."""
Reasons = dict[tuple[str, str], str]

SHORT = "the clip is too short"
STILL = "something stands still"


class Family(ABC):
    """Figures of one kind; columns and parts in the order in which they are shown."""

    title: str
    columns: tuple[str, ...]
    of_truth: tuple[str, ...] = ()
    """Figures that the truth has too, and that are shown of it."""
    rewards: str
    """What it rewards falsely, in a sentence or two."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else a reader must know."""
        return ()

    @abstractmethod
    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """A function from a prediction of the clip to what it adds."""

    @abstractmethod
    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """All that a method adds, by sample, then clip, put together by part."""


class Tally(Protocol):
    """What all clips add to one part of one method's figures."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """Of figures that are missing, in some clips or all: why."""
        ...

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [S, B] for ``draws`` [B, C], by default all clips once; NaN: none."""
        ...


@dataclass(frozen=True)
class MeanTally:
    """Figures that are means over the clips that have them: ``values`` [S, C] by name, NaN where
    there is none.
    """

    values: Mapping[str, Array]
    reasons: Mapping[str, str]

    @classmethod
    def by_part(cls, shares: Sequence[Sequence[Shares]]) -> dict[str, MeanTally]:
        """From shares by sample, then clip."""
        keys = dict.fromkeys(key for sample in shares for one in sample for key in one)
        parts: dict[str, tuple[dict[str, Array], dict[str, str]]] = {}
        for part, name in keys:
            cells = [[one.get((part, name), "not measured") for one in each] for each in shares]
            values, reasons = parts.setdefault(part, ({}, {}))
            values[name] = np.array([[number(cell) for cell in row] for row in cells])
            why = told([cell for row in cells for cell in row])
            if why:
                reasons[name] = why
        return {part: cls(*pair) for part, pair in parts.items()}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [S, B]."""
        return {name: mean_over(values, draws) for name, values in self.values.items()}


@dataclass(frozen=True)
class Joined:
    """Several tallies of one part."""

    tallies: tuple[Tally, ...]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Of all."""
        return {name: why for each in self.tallies for name, why in each.reasons.items()}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Of all."""
        return {
            name: values for each in self.tallies for name, values in each.figures(draws).items()
        }


def number(value: Value) -> float:
    """The figure, or NaN."""
    return float("nan") if isinstance(value, str) else float(value)


def told(cells: Sequence[Value]) -> str:
    """Why some of ``cells`` are no figures, and how many; nothing where all are."""
    why = Counter(
        cell if isinstance(cell, str) else "it is not a number"
        for cell in cells
        if isinstance(cell, str) or not math.isfinite(cell)
    )
    return "; ".join(
        f"{reason} (in {count} of {len(cells)})" for reason, count in why.most_common(2)
    )


def mean_over(values: Array, draws: Array | None) -> Array:
    """Means [S, B] of ``values`` [S, C] over the clips that have one."""
    draws = np.ones((1, values.shape[1])) if draws is None else np.asarray(draws, float)
    there = np.isfinite(values)
    weight = there @ draws.T
    total = np.where(there, values, 0.0) @ draws.T
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
