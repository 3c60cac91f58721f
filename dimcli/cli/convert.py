"""``dim convert``: motion from one space to the other."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import Device, DeviceOption, ForceOption, JsonOption, OutputOption


class Space(StrEnum):
    """What the expression numbers of a motion mean."""

    flame = "flame"
    arkit = "arkit"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("convert")(convert)


def convert(
    motion: Annotated[Path, typer.Argument(help="Motion file (.npz).")],
    to: Annotated[Space, typer.Option("--to", help="The space to convert to.")],
    output: OutputOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert motion between the spaces (needs your FLAME file)."""
    from dimcli.jobs.convert import convert_file

    with console.progress_display() as progress:
        result = convert_file(
            motion, to.value, output, device=device.value, force=force, progress=progress
        )
    found = result.conversion
    for remark in found.remarks:
        console.say(f"note: {remark}")
    figures = found.figures()
    console.say(
        f"wrote {result.path}, {len(found.motion)} frames in the {to.value} space; its faces are "
        f"{figures['residual_mm']:.2f} mm from the original's on average, which are "
        f"{figures['moved_mm']:.2f} mm from rest; {console.seconds(result.taken_s)} taken"
    )
    if as_json:
        console.print_json({"path": str(result.path), "space": to.value, **figures})
