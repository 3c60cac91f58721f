"""One conversation on its way into a data set: two motions, the speaker's sound, and its clips."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import UNKNOWN_STYLE

Floats = NDArray[np.float32]

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
    of it, kept in its file and read by :meth:`dimcli.data.store.ClipStore.facts`.
    """

    speaker: Floats
    listener: Floats
    audio: Floats
    clips: tuple[Span, ...]
    skipped: tuple[Skipped, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

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

    def notes(self) -> dict[str, str]:
        """What the index needs to know of this conversation, to be kept in its file."""
        return {
            "clips": json.dumps([asdict(clip) for clip in self.clips]),
            "skipped": json.dumps([asdict(skip) for skip in self.skipped]),
            **self.facts,
        }


def clips_of_notes(notes: dict[str, str]) -> tuple[list[Span], list[Skipped]]:
    """The clips and what was left out, of a conversation's notes. Raises ValueError, KeyError or
    TypeError where they are not :meth:`Dyads.notes`.
    """
    clips = [Span(**clip) for clip in json.loads(notes["clips"])]
    return clips, [Skipped(**skip) for skip in json.loads(notes["skipped"])]


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


def joined(pieces: list[tuple[Span, Floats, Floats, Floats]], skipped: list[Skipped]) -> Dyads:
    """A conversation of clips that lie anywhere in it, one after the other.

    Each piece is a span, whose frames are set here, and its speaker [T, 56], listener [T, 56] and
    audio [T, D].
    """
    if not pieces:
        nothing = np.zeros((0, 0), np.float32)
        return Dyads(nothing, nothing, nothing, (), tuple(skipped))
    clips = []
    at = 0
    for span, speaker, _, _ in pieces:
        fields = asdict(span) | {"start": at, "stop": at + len(speaker)}
        clips.append(Span(**fields))
        at += len(speaker)
    speakers, listeners, audio = (
        np.concatenate([piece[part] for piece in pieces]) for part in (1, 2, 3)
    )
    return Dyads(speakers, listeners, audio, tuple(clips), tuple(skipped))
