"""``dim export``: motion for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import ForceOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("export")(export)


def export(
    motion: Annotated[Path, typer.Argument(help="Motion file (.npz).")],
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
    """Write motion as Live Link Face CSV, animated glTF or JSON."""
    from dimcli.jobs.export import ExportOptions, export_motion

    result = export_motion(motion, output, ExportOptions(fps, angle_scale), force=force)
    if as_json:
        console.print_json(
            {
                "path": str(result.path),
                "kind": result.kind,
                "duration_s": result.duration_s,
                "frames": result.frames,
                "taken_s": result.taken_s,
            }
        )
    console.say(
        f"wrote {result.path} ({result.kind}), {result.frames} frames, "
        f"{result.duration_s:.1f} s, {result.taken_s:.1f} s taken"
    )
