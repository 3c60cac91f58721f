"""``dim extract``, ``dim visualize``, ``dim render``, ``dim convert`` and ``dim export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    AudioTrackOption,
    BackgroundOption,
    CheckpointOption,
    EngineOption,
    ForceFaceOption,
    ForceOption,
    Job,
    JsonOption,
    MotionArgument,
    OutputOption,
    RegionOption,
    RendererOption,
    SchedulerOption,
    SizeOption,
    Tracker,
    WhoOption,
    WorkersOption,
    job,
)

if TYPE_CHECKING:
    from dimcli.jobs.convert import ConversionResult

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
Format = Literal["npz", "emoca"]
HeadName = Literal["auto", "open", "flame"]
Look = Literal["textured", "clay", "wireframe"]
Rasteriser = Literal["auto", "opencv", "pytorch3d"]
Pose = Literal["relative", "absolute"]
Space = Literal["flame", "arkit"]


@job(console.report_motion, many="clip")
def extract(
    clip: Annotated[
        list[Path],
        typer.Argument(
            help="Video with a face (several, a folder or a table are done by --workers); or "
            "EMOCA's output folder, or a motion file."
        ),
    ],
    output: OutputOption = None,
    *,
    tracker: Annotated[
        Tracker, typer.Option(help="Built in, or with a licensed checkpoint (the flame space).")
    ] = "landmarks",
    checkpoint: CheckpointOption = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="A motion file, or EMOCA's folder a frame.")
    ] = "npz",
    audio_encoder: AudioEncoderOption = None,
    audio_track: AudioTrackOption = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="Frame rate of EMOCA's folder.")
    ] = None,
    smooth: SmoothOption = False,
    region: RegionOption = None,
    who: WhoOption = None,
    workers: WorkersOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = None,
) -> Job:
    """Track a face: video to motion."""
    from dimcli.jobs.extract import extract_motion

    return extract_motion


@job(console.report_videos)
def visualize(
    motions: Annotated[
        list[Path], typer.Argument(help="Motion files (.npz); several are shown side by side.")
    ],
    output: OutputOption = None,
    *,
    audio: AudioOption = None,
    audio_track: AudioTrackOption = None,
    smooth: SmoothAgainOption = None,
    size: SizeOption = None,
    head: Annotated[
        HeadName, typer.Option(help="auto: the head of the motion's space (flame: import it once).")
    ] = "auto",
    look: Annotated[
        Look | None, typer.Option(help="Default: textured, or clay for a head without texture.")
    ] = None,
    turntable: Annotated[
        float, typer.Option(min=0.0, help="Turn the head once in so many seconds. 0: never.")
    ] = 0.0,
    rasteriser: Annotated[
        Rasteriser, typer.Option(help="auto: pytorch3d on a GPU that has it, else OpenCV.")
    ] = "auto",
) -> Job:
    """Show motion on a head: motion to mesh video."""
    from dimcli.jobs.visualize import visualize_motions

    return visualize_motions


@job(console.report_videos, many="motion")
def render(
    motion: Annotated[
        list[Path],
        typer.Argument(
            help="Motion file (.npz); several, a folder, or a table (.csv with "
            "motion, ref, output)."
        ),
    ],
    ref: Annotated[
        Path, typer.Option("--ref", help="Picture of the face to move.", show_default=False)
    ],
    output: OutputOption = None,
    *,
    renderer: RendererOption = "portrait",
    audio: AudioOption = None,
    audio_track: AudioTrackOption = None,
    smooth: SmoothAgainOption = None,
    pose: Annotated[
        Pose,
        typer.Option(
            help="About the picture's own pose and face, or as the numbers say (motion that is "
            "drawn in the flame space: always)."
        ),
    ] = "relative",
    background: BackgroundOption = "keep",
    size: SizeOption = None,
    force_face: ForceFaceOption = False,
) -> Job:
    """Move the face of a picture: motion to video."""
    from dimcli.jobs.render import render_motion

    return render_motion


def _report_conversion(result: ConversionResult, **_: bool) -> dict[str, Any]:
    conversion, space = result.conversion, result.conversion.motion.space
    for remark in conversion.remarks:
        console.say(f"note: {remark}")
    figures = conversion.figures()
    console.say(
        f"wrote {result.path}, {len(conversion.motion)} frames in the {space} space; its faces are "
        f"{figures['residual_mm']:.2f} mm from the original's on average, which are "
        f"{figures['moved_mm']:.2f} mm from rest; {console.seconds(result.taken_s)} taken"
    )
    return {"path": str(result.path), "space": space, **figures}


@job(_report_conversion)
def convert(
    motion: MotionArgument,
    to: Annotated[Space, typer.Option("--to", help="The space to convert to.")],
    output: OutputOption = None,
) -> Job:
    """Convert motion between spaces (with your FLAME file)."""
    from dimcli.jobs.convert import convert_file

    return convert_file


def export(
    motion: MotionArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="out.csv (Live Link Face), out.glb (animated glTF) or out.json.",
            show_default=False,
        ),
    ],
    fps: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=240,
            help="Resample to this rate. Default: 60 for csv, else the motion's.",
            show_default=False,
        ),
    ] = None,
    angle_scale: Annotated[
        float,
        typer.Option(help="csv only: angles are radians times this; 57.29578 gives degrees."),
    ] = 1.0,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write motion as Live Link CSV, animated glTF or JSON."""
    from dimcli.jobs.export import export_motion

    result = export_motion(motion, output, fps=fps, angle_scale=angle_scale, force=force)
    if as_json:
        console.print_json({**vars(result), "path": str(result.path)})
    console.say(
        f"wrote {result.path} ({result.kind}), {result.frames} frames, "
        f"{result.duration_s:.1f} s, {result.taken_s:.1f} s taken"
    )
