"""``dim extract``, ``dim visualize`` and ``dim render``: video to motion, and motion to video."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    CheckpointOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    OutputOption,
    ReferenceOption,
    RendererOption,
    SizeOption,
    Tracker,
)

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
AudioEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--audio-encoder",
        help="Also write features of the sound: mel, hubert, hubert:FOLDER or hubert:HUB/NAME.",
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


class Format(StrEnum):
    """How motion is written."""

    npz = "npz"
    emoca = "emoca"


def extract(
    clip: Annotated[
        Path, typer.Argument(help="Video with a face; or EMOCA's output folder, or a motion file.")
    ],
    output: OutputOption = None,
    tracker: Annotated[
        Tracker, typer.Option(help="Built in, or with a licensed checkpoint (the flame space).")
    ] = Tracker.landmarks,
    checkpoint: CheckpointOption = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="A motion file, or EMOCA's folder a frame.")
    ] = Format.npz,
    audio_encoder: AudioEncoderOption = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="Frame rate of EMOCA's folder.")
    ] = None,
    smooth: SmoothOption = False,
    region: Annotated[
        str | None, typer.Option(help="Look only here: x,y,width,height in pixels.")
    ] = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Track a face: video to motion."""
    from dimcli.jobs.extract import extract_motion

    with console.progress_display() as progress:
        result = extract_motion(
            clip,
            output,
            tracker=tracker.value,
            checkpoint=checkpoint,
            output_format=output_format.value,
            audio_encoder=audio_encoder,
            fps=fps,
            smooth=smooth,
            region=region,
            device=device.value,
            force=force,
            progress=progress,
        )
    console.report_motion(result, as_json=as_json)


class Look(StrEnum):
    """What the mesh looks like."""

    textured = "textured"
    clay = "clay"
    wireframe = "wireframe"


class HeadName(StrEnum):
    """Whose mesh it is."""

    auto = "auto"
    open = "open"
    flame = "flame"


class Rasteriser(StrEnum):
    """What draws the mesh."""

    auto = "auto"
    opencv = "opencv"
    pytorch3d = "pytorch3d"


def visualize(
    motions: Annotated[
        list[Path], typer.Argument(help="Motion files (.npz); several are shown side by side.")
    ],
    output: OutputOption = None,
    audio: AudioOption = None,
    smooth: SmoothAgainOption = None,
    size: SizeOption = None,
    head: Annotated[
        HeadName, typer.Option(help="auto: the head of the motion's space (flame: import it once).")
    ] = HeadName.auto,
    look: Annotated[
        Look | None, typer.Option(help="Default: textured, or clay for a head without texture.")
    ] = None,
    turntable: Annotated[
        float, typer.Option(min=0.0, help="Turn the head once in so many seconds. 0: never.")
    ] = 0.0,
    rasteriser: Annotated[
        Rasteriser, typer.Option(help="auto: pytorch3d on a GPU that has it, else OpenCV.")
    ] = Rasteriser.auto,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show motion on a head: motion to mesh video."""
    from dimcli.jobs.render import MeshStyle, visualize_motions

    style = MeshStyle(
        head=head.value,
        size=size,
        look=look.value if look else None,
        turntable_s=turntable,
        rasteriser=rasteriser.value,
        device=device.value,
    )
    with console.progress_display() as progress:
        video = visualize_motions(
            motions, output, style, audio=audio, smooth=smooth, force=force, progress=progress
        )
    console.report_videos([video], as_json=as_json)


def render(
    motion: MotionArgument,
    ref: ReferenceOption,
    output: OutputOption = None,
    renderer: RendererOption = "portrait",
    audio: AudioOption = None,
    smooth: SmoothAgainOption = None,
    size: SizeOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move the face of a picture: motion to photoreal video."""
    from dimcli.jobs.render import render_motion

    with console.progress_display() as progress:
        video = render_motion(
            motion,
            ref,
            output,
            renderer=renderer,
            audio=audio,
            smooth=smooth,
            size=size,
            device=device.value,
            force=force,
            progress=progress,
        )
    console.report_videos([video], as_json=as_json)
