"""HTML reports of evaluations: one file, no network, plots and videos inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from dimcli._version import __version__
from dimcli.core.files import atomic_output
from dimcli.evaluation.report.charts import clip_charts, density_charts, interval_charts
from dimcli.evaluation.report.clips import SHOWN_S, ShownClip
from dimcli.evaluation.report.page import Section, page
from dimcli.evaluation.report.tables import table_html
from dimcli.evaluation.report.words import DEFINITIONS, protocol_words, warnings
from dimcli.evaluation.score_table import OTHER_FIGURES, ScoreTable, difference_table, score_table
from dimcli.evaluation.scores import Evaluation


def write_report(path: Path, html: str, *, force: bool) -> None:
    """Write a page, whole or not at all."""
    with atomic_output(path, force=force) as temporary:
        temporary.write_text(html, encoding="utf-8")


def evaluation_report(
    evaluation: Evaluation,
    scores: ScoreTable,
    clips: Sequence[ShownClip],
    *,
    weights: Mapping[str, str],
    command: str = "",
    published: ScoreTable | None = None,
) -> str:
    """The page of one evaluation. ``weights`` says of each method what it is and where from;
    ``published`` are somebody's numbers to show below."""
    methods = [method.name for method in evaluation.methods]
    sections = [
        Section("glance", "At a glance", _glance(scores)),
        Section("scores", "Scores", table_html(scores)),
    ]
    differences = difference_table(evaluation, scores)
    if differences:
        sections.append(Section("differences", differences.title, table_html(differences)))
    if published is not None:
        sections.append(Section("published", published.title, table_html(published)))
    if evaluation.protocol == "paper":
        other = score_table(evaluation, title="Other definitions", columns=OTHER_FIGURES)
        words = "<p>The same words, defined otherwise; see below.</p>"
        sections.append(Section("other", other.title, words + table_html(other)))
    spread = (
        "<p>Values of each coefficient over all frames of all clips: filled, the true listeners; "
        "line, the method chosen above. The share is how much of the two overlaps.</p>"
    )
    densities = density_charts(evaluation.distributions, methods, evaluation.space)
    sections.append(Section("distributions", "Distributions", spread + densities))
    if clips:
        sections.append(Section("clips", "Clips", clips_html(clips, evaluation)))
    sections.append(
        Section("method", "How this was measured", _measured(evaluation, weights, command))
    )
    title = f"Listeners on {evaluation.dataset}"
    lead = (
        f"<b>{len(methods)} methods</b> on the {escape(evaluation.split)} split: "
        f"<b>{evaluation.clips} clips</b> of {evaluation.conversations} conversations, "
        f"{evaluation.minutes:.1f} minutes of listening. "
    )
    if evaluation.protocol == "official":
        lead += (
            f"<b>Official protocol: the best of {evaluation.samples} draws, chosen by the truth. "
            "Not comparable with one prediction a clip.</b>"
        )
    else:
        lead += f"Protocol of the paper, {evaluation.samples} " + (
            "sample a clip." if evaluation.samples == 1 else "samples a clip."
        )
    return page(title, lead, sections, methods)


def _glance(scores: ScoreTable) -> str:
    return (
        "<p>Every figure on its interval. Bold is best; what is chosen above stands out.</p>"
        + interval_charts(scores)
    )


def clips_html(clips: Sequence[ShownClip], evaluation: Evaluation) -> str:
    """Each clip's videos, timelines and events."""
    intro = (
        f"<p>The first {SHOWN_S:.0f} seconds of clips taken at even distances through the split, "
        "not by any result; a method's answer is its first draw. Timelines: "
        '<b class="key truth"></b>truth <b class="key method"></b>method '
        '<b class="key speaker"></b>speaker.</p>'
    )
    remarks = []
    if not any(clip.films for clip in clips):
        remarks.append(
            f"There are no videos: no head is at hand that shows {evaluation.space} motion."
        )
    if evaluation.space != "arkit":
        remarks.append("Blinks are not marked: this motion space has no eyelids.")
    notes = "".join(f"<p><small>{escape(remark)}</small></p>" for remark in remarks)
    return intro + notes + "".join(map(_clip, clips))


def _clip(clip: ShownClip) -> str:
    attitude = "" if clip.attitude == "unknown" else f"<small>asked to be {clip.attitude}</small>"
    films = "".join(
        f'<div class="film" data-m="{index}"><div class="labels"><span>truth</span>'
        f'<span class="method">{escape(name)}</span><span class="speaker">speaker</span></div>'
        f'<video controls loop muted playsinline preload="metadata" '
        f'poster="{_data("image/jpeg", clip.films[name].poster)}" '
        f'src="{_data("video/mp4", clip.films[name].mp4)}"></video></div>'
        for index, name in enumerate(clip.predictions)
        if name in clip.films
    )
    return (
        f'<article class="clip"><h3>{escape(clip.id)}{attitude}</h3>{films}{clip_charts(clip)}'
        "</article>"
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _measured(evaluation: Evaluation, weights: Mapping[str, str], command: str) -> str:
    words = "".join(f"<p>{escape(one)}</p>" for one in protocol_words(evaluation))
    cautions = "".join(
        re.sub(r"`(.+?)`", r"<code>\1</code>", f"<li>{escape(one)}</li>")
        for one in warnings(evaluation)
    )
    made_by = ", ".join(f"{key} {value}" for key, value in evaluation.made_by.items())
    facts = {
        "data": f"{evaluation.dataset}, {evaluation.split} split ({made_by})",
        "rate and space": f"{evaluation.fps:g} frames a second, {evaluation.space}",
        "seeds": f"{evaluation.seed} to {evaluation.seed + evaluation.samples - 1}, one a sample"
        if evaluation.samples > 1
        else str(evaluation.seed),
        **{f"method {name}": what for name, what in weights.items()},
        "dim": __version__,
        "command": command,
    }
    listed = "".join(
        f"<dt>{escape(key)}</dt><dd><code>{escape(value)}</code></dd>"
        for key, value in facts.items()
        if value
    )
    meanings = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>"
        for name, meaning in DEFINITIONS.items()
        if name != "STS" or evaluation.protocol == "official"
    )
    return (
        f'{words}<div class="warn"><b>What these figures cannot be compared with</b>'
        f"<ul>{cautions}</ul></div><h3>Facts</h3><dl>{listed}</dl>"
        f"<h3>Figures</h3><dl>{meanings}</dl>"
    )
