"""Writing a data set: conversations in any order, each file whole or absent, the index last.

:class:`Dyads` is one conversation on its way in: two motions, the speaker's sound, and its clips. A
folder without ``dataset.yaml`` is an unfinished data set, which the same command goes on with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dimcli.core import limits
from dimcli.core.config import from_dict
from dimcli.core.documents import parse_json, read_json_lines
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, check_folder, write_text
from dimcli.core.motion import MOTION_DIM, Bools, Floats, Motion
from dimcli.core.tensors import read_note
from dimcli.data.clip import SPLITS, UNKNOWN_STYLE, ClipRecord
from dimcli.data.conversations import CONVERSATIONS, conversation_path
from dimcli.data.store import HEADER, INDEX, LISTENER_VOICE, STATISTICS, DatasetInfo, voice_note

TOLERANCE_S = 0.5
"""Recordings of one conversation may differ this much in length; the shorter one counts."""

MIN_SEEN = 0.5
"""A clip in which either face is seen in less than this share of the frames is left out."""


@dataclass(frozen=True)
class Span:
    """A clip within a conversation's arrays: frames ``start`` to ``stop`` (exclusive), its id, the
    persons' ids, the listener's attitude and the speaker's style.
    """

    id: str
    start: int
    stop: int
    speaker: str
    listener: str
    attitude: str = "unknown"
    style: str = UNKNOWN_STYLE


@dataclass(frozen=True)
class Skipped:
    """Something of a corpus that is not in the data set: its ``name`` and the ``reason``."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dyads:
    """A conversation's arrays: motions float32 [T, 56], sound float32 [T, D], and the clips in it.

    ``skipped`` are clips of this conversation that could not be used; ``facts`` what else is known
    of it, kept in its file and read by :meth:`dimcli.data.store.ClipStore.facts`. ``talks``
    bool [T]: whether the listener talks, None where nobody knows.
    """

    speaker: Floats
    listener: Floats
    audio: Floats
    clips: tuple[Span, ...]
    skipped: tuple[Skipped, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    talks: Bools | None = None

    def __post_init__(self) -> None:
        if not self.clips:
            raise InputError(
                self.skipped[0].reason if len(self.skipped) == 1 else self._why_nothing()
            )

    def _why_nothing(self) -> str:
        if not self.skipped:
            return "no clip in it"
        first = self.skipped[0]
        return f"none of its {len(self.skipped)} clips can be used (first: {first.reason})"

    def notes(self, fps: float) -> dict[str, str]:
        """What the index needs to know of this conversation of ``fps`` frames a second, to be kept
        in its file."""
        voice = {} if self.talks is None else {LISTENER_VOICE: voice_note(self.talks, fps)}
        return {
            **voice,
            "clips": json.dumps([asdict(clip) for clip in self.clips]),
            "skipped": json.dumps([asdict(skip) for skip in self.skipped]),
            **self.facts,
        }


def clips_of_notes(notes: dict[str, str]) -> tuple[list[Span], list[Skipped]]:
    """The clips and what was left out, of a conversation's notes. Raises ValueError, KeyError or
    TypeError where they are not :meth:`Dyads.notes`.
    """
    clips, skipped = (parse_json(notes[name], f"note {name}") for name in ("clips", "skipped"))
    return (
        [from_dict(Span, clip, "note clips") for clip in clips],
        [from_dict(Skipped, skip, "note skipped") for skip in skipped],
    )


def paired(speaker: Motion, listener: Motion, fps: float) -> tuple[Motion, Motion]:
    """Both motions at ``fps``, as long as the shorter one.

    Raises InputError where their lengths differ by more than TOLERANCE_S or a face is hardly seen.
    """
    check_lengths({"speaker": speaker.duration_s, "listener": listener.duration_s})
    for role, motion in (("speaker", speaker), ("listener", listener)):
        if motion.valid.mean() < MIN_SEEN:
            raise InputError(
                f"the {role}'s face is seen in {motion.valid.mean():.0%} of the frames"
            )
    frames = int(min(speaker.duration_s, listener.duration_s) * fps + 1e-6)
    if frames < 1:
        raise InputError("it has no frames")
    return speaker.resampled(fps, frames), listener.resampled(fps, frames)


def check_lengths(lengths_s: dict[str, float]) -> None:
    """Raise InputError that names lengths (in seconds) which differ by more than TOLERANCE_S."""
    if max(lengths_s.values()) - min(lengths_s.values()) > TOLERANCE_S:
        said = ", ".join(f"{name} {length:.2f} s" for name, length in lengths_s.items())
        raise InputError(f"lengths differ: {said}; expected the same within {TOLERANCE_S:g} s")


class Piece(NamedTuple):
    """A clip: its span, whose frames :func:`joined` sets, the motions of speaker and listener
    [T, 56], audio [T, D], and whether the listener talks [T], where that is known."""

    span: Span
    speaker: Floats
    listener: Floats
    audio: Floats
    talks: Bools | None = None


def joined(pieces: list[Piece], skipped: list[Skipped]) -> Dyads:
    """A conversation of clips that lie anywhere in it, one after the other."""
    if not pieces:
        nothing = np.zeros((0, 0), np.float32)
        return Dyads(nothing, nothing, nothing, (), tuple(skipped))
    clips = []
    at = 0
    for piece in pieces:
        fields = asdict(piece.span) | {"start": at, "stop": at + len(piece.speaker)}
        clips.append(Span(**fields))
        at += len(piece.speaker)
    speakers, listeners, audio = (
        np.concatenate([piece[part] for piece in pieces]) for part in (1, 2, 3)
    )
    known = [piece.talks for piece in pieces if piece.talks is not None]
    talks = np.concatenate(known) if len(known) == len(pieces) else None
    return Dyads(speakers, listeners, audio, tuple(clips), tuple(skipped), talks=talks)


SKIPPED = "skipped.jsonl"


class StoreWriter:
    """Writes a data set folder. ``out`` is made, with its parents.

    With ``half`` audio features are kept in float16: what rounding takes, at most a 2,048th of each
    number, is far less than one recording differs from the next by. Motion stays in float32.
    """

    def __init__(
        self,
        out: Path,
        *,
        name: str,
        fps: float,
        space: str,
        encoder: str,
        audio_dim: int,
        half: bool = False,
    ) -> None:
        out = check_folder(out)
        (out / CONVERSATIONS).mkdir(parents=True, exist_ok=True)
        self.out = out
        self.name, self.fps, self.space = name, float(fps), space
        self.encoder, self.audio_dim = encoder, audio_dim
        self._kinds = {"audio": np.float16 if half else np.float32}

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
            with np.errstate(over="ignore"):
                kept = np.ascontiguousarray(array, dtype=self._kinds.get(key, np.float32))
            if not np.abs(kept).max(initial=0.0) <= limits.LARGEST_NUMBER:
                raise InputError(
                    f"conversation {conversation}: {key} has NaN, infinite or huge values"
                )
            tensors[key] = kept
        with atomic_output(path, force=True) as temporary:
            # One key, because safetensors writes several in a random order.
            save_file(tensors, temporary, metadata={"notes": json.dumps(dict(notes))})

    def notes(self, conversation: str) -> dict[str, str] | None:
        """The notes of a conversation that is there and whole, or None."""
        path = conversation_path(self.out, conversation)
        if not path.is_file():
            return None
        try:
            return dict(read_note(path, "notes"))
        except (InputError, TypeError, ValueError):
            return None

    def is_finished(self) -> bool:
        """Whether the data set is whole, though perhaps more can be added."""
        return (self.out / HEADER).is_file()

    def skipped(self) -> list[Skipped]:
        """What the last :meth:`finish` left out."""
        path = self.out / SKIPPED
        try:
            return [from_dict(Skipped, line, source) for source, line in read_json_lines(path)]
        except (OSError, InputError):
            return []

    def finish(
        self,
        records: Sequence[ClipRecord],
        made_by: dict[str, Any],
        skipped: Sequence[Skipped] = (),
    ) -> DatasetInfo:
        """Write the index and ``dataset.yaml``; the data set is whole after this.

        ``skipped``, if any, goes to ``skipped.jsonl``, for who wants to know what is not there.
        """
        if not records:
            raise InputError(f"{self.out}: no clip to write; the source gave none")
        if skipped:
            write_text(self.out / SKIPPED, _lines(skipped))
        else:
            (self.out / SKIPPED).unlink(missing_ok=True)
        write_text(self.out / INDEX, _lines(records))
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
        write_text(self.out / HEADER, yaml.safe_dump(asdict(info), sort_keys=False))
        return info


def _lines(records: Sequence[ClipRecord] | Sequence[Skipped]) -> str:
    return "".join(json.dumps(asdict(record)) + "\n" for record in records)


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
