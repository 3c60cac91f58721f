"""A folder of anybody's dyad videos: one file side by side, or one for each person.

A table, ``clips.csv`` in the folder, has one row a clip. Columns, of which only ``video``, or
``speaker`` and ``listener``, are needed; files are relative to the folder:

========== ========================================================================================
video      both persons side by side
layout     of ``video``: ``speaker-left`` (default) or ``speaker-right``
speaker    the speaker's video
listener   the listener's video, of the same time
sound      the speaker's sound, where it is not in the speaker's (or the side-by-side) video
id         the clip's name; default the file's, with ``-right`` where ``layout`` says so
start      seconds at which the clip starts, default 0; ``stop`` likewise, default the end
split      ``train``, ``val`` or ``test``; default seeded, by speaker (by file if unknown)
attitude   the listener's: ``positive``, ``neutral``, ``negative``
speaker_id who speaks; ``listener_id`` likewise
========== ========================================================================================

Without a table, ``<name>.speaker.mp4`` and ``<name>.listener.mp4`` are a pair, and every other
video shows both. Motion that was tracked already lies in a folder of its own under the videos'
names, without their suffix; of a side-by-side video as ``<name>.speaker`` and ``<name>.listener``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import ROLES, SPLITS, DataConfig
from dimcli.data.corpora.preparing import SEEN, Corpus, Job, file_name
from dimcli.data.corpora.sources import (
    MotionPlan,
    SoundPlan,
    encoded_piece,
    no_sound,
    whole_recording,
)
from dimcli.data.corpora.tables import Row, attitude_of, drawn_groups, read_table
from dimcli.data.folds import groups
from dimcli.data.store import BY_RECORDING, SPEAKERS
from dimcli.data.writer import Dyads, Piece, Skipped, Span, joined, paired, split_conversations
from dimcli.media import probe_video, read_audio

TABLE = "clips.csv"
LAYOUTS = ("speaker-left", "speaker-right")
LICENCE = "the terms of the clips themselves, and the consent of who is seen in them"

_VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_VAL_SHARE = 0.1
_MIN_S = 0.2
RATE = DataConfig().fps
"""Frames a second of everything bundled."""


@dataclass(frozen=True)
class _Files:
    """The recordings of a conversation; those of one table row or more."""

    speaker: str
    listener: str
    layout: str
    sound: str

    @property
    def name(self) -> str:
        """What the conversation is called."""
        return self.speaker if self.speaker == self.listener else f"{self.speaker}+{self.listener}"


@dataclass(frozen=True)
class _Clip:
    """A part of a conversation: from ``start_s`` to ``stop_s`` (None: its end)."""

    id: str
    start_s: float
    stop_s: float | None
    speaker: str
    listener: str
    attitude: str


@dataclass(frozen=True)
class _Options:
    root: Path
    motion: MotionPlan
    sound: SoundPlan
    fps: float


def clips(
    root: Path,
    *,
    table: Path | None = None,
    layout: str = LAYOUTS[0],
    motion: MotionPlan | None = None,
    audio: str = "auto",
    fps: float | None = None,
    seed: int = 0,
) -> Corpus:
    """The dyad videos in ``root``, to be prepared; see the module for the table.

    ``layout`` is that of side-by-side videos whose row says nothing; ``motion`` says who tracks
    them, or where their motion lies; ``audio`` an encoder, ``none`` or ``auto``; ``fps`` is by
    default that of the bundled models, which then can be compared and trained on with it. Raises
    InputError without any video.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected one of videos")
    if layout not in LAYOUTS:
        raise InputError(f"--layout {layout}: expected one of {', '.join(LAYOUTS)}")
    if audio == "given":
        raise InputError("--audio given: expected mel, hubert or none")
    if table is None and (root / TABLE).is_file():
        table = root / TABLE
    rows = read_table(table, ()) if table else _rows_of_folder(root)
    if not rows:
        raise InputError(f"{root}: has no videos; expected {', '.join(_VIDEO_SUFFIXES)}")
    found: dict[_Files, list[tuple[_Clip, str]]] = {}
    skipped = []
    for number, row in enumerate(rows, start=2):
        try:
            files = _files(row, layout)
            clip = _clip(row, files)
            split = row.get("split", "")
            if split not in (*SPLITS, ""):
                raise InputError(f"split '{split}'; expected one of {', '.join(SPLITS)}")
        except InputError as error:
            skipped.append(Skipped(row.get("id") or f"row {number}", str(error)))
            continue
        found.setdefault(files, []).append((clip, split))
    splits, without = _splits(found, seed)
    rate, remark = (fps, ()) if fps else (RATE, _resampled(root, splits))
    motion = motion or MotionPlan()
    sound = SoundPlan.choose(audio, given=None, sound=audio != "none")
    options = _Options(root, motion, sound, rate)
    choices: dict[str, object] = {"seed": seed}
    nameless = sum(not row.get("speaker_id") for row in rows)
    if nameless:
        choices[SPEAKERS] = BY_RECORDING
        few = "" if nameless == len(rows) else f" of the {nameless} rows without a speaker_id"
        remark += (
            f"each file{few} counts as a speaker of its own: {TABLE} with a column speaker_id says "
            "who speaks (dim prepare clips --help)",
        )
    jobs = []
    named = Counter(files.name for files in splits)
    for files, split in sorted(splits.items(), key=lambda item: item[0].name):
        parts = tuple(clip for clip, _ in found[files])
        name = files.name if named[files.name] == 1 else f"{files.name}-{files.layout}"
        name = parts[0].id if len(parts) == 1 else name
        key = json.dumps([vars(files), [vars(part) for part in parts]])
        jobs.append(Job(file_name(name), split, partial(_make, options, files, parts), key))
    return Corpus(
        name="clips",
        fps=options.fps,
        space=motion.space,
        encoder=options.sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": options.sound.origin, **motion.settings},
        choices=choices,
        skipped=(*skipped, *without),
        remarks=(*remark, *options.sound.remarks()),
    )


def _rows_of_folder(root: Path) -> list[Row]:
    """What a folder without a table stands for."""
    names = sorted(
        path.name
        for path in root.iterdir()
        if path.suffix.lower() in _VIDEO_SUFFIXES and not path.name.startswith(".")
    )
    rows = []
    for name in names:
        stem, _, suffix = name.rpartition(".")
        base, _, role = stem.rpartition(".")
        if role == "speaker" and f"{base}.listener.{suffix}" in names:
            pair = {"speaker": name, "listener": f"{base}.listener.{suffix}"}
            rows.append({"id": base, **pair})
        elif role != "listener" or f"{base}.speaker.{suffix}" not in names:
            rows.append({"video": name})
    return rows


def _files(row: Row, layout: str) -> _Files:
    video, speaker, listener = (row.get(key, "") for key in ("video", "speaker", "listener"))
    if bool(video) == bool(speaker or listener) or bool(speaker) != bool(listener):
        raise InputError("a row names a video, or a speaker's and a listener's; one of the two")
    arranged = row.get("layout") or layout
    if arranged not in LAYOUTS:
        raise InputError(f"layout '{arranged}'; expected one of {', '.join(LAYOUTS)}")
    sound = row.get("sound") or video or speaker
    return _Files(video or speaker, video or listener, arranged if video else "two files", sound)


def _clip(row: Row, files: _Files) -> _Clip:
    try:
        start_s = float(row.get("start") or 0.0)
        stop_s = float(row["stop"]) if row.get("stop") else None
    except ValueError:
        raise InputError("start and stop are seconds, as in 12.5") from None
    if not (0 <= start_s < 1e6 and (stop_s is None or start_s + _MIN_S <= stop_s < 1e6)):
        raise InputError(f"start {start_s:g} and stop {stop_s}; expected 0 <= start < stop seconds")
    # not Path.stem: names of clips hold dots
    name = row.get("id") or files.speaker.rpartition(".")[0]
    if not row.get("id"):
        name += "-right" if row.get("layout") == LAYOUTS[1] else ""  # both may be listed
        name += f"-{start_s:g}" if start_s else ""
    return _Clip(
        id=name,
        start_s=start_s,
        stop_s=stop_s,
        speaker=row.get("speaker_id") or f"speaker of {files.speaker}",
        listener=row.get("listener_id") or f"listener of {files.listener}",
        attitude=attitude_of(row.get("attitude", "")),
    )


def _splits(
    found: dict[_Files, list[tuple[_Clip, str]]], seed: int
) -> tuple[dict[_Files, str], list[Skipped]]:
    """The split of each conversation: the table's, where it has one."""
    said = {files: {split for _, split in parts} for files, parts in found.items()}
    dyads = [
        (files, clip.speaker, clip.listener) for files, parts in found.items() for clip, _ in parts
    ]
    person = {files: found[one][0][0].speaker for files, one in groups(dyads).items()}
    if all(splits == {""} for splits in said.values()):
        drawn = split_conversations(list(person.values()), seed)
        return {files: drawn[person[files]] for files in found}, []
    chosen, without = {}, []
    for files, splits in said.items():
        if len(splits) == 1 and "" not in splits:
            chosen[files] = next(iter(splits))
        else:
            reason = "its rows name no split, or several; expected one for each recording"
            without.append(Skipped(files.name, reason))
    if "val" not in chosen.values():
        train = [files for files, split in chosen.items() if split == "train"]
        val = drawn_groups(dict(Counter(person[files] for files in train)), _VAL_SHARE, seed)
        chosen |= {files: "val" for files in train if person[files] in val}
    return chosen, without


def _resampled(root: Path, splits: dict[_Files, str]) -> tuple[str, ...]:
    """A line where the first video that can be read has another rate than the default. Raises
    InputError where none can be read."""
    reason = "every row is at fault"
    for files in sorted(splits, key=lambda files: files.name):
        try:
            rate = probe_video(root / files.speaker).fps
        except InputError as error:
            reason = str(error)
            continue
        if rate == RATE:
            return ()
        return (
            f"{RATE:g} frames a second, as the bundled models take; {files.speaker} has {rate:g} "
            "(--fps changes it)",
        )
    raise InputError(f"{root}: no video can be read ({reason})")


def _make(options: _Options, files: _Files, parts: tuple[_Clip, ...]) -> Dyads:
    """A conversation: tracked once, then cut into its clips."""
    fps = options.fps
    motions = _tracked(options, files)
    speaker, listener = paired(*motions, fps)
    audio = no_sound(len(speaker))
    if options.sound.origin == "sound":
        path = options.root / files.sound
        samples = read_audio(path)
        if not len(samples):
            raise InputError(f"{path}: has no sound; name another with 'sound', or --audio none")
        rows = whole_recording(samples, options.sound.encoder, fps)
        audio = encoded_piece(rows, 0.0, fps, len(speaker))
    pieces, skipped = [], []
    for part in parts:
        first = round(part.start_s * fps)
        last = len(speaker) if part.stop_s is None else round(part.stop_s * fps)
        if last > len(speaker) + round(_MIN_S * fps) or first + _MIN_S * fps > len(speaker):
            reason = (
                f"{part.start_s:g} to {part.stop_s} s; the recording has {len(speaker) / fps:.2f} s"
            )
            skipped.append(Skipped(part.id, reason))
            continue
        span = Span(part.id, 0, 1, part.speaker, part.listener, part.attitude)
        cut = slice(first, min(last, len(speaker)))
        pieces.append(Piece(span, speaker.values[cut], listener.values[cut], audio[cut]))
    seen = {role: round(float(m.valid.mean()), 4) for role, m in zip(ROLES, motions, strict=True)}
    return replace(joined(pieces, skipped), facts={SEEN: json.dumps(seen)})


def _tracked(options: _Options, files: _Files) -> tuple[Motion, Motion]:
    """The speaker's and the listener's motion."""
    follow = partial(options.motion.motion, fps=options.fps)
    speaker, listener = options.root / files.speaker, options.root / files.listener
    # not Path.stem: names of clips hold dots
    names = [file.rpartition(".")[0] for file in (files.speaker, files.listener)]
    if speaker != listener:
        return follow(speaker, names[0]), follow(listener, names[1])
    regions: list[tuple[int, int, int, int] | None] = [None, None]
    if options.motion.folder is None:
        info = probe_video(speaker)
        half = info.width // 2
        regions = [(0, 0, half, info.height), (info.width - half, 0, half, info.height)]
    if files.layout != LAYOUTS[0]:
        regions.reverse()
    return (
        follow(speaker, f"{names[0]}.speaker", region=regions[0]),
        follow(speaker, f"{names[0]}.listener", region=regions[1]),
    )
