"""Tables of scores: what is in one, and how its numbers are written.

One :class:`ScoreTable` feeds the terminal, the HTML report and the files. Rows may be methods that
were evaluated, the truth, or numbers published elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dimcli.evaluation.metrics import PARTS
from dimcli.evaluation.scores import (
    LARGER_BETTER,
    NEAREST_ZERO,
    TRUTH,
    TRUTH_FIGURES,
    Evaluation,
    Figure,
    Figures,
)

TITLES = {
    "fd": "FD",
    "p_fd": "P-FD",
    "mse": "MSE",
    "sid": "SID",
    "var": "Var",
    "rpcc": "rPCC",
    "sid_pooled": "SID pooled",
    "var_pooled": "Var pooled",
    "rpcc_temporal": "rPCC over time",
    "sts": "STS",
    "sid_si184": "SID",
    "rpcc_clip": "rPCC",
    "tlcc_offset": "offset frames",
    "tlcc_peak": "TLCC peak",
    "rdgg": "R-DGG",
    "fr_corr": "FRCorr",
    "fr_dist": "FRDist",
    "fr_div": "FRDiv",
    "fr_var": "FRVar",
    "fr_dvs": "FRDvs",
    "fr_syn": "FRSyn",
    "sid_clip": "SID",
    "sid_reverse": "SID reverse",
    "lve_mm": "LVE mm",
    "mhd_mm": "MHD mm",
    "fdd_mm": "FDD mm",
    "pdd": "PDD rad",
    "jdd": "JDD rad",
    "blinks_a_minute": "blinks/min",
    "blink_width_s": "blink s",
    "gaze_away_share": "gaze away",
    "gaze_aversions_a_minute": "aversions/min",
    "gaze_away_s": "aversion s",
    "nods_a_minute": "nods/min",
    "nod_degrees": "nod deg",
    "nod_hz": "nod Hz",
    "pitch_nod_band_degrees": "0.7-4 Hz deg",
    "yaw_std_degrees": "yaw SD deg",
    "pitch_std_degrees": "pitch SD deg",
    "roll_std_degrees": "roll SD deg",
    "head_speed_mean": "speed deg/s",
    "head_speed_p95": "speed 95 %",
    "still_share": "still",
    "pitch_jitter_degrees": "5-12 Hz deg",
    "smile_mean": "smile",
    "smile_std": "smile SD",
    "lip_gap_mean": "lip gap",
    "lip_gap_p95": "lip gap 95 %",
    "lip_gap_std": "lip gap SD",
    "openings_a_minute": "openings/min",
    "opening_s": "opening s",
    "opening_height": "opening height",
    "nods_at_pauses_a_minute": "at pauses/min",
    "nods_elsewhere_a_minute": "elsewhere/min",
    "nod_after_pause_s": "after pause s",
    "nod_after_nod_s": "after nod s",
    "lve": "LVE",
    "lve_released": "LVE released",
    "fdd": "FDD",
    "fdd_released": "FDD released",
    "closure_hits": "closure hits",
    "lip_correlation": "lip corr.",
    "lip_offset_ms": "offset ms",
    "lip_shift_ms": "shift ms",
}
PAPER_FIGURES = ("fd", "p_fd", "mse", "sid", "var", "rpcc")
"""The columns of the paper's tables."""
OFFICIAL_FIGURES = ("fd", "p_fd", "mse", "sid_pooled", "var_pooled", "rpcc")
"""The same columns as the released code computes them."""
OTHER_FIGURES = ("sid_pooled", "var_pooled", "rpcc_temporal")
"""The same words defined otherwise: over all clips' numbers together, or within each clip."""
SPEAKER_FIGURES = (
    *("lve", "lve_released", "fdd", "fdd_released"),
    *("closure_hits", "lip_correlation", "lip_offset_ms", "lip_shift_ms"),
)
"""The columns of speakers' tables, as far as there are such figures."""
METHOD, BOUND, TRUE, PUBLISHED = "method", "bound", "truth", "published"


@dataclass(frozen=True)
class Row:
    """A line of a table: ``figures`` by part and name, as far as there are any.

    ``kind`` is METHOD (evaluated here), BOUND (evaluated, but knows what no method can know), TRUE
    (the ground truth) or PUBLISHED (numbers from elsewhere).
    """

    name: str
    figures: Figures
    kind: str = METHOD
    note: str = ""

    def figure(self, part: str, name: str) -> Figure | None:
        """One figure, or None where the row has none."""
        return self.figures.get(part, {}).get(name)


@dataclass(frozen=True)
class ScoreTable:
    """Rows against ``columns`` (figure names), for each of ``parts``; ``notes`` go below.

    ``selection`` says how predictions were chosen, where they were: with the truth in hand.
    ``differences_of`` is the table whose methods' paired differences these are: below zero is
    better, and numbers are written as there. ``family`` is the family of measures that they are of.
    ``larger_better`` are columns that are the better the larger they are.
    """

    title: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = PAPER_FIGURES
    parts: tuple[str, ...] = tuple(PARTS)
    notes: tuple[str, ...] = ()
    selection: str = ""
    differences_of: ScoreTable | None = None
    family: str = ""
    larger_better: tuple[str, ...] = LARGER_BETTER

    @property
    def differences(self) -> bool:
        """Whether figures are paired differences."""
        return self.differences_of is not None

    @property
    def shown_parts(self) -> tuple[str, ...]:
        """The parts that any row has a figure of."""
        return tuple(part for part in self.parts if self.names(part))

    def names(self, part: str) -> list[str]:
        """The columns that any row has a figure in, for one part."""
        return [name for name in self.columns if any(row.figure(part, name) for row in self.rows)]

    def scale(self, part: str, name: str) -> Scale:
        """How a column's numbers are written."""
        if self.differences_of is not None:
            return self.differences_of.scale(part, name)
        return Scale.of(
            figure.value for row in self.rows if (figure := row.figure(part, name)) is not None
        )

    def heading(self, part: str, name: str) -> str:
        """A column's title: its direction, and what its numbers are multiplied by."""
        factor = self.scale(part, name).text
        return f"{TITLES.get(name, name)}{self.arrow(name)}" + (f" {factor}" if factor else "")

    @property
    def footnotes(self) -> tuple[str, ...]:
        """``notes``, and how the numbers of a table are to be read of which some are scaled."""
        scales = [self.scale(part, name) for part in self.parts for name in self.names(part)]
        example = next((scale for scale in scales if scale.power), None)
        if example is None or self.differences:
            return self.notes
        stands = f"5 stands for {5 / 10**example.power:.{example.power}f}"
        return (*self.notes, f"{example.text}: numbers of that column are multiplied; {stands}.")

    def arrow(self, name: str) -> str:
        """Which way a column is better: ↓ or ↑, nothing where near something is."""
        if self.differences:
            return ""
        if name in self.larger_better:
            return "↑"
        return "" if name in (*TRUTH_FIGURES, *NEAREST_ZERO) else "↓"

    def best(self, part: str, name: str) -> frozenset[str]:
        """The evaluated methods that are best at a figure: several whose numbers read the same;
        none where all do, where there is nothing to compare, or no interval that says how sure the
        figures are."""
        truth = next((row for row in self.rows if row.kind == TRUE), None)
        target = truth.figure(part, name) if truth and name in TRUTH_FIGURES else None
        if self.differences or (name in TRUTH_FIGURES and target is None):
            return frozenset()
        written = self.scale(part, name).written
        scored = {
            row.name: self._badness(
                name, written(figure.value), written(target.value) if target else None
            )
            for row in self.rows
            if row.kind == METHOD and (figure := row.figure(part, name)) is not None
            if figure.low is not None and math.isfinite(figure.value)
        }
        if len(set(scored.values())) < 2:
            return frozenset()
        least = min(scored.values())
        return frozenset(method for method, badness in scored.items() if badness == least)

    def _badness(self, name: str, value: float, target: float | None) -> float:
        """What is the smaller the better."""
        if target is not None:
            return round(abs(value - target), 9)  # of decimal numbers, so that ties stay ties
        if name in NEAREST_ZERO:
            return abs(value)
        return -value if name in self.larger_better else value


@dataclass(frozen=True)
class Scale:
    """How the numbers of a column are written: times 10^``power``, with ``decimals``."""

    power: int = 0
    decimals: int = 3

    @classmethod
    def of(cls, values: Iterable[float]) -> Scale:
        """Three or four digits of the middle value, and no more than five of the largest."""
        sizes = sorted(abs(value) for value in values if math.isfinite(value) and value)
        if not sizes:
            return cls()
        middle, largest = sizes[(len(sizes) - 1) // 2], sizes[-1]
        power = max(0, 3 * math.ceil((-math.log10(middle) - 1.7) / 3))
        decimals = [
            3 - sum(value * 10**power >= limit for limit in limits)
            for value, limits in ((middle, (1, 100)), (largest, (10, 100, 1000)))
        ]
        return cls(power, min(decimals))

    @property
    def text(self) -> str:
        """For a heading: ``×1000``, or nothing."""
        digits = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
        if self.power > 3:
            return f"×10{str(self.power).translate(digits)}"
        return "×1000" if self.power else ""

    def written(self, value: float) -> float:
        """A number as :meth:`number` writes it."""
        return round(value * 10**self.power, self.decimals) + 0.0

    def number(self, value: float) -> str:
        """One number."""
        if not math.isfinite(value):
            return "–"
        text = f"{value * 10**self.power:.{self.decimals}f}"
        return text.lstrip("-") if not text.strip("-0.") else text

    def value(self, figure: Figure) -> str:
        """A figure, with its standard deviation over samples if it has one."""
        std = figure.std or 0.0
        spread = f" ±{self.number(std)}" if std and math.isfinite(std) else ""
        return self.number(figure.value) + spread

    def interval(self, figure: Figure) -> str:
        """A figure's interval in brackets, or nothing."""
        if figure.low is None or figure.high is None:
            return ""
        return f"[{self.number(figure.low)}, {self.number(figure.high)}]"


def score_table(
    evaluation: Evaluation,
    *,
    title: str | None = None,
    columns: Sequence[str] | None = None,
    parts: Sequence[str] = tuple(PARTS),
    published: Sequence[Row] = (),
    notes: Sequence[str] = (),
) -> ScoreTable:
    """All methods of an evaluation, the truth, and ``published`` rows below.

    ``columns`` default to those of the paper's tables, as the evaluation's protocol has them, or to
    the speakers' figures that there are; ``parts`` are the figures' own.
    """
    columns = columns or _default_columns(evaluation)
    rows = [
        Row(one.name, one.figures, BOUND if one.bound else METHOD, one.note)
        for one in evaluation.methods
    ]
    rows.append(Row(TRUTH, evaluation.truth, TRUE))
    title = title or f"{evaluation.dataset}, {evaluation.tested}, {evaluation.clips} clips"
    selection = ""
    if evaluation.protocol == "official":
        selection = f"best of {evaluation.samples} by the truth"
        title += f", {selection}"
    return ScoreTable(
        title, (*rows, *published), tuple(columns), tuple(parts), tuple(notes), selection
    )


def family_tables(evaluation: Evaluation) -> tuple[ScoreTable, ...]:
    """A table a family, of the same rows as the scores."""
    tables = []
    for family in evaluation.families:
        rows = [
            Row(one.name, family.figures[one.name], BOUND if one.bound else METHOD)
            for one in evaluation.methods
        ]
        if any(family.figures[TRUTH].values()):
            rows.append(Row(TRUTH, family.figures[TRUTH], TRUE))
        title = f"{evaluation.dataset}, {evaluation.tested}, {family.title}"
        parts = dict.fromkeys(part for row in rows for part in row.figures)
        tables.append(
            ScoreTable(
                title,
                tuple(rows),
                family.columns,
                tuple(parts),
                family.notes,
                family=family.name,
            )
        )
    return tuple(tables)


def three_digits(value: float) -> str:
    """A number with three digits that count, unscaled: the same wherever it stands."""
    if not (math.isfinite(value) and value):
        return "0" if value == 0 else "–"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def gain(evaluation: Evaluation, name: str, base: str) -> str:
    """Whether the listener ``name`` is nearer to the true listener than ``base`` is, in words: by
    the Fréchet distance of its motion to the truth's, as far as the clips can tell."""
    by_name = {one.name: one.figures for one in evaluation.methods}
    nearer, texts, equal = [], [], True
    for part in evaluation.truth:
        ours, theirs = (by_name[each][part]["fd"].value for each in (name, base))
        texts.append(f"{part} {three_digits(ours)}, not {three_digits(theirs)}")
        if ours < theirs:
            nearer.append(part)
        equal &= ours == theirs
    alone = evaluation.clips == 1
    judged = "1 clip, which is too few to tell" if alone else f"{evaluation.clips} clips"
    figures = f"FD on {judged}: {'; '.join(texts)}"
    if equal:
        return (
            f"No gain: {name} answers exactly as {base}, from which its training has not moved; "
            "train longer (--resume)."
        )
    if not nearer:
        return f"No gain: {name} is no nearer to the true listener than {base} ({figures})."
    only = "" if len(nearer) == len(texts) else f" in {nearer[0]} only"
    return f"{name} is nearer to the true listener than {base}{only} ({figures})."


def _default_columns(evaluation: Evaluation) -> tuple[str, ...]:
    if evaluation.protocol != "speaker":
        return OFFICIAL_FIGURES if evaluation.protocol == "official" else PAPER_FIGURES
    parts = [part for method in evaluation.methods for part in method.figures.values()]
    return tuple(name for name in SPEAKER_FIGURES if any(name in part for part in parts))


def difference_table(evaluation: Evaluation, scores: ScoreTable) -> ScoreTable | None:
    """Every method's differences to the reference, written as in ``scores``; None without any."""
    rows = [
        Row(one.name, one.differences, BOUND if one.bound else METHOD, one.note)
        for one in evaluation.methods
        if one.differences is not None
    ]
    if not rows:
        return None
    gaps = (
        "or for SID and Var a smaller gap to the ground truth's"
        if set(scores.columns) & set(TRUTH_FIGURES)
        else "or of those that should be large a larger one"
    )
    note = (
        f"Below zero is better than {evaluation.reference}: a smaller figure, {gaps}. "
        "* the interval excludes zero."
    )
    title = f"Differences to {evaluation.reference}"
    return ScoreTable(
        title, tuple(rows), scores.columns, scores.parts, (note,), differences_of=scores
    )
