"""Several inputs of one command: files, folders of them, or a table with a row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dimcli.core.errors import DimError, InputError
from dimcli.core.files import address, check_folder
from dimcli.core.progress import Progress, silent
from dimcli.data.corpora.tables import read_table
from dimcli.data.workers import HERE, Engine, each_done
from dimcli.jobs.render import KEEP, default_video

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
SOUNDS = (".wav", ".mp3", ".m4a", ".flac", ".ogg", *VIDEOS)
MOTIONS = (".npz",)
TABLE = ".csv"


@dataclass(frozen=True)
class Kind:
    """What a command takes many of: its argument's ``name``, which is also the column of a table;
    the ``suffixes`` of such files in a folder; how their outputs are called, from the options of a
    call; and what else a row may say, with what reads it."""

    name: str
    suffixes: tuple[str, ...]
    output: Callable[[dict[str, Any]], str]
    columns: Mapping[str, Callable[[str], Any]]


def _video(stem: str, given: Mapping[str, Any]) -> str:
    return default_video(stem, given.get("background", KEEP)).name


_PATHS: dict[str, Callable[[str], Any]] = {"ref": Path, "output": Path}
_WHERE: dict[str, Callable[[str], Any]] = {"who": str, "region": str}
"""Whom to follow in a video of several people: ``--speaker``, which is a column already, and
``--region``."""
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "speaker",
            (*VIDEOS, *MOTIONS),
            lambda given: _video(f"{given['speaker'].stem}-listener", given),
            {**_PATHS, "seed": int, "attitude": str, "style": str, **_WHERE},
        ),
        Kind(
            "speech",
            SOUNDS,
            lambda given: _video(f"{given['speech'].stem}-speaker", given),
            {**_PATHS, "seed": int, "style": str},
        ),
        Kind(
            "clip",
            VIDEOS,
            lambda given: (
                f"{given['clip'].stem}-emoca"
                if given.get("output_format") == "emoca"
                else f"{given['clip'].stem}.npz"
            ),
            {"output": Path, **_WHERE},
        ),
        Kind(
            "motion",
            MOTIONS,
            lambda given: _video(f"{given['motion'].stem}-{given['ref'].stem}", given),
            _PATHS,
        ),
    )
}
"""By the name of the argument."""
_OF_ONE = ("save_motion", "audio")
"""Options that name a file of one input."""


@dataclass
class Batch:
    """What came of several inputs, in order: ``done`` by input, ``failed`` with the reason, and
    whether one of those was ``unexpected``: our fault, not the input's."""

    done: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unexpected: bool = False


def is_batch(inputs: Sequence[Path], kind: Kind) -> bool:
    """Whether ``inputs`` are more than one file."""
    if len(inputs) != 1:
        return True
    return inputs[0].suffix.lower() == TABLE or (
        inputs[0].is_dir() and bool(files_in(inputs[0], kind.suffixes))
    )


def options_of(
    inputs: Sequence[Path], given: Mapping[str, Any], kind: Kind
) -> list[dict[str, Any]]:
    """The options of each call that ``inputs`` stand for: those that are ``given`` to all, and what
    a table says. ``output`` is the folder of all outputs whose row names none.

    Raises InputError, also where two would be written to one file.
    """
    for name in _OF_ONE:
        if given.get(name) is not None:
            raise InputError(f"--{name.replace('_', '-')}: is of one {kind.name}, not of several")
    folder = check_folder(given.get("output") or Path())
    rows: list[dict[str, Any]] = []
    for path in inputs:
        if not path.exists() and not address(path):  # often an output without its -o
            raise InputError(f"{path}: no such file or folder; an output is named after -o")
        if path.suffix.lower() == TABLE:
            rows += _rows_of_table(path, kind)
        elif path.is_dir():
            rows += [{kind.name: file} for file in files_in(path, kind.suffixes)]
        else:
            rows.append({kind.name: path})
    calls = [{**given, "output": None, **row} for row in rows]
    taken: dict[Path, Path] = {}
    for call in calls:
        call["output"] = output = call["output"] or folder / kind.output(call)
        if output in taken:
            raise InputError(
                f"{taken[output]} and {call[kind.name]}: both would be written to {output}; name "
                f"outputs in a table ({kind.name},output)"
            )
        taken[output] = call[kind.name]
    if not calls:
        raise InputError(f"{inputs[0]}: has no {kind.name}; expected {', '.join(kind.suffixes)}")
    return calls


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files in a folder whose names end in one of ``suffixes``, hidden ones left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def _rows_of_table(path: Path, kind: Kind) -> list[dict[str, Any]]:
    """Files in a table are relative to its folder."""
    readers = {kind.name: Path, **kind.columns}
    rows = []
    for number, row in enumerate(read_table(path, (kind.name,)), start=2):
        unknown = [name for name in row if name not in readers]
        if unknown or not row[kind.name]:
            fault = f"column {unknown[0]}" if unknown else f"no {kind.name}"
            raise InputError(f"{path}, row {number}: {fault}; columns: {', '.join(readers)}")
        try:
            values = {name: readers[name](text) for name, text in row.items() if text}
        except ValueError as error:
            raise InputError(f"{path}, row {number}: {error}") from None
        rows.append(
            {
                name: path.parent / value if isinstance(value, Path) else value
                for name, value in values.items()
            }
        )
    return rows


def run_all(
    calls: Sequence[tuple[str, Callable[..., Any]]],
    progress: Progress,
    told: Callable[[Any], None],
    engine: Engine = HERE,
) -> Batch:
    """Make each of ``calls``, an input's name and what is called with a ``progress``; one that
    fails is noted and the rest goes on. ``told`` is given each result at once. Other processes of
    an ``engine`` take picklable calls, and tell when each is done."""
    batch = Batch()

    def note(made: _Made) -> None:
        if made.reason is None:
            batch.done[made.name] = made.result
            told(made.result)
        else:
            batch.failed[made.name] = made.reason
            batch.unexpected |= made.unexpected

    if engine.here:
        for number, (name, call) in enumerate(calls, start=1):
            note(_made(name, call, _within(progress, f"{number} of {len(calls)}")))
        return batch
    each = [(_made, call) for call in calls]
    with closing(each_done(each, engine)) as results:
        for number, made in enumerate(results, start=1):
            note(made)
            progress("inputs", number, len(calls))
    names = [name for name, _ in calls]
    batch.done = {name: batch.done[name] for name in names if name in batch.done}
    batch.failed = {name: batch.failed[name] for name in names if name in batch.failed}
    return batch


@dataclass(frozen=True)
class _Made:
    """What came of one input."""

    name: str
    result: Any = None
    reason: str | None = None
    unexpected: bool = False


def _made(name: str, call: Callable[..., Any], progress: Progress = silent) -> _Made:
    try:
        return _Made(name, call(progress=progress))
    except DimError as error:
        return _Made(name, reason=str(error).removeprefix(f"{name}: "))
    except Exception as error:  # one input's surprise must not end the others' work
        reason = f"unexpected {type(error).__name__}: {error}"
        return _Made(name, reason=reason, unexpected=True)


def _within(progress: Progress, at: str) -> Progress:
    """The ``progress`` of one input of several."""
    return lambda stage, done, total: progress(f"{at}: {stage}", done, total)
