"""``dim study``: a rating study of videos, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    AudioTrackOption,
    ForceFaceOption,
    ForceOption,
    JsonOption,
    SeedOption,
)

if TYPE_CHECKING:
    from dimcli.jobs.study import StudyScored

group = typer.Typer(
    help="Rating studies: a page for participants; its figures.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.command("make")
def make(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER...",
            help="A method each: a folder of videos, or a run or bundled weights, which answer "
            "the speakers' videos; also NAME=FOLDER. Files of one name go together.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    speaker: Annotated[
        Path | None,
        typer.Option(help="Folder of the speakers' videos, shown beside each listener."),
    ] = None,
    ref: Annotated[
        Path | None, typer.Option(help="Picture of the listener, where methods are runs.")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Ask which of two is better, not for scores.")
    ] = False,
    checks: Annotated[int, typer.Option(min=0, max=10, help="Attention checks.")] = 2,
    title: Annotated[
        str, typer.Option(help="Heading of the page.")
    ] = "How do these listeners listen?",
    audio_track: AudioTrackOption = None,
    consent: Annotated[
        Path | None, typer.Option(help="Text file of what participants agree to.")
    ] = None,
    post: Annotated[
        str | None, typer.Option(help="Address (http, https) that the page sends results to.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="Completion code that the page shows at the end.")
    ] = None,
    seed: SeedOption = 0,
    force_face: ForceFaceOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a page on which participants rate the videos of several methods, blind."""
    from dimcli.jobs.study import PAGE, PUBLIC, StudyOptions, make_study
    from dimcli.media import audio_track as audio_track_of

    options = StudyOptions(
        methods,
        output,
        speaker,
        pairs,
        checks,
        seed,
        title,
        consent,
        post,
        code,
        force,
        ref,
        force_face,
    )
    with audio_track_of(audio_track), console.progress_display() as progress:
        made = make_study(options, progress)
    for remark in made.remarks:
        console.say(f"note: {remark}")
    study = made.study
    console.say(
        f"wrote {made.folder}: {len(study.questions)} questions on {len(study.stimuli)} videos of "
        f"{len(study.methods)} methods; hand out {made.folder / PUBLIC / PAGE} and its folder, "
        "keep the rest"
    )
    if as_json:
        facts = {"id": study.id, "questions": len(study.questions), "methods": study.methods}
        console.print_json(
            {"folder": str(made.folder), **facts, "stimuli": study.stimuli, "remarks": made.remarks}
        )


@group.command("score")
def score(
    study: Annotated[Path, typer.Argument(help="Folder of dim study make.")],
    results: Annotated[list[Path], typer.Argument(help="Results files, or folders of them.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for all files: JSON, CSV, LaTeX, answers."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="CSV file to write.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="LaTeX table to write.")] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=10_000, help="Draws behind the intervals. 0: no intervals.")
    ] = 2000,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Test differences by a model.")
    ] = True,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make figures of participants' results: a table, differences between methods, agreement."""
    from dimcli.jobs.study import score_results

    scored = score_results(
        study,
        results,
        output=output,
        csv=csv,
        latex=latex,
        bootstrap=bootstrap,
        seed=seed,
        model=model,
        force=force,
    )
    _show(scored, as_json=as_json)


def _show(scored: StudyScored, *, as_json: bool) -> None:
    from dimcli.cli.tables import show_scores

    scores = scored.scores
    if as_json:
        console.print_json(scores.as_dict())
    else:
        for table in filter(None, (scores.table, scores.difference_table)):
            show_scores(table)
    for one in scores.excluded:
        console.say(f"excluded {one.path}: {one.reason}")
    written = ", ".join(map(str, scored.written)) or "nothing (name files with -o)"
    console.say(f"scored {scores.participants} participants; wrote {written}")
