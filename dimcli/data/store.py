"""A data set on disk: ``dataset.yaml``, ``clips.jsonl``, one ``.safetensors`` a conversation.

Reading takes from the files what is asked for (:mod:`dimcli.data.conversations`), so that memory
hardly grows with the hours. Writing is in :mod:`dimcli.data.writer`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dimcli.core.config import Choice, Count, Range, Section, from_dict
from dimcli.core.documents import parse_json, read_json, read_json_lines, read_yaml, shortened
from dimcli.core.errors import InputError
from dimcli.core.files import write_text
from dimcli.core.masks import runs
from dimcli.core.motion import FPS_RANGE, MOTION_DIM, SPACES, Bools, Floats, Motion
from dimcli.data.clip import ROLES, SPLITS, UNKNOWN_STYLE, Clip, ClipRecord, DataConfig
from dimcli.data.conversations import CONVERSATIONS, ConversationReader, conversation_path

LISTENER_VOICE = "listener_voice"
"""The fact of a conversation that says when its listener talks: JSON, [[start, end], ...] in
seconds from the start of its arrays. Data sets whose listeners' sound is not known have none."""

APPROPRIATE = "appropriate"
"""The fact of a conversation of one clip that says whose motion in the data set answers its speaker
as well as its listener's does: JSON, [[clip id, role], ...]."""


def voice_note(talks: Bools, fps: float) -> str:
    """The fact LISTENER_VOICE of frames [T] in which the listener talks; times lie well within the
    first and the last frame, so that rounding moves none."""
    return json.dumps((np.add(runs(talks), (0.25, -0.25)) / fps).round(6).tolist())


SPEAKERS, BY_RECORDING = "speakers", "by recording"
"""The fact of a data set in which a recording counts as a speaker of its own, because nobody said
who speaks there."""

FORMAT_VERSION = 1
INDEX = "clips.jsonl"
HEADER = "dataset.yaml"
STATISTICS = "statistics.json"


@dataclass(frozen=True)
class DatasetInfo(Section):
    """What ``dataset.yaml`` says: every clip shares ``fps``, ``space`` and the audio encoder."""

    name: str
    fps: Annotated[float, Range(*FPS_RANGE)]
    space: Annotated[str, Choice(*SPACES)]
    audio_encoder: str
    audio_dim: Annotated[int, Range(1, 16_384)]
    clips: dict[str, int]
    conversations: Count
    hours: Annotated[float, Range(0, 1e9)]
    made_by: dict[str, Any]
    format: int = FORMAT_VERSION


@dataclass(frozen=True)
class ColumnStatistics:
    """Mean and standard deviation a column over the train split: float32 [56] or [D]."""

    mean: Floats
    std: Floats


class ClipStore:
    """Reads a data set: strict about its shape, lazy about its arrays.

    ``splits`` are the splits of all conversations, in place of the data set's own. Raises
    InputError that names the file when anything is missing, malformed or of another format.
    """

    def __init__(self, root: Path, splits: Mapping[str, str] | None = None) -> None:
        self.root = Path(root)
        self.info = read_header(self.root)
        self.records = _read_index(self.root)
        self._own_splits = splits is None
        if splits is not None:
            self.records = [
                replace(record, split=splits[record.conversation]) for record in self.records
            ]
        widths = dict.fromkeys(ROLES, MOTION_DIM) | {"audio": self.info.audio_dim}
        self._reader = ConversationReader(self.root, widths)

    def clips(self, split: str, conversations: int = 0) -> list[ClipRecord]:
        """The clips of one split, in order; of its first so many ``conversations`` (0: of all)."""
        if split not in SPLITS:
            raise InputError(f"split '{split}' is unknown; known: {', '.join(SPLITS)}")
        found = [record for record in self.records if record.split == split]
        if not conversations:
            return found
        names = list(dict.fromkeys(record.conversation for record in found))[:conversations]
        return [record for record in found if record.conversation in set(names)]

    def load(self, record: ClipRecord, start: int = 0, stop: int | None = None) -> Clip:
        """Frames ``start`` to ``stop`` (exclusive, of the clip; default its end) as a Clip."""
        stop = len(record) if stop is None else stop
        if not 0 <= start < stop <= len(record):
            raise InputError(
                f"clip {record.id}: frames {start}..{stop} are outside its {len(record)} frames"
            )
        first, last = record.start + start, record.start + stop
        arrays = self._reader.rows(record.conversation, first, last)
        fps, space = self.info.fps, self.info.space
        return Clip(
            record=record,
            speaker=Motion(arrays["speaker"], fps=fps, space=space),
            listener=Motion(arrays["listener"], fps=fps, space=space),
            speaker_audio=arrays["audio"],
            audio_encoder=self.info.audio_encoder,
            start=start,
        )

    def motion_values(self, record: ClipRecord, role: str) -> Floats:
        """One role's motion over a whole clip, [T, 56], without reading the rest of it."""
        rows = self._reader.rows(record.conversation, record.start, record.stop, keys=(role,))
        return rows[role]

    def facts(self, conversation: str) -> dict[str, str]:
        """What else its maker knew of a conversation, by name. Raises InputError."""
        path = conversation_path(self.root, conversation)
        try:
            with safe_open(path, framework="numpy") as file:
                notes = (file.metadata() or {}).get("notes", "{}")
            return dict(parse_json(notes, str(path)))
        except (OSError, SafetensorError, ValueError, TypeError, InputError):
            raise InputError(f"{path}: missing or damaged; prepare the data set again") from None

    def appropriate(self, record: ClipRecord) -> list[tuple[ClipRecord, str]]:
        """Whose motion answers a clip's speaker as well as its listener's does, clips with a role
        each: nobody's where the data set does not say; without clips that are not there. Raises
        InputError."""
        text = self.facts(record.conversation).get(APPROPRIATE, "[]")
        try:
            named = [(str(name), str(role)) for name, role in json.loads(text)]
        except (TypeError, ValueError):
            named = [("", "")]
        if any(role not in ROLES for _, role in named):
            path = conversation_path(self.root, record.conversation)
            raise InputError(f"{path}: {APPROPRIATE} is not [[clip id, role], ...]")
        return [(self._by_id[name], role) for name, role in named if name in self._by_id]

    @cached_property
    def _by_id(self) -> dict[str, ClipRecord]:
        return {record.id: record for record in self.records}

    def listener_voice(self, record: ClipRecord) -> Bools | None:
        """Whether the listener talks in each frame of a clip, bool [T]; None where nobody knows.

        Segment [s, e] covers frames floor(s fps) to ceil(e fps) - 1. Raises InputError.
        """
        text = self.facts(record.conversation).get(LISTENER_VOICE)
        if text is None:
            return None
        try:
            times = np.asarray(json.loads(text), float).reshape(-1, 2) * self.info.fps
        except (TypeError, ValueError):
            times = np.full((1, 2), np.nan)
        if not np.isfinite(times).all():
            path = conversation_path(self.root, record.conversation)
            raise InputError(f"{path}: {LISTENER_VOICE} is not [[start, end], ...] in seconds")
        talks = np.zeros(len(record), bool)
        frames = np.clip(
            np.stack([np.floor(times[:, 0]), np.ceil(times[:, 1])], axis=1) - record.start,
            0,
            len(record),
        )
        for first, last in frames.astype(int):
            talks[first:last] = True
        return talks

    def statistics(self) -> dict[str, ColumnStatistics]:
        """Per-column statistics of the train split for ``speaker``, ``listener``, ``audio``.

        Computed once, in one pass over the files, and kept beside them.
        """
        path = self.root / STATISTICS
        if self._own_splits and path.is_file():
            try:
                stored = read_json(path)
                return {
                    key: ColumnStatistics(
                        *(_columns(stored[key][name], width) for name in ("mean", "std"))
                    )
                    for key, width in self._reader.widths.items()
                }
            except (InputError, ValueError, KeyError, TypeError, OverflowError):
                raise InputError(f"{path}: damaged; delete it and it is made again") from None
        found = self._compute_statistics()
        as_lists = {
            key: {"mean": value.mean.tolist(), "std": value.std.tolist()}
            for key, value in found.items()
        }
        # A data set on a read-only disk still works; it only counts again next time.
        if self._own_splits and os.access(self.root, os.W_OK):
            write_text(path, json.dumps(as_lists))
        return found

    def _compute_statistics(self) -> dict[str, ColumnStatistics]:
        train = self.clips("train")
        if not train:
            raise InputError(f"{self.root}: the train split is empty; statistics need it")
        keys = (*ROLES, "audio")
        count = 0
        total: dict[str, Any] = dict.fromkeys(keys, 0.0)
        squares: dict[str, Any] = dict.fromkeys(keys, 0.0)
        for record in train:
            clip = self.load(record)
            count += len(clip)
            arrays = {role: clip.motion(role).values for role in ROLES}
            for key, array in {**arrays, "audio": clip.speaker_audio}.items():
                values = array.astype(np.float64)
                total[key] = total[key] + values.sum(axis=0)
                squares[key] = squares[key] + (values**2).sum(axis=0)
        found = {}
        for key in keys:
            mean = total[key] / count
            variance = np.maximum(squares[key] / count - mean**2, 0.0)
            found[key] = ColumnStatistics(
                mean.astype(np.float32), np.sqrt(variance).astype(np.float32)
            )
        return found


def has_listeners(store: ClipStore) -> bool:
    """Whether somebody listens to its speakers: nobody does where they were scanned alone."""
    return store.info.made_by.get("prepare") not in ("biwi", "vocaset")


def knows_speakers(store: ClipStore) -> bool:
    """Whether its splits and folds keep people apart, and not recordings alone."""
    return store.info.made_by.get(SPEAKERS) != BY_RECORDING


def speakers_note(store: ClipStore) -> str:
    """What to know of every figure that is held out from ``store``, where it does not know who
    speaks; else nothing."""
    if knows_speakers(store):
        return ""
    named = ""
    if store.info.made_by.get("prepare") == "clips":
        named = " A column speaker_id in clips.csv says who speaks."
    return (
        "Held out as far as known: no names of speakers were given, so that each recording counts "
        f"as a speaker of its own, and who is in several may have been learnt from.{named}"
    )


def data_config(store: ClipStore) -> DataConfig:
    """What a model trained on ``store`` takes."""
    info = store.info
    named = {record.style for record in store.records if record.split == "train"}
    styles = ",".join(sorted(named - {UNKNOWN_STYLE}))
    return DataConfig(info.fps, info.space, info.audio_encoder, info.audio_dim, styles)


def read_header(root: Path) -> DatasetInfo:
    """What a data set's folder says of it. Raises InputError that names the fault."""
    path = root / HEADER
    if not path.is_file():
        unfinished = (root / CONVERSATIONS).is_dir()
        hint = "its making was interrupted; run it again" if unfinished else "see `dim prepare`"
        raise InputError(f"{root}: not a data set (no {HEADER}); {hint}")
    content = read_yaml(path)
    known = [field.name for field in fields(DatasetInfo)]
    if not isinstance(content, dict) or set(content) != set(known):
        found = (
            [shortened(key) for key in content][:20] if isinstance(content, dict) else ["no keys"]
        )
        raise InputError(f"{path}: has {', '.join(found)}; expected {', '.join(known)}")
    if content["format"] != FORMAT_VERSION:
        raise InputError(
            f"{path}: format {shortened(content['format'])}; this version reads {FORMAT_VERSION}; "
            "prepare it again"
        )
    try:
        return from_dict(DatasetInfo, content, str(path))
    except InputError as error:
        raise InputError(f"{error}; prepare it again") from None


def _read_index(root: Path) -> list[ClipRecord]:
    path = root / INDEX
    if not path.is_file():
        raise InputError(f"{path}: missing; prepare the data set again")
    records = []
    where: dict[str, str] = {}
    for source, line in read_json_lines(path):
        content = line
        if isinstance(line, dict):  # names that many clips share are kept once
            content = {key: _shared(key, value) for key, value in line.items()}
        try:
            record = from_dict(ClipRecord, content, "it")
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        split = where.setdefault(record.conversation, record.split)
        if split != record.split:
            raise InputError(
                f"{path}: conversation {record.conversation} is in {split} and {record.split}"
            )
        records.append(record)
    if not records:
        raise InputError(f"{path}: empty; prepare the data set again")
    return records


def _columns(values: Any, width: int) -> Floats:
    """Statistics of ``width`` columns. Raises ValueError or TypeError for anything else."""
    array = np.asarray(values, np.float32)
    if array.shape != (width,) or not np.isfinite(array).all():
        raise ValueError("not as many finite numbers as columns")
    return array


def _shared(key: str, value: Any) -> Any:
    return sys.intern(value) if isinstance(value, str) and key != "id" else value
