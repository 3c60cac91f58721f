"""Options that several commands share: the same word means the same thing everywhere.

Choices are ``Literal`` types, so that library code gets the plain words.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from dimcli.cli import console
from dimcli.core.limits import LARGEST_SEED

Device = Literal["auto", "cpu", "cuda"]
Role = Literal["speaker", "listener"]
Tracker = Literal["landmarks", "emoca", "deca", "smirk"]

OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.", show_default=False)
]
RunOption = Annotated[Path, typer.Option("--output", "-o", help="Run directory to write.")]
MotionArgument = Annotated[Path, typer.Argument(help="Motion file (.npz).")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Same seed, same result.")
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
SizeOption = Annotated[
    int | None,
    typer.Option(
        "--size",
        min=64,
        max=4096,
        help="Longer side of the video, in pixels. Default: the picture's, at most 1920.",
    ),
]
AudioTrackOption = Annotated[
    int | None,
    typer.Option(
        "--audio-track",
        min=1,
        help="Which sound track of the files, from 1. Default: the one flagged as default.",
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None, typer.Option(help="Look only here: x,y,width,height in pixels.")
]
BackgroundOption = Annotated[
    str,
    typer.Option(
        "--background",
        help="What is behind the person: keep, blur, a colour (grey, #204060), a picture file, or "
        "transparent (a .webm with alpha).",
    ),
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

Shared = TypeVar("Shared")
Job = Callable[..., Any]
"""What a command does, to be called with its options."""


def with_options(
    command: Callable[..., Any], shared: type[Shared], run: Callable[[dict[str, Any], Shared], None]
) -> Callable[..., None]:
    """``command`` as Typer wants it, with each field of the dataclass ``shared`` as one more option
    after its own. Called, it is ``run`` with the values of its own options and the shared ones.
    """
    own = inspect.signature(command, eval_str=True).parameters
    names = [field.name for field in fields(shared)]  # type: ignore[arg-type]

    def typed(**given: Any) -> None:
        run(given, shared(**{name: given.pop(name) for name in names}))

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (
            *own.values(),
            *inspect.signature(shared, eval_str=True).parameters.values(),
        )
        if parameter.annotation is not shared
    ]
    typed.__doc__, typed.__name__ = command.__doc__, command.__name__
    typed.__annotations__ = {each.name: each.annotation for each in parameters}
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typed


@dataclass(frozen=True)
class JobOptions:
    """The options that end every list of a job's."""

    device: DeviceOption = "auto"
    force: ForceOption = False
    as_json: JsonOption = False


def job(report: Callable[..., None]) -> Callable[[Callable[..., Job]], Callable[..., None]]:
    """A command that declares a job's options and gives the function that does it.

    The function is called with the options as they were declared (by position, those after ``*`` by
    name), ``device``, ``force`` and a ``progress`` display; ``report`` says what came of it.
    An option ``audio_track`` holds for all sound that the job reads.
    """

    def declared(command: Callable[..., Job]) -> Callable[..., None]:
        def run(own: dict[str, Any], common: JobOptions) -> None:
            given = inspect.signature(command).bind(**own)
            work = command(**own)
            from dimcli.media import audio_track

            track = given.arguments.pop("audio_track", None)
            with console.progress_display() as progress, audio_track(track):
                result = work(
                    *given.args,
                    **given.kwargs,
                    device=common.device,
                    force=common.force,
                    progress=progress,
                )
            report(result, as_json=common.as_json)

        return with_options(command, JobOptions, run)

    return declared
