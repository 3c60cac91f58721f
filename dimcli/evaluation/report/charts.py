"""Charts of a report as small inline SVG and HTML.

Drawn here rather than by matplotlib: lines take the page's colours in light and in dark, stretch
with the window while letters keep their size, and a report of a hundred plots stays small. SVG
holds shapes only, stretched to their box; all text is HTML around it.

What belongs to a method has ``data-m`` with its index; the page shows one method at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import ARKIT_EXPRESSIONS, HEAD, MOTION_DIM, NUM_POSE, Motion
from dimcli.evaluation.distributions import Distributions
from dimcli.evaluation.report.clips import Events, ShownClip, Spans, events
from dimcli.evaluation.score_table import PUBLISHED, ScoreTable
from dimcli.evaluation.scores import TRUTH, TRUTH_FIGURES, Figure

Array = NDArray[np.floating[Any]]

WIDTH, HEIGHT = 1000, 100
POSE_NAMES = ("head pitch", "head yaw", "head roll", "jaw x", "jaw y", "jaw z")
_FIRST_EXPRESSIONS = 12
_LOG_RATIO = 15
"""Values further apart than this are shown on a logarithmic axis."""


def coefficient_name(column: int, space: str) -> str:
    """What a column of motion is called."""
    if column < NUM_POSE:
        return POSE_NAMES[column]
    if space == "arkit":
        return ARKIT_EXPRESSIONS[column - NUM_POSE]
    return f"expression {column - NUM_POSE + 1}"


def interval_charts(table: ScoreTable) -> str:
    """A card a figure and part: every row's value as a dot on its interval."""
    groups = []
    for part in table.parts:
        cards = [
            _interval_card(table, part, name)
            for name in table.columns
            if any(row.figure(part, name) for row in table.rows)
        ]
        groups.append(
            f'<h3>{escape(part.capitalize())}</h3><div class="cards">{"".join(cards)}</div>'
        )
    return "".join(groups)


def _interval_card(table: ScoreTable, part: str, name: str) -> str:
    rows = [
        (index, row, figure)
        for index, row in enumerate(table.rows)
        if row.kind != PUBLISHED and (figure := row.figure(part, name)) is not None
    ]
    axis = _Axis.of([figure for _, _, figure in rows])
    scale = table.scale(part, name)
    lines = []
    for index, row, figure in rows:
        bar = ""
        if figure.low is not None and figure.high is not None:
            start, end = axis.at(figure.low), axis.at(figure.high)
            bar = f'<i class="bar" style="left:{start:.2f}%;width:{end - start:.2f}%"></i>'
        best = " best" if row.name == table.best(part, name) else ""
        lines.append(
            f'<div class="row {row.kind}{best}" data-row="{index}">'
            f'<span class="who">{escape(row.name)}</span><span class="track">{bar}'
            f'<i class="dot" style="left:{axis.at(figure.value):.2f}%"></i></span>'
            f'<span class="num">{scale.number(figure.value)}</span></div>'
        )
    goal = "nearer to the truth is better" if name in TRUTH_FIGURES else "smaller is better"
    goal += ", log scale" if axis.logarithmic else ""
    return (
        f'<figure class="card dots"><figcaption><b>{escape(table.heading(part, name))}</b>'
        f"<small>{goal}</small></figcaption>{''.join(lines)}</figure>"
    )


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


def density_charts(distributions: Distributions, methods: Sequence[str], space: str) -> str:
    """A small chart a coefficient: the truth's histogram filled, a method's as a line."""
    spread = _spread(distributions)
    expressions = sorted(range(NUM_POSE, MOTION_DIM), key=lambda column: -spread[column])

    def charts(columns: Sequence[int]) -> str:
        drawn = [_density(distributions, methods, column, space) for column in columns]
        return f'<div class="densities">{"".join(drawn)}</div>'

    first, rest = expressions[:_FIRST_EXPRESSIONS], expressions[_FIRST_EXPRESSIONS:]
    return (
        f"<h3>Pose</h3>{charts(range(NUM_POSE))}"
        f"<h3>Expression: the {_FIRST_EXPRESSIONS} that the true listeners move most</h3>"
        f"{charts(first)}<details><summary>The other {len(rest)}</summary>{charts(rest)}</details>"
    )


def _spread(distributions: Distributions) -> Array:
    """Standard deviation of each coefficient of the truth, from its histogram: [56]."""
    share = distributions.density(TRUTH)
    middles = (distributions.edges[:, 1:] + distributions.edges[:, :-1]) / 2
    mean = (share * middles).sum(axis=1, keepdims=True)
    return np.sqrt((share * (middles - mean) ** 2).sum(axis=1))


def _density(distributions: Distributions, methods: Sequence[str], column: int, space: str) -> str:
    edges = distributions.edges[column]
    unit, factor = ("°", 180 / math.pi) if column in range(NUM_POSE) else ("", 1.0)
    truth = distributions.density(TRUTH)[column]
    top = 1.15 * truth.max()
    shapes = [f'<path class="truth" d="{_steps(truth, top)}V{HEIGHT}H0Z"/>']
    overlaps = []
    for index, method in enumerate(methods):
        share = distributions.density(method)[column]
        shapes.append(f'<path class="method" data-m="{index}" d="{_steps(share, top)}"/>')
        overlap = 100 * np.minimum(share, truth).sum()
        overlaps.append(f'<small data-m="{index}">{overlap:.0f} %</small>')
    low, high = (f"{edge * factor:.2g}{unit}" for edge in (edges[0], edges[-1]))
    name = escape(coefficient_name(column, space))
    return (
        f'<figure class="density"><figcaption><span>{name}</span>'
        f"{''.join(overlaps)}</figcaption>{_svg(''.join(shapes))}"
        f'<div class="ends"><span>{low}</span><span>{high}</span></div></figure>'
    )


def _steps(share: Array, top: float) -> str:
    """An outline of a histogram; what rises over ``top`` is cut there."""
    heights = np.clip(np.round(HEIGHT * (1 - share / top)), 0, HEIGHT).astype(int)
    edges = np.round(np.linspace(0, WIDTH, len(share) + 1)).astype(int)
    return f"M0 {HEIGHT}" + "".join(
        f"V{height}H{edge}" for height, edge in zip(heights, edges[1:], strict=True)
    )


def clip_charts(clip: ShownClip) -> str:
    """Timelines of the head's angles and a raster of events, over one time axis."""
    methods = list(clip.predictions)
    panels = [_timeline(clip, methods, axis) for axis in range(HEAD.start, HEAD.stop)]
    found = {name: events(motion) for name, motion in clip.predictions.items()}
    raster = _raster(clip, events(clip.truth), found)
    ticks = "".join(
        f'<span style="left:{100 * second / clip.seconds:.2f}%">{second} s</span>'
        for second in range(0, int(clip.seconds) + 1, 2)
    )
    return (
        f'<div class="timeline" data-seconds="{clip.seconds:.3f}">{"".join(panels)}{raster}'
        f'<div class="lane axis"><span class="who"></span><div class="ticks">{ticks}</div></div>'
        f'<div class="overlay"><i class="cursor"></i></div></div>'
    )


def _timeline(clip: ShownClip, methods: Sequence[str], axis: int) -> str:
    def degrees(motion: Motion) -> Array:
        return np.degrees(motion.values[:, axis].astype(float))

    tracks = [degrees(one) for one in (clip.speaker, clip.truth, *clip.predictions.values())]
    low, high = min(t.min() for t in tracks), max(t.max() for t in tracks)
    margin = 0.06 * (high - low) + 0.1
    low, high = low - margin, high + margin
    lines = [_line("speaker", tracks[0], low, high), _line("truth", tracks[1], low, high)]
    for index, track in enumerate(tracks[2 : 2 + len(methods)]):
        lines.append(_line("method", track, low, high, f' data-m="{index}"'))
    return (
        f'<div class="lane plot"><span class="who">{POSE_NAMES[axis]}'
        f"<small>{high:.0f}°</small><small>{low:.0f}°</small></span>{_svg(''.join(lines))}</div>"
    )


def _line(kind: str, track: Array, low: float, high: float, extra: str = "") -> str:
    across = np.round(np.linspace(0, WIDTH, len(track)), 1)
    down = np.round(HEIGHT * (high - track) / (high - low), 1)
    points = " ".join(f"{a:g} {d:g}" for a, d in zip(across, down, strict=True))
    return f'<path class="{kind}"{extra} d="M{points}"/>'


def _raster(clip: ShownClip, truth: Events, found: dict[str, Events]) -> str:
    lanes = []
    if clip.speech is not None:
        lanes.append(_lane("speaker talks", "speaker", clip, clip.speech))
    for what in ("nods", "blinks"):
        true = getattr(truth, what)
        if true is None:
            continue
        lanes.append(_lane(f"{what}, truth", "truth", clip, true))
        for index, (name, one) in enumerate(found.items()):
            lanes.append(_lane(f"{what}, {name}", "method", clip, getattr(one, what), index))
    return "".join(lanes)


def _lane(label: str, kind: str, clip: ShownClip, spans: Spans, method: int | None = None) -> str:
    marks = "".join(
        f'<rect class="{kind}" x="{WIDTH * max(start, 0) / clip.seconds:.1f}" y="0" '
        f'width="{WIDTH * (end - max(start, 0)) / clip.seconds:.1f}" height="{HEIGHT}"/>'
        for start, end in spans
    )
    of = "" if method is None else f' data-m="{method}"'
    return (
        f'<div class="lane raster"{of}><span class="who">{escape(label)}'
        f"<small>{len(spans)}</small></span>{_svg(marks)}</div>"
    )


def _svg(shapes: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f"{shapes}</svg>"
    )
