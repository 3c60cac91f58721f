"""Clips: what a conversation data set is made of, and what a method may see of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np

from dimcli.audio import ACTIVITY, MEL
from dimcli.core.config import Range, Section
from dimcli.core.errors import InputError
from dimcli.core.motion import FPS_RANGE, Floats, Motion
from dimcli.data.traits import Traits

ROLES = ("speaker", "listener")
ATTITUDES = ("unknown", "negative", "neutral", "positive")
UNKNOWN_STYLE = "unknown"


@dataclass(frozen=True)
class DataConfig(Section, section="data"):
    """What the model's inputs are; copied from the data set when a run starts."""

    fps: Annotated[float, Range(*FPS_RANGE)] = 25.0
    """Frames a second of the motion and the audio features."""
    space: str = "arkit"
    """Motion space: ``arkit`` or ``flame``."""
    audio_encoder: str = "mel"
    """Name of the audio encoder."""
    audio_dim: Annotated[int, Range(0, 16_384)] = 0
    """Width of the audio features; 0 until a data set fills it in."""
    styles: str = ""
    """Names of the ways of speaking in the data set, with commas between; empty for none."""

    @property
    def style_names(self) -> tuple[str, ...]:
        """The ways of speaking that a model of this data knows, the unknown one first."""
        return (UNKNOWN_STYLE, *filter(None, self.styles.split(",")))


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
        if (
            not self.conversation
            or self.conversation[0] == "."
            or set("/\\\0") & set(self.conversation)
        ):
            raise InputError(
                f"clip {self.id}: conversation '{self.conversation}'; expected a file's name"
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

    @property
    def activity(self) -> Floats | None:
        """How sure it is that the speaker is heard, 0..1 [T]; None where features do not say it: a
        data set may call others ``mel``."""
        says = self.audio_encoder == MEL.name and self.speaker_audio.shape[1] == MEL.dim
        return self.speaker_audio[:, ACTIVITY] if says else None

    def motion(self, role: str) -> Motion:
        """The ``speaker``'s or the ``listener``'s motion."""
        return self.speaker if role == "speaker" else self.listener

    def stimulus(self, role: str = "listener") -> Stimulus:
        """All that a method that generates ``role`` may see: everything but that role's motion.
        A listener's speaker is seen; of the other side of a speaker nothing is."""
        return Stimulus(
            id=self.record.id,
            conversation=self.record.conversation,
            first_frame=self.record.start + self.start,
            audio=self.speaker_audio,
            audio_encoder=self.audio_encoder,
            fps=self.speaker.fps,
            space=self.speaker.space,
            speaker=self.speaker if role == "listener" else None,
            attitude=self.record.attitude,
            style=self.record.style,
        )


@dataclass(frozen=True)
class Stimulus:
    """What a method answers: a clip without the motion of the role that is generated.

    ``audio`` float32 [T, D] are features of the speaker's sound by ``audio_encoder``, a row a frame
    at ``fps``; ``space`` is that of the motion asked for. ``speaker`` is the speaker's motion where
    a listener is generated, and None where the speaker is. ``attitude`` is what the listener is
    asked to be, one of ATTITUDES, and ``traits`` are factors on what is usual
    (:mod:`dimcli.data.traits`); ``style`` is how the speaker talks, ``unknown`` where
    nobody said. ``id`` names the clip, and ``first_frame`` is the frame of ``conversation`` at
    which it begins.
    """

    id: str
    audio: Floats
    audio_encoder: str
    fps: float
    space: str
    speaker: Motion | None = None
    attitude: str = "unknown"
    style: str = UNKNOWN_STYLE
    traits: Traits = ()
    conversation: str = ""
    first_frame: int = 0

    def __len__(self) -> int:
        return len(self.audio)

    @property
    def seen(self) -> Motion:
        """The speaker's motion. Raises InputError where the stimulus has none."""
        if self.speaker is None:
            raise InputError(f"clip {self.id}: has no motion of the speaker to listen to")
        return self.speaker

    def motion(self, values: Floats) -> Motion:
        """Motion [T, 56] at the rate and in the space of this stimulus."""
        return Motion(values.astype(np.float32, copy=False), fps=self.fps, space=self.space)


class Predictor(Protocol):
    """Any method that answers a stimulus. The same seed gives the same motion."""

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Motion of the stimulus's length, rate and space."""
        ...
