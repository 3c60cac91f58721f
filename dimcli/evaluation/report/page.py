"""HTML pages: reports of evaluations (one file, no network, plots and videos inside), and studies.

Readable on a desk and on a phone, in light and in dark; how it looks and what it says is in
``templates``. Whatever belongs to one of several methods carries its index as ``data-m``; a switch
at the top shows one at a time, the first without scripts. A chart's row of a method carries
``data-row``, and is marked while it is shown.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from dimcli._version import __version__
from dimcli.evaluation.metrics import CLUSTERS, MAX_FRAMES
from dimcli.evaluation.official import DRAWS
from dimcli.evaluation.report.charts import (
    HEIGHT,
    WIDTH,
    clip_chart,
    density_charts,
    interval_chart,
)
from dimcli.evaluation.report.clips import SHOWN_S, ShownClip
from dimcli.evaluation.score_table import (
    OTHER_FIGURES,
    ScoreTable,
    difference_table,
    family_tables,
    score_table,
)
from dimcli.evaluation.scores import Evaluation
from dimcli.evaluation.study import CRITERIA, HIGHEST, RESULTS_FORMAT, VERSION, Study, sessions


def evaluation_report(
    evaluation: Evaluation,
    scores: ScoreTable,
    clips: Sequence[ShownClip] = (),
    *,
    weights: Mapping[str, str],
    command: str = "",
    published: ScoreTable | None = None,
) -> str:
    """The page of one evaluation. ``weights`` says of each method what it is and where from;
    ``published`` are numbers from elsewhere to show below."""
    methods = [method.name for method in evaluation.methods]
    other = densities = None
    if evaluation.protocol == "paper":
        other = score_table(evaluation, title="Other definitions", columns=OTHER_FIGURES)
    if evaluation.distributions is not None:
        densities = density_charts(evaluation.distributions, methods, evaluation.space)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            evaluation=evaluation,
            methods=methods,
            scores=scores,
            differences=difference_table(evaluation, scores),
            published=published,
            other=other,
            families=family_tables(evaluation),
            densities=densities,
            clips=clips,
            facts=_facts(evaluation, weights, command),
        )
    )
    return page.strip() + "\n"


def study_page(
    study: Study,
    *,
    consent: Sequence[str],
    minutes: int,
    beside: bool,
    post: str | None,
    code: str | None,
) -> str:
    """The page that a study's participants open, with ``videos`` beside it; it names no method.

    ``consent`` are paragraphs in place of the built-in ones; ``beside``: each video shows the
    speaker, too; ``post`` and ``code`` as :class:`dimcli.jobs.study.StudyOptions` has them.
    """
    data = {
        "id": study.id,
        "mode": study.mode,
        "criteria": [vars(one) for one in CRITERIA],
        "highest": HIGHEST,
        "checks": study.checks,
        "sessions": sessions(study),
        "results": {"format": RESULTS_FORMAT, "version": VERSION},
        "post": post,
    }
    page = (
        _environment()
        .get_template("study.html")
        .render(
            study=study,
            data=data,
            criteria=CRITERIA,
            highest=HIGHEST,
            consent=consent,
            minutes=minutes,
            beside=beside,
            code=code,
        )
    )
    return page.strip() + "\n"


def _facts(evaluation: Evaluation, weights: Mapping[str, str], command: str) -> dict[str, str]:
    made_by = ", ".join(f"{key} {value}" for key, value in evaluation.made_by.items())
    seeds = {"seed" if evaluation.protocol == "speaker" else "seeds": str(evaluation.seed)}
    samples = evaluation.samples // evaluation.trainings
    if evaluation.protocol != "speaker" and samples > 1:
        last = evaluation.seed + samples - 1
        seeds = {"seeds": f"{evaluation.seed} to {last}, one a sample"}
    if evaluation.trainings > 1:
        last = evaluation.seed + evaluation.trainings - 1
        seeds |= {"trainings": f"seeds {evaluation.seed} to {last}; samples from there on, each"}
    return {
        "data": f"{evaluation.dataset}, {evaluation.tested} ({made_by})",
        "rate and space": f"{evaluation.fps:g} frames a second, {evaluation.space}",
        **seeds,
        **{f"method {name}": what for name, what in weights.items()},
        "dim": __version__,
        "command": command,
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        extensions=["jinja2.ext.do"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    environment.filters["heading"] = lambda text: text[:1].upper() + text[1:]
    environment.globals |= {
        **{"width": WIDTH, "height": HEIGHT, "clusters": CLUSTERS, "most_frames": MAX_FRAMES},
        **{"official_draws": DRAWS, "shown_s": SHOWN_S},
        **{"interval_chart": interval_chart, "clip_chart": clip_chart},
    }
    return environment


def _data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
