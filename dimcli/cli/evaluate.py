"""``dim eval``: methods against the truth."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import Device, DeviceOption, ForceOption, JsonOption, Role, SeedOption


class Dataset(StrEnum):
    """Corpora with published numbers, and ours."""

    vico = "vico"
    lm_listener = "lm_listener"
    candor = "candor"
    biwi = "biwi"
    vocaset = "vocaset"
    synthetic = "synthetic"


class PaperTable(StrEnum):
    """The paper's tables of listeners, and its supplement's."""

    one = "1"
    two = "2"
    three = "3"
    supplement = "supplement"


class Protocol(StrEnum):
    """How predictions become figures."""

    paper = "paper"
    official = "official"


class Split(StrEnum):
    """Which clips."""

    train = "train"
    val = "val"
    test = "test"


class Unit(StrEnum):
    """What a bootstrap draws."""

    clip = "clip"
    conversation = "conversation"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("eval")(evaluate)


def evaluate(
    dataset: Annotated[
        Dataset | None, typer.Option(help="The corpus that --data must be of.")
    ] = None,
    task: Annotated[
        Role | None,
        typer.Option(help="Whom methods generate. Default: listener; biwi, vocaset: speaker."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Data set folder. For synthetic: by default a small held-out one."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Run directory or bundled name, or LABEL=RUN. Repeatable."),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Method that needs no training. Repeatable.")
    ] = None,
    table: Annotated[
        PaperTable | None,
        typer.Option(help="A table of the paper: trains what is missing, into the folder -o."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="With --table: paper, official, small, table or tiny.")
    ] = "small",
    pretrain_data: Annotated[
        Path | None,
        typer.Option(help="With --table: data set to pre-train on. Default: --data."),
    ] = None,
    conversations: Annotated[
        int,
        typer.Option(min=0, help="With --table: conversations to fine-tune on. 0: all."),
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --table: a setting of every training. Repeatable."),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Let --weights answer as streams: no look ahead.")
    ] = False,
    split: Annotated[Split, typer.Option(help="Which clips.")] = Split.test,
    protocol: Annotated[
        Protocol,
        typer.Option(help="paper: one prediction a clip. official: as the released code does."),
    ] = Protocol.paper,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples a clip. Default: 1; official: 10.")
    ] = None,
    seed: SeedOption = 0,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Draws behind the intervals. 0: no intervals.")
    ] = 1000,
    bootstrap_unit: Annotated[Unit, typer.Option(help="What is drawn.")] = Unit.clip,
    reference: Annotated[
        str | None, typer.Option(help="Method that differences are taken to. Default: the first.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for all files: JSON, CSV, LaTeX, report."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="CSV file to write.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="LaTeX table to write.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="HTML report to write.")] = None,
    clips: Annotated[
        int, typer.Option(min=0, max=20, help="Clips that the report shows in full.")
    ] = 2,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score methods on a data set, with intervals, tables and a report."""
    if table is not None:
        from dimcli.cli.paper_table import make_table
        from dimcli.core.errors import InputError
        from dimcli.jobs.table_training import TableOptions

        if dataset is None or output is None:
            raise InputError("--table: needs --dataset and a folder, -o FOLDER")
        if task is Role.speaker:
            raise InputError("--table: makes tables of listeners; leave out --task speaker")
        if weights or baseline or protocol is not Protocol.paper:
            raise InputError(
                "--table: has methods and a protocol of its own; leave out --weights, --baseline "
                "and --protocol"
            )
        make_table(
            TableOptions(
                table=table.value,
                dataset=dataset.value,
                output=output,
                data=data,
                pretrain_data=pretrain_data,
                preset=preset,
                conversations=conversations,
                split=split.value,
                samples=samples or 1,
                seed=seed,
                bootstrap=bootstrap,
                unit=bootstrap_unit.value,
                device=device.value,
                clips=clips,
                command=" ".join(["dim", *sys.argv[1:]]),
            ),
            settings,
            as_json=as_json,
        )
        return
    from dimcli.cli.score_tables import print_table
    from dimcli.evaluation.files import EvaluationFiles
    from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation

    files = EvaluationFiles(csv=csv, latex=latex, report=report).in_folder(output)
    options = EvaluationOptions(
        dataset=dataset.value if dataset else None,
        task=_task(task, dataset),
        data=data,
        weights=weights or (),
        baselines=baseline or (),
        split=split.value,
        protocol=protocol.value,
        samples=samples,
        seed=seed,
        bootstrap=bootstrap,
        unit=bootstrap_unit.value,
        reference=reference,
        clips=clips,
        online=online,
        device=device.value,
        command=" ".join(["dim", *sys.argv[1:]]),
        files=files,
        force=force,
    )
    with console.progress_display() as progress:
        result = run_evaluation(options, progress)
    if as_json:
        console.print_json(result.evaluation.as_dict())
    else:
        for found_table in result.tables:
            print_table(found_table)
    ended = ", ".join(map(str, result.written)) or "nothing (name files with -o)"
    found = result.evaluation
    console.say(f"evaluated {len(found.methods)} methods on {found.clips} clips; wrote {ended}")


def _task(task: Role | None, dataset: Dataset | None) -> str:
    if task is not None:
        return task.value
    alone = dataset in (Dataset.biwi, Dataset.vocaset)
    return Role.speaker.value if alone else Role.listener.value
