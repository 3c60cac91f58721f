"""Geometry of a report's charts, for the templates that draw them as small inline SVG and HTML.

Not drawn by matplotlib: lines take the page's colours in light and in dark, stretch with the window
while letters keep their size, and a report of a hundred plots stays small. SVG holds shapes only,
stretched to a box of WIDTH by HEIGHT; all text is HTML around it. Places across are in per cent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import ARKIT_EXPRESSIONS, HEAD, MOTION_DIM, NUM_POSE, Motion
from dimcli.evaluation.report.clips import ShownClip, Spans, events
from dimcli.evaluation.score_table import PUBLISHED, ScoreTable
from dimcli.evaluation.scores import TRUTH, TRUTH_FIGURES, Distributions, Figure

Array = NDArray[np.floating[Any]]
Facts = dict[str, Any]
"""What a template shows, by name."""

WIDTH, HEIGHT = 1000, 100
POSE_NAMES = ("head pitch", "head yaw", "head roll", "jaw x", "jaw y", "jaw z")
_FIRST_EXPRESSIONS = 12
_LOG_RATIO = 15
"""Values further apart than this are shown on a logarithmic axis."""


@dataclass(frozen=True)
class _Axis:
    """From ``low`` to ``high``; logarithmic where values lie far apart."""

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def of(cls, figures: Sequence[Figure]) -> _Axis:
        bounds = [bound for one in figures for bound in (one.value, one.low, one.high)]
        ends = [bound for bound in bounds if bound is not None and math.isfinite(bound)]
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        if low > 0 and high > _LOG_RATIO * low:
            return cls(math.log(low), math.log(high), True)
        low = min(low, 0.0)
        return cls(low, high if high > low else low + 1.0)

    def at(self, value: float) -> float:
        """Where a value lies, in per cent."""
        value = math.log(value) if self.logarithmic else value
        return 100 * (value - self.low) / (self.high - self.low)


def interval_chart(table: ScoreTable, part: str, name: str) -> Facts:
    """One figure of one part: every row's value as a dot on its interval."""
    rows = [
        (index, row, figure)
        for index, row in enumerate(table.rows)
        if row.kind != PUBLISHED and (figure := row.figure(part, name)) is not None
    ]
    axis = _Axis.of([figure for _, _, figure in rows])
    goal = "nearer to the truth is better" if name in TRUTH_FIGURES else "smaller is better"
    dots = []
    for index, row, figure in rows:
        dot = {"index": index, "row": row, "at": f"{axis.at(figure.value):.2f}"}
        dot["best"] = row.name in table.best(part, name)
        dot["number"] = table.scale(part, name).number(figure.value)
        if figure.low is not None and figure.high is not None:
            start, end = axis.at(figure.low), axis.at(figure.high)
            dot |= {"start": f"{start:.2f}", "width": f"{end - start:.2f}"}
        dots.append(dot)
    return {"goal": goal + (", log scale" if axis.logarithmic else ""), "dots": dots}


def density_charts(
    distributions: Distributions, methods: Sequence[str], space: str
) -> dict[str, list[Facts]]:
    """A small chart a coefficient: the truth's histogram filled, a method's as a line.

    ``pose``, the expressions that the truth moves most (``first``), and the ``rest``.
    """
    spread = _spread(distributions)
    expressions = sorted(range(NUM_POSE, MOTION_DIM), key=lambda column: -spread[column])
    groups = {
        "pose": list(range(NUM_POSE)),
        "first": expressions[:_FIRST_EXPRESSIONS],
        "rest": expressions[_FIRST_EXPRESSIONS:],
    }
    return {
        group: [_density(distributions, methods, column, space) for column in columns]
        for group, columns in groups.items()
    }


def _spread(distributions: Distributions) -> Array:
    """Standard deviation of each coefficient of the truth, from its histogram: [56]."""
    share = distributions.density(TRUTH)
    middles = (distributions.edges[:, 1:] + distributions.edges[:, :-1]) / 2
    mean = (share * middles).sum(axis=1, keepdims=True)
    return np.sqrt((share * (middles - mean) ** 2).sum(axis=1))


def _density(
    distributions: Distributions, methods: Sequence[str], column: int, space: str
) -> Facts:
    edges = distributions.edges[column]
    unit, factor = ("°", 180 / math.pi) if column in range(NUM_POSE) else ("", 1.0)
    truth = distributions.density(TRUTH)[column]
    top = 1.15 * truth.max()
    shares = [distributions.density(method)[column] for method in methods]
    return {
        "name": _coefficient_name(column, space),
        "truth": f"{_steps(truth, top)}V{HEIGHT}H0Z",
        "methods": [_steps(share, top) for share in shares],
        "overlaps": [f"{100 * np.minimum(share, truth).sum():.0f}" for share in shares],
        "ends": [f"{edge * factor:.2g}{unit}" for edge in (edges[0], edges[-1])],
    }


def _coefficient_name(column: int, space: str) -> str:
    if column < NUM_POSE:
        return POSE_NAMES[column]
    if space == "arkit":
        return ARKIT_EXPRESSIONS[column - NUM_POSE]
    return f"expression {column - NUM_POSE + 1}"


def _steps(share: Array, top: float) -> str:
    """An outline of a histogram; what rises over ``top`` is cut there."""
    heights = np.clip(np.round(HEIGHT * (1 - share / top)), 0, HEIGHT).astype(int)
    edges = np.round(np.linspace(0, WIDTH, len(share) + 1)).astype(int)
    return f"M0 {HEIGHT}" + "".join(
        f"V{height}H{edge}" for height, edge in zip(heights, edges[1:], strict=True)
    )


def clip_chart(clip: ShownClip) -> Facts:
    """Timelines of the head's angles (``panels``) and a raster of events (``lanes``), over one time
    axis.
    """
    ticks = range(0, int(clip.seconds) + 1, 2)
    return {
        "panels": [_timeline(clip, axis) for axis in range(HEAD.start, HEAD.stop)],
        "lanes": _lanes(clip),
        "ticks": [(f"{100 * second / clip.seconds:.2f}", second) for second in ticks],
    }


def _timeline(clip: ShownClip, axis: int) -> Facts:
    def degrees(motion: Motion) -> Array:
        return np.degrees(motion.values[:, axis].astype(float))

    tracks = [degrees(one) for one in (clip.speaker, clip.truth, *clip.predictions.values())]
    low, high = min(t.min() for t in tracks), max(t.max() for t in tracks)
    margin = 0.06 * (high - low) + 0.1
    low, high = low - margin, high + margin
    speaker, truth, *methods = (_line(track, low, high) for track in tracks)
    return {
        **{"name": POSE_NAMES[axis], "ends": (f"{high:.0f}°", f"{low:.0f}°")},
        **{"speaker": speaker, "truth": truth, "methods": methods},
    }


def _line(track: Array, low: float, high: float) -> str:
    across = np.round(np.linspace(0, WIDTH, len(track)), 1)
    down = np.round(HEIGHT * (high - track) / (high - low), 1)
    return "M" + " ".join(f"{a:g} {d:g}" for a, d in zip(across, down, strict=True))


def _lanes(clip: ShownClip) -> list[Facts]:
    def lane(label: str, kind: str, spans: Spans, method: int | None = None) -> Facts:
        places = [(max(start, 0), end - max(start, 0)) for start, end in spans]
        marks = [[f"{WIDTH * each / clip.seconds:.1f}" for each in place] for place in places]
        return {"label": label, "kind": kind, "marks": marks, "method": method}

    lanes = [] if clip.speech is None else [lane("speaker talks", "speaker", clip.speech)]
    truth = events(clip.truth)
    answers = {name: events(motion) for name, motion in clip.predictions.items()}
    for what in ("nods", "blinks"):
        true = getattr(truth, what)
        if true is None:
            continue
        lanes.append(lane(f"{what}, truth", "truth", true))
        for index, (name, one) in enumerate(answers.items()):
            lanes.append(lane(f"{what}, {name}", "method", getattr(one, what), index))
    return lanes
