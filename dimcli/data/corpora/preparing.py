"""From a corpus to a data set: in parallel, resumable, over several machines, past bad files.

A corpus is a list of jobs, one a conversation, each a function that makes the arrays. What the
index says of a conversation stands in the conversation's own file, so that a run which was killed
goes on where it stopped and ends with the same bytes. With ``--shard i/n`` each of n commands makes
its share and leaves ``shards/i-of-n.json``; whichever finds all of them writes the index.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dimcli.audio import AudioEncoder
from dimcli.core.documents import read_json, shortened, whole_number
from dimcli.core.errors import InputError
from dimcli.core.files import remove_unfinished, write_text
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import SPLITS, ClipRecord
from dimcli.data.conversations import CONVERSATIONS
from dimcli.data.store import DatasetInfo
from dimcli.data.workers import HERE, Engine, each_done
from dimcli.data.writer import Dyads, Piece, Skipped, StoreWriter, clips_of_notes, joined
from dimcli.media import audio_track

SHARDS = "shards"
STORED, HALF = "store", "float16"
"""The setting of a corpus whose audio features are kept in 16 bits."""
TRACK = "audio_track"
"""The setting of a corpus of which another sound track is read than the files' default."""
RECIPE_VERSION = 3
"""Goes up whenever the same corpus and settings would give other data, the tracker's, too."""


@dataclass(frozen=True)
class Job:
    """One conversation to make: its name, its split, and the function that makes it.

    ``make`` is a picklable call without arguments (a ``functools.partial`` of a module's function)
    that raises InputError where the conversation cannot be used. ``key`` says everything of the
    corpus's tables that shapes it; when that changes, the conversation is made again.
    """

    conversation: str
    split: str
    make: Callable[[], Dyads]
    key: str = ""


@dataclass(frozen=True)
class Corpus:
    """What is to be prepared: jobs, and what every clip shares.

    ``settings`` are the options that shape the arrays; ``choices`` further facts for
    ``dataset.yaml`` (a seed, say). ``skipped`` could not even become jobs. ``remarks`` are lines
    for the user, ``licence`` the terms that bind who uses the data.
    """

    name: str
    fps: float
    space: str
    encoder: AudioEncoder
    jobs: Sequence[Job]
    licence: str
    settings: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()

    def recipe(self) -> str:
        """A short hash of everything but the files that shapes the arrays."""
        facts = [self.name, self.fps, self.space, self.encoder.name, self.encoder.dim]
        content = json.dumps([*facts, self.settings, RECIPE_VERSION], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shard:
    """Share ``number`` (from 1) of ``count``."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= 10_000:
            raise InputError(f"--shard {self.number}/{self.count}: expected i/n with 1 <= i <= n")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``i/n`` as a share. Raises InputError."""
        match [whole_number(part) for part in text.split("/")]:
            case [int(number), int(count)]:
                return cls(number, count)
        raise InputError(f"--shard {shortened(text)}: expected i/n, as in 2/8")

    def part(self, out: Path) -> Path:
        """The file that says this share is done."""
        return out / SHARDS / f"{self.number}-of-{self.count}.json"


SEEN = "seen"
"""The note, JSON, of the share of frames in which each role's face was found."""


@dataclass(frozen=True)
class Prepared:
    """How a preparation ended.

    ``info`` is None while other shards (``waiting_for``) are not done. ``clips`` and ``minutes``
    are by split, of the data set, or of this shard while others are not done.
    """

    path: Path
    info: DatasetInfo | None
    clips: dict[str, int]
    minutes: dict[str, float]
    conversations: dict[str, int]
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...]
    licence: str
    waiting_for: tuple[str, ...] = ()
    seen: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of conversations that were tracked here: the share of frames in which each face was found."""


def prepare(
    corpus: Corpus,
    out: Path,
    *,
    engine: Engine = HERE,
    shard: Shard | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Make ``corpus`` (or a share of it) into a data set in the folder ``out``.

    Conversations that are there already are kept, those that failed are tried again. Raises
    InputError where ``out`` holds data made with other settings. A conversation that fails is in
    the result's ``skipped`` with its reason.
    """
    shard = shard or Shard()
    jobs, twice = _distinct(corpus.jobs)
    writer = StoreWriter(
        out,
        name=corpus.name,
        fps=corpus.fps,
        space=corpus.space,
        encoder=corpus.encoder.name,
        audio_dim=corpus.encoder.dim,
        half=corpus.settings.get(STORED) == HALF,
    )
    mine = [job for index, job in enumerate(jobs) if index % shard.count == shard.number - 1]
    recipe = corpus.recipe()
    todo = [job for job in mine if not _is_there(writer, job, recipe)]
    failed: dict[str, str] = {}
    there = len(mine) - len(todo)
    progress("conversations", there, len(mine))
    track = corpus.settings.get(TRACK)
    calls = [(_make_one, (writer, job, recipe, track)) for job in todo]
    try:
        with closing(each_done(calls, engine)) as results:
            for done, (name, reason) in enumerate(results, start=there + 1):
                if reason is not None:
                    failed[name] = reason
                progress("conversations", done, len(mine))
    finally:
        for folder in (writer.out, writer.out / CONVERSATIONS):  # of workers that were killed
            remove_unfinished(folder)
    if shard.count > 1 and not writer.is_finished():
        _leave_part(out, shard, recipe, jobs, failed)
        parts = [Shard(number, shard.count) for number in range(1, shard.count + 1)]
        absent = [part for part in parts if not part.part(out).is_file()]
        # when the last two shards end together, either may find that the other tidied up
        if absent and not writer.is_finished():
            waiting = tuple(f"{part.number}/{part.count}" for part in absent)
            contents = _contents(writer, mine, failed)
            return _report(corpus, writer.out, contents, (*corpus.skipped, *twice), None, waiting)
        for part in parts:
            failed = _read_part(part.part(out), recipe, jobs) | failed
    known = {skip.name: skip.reason for skip in writer.skipped()}
    contents = _contents(writer, jobs, known | failed)
    skipped = (*corpus.skipped, *twice)
    info = None
    records = [record for content in contents for record in content.records]
    if records:
        made_by = {"prepare": corpus.name, **corpus.settings, **corpus.choices, "recipe": recipe}
        left_out = [*skipped, *(skip for content in contents for skip in content.skipped)]
        facts = {**made_by, "licence": corpus.licence}
        try:
            info = writer.finish(records, facts, left_out)
        except FileNotFoundError:
            # another shard ended in this very moment and took our temporary file for a leftover
            info = writer.finish(records, facts, left_out)
        shutil.rmtree(out / SHARDS, ignore_errors=True)
    return _report(corpus, writer.out, contents, skipped, info)


def dyads_of(
    clips: Iterable[tuple[str, Callable[[], Piece]]], skipped: Sequence[Skipped] = ()
) -> Dyads:
    """A conversation of ``clips``, each a name and what makes it, beside those left out before.

    A clip whose making raises InputError is left out, with the reason.
    """
    pieces, failed = [], list(skipped)
    for name, make in clips:
        try:
            pieces.append(make())
        except InputError as error:
            failed.append(Skipped(name, str(error)))
    return joined(pieces, failed)


def file_name(text: str) -> str:
    """``text`` as a name that a file may have on any system, different for different texts."""
    name = quote(text, safe="@+,= ")
    if name.startswith((".", "-", " ")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > 150:
        name = f"{name[:120]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name


def _distinct(jobs: Sequence[Job]) -> tuple[list[Job], list[Skipped]]:
    """Jobs of different names; a file system that ignores case must keep them apart as well."""
    seen: dict[str, Job] = {}
    twice = []
    for job in jobs:
        if job.conversation.lower() in seen:
            twice.append(Skipped(job.conversation, "listed twice; the first one was taken"))
        else:
            seen[job.conversation.lower()] = job
    return list(seen.values()), twice


def _is_there(writer: StoreWriter, job: Job, recipe: str) -> bool:
    notes = writer.notes(job.conversation)
    if notes is None:
        return False
    if notes.get("recipe") != recipe:
        raise InputError(
            f"{writer.out}: holds conversations made with other settings; give the same ones or "
            "name an empty folder"
        )
    return notes.get("job") == job.key


def _make_one(
    writer: StoreWriter, job: Job, recipe: str, track: int | None
) -> tuple[str, str | None]:
    """Make and write one conversation; its name, and the reason if it failed."""
    try:
        with audio_track(track):
            dyads = job.make()
    except InputError as error:
        return job.conversation, str(error)
    except Exception as error:  # one conversation's surprise must not end the others' work
        return job.conversation, f"unexpected {type(error).__name__}: {error}"
    try:
        writer.add(
            job.conversation,
            speaker=dyads.speaker,
            listener=dyads.listener,
            audio=dyads.audio,
            notes={"recipe": recipe, "job": job.key, **dyads.notes(writer.fps)},
        )
    except InputError as error:
        return job.conversation, str(error)
    return job.conversation, None


def _leave_part(
    out: Path, shard: Shard, recipe: str, jobs: Sequence[Job], failed: dict[str, str]
) -> None:
    path = shard.part(out)
    path.parent.mkdir(exist_ok=True)
    content = {"recipe": recipe, "listing": _listing(jobs), "failed": failed}
    write_text(path, json.dumps(content, sort_keys=True))


def _read_part(path: Path, recipe: str, jobs: Sequence[Job]) -> dict[str, str]:
    """The conversations that failed in a share. Raises InputError where it is of other jobs."""
    try:
        if not path.exists():
            return {}  # tidied up by the shard that ended beside this one
        content = read_json(path)
        same = content["recipe"] == recipe and content["listing"] == _listing(jobs)
        failed = dict(content["failed"])
    except (InputError, OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged; delete it and run that shard again") from None
    if not same:
        raise InputError(
            f"{path}: was made from another source or with other settings; run that shard again"
        )
    return failed


def _listing(jobs: Sequence[Job]) -> str:
    content = json.dumps([[job.conversation, job.split, job.key] for job in jobs])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Content:
    """What became of a job: the clips in its file, and what was left out."""

    split: str
    records: list[ClipRecord]
    skipped: list[Skipped]
    name: str = ""
    seen: str = ""


def _contents(writer: StoreWriter, jobs: Iterable[Job], failed: dict[str, str]) -> list[_Content]:
    """What became of each job, by the notes in the conversations' files."""
    contents = []
    for job in jobs:
        notes = writer.notes(job.conversation)
        if notes is None:
            reason = failed.get(job.conversation, "not made yet; run the same command again")
            contents.append(_Content(job.split, [], [Skipped(job.conversation, reason)]))
            continue
        clips, skipped = clips_of_notes(notes)
        records = [
            ClipRecord(conversation=job.conversation, split=job.split, **asdict(clip))
            for clip in clips
        ]
        seen = notes.get(SEEN, "")
        contents.append(_Content(job.split, records, skipped, job.conversation, seen))
    return contents


def _report(
    corpus: Corpus,
    out: Path,
    contents: Sequence[_Content],
    skipped: tuple[Skipped, ...],
    info: DatasetInfo | None,
    waiting_for: tuple[str, ...] = (),
) -> Prepared:
    clips, frames, conversations = (dict.fromkeys(SPLITS, 0) for _ in range(3))
    for content in contents:
        clips[content.split] += len(content.records)
        frames[content.split] += sum(map(len, content.records))
        conversations[content.split] += bool(content.records)
    return Prepared(
        path=out,
        info=info,
        clips=clips,
        minutes={split: count / corpus.fps / 60.0 for split, count in frames.items()},
        conversations=conversations,
        skipped=(*skipped, *(skip for content in contents for skip in content.skipped)),
        remarks=corpus.remarks,
        licence=corpus.licence,
        waiting_for=waiting_for,
        seen={each.name: json.loads(each.seen) for each in contents if each.seen},
    )
