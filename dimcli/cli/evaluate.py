"""``dim eval``: methods against the truth; ``dim table``: a whole table of the paper;
``dim measure``: how faces in videos behave."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from dimcli.cli import console
from dimcli.cli.options import (
    AudioTrackOption,
    DeviceOption,
    EngineOption,
    Job,
    JsonOption,
    ReactingOption,
    Role,
    SchedulerOption,
    SeedOption,
    WorkersOption,
    check_there,
    job,
)
from dimcli.cli.resuming import resumable
from dimcli.cli.train_options import PresetOption, SetOption, check_preset, overrides
from dimcli.core.errors import InputError
from dimcli.data.corpora import Dataset

if TYPE_CHECKING:
    from dimcli.jobs.evaluate import EvaluationResult
    from dimcli.jobs.measure import Measured

PaperTable = Literal["1", "2", "3", "4", "supplement", "dualtalk", "si184"]
Protocol = Literal["paper", "official"]
Split = Literal["train", "val", "test"]
Unit = Literal["clip", "conversation"]

SplitOption = Annotated[Split, typer.Option(help="Which clips.")]
BootstrapOption = Annotated[
    int, typer.Option(min=0, help="Draws behind the intervals. 0: no intervals.")
]
UnitOption = Annotated[Unit, typer.Option("--bootstrap-unit", help="What is drawn.")]
ClipsOption = Annotated[
    int, typer.Option(min=0, max=20, help="Clips that the report shows in full.")
]


class Eval(TyperCommand):
    """``dim eval``, which tells people who learnt ``--table`` where it went."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The command line in words, without the old flag. Raises InputError."""
        if any(word.split("=")[0] == "--table" for word in args):
            raise InputError(
                "--table: tables of the paper have a command of their own: "
                "dim table 1|2|3|4|supplement --dataset DATASET -o FOLDER"
            )
        return super().parse_args(ctx, args)


def _show(result: EvaluationResult, *, as_json: bool) -> dict[str, Any]:
    """Print the tables, unless it is to be JSON, and say where the files are; all figures."""
    from dimcli.cli.tables import show_scores

    evaluation = result.evaluation
    if not as_json:
        for each in result.tables:
            show_scores(each)
    for line in result.gains:
        console.say(line)
    nothing = "" if result.written else "; wrote nothing (name files with -o)"
    console.say(f"evaluated {len(evaluation.methods)} methods on {evaluation.clips} clips{nothing}")
    for path in result.written:
        console.say(f"wrote {path}")
    return evaluation.as_dict() | {"gains": list(result.gains)}


@job(_show)
def evaluate(
    *,
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
    reacting: ReactingOption = False,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Run directory or bundled name, or LABEL=RUN. Repeatable."),
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option("--baseline", help="Method that needs no training. Repeatable."),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Let --weights answer as streams: no look ahead.")
    ] = False,
    folds: Annotated[
        bool, typer.Option("--folds", help="Cross-validate runs of dim finetune --folds N.")
    ] = False,
    split: SplitOption = "test",
    protocol: Annotated[
        Protocol,
        typer.Option(help="paper: one prediction a clip. official: as the released code does."),
    ] = "paper",
    measures: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAMILY",
            help="Figures beside the paper's: listening, timing, reaction, dualtalk, unils, "
            "behaviour, all. Repeatable.",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples a clip. Default: 1; official: 10.")
    ] = None,
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 1000,
    unit: UnitOption = "clip",
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
    clips: ClipsOption = 2,
    workers: WorkersOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = None,
) -> Job:
    """Score methods on a data set: tables and a report."""
    from dimcli.data.workers import Engine
    from dimcli.evaluation.writing import EvaluationFiles

    workplace = Engine(workers, engine, scheduler)
    check_there([data], {})
    from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation

    files = EvaluationFiles(csv=csv, latex=latex, report=report).in_folder(output)
    options = EvaluationOptions(
        dataset=dataset,
        task=task or ("speaker" if dataset in ("biwi", "vocaset") else "listener"),
        data=data,
        reacting=reacting,
        weights=weights or (),
        baselines=baselines or (),
        split=split,
        protocol=protocol,
        measures=measures or ("paper",),
        samples=samples,
        seed=seed,
        bootstrap=bootstrap,
        unit=unit,
        reference=reference,
        clips=clips,
        online=online,
        folds=folds,
        engine=workplace,
        command=" ".join(["dim", *sys.argv[1:]]),
        files=files,
    )
    return lambda *, device, force, progress, **_: run_evaluation(
        replace(options, device=device, force=force), progress
    )


def _show_behaviour(result: Measured, *, as_json: bool) -> dict[str, Any]:
    """Print the table, unless it is to be JSON; all figures."""
    from dimcli.cli.tables import show_scores

    if not as_json:
        show_scores(result.table)
    console.say(
        f"measured {sum(result.clips.values())} clips, {sum(result.seconds.values()):.0f} s"
    )
    return result.as_dict()


@job(_show_behaviour)
def measure(
    *,
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Videos, motion files, or folders of them: a row of the table each."),
    ],
    speaker_sound: Annotated[
        bool,
        typer.Option(
            "--speaker-sound",
            help="The videos' sound is that of whom the face listens to, as in what "
            "generate-listener writes: measure its nods at pauses, too.",
        ),
    ] = False,
    audio_track: AudioTrackOption = None,
    bootstrap: BootstrapOption = 1000,
    csv: Annotated[Path | None, typer.Option("--csv", help="CSV file to write.")] = None,
) -> Job:
    """Measure how faces in videos or motion files behave.

    Blinks, nods, gaze, smiles, lips: a row a folder.
    """
    from dimcli.jobs.measure import MeasureOptions, measure_behaviour

    return lambda *, device, force, progress, **_: measure_behaviour(
        MeasureOptions(inputs, speaker_sound, bootstrap, csv=csv, force=force), progress
    )


def table(
    table: Annotated[
        PaperTable, typer.Argument(help="Which table of the paper, or of a benchmark.")
    ],
    dataset: Annotated[Dataset, typer.Option(help="The corpus that --data is of.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of runs, predictions and tables.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Data set folder. For synthetic: by default made in the folder."),
    ] = None,
    reacting: ReactingOption = False,
    preset: PresetOption = "table",
    pretrain_data: Annotated[
        Path | None, typer.Option(help="Data set to pre-train on. Default: --data.")
    ] = None,
    conversations: Annotated[
        int, typer.Option(min=0, help="Conversations to fine-tune on. 0: all.")
    ] = 0,
    trainings: Annotated[
        int, typer.Option(min=1, max=20, help="Train each row so often, with a seed each.")
    ] = 1,
    settings: SetOption = None,
    split: SplitOption = "test",
    samples: Annotated[int, typer.Option(min=1, help="Samples a clip, of each training.")] = 1,
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 1000,
    unit: UnitOption = "clip",
    clips: ClipsOption = 2,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Make a table of the paper.

    Trains what is missing, evaluates, writes the table and prints it.
    """
    check_preset(preset)
    from dimcli.jobs.paper_tables import run_table
    from dimcli.jobs.table_plan import TableOptions

    options = TableOptions(
        table=table,
        dataset=dataset,
        output=output,
        data=data,
        reacting=reacting,
        pretrain_data=pretrain_data,
        preset=preset,
        conversations=conversations,
        trainings=trainings,
        settings=overrides(settings),
        split=split,
        samples=samples,
        seed=seed,
        bootstrap=bootstrap,
        unit=unit,
        device=device,
        clips=clips,
        command=" ".join(["dim", *sys.argv[1:]]),
    )
    trained = "what was trained and predicted"
    with resumable(output, "*.safetensors", trained), console.progress_display() as progress:
        result = run_table(options, progress)
    document = _show(result, as_json=as_json)
    if as_json:
        console.print_json(document)
