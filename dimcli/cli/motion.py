"""``dim extract``, ``dim visualize`` and ``dim render``: video to motion, and motion to video."""

from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import ForceOption, JsonOption, OutputOption, ReferenceOption, SizeOption

MotionArgument = Annotated[Path, typer.Argument(help="Motion file (.npz).")]
SmoothOption = Annotated[bool, typer.Option(help="Lightly smooth the motion, without delay.")]
SmoothAgainOption = Annotated[
    bool | None,
    typer.Option(
        "--smooth/--no-smooth",
        help="Lightly smooth the motion, without delay. Default: where a tracker measured it.",
        show_default=False,
    ),
]
AudioOption = Annotated[
    Path | None,
    typer.Option("--audio", help="Sound for the video. Default: the clip the motion came from."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("extract")(extract)
    app.command("visualize")(visualize)
    app.command("render")(render)


def extract(
    clip: Annotated[Path, typer.Argument(help="Video with a face.")],
    output: OutputOption = None,
    smooth: SmoothOption = False,
    region: Annotated[
        str | None, typer.Option(help="Look only here: x,y,width,height in pixels.")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Track a face: video to motion."""
    from dimcli.pipeline import extract_motion

    with console.progress_display() as progress:
        result = extract_motion(
            clip, output, smooth=smooth, region=region, force=force, progress=progress
        )
    console.report_motion(result, as_json=as_json)


def visualize(
    motion: MotionArgument,
    output: OutputOption = None,
    audio: AudioOption = None,
    smooth: SmoothAgainOption = None,
    size: SizeOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show motion on the open head: motion to mesh video."""
    from dimcli.pipeline import visualize_motion

    with console.progress_display() as progress:
        video = visualize_motion(
            motion, output, audio=audio, smooth=smooth, size=size, force=force, progress=progress
        )
    console.report_videos([video], as_json=as_json)


def render(
    motion: MotionArgument,
    ref: ReferenceOption,
    output: OutputOption = None,
    audio: AudioOption = None,
    smooth: SmoothAgainOption = None,
    size: SizeOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move the face of a picture: motion to photoreal video."""
    from dimcli.pipeline import render_motion

    with console.progress_display() as progress:
        video = render_motion(
            motion,
            ref,
            output,
            audio=audio,
            smooth=smooth,
            size=size,
            force=force,
            progress=progress,
        )
    console.report_videos([video], as_json=as_json)
