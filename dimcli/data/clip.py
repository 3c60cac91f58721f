"""Clips: what a conversation data set is made of, and what a method may see of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion

ROLES = ("speaker", "listener")
ATTITUDES = ("unknown", "negative", "neutral", "positive")
UNKNOWN_STYLE = "unknown"


@dataclass(frozen=True)
class DataConfig:
    """What the model's inputs are; copied from the data set when a run starts."""

    fps: float = 25.0
    """Frames a second of the motion and the audio features."""
    space: str = "arkit"
    """Motion space: ``arkit`` or ``flame``."""
    audio_encoder: str = "mel"
    """Name of the audio encoder."""
    audio_dim: int = 0
    """Width of the audio features; 0 until a data set fills it in."""
    styles: str = ""
    """Names of the ways of speaking in the data set, with commas between; empty for none."""


Floats = NDArray[np.float32]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One line of ``clips.jsonl``: where a clip lies in its conversation, and what it is.

    Frames ``start`` to ``stop`` (exclusive) of conversation ``conversation``; ``speaker`` and
    ``listener`` are the persons' ids; ``attitude`` is one of ATTITUDES; ``style`` is how the
    speaker talks, a name that the data set's maker chose, ``unknown`` where nobody said.
    """

    id: str
    conversation: str
    start: int
    stop: int
    split: str
    speaker: str
    listener: str
    attitude: str = "unknown"
    style: str = UNKNOWN_STYLE

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"clip {self.id}: split '{self.split}'; known: {', '.join(SPLITS)}")
        if self.attitude not in ATTITUDES:
            raise InputError(
                f"clip {self.id}: attitude '{self.attitude}'; known: {', '.join(ATTITUDES)}"
            )
        if not 0 <= self.start < self.stop:
            raise InputError(
                f"clip {self.id}: frames {self.start}..{self.stop}; expected 0 <= start < stop"
            )

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Clip:
    """One dyad in memory: both motions and the audio have the same T and rate.

    ``speaker_audio`` float32 [T, D] are features of the speaker's sound by ``audio_encoder``;
    ``start`` is the frame of the clip at which these arrays begin.
    """

    record: ClipRecord
    speaker: Motion
    listener: Motion
    speaker_audio: Floats
    audio_encoder: str
    start: int = 0

    def __post_init__(self) -> None:
        frames = len(self.speaker_audio)
        for role in ROLES:
            motion = self.motion(role)
            if len(motion) != frames:
                raise InputError(
                    f"clip {self.record.id}: {len(motion)} frames of {role} motion but {frames} "
                    "of audio; they must match"
                )
        if self.speaker.space != self.listener.space or self.speaker.fps != self.listener.fps:
            raise InputError(
                f"clip {self.record.id}: speaker and listener differ in space or frame rate"
            )

    def __len__(self) -> int:
        return len(self.speaker_audio)

    @property
    def attitude(self) -> str:
        """The listener's attitude, one of ATTITUDES."""
        return self.record.attitude

    def motion(self, role: str) -> Motion:
        """The ``speaker``'s or the ``listener``'s motion."""
        return self.speaker if role == "speaker" else self.listener

    def stimulus(self) -> Stimulus:
        """All that a method may see of this clip: everything but the listener's motion."""
        return Stimulus(
            id=self.record.id,
            conversation=self.record.conversation,
            speaker=self.speaker,
            audio=self.speaker_audio,
            audio_encoder=self.audio_encoder,
            attitude=self.record.attitude,
            first_frame=self.record.start + self.start,
        )

    def speech(self) -> Speech:
        """All that a method that generates the speaker may see: no motion at all."""
        return Speech(
            id=self.record.id,
            audio=self.speaker_audio,
            audio_encoder=self.audio_encoder,
            fps=self.speaker.fps,
            space=self.speaker.space,
            style=self.record.style,
        )


@dataclass(frozen=True)
class Speech:
    """What a speaker model turns into a face: ``audio`` float32 [T, D], features of the sound by
    ``audio_encoder``, a row a frame at ``fps``; ``space`` of the motion that is wanted; ``style``
    of the one who speaks, ``unknown`` where nobody said.
    """

    id: str
    audio: Floats
    audio_encoder: str
    fps: float
    space: str
    style: str = UNKNOWN_STYLE

    def __len__(self) -> int:
        return len(self.audio)

    def motion(self, values: Floats) -> Motion:
        """Motion [T, 56] at this rate and in this space."""
        return Motion(values.astype(np.float32, copy=False), fps=self.fps, space=self.space)


class SpeakerPredictor(Protocol):
    """Any method that says a speech. The same seed gives the same motion."""

    def predict(self, speech: Speech, seed: int) -> Motion:
        """Motion of the speech's length, rate and space."""
        ...


@dataclass(frozen=True)
class Stimulus:
    """What a listener model answers: a clip without its listener's motion.

    ``audio`` float32 [T, D] are features of the speaker's sound by ``audio_encoder``, a row a
    frame of ``speaker``; ``attitude`` is what the listener is asked to be, one of ATTITUDES.
    ``id`` names the clip, and ``first_frame`` is the frame of ``conversation`` at which it begins.
    """

    id: str
    conversation: str
    speaker: Motion
    audio: Floats
    audio_encoder: str
    attitude: str = "unknown"
    first_frame: int = 0

    def __len__(self) -> int:
        return len(self.speaker)

    def listener(self, values: Floats) -> Motion:
        """Listener motion [T, 56] at the rate and in the space of this stimulus."""
        return Motion(
            values.astype(np.float32, copy=False), fps=self.speaker.fps, space=self.speaker.space
        )


class Predictor(Protocol):
    """Any method that answers a stimulus. The same seed gives the same motion."""

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Listener motion of the stimulus's length, rate and space."""
        ...
