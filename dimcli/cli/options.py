"""Options that several commands share: the same word means the same thing everywhere.

Choices are ``Literal`` types, so that library code gets the plain words.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from dimcli.cli import console
from dimcli.core.limits import LARGEST_SEED

if TYPE_CHECKING:
    from dimcli.core.progress import Progress
    from dimcli.jobs.batch import Kind

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
ReactingOption = Annotated[
    bool,
    typer.Option("--reacting", help="Draw speakers who react to their listeners (synthetic)."),
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
    str | None,
    typer.Option(
        "--region", help="Look only here: x,y,width,height in pixels.", show_default=False
    ),
]
WhoOption = Annotated[
    Literal["left", "right", "largest"] | None,
    typer.Option(
        "--speaker",
        help="Which person to follow, where the video shows several.",
        show_default=False,
    ),
]
BackgroundOption = Annotated[
    str,
    typer.Option(
        "--background",
        help="What to show behind the person: keep, blur, a colour (grey, #204060), a picture "
        "file, or transparent (a .webm with alpha).",
    ),
]
ForceFaceOption = Annotated[
    bool,
    typer.Option("--force-face", help="Take a picture whose face is not like a human one."),
]
RendererOption = Annotated[
    str, typer.Option("--renderer", help="portrait, mesh, or a run of dim train-renderer.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
HeadOption = Annotated[
    float, typer.Option("--head", min=0, max=2, help="Gain of the head's turns; 0 holds it still.")
]
SmileOption = Annotated[float, typer.Option("--smile", min=0, max=2, help="Gain of the smile.")]
BrowsOption = Annotated[float, typer.Option("--brows", min=0, max=2, help="Gain of the brows.")]
BlinksOption = Annotated[
    float,
    typer.Option("--blinks", min=0, max=1.5, help="Gain of how far lids close; 0: no blinks."),
]
GazeOption = Annotated[
    float, typer.Option("--gaze", min=0, max=2, help="Gain of looks away; 0: straight ahead.")
]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Processes on this machine.")]
EngineOption = Annotated[
    Literal["local", "dask"],
    typer.Option("--engine", help="Who works: processes here, or a Dask cluster's workers."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Of --engine dask: the scheduler's address, or the file that it wrote.",
        show_default=False,
    ),
]
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
    after its own, those that must be given first. Called, it is ``run`` with the values of its own
    options and the shared ones.
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
    parameters.sort(key=lambda each: each.default is not each.empty)
    typed.__doc__, typed.__name__ = command.__doc__, command.__name__
    typed.__annotations__ = {each.name: each.annotation for each in parameters}
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typed


def check_there(data: Iterable[Path | None], runs: Mapping[str, Path | None]) -> None:
    """Raise InputError where one of the data sets, or a run by its option, is not there: at once,
    and not after the seconds that the models' library takes to import."""
    from dimcli.data.store import read_header
    from dimcli.models.config import find_run

    for folder in data:
        if folder is not None:
            read_header(folder)
    for option, run in runs.items():
        if run is not None:
            find_run(run, option)


@dataclass(frozen=True)
class JobOptions:
    """The options that end every list of a job's."""

    device: DeviceOption = "auto"
    force: ForceOption = False
    as_json: JsonOption = False

    def keywords(self) -> dict[str, Any]:
        """What the job's function is given of them."""
        return {"device": self.device, "force": self.force}


@dataclass(frozen=True)
class GainOptions:
    """How much of what the model gives a face does."""

    head: HeadOption = 1.0
    smile: SmileOption = 1.0
    brows: BrowsOption = 1.0
    blinks: BlinksOption = 1.0
    gaze: GazeOption = 1.0


@dataclass(frozen=True)
class FaceOptions(JobOptions, GainOptions):
    """The options that end the list of a job that generates a face."""

    force_face: ForceFaceOption = False

    def keywords(self) -> dict[str, Any]:
        """Of the picture, too, and the gains as one."""
        from dimcli.data.gains import NAMES, Gains

        gains = Gains(**{name: getattr(self, name) for name in NAMES})
        return {**super().keywords(), "gains": gains, "force_face": self.force_face}


def job(
    report: Callable[..., dict[str, Any]], many: str = "", options: type[JobOptions] = JobOptions
) -> Callable[[Callable[..., Job]], Callable[..., None]]:
    """A command that declares a job's options and gives the function that does it.

    The function is called with the options as they were declared (by position, those after ``*`` by
    name), the ``keywords`` of ``options``, and a ``progress`` display; ``report`` says what came of
    it, and gives the figures for ``--json``. An option ``audio_track`` holds for all sound that the
    job reads. ``many`` is the argument of which there may be several (:mod:`dimcli.jobs.batch`).
    """

    def declared(command: Callable[..., Job]) -> Callable[..., None]:
        def run(own: dict[str, Any], common: JobOptions) -> None:
            from dimcli.jobs import batch

            work = command(**own)
            inputs = own.get(many)
            if not isinstance(inputs, list):
                result = _done(command, work, own, common)
                document = report(result, as_json=common.as_json)
            elif not batch.is_batch(inputs, batch.KINDS[many]):
                result = _done(command, work, {**own, many: inputs[0]}, common)
                document = report(result, as_json=common.as_json)
            else:
                _all_done(command, work, own, common, report, batch.KINDS[many])
                return
            if common.as_json:
                console.print_json(document)

        return with_options(command, options, run)

    return declared


def _done(command: Callable[..., Job], work: Job, own: dict[str, Any], common: JobOptions) -> Any:
    """The result of one call of ``work``, what ``command`` gave, with its options."""
    with console.progress_display() as progress:
        return _call_of(command, work, own, common)(progress=progress)


def _call_of(
    command: Callable[..., Job], work: Job, own: dict[str, Any], common: JobOptions
) -> Callable[..., Any]:
    """The same as a call that other processes can make, too."""
    given = inspect.signature(command).bind(**own)
    track = given.arguments.pop("audio_track", None)
    for name in _OF_SEVERAL:
        given.arguments.pop(name, None)
    return partial(_with_track, track, work, given.args, {**given.kwargs, **common.keywords()})


def _with_track(
    track: int | None, work: Job, args: tuple[Any, ...], given: dict[str, Any], progress: Progress
) -> Any:
    from dimcli.media import audio_track

    with audio_track(track):
        return work(*args, **given, progress=progress)


_OF_SEVERAL = ("workers", "engine", "scheduler")
"""Options of who works on several inputs (:class:`dimcli.data.workers.Engine`)."""


def _all_done(
    command: Callable[..., Job],
    work: Job,
    own: dict[str, Any],
    common: JobOptions,
    report: Callable[..., dict[str, Any]],
    kind: Kind,
) -> None:
    """Every input's result told at once, then a list of those that failed. Raises ToldError where
    there are some."""
    from dimcli.core.errors import DimError, ToldError
    from dimcli.core.files import new_folder
    from dimcli.data.workers import HERE, Engine
    from dimcli.jobs import batch

    engine = Engine(*(own[name] for name in _OF_SEVERAL)) if _OF_SEVERAL[0] in own else HERE
    folder = own["output"] or Path()
    calls = batch.options_of(own[kind.name], own, kind)
    documents: list[dict[str, Any]] = []
    with new_folder(folder, "*.*"), console.progress_display() as progress:
        folder.mkdir(parents=True, exist_ok=True)
        made = batch.run_all(
            [(str(each[kind.name]), _call_of(command, work, each, common)) for each in calls],
            progress,
            lambda result: documents.append(report(result, as_json=common.as_json)),
            engine,
        )
        if common.as_json:
            console.print_json({"done": documents, "failed": made.failed})
        if made.failed:
            console.say(f"failed, {len(made.failed)} of {len(calls)}:")
            for name, reason in made.failed.items():
                console.say(f"  {name}: {reason}")
            told = ToldError(f"{len(made.failed)} of {len(calls)} failed, as listed above")
            if made.unexpected:
                told.exit_code = DimError.exit_code
            raise told
