"""Figures from what clips add to them, with bootstrap intervals, and paired differences.

Axes: S samples, B bootstrap draws, C clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.evaluation.scores import (
    CONFIDENCE,
    LARGER_BETTER,
    NEAREST_ZERO,
    TRUTH,
    TRUTH_FIGURES,
    Figure,
    Figures,
)

Array = NDArray[np.floating[Any]]
Values = dict[str, dict[str, Array]]
"""By part and figure, [S, B]."""


class AnyTally(Protocol):
    """What all clips add to one part of one method's figures."""

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [S, B] for ``draws`` [B, C], by default all clips once."""
        ...


def values_of(
    tallies: Mapping[str, Mapping[str, AnyTally]], draws: Array | None
) -> dict[str, Values]:
    """Every figure of every method, the truth among them."""
    return {
        name: {part: tally.figures(draws) for part, tally in by_part.items()}
        for name, by_part in tallies.items()
    }


def with_intervals(values: Values, resampled: Values | None, picks: Array | None = None) -> Figures:
    """Figures with their intervals from [S, 1] by part and figure, and [S, B]."""
    return {
        part: {
            name: figure_of(
                by_sample[:, 0],
                None if resampled is None else _over_samples(resampled[part][name], picks),
            )
            for name, by_sample in by_name.items()
        }
        for part, by_name in values.items()
    }


def _over_samples(values: Array, picks: Array | None = None) -> Array:
    """Means [B] of [S, B]; ``picks`` [S, B] are the samples' shares in each draw."""
    if picks is None or len(values) == 1:
        return values.mean(axis=0)
    return np.asarray((values * picks).sum(axis=0))


def figures_of(
    tallies: Mapping[str, AnyTally], draws: Array | None, picks: Array | None = None
) -> Figures:
    """Figures of one method from its tallies by part, with intervals over ``draws`` [B, C];
    ``picks`` [S, B] are the samples' shares in each draw."""
    values = {part: tally.figures() for part, tally in tallies.items()}
    if draws is None:
        return with_intervals(values, None)
    resampled = {part: tally.figures(draws) for part, tally in tallies.items()}
    return with_intervals(values, resampled, picks)


def figure_of(by_sample: Array, drawn: Array | None) -> Figure:
    """A figure from its values by sample [S], and by bootstrap draw [B], if there were any."""
    std = float(by_sample.std(ddof=1)) if len(by_sample) > 1 else None
    value = float(by_sample.mean())
    drawn = None if drawn is None else drawn[np.isfinite(drawn)]
    if drawn is None or not len(drawn):
        return Figure(value, std)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # Drawn clips repeat, which lowers an entropy and raises an absolute gap: where that bias would
    # leave the figure itself outside its interval, the interval is widened to hold it.
    return Figure(value, std, min(float(low), value), max(float(high), value))


def paired_gaps(
    values: Mapping[str, Values], method: str, reference: str, picks: Array | None = None
) -> Values:
    """How much worse a method is than the reference: [1, B], below zero where it is better.

    Paired: both are drawn on the same clips, so that what clips have in common falls out.
    """
    ours, theirs, truth = values[method], values[reference], values[TRUTH]
    gaps: Values = {}
    for part, by_name in ours.items():
        for name in (each for each in by_name if each in theirs.get(part, {})):
            one, other = (_over_samples(each[part][name], picks) for each in (ours, theirs))
            if name in TRUTH_FIGURES:
                true = truth[part][name][0]
                one, other = abs(one - true), abs(other - true)
            elif name in NEAREST_ZERO:
                one, other = abs(one), abs(other)
            gap = other - one if name in LARGER_BETTER else one - other
            gaps.setdefault(part, {})[name] = gap[None]
    return gaps
