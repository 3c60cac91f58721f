"""What an evaluation finds: figures with their doubt, by method and part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dimcli.evaluation.distributions import Distributions

TRUTH = "ground truth"
CONFIDENCE = 0.95
TRUTH_FIGURES = ("sid", "sid_pooled", "var", "var_pooled")
"""Figures that the truth has too; a method's is better the nearer it is to the truth's."""

LARGER_BETTER = ("closure_hits", "lip_correlation")
"""Figures that are the better the larger they are."""
NEAREST_ZERO = ("fdd_released", "lip_shift_ms")
"""Figures with a sign, the better the nearer they are to zero."""


@dataclass(frozen=True)
class Figure:
    """One figure: the mean over samples, their standard deviation, and an interval over clips.

    ``std`` is None with one sample; ``low`` and ``high``, the bounds of the bootstrap interval,
    are None where there is nothing to draw from.
    """

    value: float
    std: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero: for a difference, that it is real."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


Figures = dict[str, dict[str, Figure]]
"""By part (``expression``, ``pose``), then by name."""


@dataclass(frozen=True)
class MethodScores:
    """One method's figures, and its paired ``differences`` to the evaluation's reference.

    A difference is below zero where this method is better: of the figure itself where smaller is
    better, of its gap to the truth's where nearer is. ``note`` says what a reader must know;
    ``bound``: it knows what no method can know, and only marks what is possible.
    """

    name: str
    figures: Figures
    differences: Figures | None = None
    note: str = ""
    bound: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and all that is needed to repeat it.

    ``minutes`` of listening in ``clips`` clips; ``resamples`` bootstrap draws of ``unit``, 0 where
    there are no intervals.
    """

    dataset: str
    made_by: dict[str, Any]
    split: str
    clips: int
    conversations: int
    minutes: float
    fps: float
    space: str
    protocol: str
    samples: int
    seed: int
    resamples: int
    unit: str
    reference: str | None
    truth: Figures
    methods: tuple[MethodScores, ...]
    distributions: Distributions

    def as_dict(self) -> dict[str, Any]:
        """All but the distributions, as JSON can hold it."""
        plain = {key: value for key, value in vars(self).items() if key != "distributions"}
        truth = {
            part: {name: asdict(figure) for name, figure in figures.items()}
            for part, figures in self.truth.items()
        }
        return plain | {"truth": truth, "methods": [asdict(method) for method in self.methods]}
