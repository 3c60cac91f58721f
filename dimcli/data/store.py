"""A data set on disk: ``dataset.yaml``, ``clips.jsonl``, one ``.safetensors`` a conversation.

Reading takes from the files what is asked for, so that memory hardly grows with the hours. Writing
is in :mod:`dimcli.data.writer`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.arrays import CONVERSATIONS, ConversationReader, conversation_path
from dimcli.data.clip import ROLES, SPLITS, UNKNOWN_STYLE, Clip, ClipRecord, DataConfig

Floats = NDArray[np.float32]

FORMAT_VERSION = 1
INDEX = "clips.jsonl"
HEADER = "dataset.yaml"
STATISTICS = "statistics.json"


@dataclass(frozen=True)
class DatasetInfo:
    """What ``dataset.yaml`` says: every clip shares ``fps``, ``space`` and the audio encoder."""

    name: str
    fps: float
    space: str
    audio_encoder: str
    audio_dim: int
    clips: dict[str, int]
    conversations: int
    hours: float
    made_by: dict[str, Any]
    format: int = FORMAT_VERSION


@dataclass(frozen=True)
class ColumnStatistics:
    """Mean and standard deviation a column over the train split: float32 [56] or [D]."""

    mean: Floats
    std: Floats


class ClipStore:
    """Reads a data set: strict about its shape, lazy about its arrays.

    Raises InputError that names the file when anything is missing, malformed or of another format.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.info = _read_header(self.root)
        self.records = _read_index(self.root)
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
                return dict(json.loads((file.metadata() or {}).get("notes", "{}")))
        except (OSError, SafetensorError, ValueError, TypeError):
            raise InputError(f"{path}: missing or damaged; prepare the data set again") from None

    def statistics(self) -> dict[str, ColumnStatistics]:
        """Per-column statistics of the train split for ``speaker``, ``listener``, ``audio``.

        Computed once, in one pass over the files, and kept beside them.
        """
        path = self.root / STATISTICS
        if path.is_file():
            try:
                stored = json.loads(path.read_text())
                return {
                    key: ColumnStatistics(
                        np.asarray(stored[key]["mean"], np.float32),
                        np.asarray(stored[key]["std"], np.float32),
                    )
                    for key in (*ROLES, "audio")
                }
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{path}: damaged; delete it and it is made again") from None
        found = self._compute_statistics()
        as_lists = {
            key: {"mean": value.mean.tolist(), "std": value.std.tolist()}
            for key, value in found.items()
        }
        # A data set on a read-only disk still works; it only counts again next time.
        if os.access(self.root, os.W_OK):
            replace_text(path, json.dumps(as_lists))
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


def data_config(store: ClipStore) -> DataConfig:
    """What a model trained on ``store`` takes."""
    info = store.info
    named = {record.style for record in store.records if record.split == "train"}
    styles = ",".join(sorted(named - {UNKNOWN_STYLE}))
    return DataConfig(info.fps, info.space, info.audio_encoder, info.audio_dim, styles)


def _read_header(root: Path) -> DatasetInfo:
    path = root / HEADER
    if not path.is_file():
        unfinished = (root / CONVERSATIONS).is_dir()
        hint = "its making was interrupted; run it again" if unfinished else "see `dim prepare`"
        raise InputError(f"{root}: not a data set (no {HEADER}); {hint}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        raise InputError(f"{path}: not valid YAML") from None
    known = [field.name for field in fields(DatasetInfo)]
    if not isinstance(content, dict) or set(content) != set(known):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content)
        raise InputError(f"{path}: has {found}; expected {', '.join(known)}")
    if content["format"] != FORMAT_VERSION:
        raise InputError(
            f"{path}: format {content['format']}; this version reads {FORMAT_VERSION}; "
            "prepare it again"
        )
    return DatasetInfo(**content)


def _read_index(root: Path) -> list[ClipRecord]:
    path = root / INDEX
    if not path.is_file():
        raise InputError(f"{path}: missing; prepare the data set again")
    records = []
    where: dict[str, str] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                fields = json.loads(line)
                # names that many clips share are kept once
                record = ClipRecord(**{key: _shared(key, fields[key]) for key in fields})
            except (ValueError, TypeError, InputError) as error:
                raise InputError(f"{path}: line {number}: {error}") from None
            split = where.setdefault(record.conversation, record.split)
            if split != record.split:
                raise InputError(
                    f"{path}: conversation {record.conversation} is in {split} and {record.split}"
                )
            records.append(record)
    if not records:
        raise InputError(f"{path}: empty; prepare the data set again")
    return records


def _shared(key: str, value: Any) -> Any:
    return sys.intern(value) if isinstance(value, str) and key != "id" else value


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, whole."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    temporary.replace(path)
