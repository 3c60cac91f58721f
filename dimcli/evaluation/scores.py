"""The results of an evaluation: figures with intervals, by method and part."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import MOTION_DIM

Array = NDArray[np.floating[Any]]

TRUTH = "ground truth"
CONFIDENCE = 0.95
TRUTH_FIGURES = (
    *("sid", "sid_pooled", "sid_si184", "var", "var_pooled", "tlcc_offset"),
    *("blinks_a_minute", "blink_width_s", "gaze_away_share", "gaze_aversions_a_minute"),
    *("gaze_away_s", "nods_a_minute", "nod_degrees", "nod_hz", "pitch_nod_band_degrees"),
    *("yaw_std_degrees", "pitch_std_degrees", "roll_std_degrees", "head_speed_mean"),
    *("head_speed_p95", "still_share", "pitch_jitter_degrees", "smile_mean", "smile_std"),
    *("lip_gap_mean", "lip_gap_p95", "lip_gap_std", "openings_a_minute", "opening_s"),
    *("opening_height", "nods_at_pauses_a_minute", "nods_elsewhere_a_minute"),
    *("nod_after_pause_s", "nod_after_nod_s"),
)
"""Figures that the truth has too; a method's is better the nearer it is to the truth's."""

LARGER_BETTER = (
    *("closure_hits", "lip_correlation", "tlcc_peak", "rdgg"),
    *("fr_corr", "fr_div", "fr_var", "fr_dvs", "sid_clip", "sid_reverse"),
)
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
class FamilyScores:
    """Figures of one kind beside the paper's (:mod:`dimcli.evaluation.measures`).

    ``figures`` by method, the truth among them; ``notes`` say what is falsely rewarded, and why
    figures are missing.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    figures: dict[str, Figures]
    notes: tuple[str, ...]


BINS = 48
_TAIL = 0.002
"""Share of the true frames on each side that may lie beyond the edges; ends count them."""
_MARGIN = 0.2


@dataclass
class Distributions:
    """How each motion coefficient's values spread: histograms of the truth and of every method.

    Frames a bin: ``edges`` [56, BINS + 1]; ``counts`` name to int [56, BINS].
    """

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


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation, and all that is needed to repeat it.

    ``minutes`` of motion in ``clips`` clips; ``samples`` a clip, of ``trainings`` of each method;
    ``resamples`` bootstrap draws of ``unit``, 0 where there are no intervals. Of speakers there are
    no ``distributions``.
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
    distributions: Distributions | None = None
    families: tuple[FamilyScores, ...] = ()
    trainings: int = 1
    folds: int = 0
    """Of a cross-validation; then ``split`` says nothing: all clips are tested."""
    speakers_known: bool = True
    """Whether it is known that nobody is tested whom a method has learnt from."""

    @property
    def tested(self) -> str:
        """Which clips these are, for headings."""
        tested = f"cross-validated in {self.folds} folds" if self.folds else f"{self.split} split"
        return tested if self.speakers_known else f"{tested}, speakers not named"

    def as_dict(self) -> dict[str, Any]:
        """All but the distributions, as JSON can hold it."""
        left_out = ("distributions", "families")
        plain = {key: value for key, value in vars(self).items() if key not in left_out}
        if self.families:
            plain["families"] = [_without_nan(asdict(family)) for family in self.families]
        truth = {
            part: {name: asdict(figure) for name, figure in figures.items()}
            for part, figures in self.truth.items()
        }
        return plain | {"truth": truth, "methods": [asdict(method) for method in self.methods]}


def _without_nan(content: Any) -> Any:
    """What JSON can hold: None for figures that could not be computed."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
