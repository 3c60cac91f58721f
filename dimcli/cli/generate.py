"""``dim generate-listener``: a clip of somebody talking in, a video of somebody listening out."""

from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    Attitude,
    CheckpointOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    Layout,
    OutputOption,
    RendererOption,
    SeedOption,
    SizeOption,
    Tracker,
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("generate-listener")(generate_listener)


def generate_listener(
    speaker: Annotated[Path, typer.Argument(help="Video of somebody talking.")],
    ref: Annotated[
        Path | None,
        typer.Option(help="Picture of the listener (not needed with --renderer mesh)."),
    ] = None,
    output: OutputOption = None,
    weights: Annotated[str, typer.Option(help="Bundled name or run directory.")] = "listener-small",
    renderer: RendererOption = "portrait",
    layout: Annotated[Layout, typer.Option(help="What the video shows.")] = Layout.listener,
    samples: Annotated[int, typer.Option(min=1, max=100, help="How many to make.")] = 1,
    seed: SeedOption = 0,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=2.0, help="Variety of the motion; 0 is the surest. Default: the model's."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=64, help="Sampling steps. Default: the model's own.")
    ] = None,
    attitude: Annotated[Attitude, typer.Option(help="How the listener feels.")] = Attitude.unknown,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Answer as a stream: no look ahead. Needs weights of --ablation online.",
        ),
    ] = False,
    size: SizeOption = None,
    save_motion: Annotated[
        Path | None, typer.Option(help="Keep the listener's motion in this .npz.")
    ] = None,
    tracker: Annotated[
        Tracker | None,
        typer.Option(
            help="What measures the speaker. Default: landmarks, or emoca where the weights need "
            "the flame space.",
            show_default=False,
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Watch a speaker and make the video of a listener who reacts."""
    from dimcli.jobs.listening import generate_listener_videos

    with console.progress_display() as progress:
        videos = generate_listener_videos(
            speaker,
            ref,
            output,
            weights=weights,
            renderer=renderer,
            side_by_side=layout is Layout.side_by_side,
            samples=samples,
            seed=seed,
            temperature=temperature,
            steps=steps,
            attitude=attitude.value,
            online=online,
            size=size,
            save_motion=save_motion,
            tracker=tracker.value if tracker else None,
            checkpoint=checkpoint,
            device=device.value,
            force=force,
            progress=progress,
        )
    console.report_videos(videos, as_json=as_json)
