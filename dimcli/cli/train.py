"""``dim train-vq``, ``dim pretrain`` and ``dim finetune``: the paper's three stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import Role, RunOption, check_there
from dimcli.cli.resuming import training
from dimcli.cli.train_options import Common, check_preset, overrides, with_common
from dimcli.core.installing import install
from dimcli.models.names import ADAPT

if TYPE_CHECKING:
    from dimcli.core.progress import Progress as Showing
    from dimcli.jobs.finetune import FineTuned
    from dimcli.training.loop import Progress, TrainingResult
    from dimcli.training.stages import StageOptions

DataArgument = Annotated[Path, typer.Argument(help="Data set folder, as dim prepare writes it.")]


@with_common
def train_vq(
    data: DataArgument,
    role: Annotated[Role, typer.Option(help="Whose motion to learn codes for.")],
    output: RunOption,
    *,
    common: Common,
) -> None:
    """Learn one role's motion codes (VQ-VAE)."""

    def stage(options: StageOptions, _: Showing) -> TrainingResult:
        from dimcli.training import stages

        return stages.train_vq(data, output, role, options)

    _train(output, common, stage, [data], {})


@with_common
def pretrain(
    data: DataArgument,
    output: RunOption,
    vq_speaker: Annotated[
        Path | None, typer.Option(help="Run of dim train-vq --role speaker.")
    ] = None,
    vq_listener: Annotated[
        Path | None, typer.Option(help="Run of dim train-vq --role listener.")
    ] = None,
    *,
    common: Common,
) -> None:
    """Model both sides of a dyad by masking and contrast."""

    def stage(options: StageOptions, _: Showing) -> TrainingResult:
        from dimcli.training import stages

        return stages.pretrain(data, output, vq_speaker, vq_listener, options)

    runs = {"--vq-speaker": vq_speaker, "--vq-listener": vq_listener}
    _train(output, common, stage, [data], runs)


@with_common
def finetune(
    data: DataArgument,
    init: Annotated[
        Path,
        typer.Option(
            help="Run of dim pretrain, or of dim train-vq to do without it; with --preset adapt a "
            "trained listener (listener-small, or a run) to go on from."
        ),
    ],
    output: RunOption,
    task: Annotated[Role, typer.Option(help="Whose motion to generate.")] = "listener",
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Also train so many models for cross-validation, 3 or more, each without a share "
            "of the speakers; then dim eval --folds. 0: none.",
        ),
    ] = 0,
    *,
    common: Common,
) -> None:
    """Learn to generate one role from the other."""

    def stage(options: StageOptions, shown: Showing) -> FineTuned:
        from dimcli.jobs import finetune as job

        return job.finetune(data, output, init, task, options, folds, shown)

    _train(output, common, stage, [data], {"--init": init}, ADAPT)


@with_common
def train(
    data: DataArgument,
    method: Annotated[
        str,
        typer.Option(
            help="dim, rlhg, l2l, elp, nearest-audio or nearest-motion; of speakers: faceformer, "
            "codetalker or meshtalk."
        ),
    ],
    output: RunOption,
    task: Annotated[
        Role | None,
        typer.Option(help="Whose motion to generate, for dim. Default: the listener's."),
    ] = None,
    vq_speaker: Annotated[
        Path | None, typer.Option(help="Run of dim train-vq --role speaker, for dim.")
    ] = None,
    vq_listener: Annotated[
        Path | None, typer.Option(help="Run of dim train-vq --role listener, for dim, l2l, elp.")
    ] = None,
    ablation: Annotated[
        str | None,
        typer.Option(
            help="What to leave out of dim: no-vq, no-pretraining, frozen-decoder, no-contrast, "
            "one-branch; or a mode of it: motion-only, audio-only, online, paper-recipe, "
            "autoregressive. Default: none."
        ),
    ] = None,
    pretrained: Annotated[
        Path | None, typer.Option(help="Run of dim pretrain to start from, for dim.")
    ] = None,
    pretrain_data: Annotated[
        Path | None,
        typer.Option(help="Data set for VQ-VAEs and pre-training. Default: the data set."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Run of the same method to go on from, for rlhg, l2l, elp.")
    ] = None,
    *,
    common: Common,
) -> None:
    """Train a method, DIM or one to compare with, whole.

    With --resume the same command goes on with whatever is there, or starts.
    """

    def stages(options: StageOptions, _: Showing) -> TrainingResult:
        from dataclasses import fields

        from dimcli.training import methods
        from dimcli.training.stages import StageOptions

        given = {field.name: getattr(options, field.name) for field in fields(StageOptions)}
        return methods.train_method(
            data,
            output,
            method,
            methods.MethodOptions(
                **given,
                task=task,
                vq_speaker=vq_speaker,
                vq_listener=vq_listener,
                ablation=ablation,
                pretrained=pretrained,
                pretrain_data=pretrain_data,
                init=init,
            ),
        )

    if method == "dim":
        from dimcli.training import ablations

        ablations.ablation(ablation, task or "listener")  # before torch is imported
    runs = {
        "--vq-speaker": vq_speaker,
        "--vq-listener": vq_listener,
        "--pretrained": pretrained,
        "--init": init,
    }
    _train(output, common, stages, [data, pretrain_data], runs)


def _train(
    output: Path,
    common: Common,
    stage: Callable[[StageOptions, Showing], TrainingResult | FineTuned],
    data: Sequence[Path | None],
    runs: Mapping[str, Path | None],
    *presets: str,
) -> None:
    """Run a stage with its progress shown, and say how it ended; it is given the display, too, for
    what it does besides training. It learns from ``data`` and ``runs``, by their options.
    ``presets`` are those that only this stage has."""
    check_preset(common.preset, *presets)
    settings = overrides(common.settings)
    check_there(data, runs)
    import importlib.util
    import math
    import time

    from dimcli.jobs.finetune import FineTuned
    from dimcli.training.figures import explained, in_order
    from dimcli.training.stages import StageOptions

    started = time.monotonic()
    tensorboard = importlib.util.find_spec("tensorboard") is not None
    told: set[str] = set()
    with training(output, again=common.resume), console.progress_display() as progress:

        def report(now: Progress) -> None:
            # of models that train as long as each other the end of all is foretold
            what = now.stage if now.parts == 1 else f"{now.parts} models"
            progress(*now.amount(f"training {what}".strip()))
            if now.split != "val":
                return
            for line in explained(now.figures.keys() - told):
                console.say(line)
            told.update(now.figures)
            figures = ", ".join(f"{name} {now.figures[name]:.4g}" for name in in_order(now.figures))
            console.say(f"{f'{now.stage}, ' if now.stage else ''}step {now.step}: {figures}")

        ended = stage(
            StageOptions(
                preset=common.preset,
                overrides=dict(settings),
                steps=common.steps,
                epochs=common.epochs,
                seed=common.seed,
                max_minutes=common.minutes,
                resume=common.resume,
                force=common.force,
                device=common.device,
                tensorboard=tensorboard,
                progress=report,
                remark=lambda line: console.say(f"note: {line}"),
            ),
            progress,
        )
    result, remarks = (
        (ended.training, ended.remarks) if isinstance(ended, FineTuned) else (ended, ())
    )
    ends = {
        "steps": "all steps done",
        "patience": "stopped early: validation no longer improves",
        "minutes": "time is up; go on with --resume",
    }
    taken = time.monotonic() - started
    log = "tensorboard --logdir " + str(output) if tensorboard else install("train")
    if result.step or result.reason == "minutes":
        kept = f"best validation loss {result.best_loss:.4f} at step {result.best_step}"
        if math.isinf(result.best_loss):
            kept = "not validated yet: the weights of the last step"
        elif result.unchanged and result.validated:
            kept = f"unchanged: no step was better than the start (loss {result.best_loss:.4f})"
        elif result.unchanged:
            kept = "unchanged: the time was too short for a validation of what was learnt"
        console.say(
            f"wrote {output}, step {result.step} ({ends[result.reason]}), {kept}, "
            f"{console.seconds(taken)} taken (curves: {log})"
        )
    else:  # a method that learns nothing
        console.say(f"wrote {output}, {console.seconds(taken)} taken")
    for line in remarks:
        console.say(line)
    if common.as_json:
        console.print_json(
            {
                "path": str(output),
                "remarks": list(remarks),
                "step": result.step,
                "best_step": result.best_step,
                "best_loss": result.best_loss if math.isfinite(result.best_loss) else None,
                "reason": result.reason,
                "taken_s": round(taken, 3),
            }
        )
