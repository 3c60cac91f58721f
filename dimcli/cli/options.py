"""Options that several commands share: the same word means the same thing everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the model runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Layout(StrEnum):
    """What the video shows."""

    listener = "listener"
    side_by_side = "side-by-side"


class Attitude(StrEnum):
    """How a listener feels about what is said."""

    unknown = "unknown"
    negative = "negative"
    neutral = "neutral"
    positive = "positive"


class Role(StrEnum):
    """The two sides of a dyad."""

    speaker = "speaker"
    listener = "listener"


class Tracker(StrEnum):
    """What measures a face."""

    landmarks = "landmarks"
    emoca = "emoca"
    deca = "deca"
    smirk = "smirk"


OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.", show_default=False)
]
RunOption = Annotated[Path, typer.Option("--output", "-o", help="Run directory to write.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
LARGEST_SEED = 2**32 - 1
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Same seed, same result.")
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
SizeOption = Annotated[
    int | None,
    typer.Option(
        "--size", min=64, max=4096, help="Longer side of the picture, in pixels. Default: its own."
    ),
]
ReferenceOption = Annotated[
    Path, typer.Option("--ref", help="Picture of the face to move.", show_default=False)
]
RendererOption = Annotated[
    str, typer.Option("--renderer", help="portrait, mesh, or a run of dim train-renderer.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        help="Published checkpoint of --tracker. Default: the imported one.",
        show_default=False,
    ),
]
