"""A data set on disk: ``dataset.yaml``, ``clips.jsonl``, one ``.safetensors`` a conversation.

Reading maps files and slices them, so that memory does not grow with the hours. Writing goes
through :class:`StoreWriter`: conversations in any order, each file whole or absent, the index and
``dataset.yaml`` last; a folder without ``dataset.yaml`` is an unfinished data set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dimcli.config import ROLES
from dimcli.data.clip import SPLITS, Clip, ClipRecord
from dimcli.errors import InputError
from dimcli.motion import MOTION_DIM, Motion

Floats = NDArray[np.float32]

FORMAT_VERSION = 1
INDEX = "clips.jsonl"
HEADER = "dataset.yaml"
STATISTICS = "statistics.json"
CONVERSATIONS = "conversations"


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


class StoreWriter:
    """Writes a data set; see the module. ``out`` is made when its parent is there."""

    def __init__(
        self, out: Path, *, name: str, fps: float, space: str, encoder: str, audio_dim: int
    ) -> None:
        out = Path(out)
        if not out.parent.is_dir():
            raise InputError(f"{out.parent}: no such folder; make it first")
        if out.exists() and not out.is_dir():
            raise InputError(f"{out}: is a file; name a folder for the data set")
        (out / CONVERSATIONS).mkdir(parents=True, exist_ok=True)
        self.out = out
        self.name, self.fps, self.space = name, float(fps), space
        self.encoder, self.audio_dim = encoder, audio_dim

    def add(
        self,
        conversation: str,
        *,
        speaker: Floats,
        listener: Floats,
        audio: Floats,
        notes: Mapping[str, str],
    ) -> None:
        """Write one conversation: motions [T, 56], audio [T, D], ``notes`` kept in the file."""
        path = conversation_path(self.out, conversation)
        frames = len(audio)
        wanted = {
            "speaker": (speaker, MOTION_DIM),
            "listener": (listener, MOTION_DIM),
            "audio": (audio, self.audio_dim),
        }
        tensors: dict[str, NDArray[Any]] = {}
        for key, (array, width) in wanted.items():
            if array.shape != (frames, width):
                raise InputError(
                    f"conversation {conversation}: {key} has shape {array.shape}; "
                    f"expected ({frames}, {width})"
                )
            if not np.isfinite(array).all():
                raise InputError(f"conversation {conversation}: {key} has NaN or infinite values")
            tensors[key] = np.ascontiguousarray(array, dtype=np.float32)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            # One key, because safetensors writes several in a random order.
            save_file(tensors, temporary, metadata={"notes": json.dumps(dict(notes))})
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def notes(self, conversation: str) -> dict[str, str] | None:
        """The notes of a conversation that is there and whole, or None."""
        path = conversation_path(self.out, conversation)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                return dict(json.loads((file.metadata() or {})["notes"]))
        except (SafetensorError, KeyError, ValueError):
            return None

    def finish(self, records: Sequence[ClipRecord], made_by: dict[str, Any]) -> DatasetInfo:
        """Write the index and ``dataset.yaml``; the data set is whole after this."""
        if not records:
            raise InputError(f"{self.out}: no clip to write; the source gave none")
        lines = "".join(json.dumps(asdict(record)) + "\n" for record in records)
        _replace_text(self.out / INDEX, lines)
        (self.out / STATISTICS).unlink(missing_ok=True)
        info = DatasetInfo(
            name=self.name,
            fps=self.fps,
            space=self.space,
            audio_encoder=self.encoder,
            audio_dim=self.audio_dim,
            clips={split: sum(record.split == split for record in records) for split in SPLITS},
            conversations=len({record.conversation for record in records}),
            hours=round(sum(map(len, records)) / self.fps / 3600.0, 4),
            made_by=made_by,
        )
        _replace_text(self.out / HEADER, yaml.safe_dump(asdict(info), sort_keys=False))
        return info


class ClipStore:
    """Reads a data set: strict about its shape, lazy about its arrays.

    Raises InputError that names the file when anything is missing, malformed or of another format.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.info = _read_header(self.root)
        self.records = _read_index(self.root)

    def clips(self, split: str) -> list[ClipRecord]:
        """The clips of one split, in order."""
        if split not in SPLITS:
            raise InputError(f"split '{split}' is unknown; known: {', '.join(SPLITS)}")
        return [record for record in self.records if record.split == split]

    def load(self, record: ClipRecord, start: int = 0, stop: int | None = None) -> Clip:
        """Frames ``start`` to ``stop`` (exclusive, of the clip; default its end) as a Clip."""
        stop = len(record) if stop is None else stop
        if not 0 <= start < stop <= len(record):
            raise InputError(
                f"clip {record.id}: frames {start}..{stop} are outside its {len(record)} frames"
            )
        first, last = record.start + start, record.start + stop
        path = conversation_path(self.root, record.conversation)
        widths = dict.fromkeys(ROLES, MOTION_DIM) | {"audio": self.info.audio_dim}
        arrays: dict[str, Floats] = {}
        try:
            with safe_open(path, framework="numpy") as file:
                missing = set(widths) - set(file.keys())
                if missing:
                    raise InputError(f"{path}: lacks {', '.join(sorted(missing))}")
                for key, width in widths.items():
                    part = file.get_slice(key)
                    shape = tuple(part.get_shape())
                    if len(shape) != 2 or shape[1] != width or shape[0] < last:
                        raise InputError(
                            f"{path}: {key} has shape {shape}; expected at least ({last}, {width})"
                        )
                    arrays[key] = part[first:last]
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: cannot be read ({error}); prepare it again") from None
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise InputError(f"{path}: NaN or infinite values; prepare it again")
        fps, space = self.info.fps, self.info.space
        return Clip(
            record=record,
            speaker=Motion(arrays["speaker"], fps=fps, space=space),
            listener=Motion(arrays["listener"], fps=fps, space=space),
            speaker_audio=arrays["audio"],
            audio_encoder=self.info.audio_encoder,
            start=start,
        )

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
            _replace_text(path, json.dumps(as_lists))
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


def conversation_path(root: Path, conversation: str) -> Path:
    """Where a conversation's arrays lie."""
    return Path(root) / CONVERSATIONS / f"{conversation}.safetensors"


def split_conversations(
    conversations: Sequence[str], seed: int, val: float = 0.1, test: float = 0.1
) -> dict[str, str]:
    """A split for each conversation: sorted, then shuffled by ``seed``; val is never test."""
    names = sorted(set(conversations))
    order = np.random.default_rng(seed).permutation(len(names))
    few = len(names) < 3
    number = {
        "val": 0 if few else max(1, round(val * len(names))),
        "test": 0 if few else max(1, round(test * len(names))),
    }
    splits = ["val"] * number["val"] + ["test"] * number["test"]
    splits += ["train"] * (len(names) - len(splits))
    return {names[index]: split for index, split in zip(order, splits, strict=True)}


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
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            records.append(ClipRecord(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
    if not records:
        raise InputError(f"{path}: empty; prepare the data set again")
    where: dict[str, set[str]] = {}
    for record in records:
        where.setdefault(record.conversation, set()).add(record.split)
    for conversation, splits in where.items():
        if len(splits) > 1:
            raise InputError(f"{path}: conversation {conversation} is in {' and '.join(splits)}")
    return records


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    temporary.replace(path)
