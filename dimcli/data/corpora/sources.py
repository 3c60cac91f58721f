"""Motion and audio features of corpora, out of videos and sounds or of other people's files.

DIM's own files have pose 6 then expression 50, as this project does; LM_Listener's and
Learning2Listen's have expression 50 then pose 6. Pose is head rotation 3, then jaw rotation 3. The
speaker's sound is encoded from files, or its features are taken as given; so is the motion of
videos: a tracker follows the faces in them, or motion that somebody has tracked already is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dimcli.audio import HUBERT, MEL, NO_SOUND, SAMPLE_RATE, AudioEncoder, encode, encoder_here
from dimcli.audio.sound import to_frames
from dimcli.audio.voices import Voice, talking
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, NUM_EXPRESSION, NUM_POSE, Bools, Floats, Motion
from dimcli.core.progress import silent
from dimcli.data.writer import TOLERANCE_S, check_lengths
from dimcli.media import probe_video, read_audio
from dimcli.tracking.emoca_folder import read_emoca_folder
from dimcli.tracking.trackers import (
    BUILT_IN,
    check_no_checkpoint,
    face_tracker,
    loaded_encoder,
    space_of,
)

POSE_FIRST, EXPRESSION_FIRST = "pose-exp", "exp-pose"
ORDERS = (POSE_FIRST, EXPRESSION_FIRST)

_CLEARLY = 3.0
_JAW_STILL_RAD = 0.02
_FEW_FRAMES = 10


def motion_of(array: Any, *, name: str, fps: float, order: str) -> Motion:
    """Numbers of a file as a ``flame`` motion.

    ``array`` is [T, 56 or more] of which the first 56 columns count, in ``order``. ``name`` says
    in errors what it is. Raises InputError for another shape or type, no frames, NaN and infinite
    values, values that are no radians or expression weights, and columns that look as if they were
    in the other order.
    """
    values = numbers(array, name)
    if values.ndim != 2 or values.shape[1] < MOTION_DIM:
        raise InputError(f"{name} has shape {values.shape}; expected (frames, {MOTION_DIM})")
    values = values[:, :MOTION_DIM]
    if order == EXPRESSION_FIRST:
        values = np.concatenate([values[:, NUM_EXPRESSION:], values[:, :NUM_EXPRESSION]], axis=1)
    elif order != POSE_FIRST:
        raise InputError(f"--order {order}: expected one of {', '.join(ORDERS)}")
    motion = Motion(values, fps=fps, space="flame")
    if looks_reversed(motion):
        other = POSE_FIRST if order == EXPRESSION_FIRST else EXPRESSION_FIRST
        raise InputError(f"{name}: its columns look as if their order were {other} (see --order)")
    return motion


def motion_of_parts(
    arrays: Mapping[str, Any], pose: str, expression: str, *, name: str, fps: float
) -> Motion:
    """The arrays ``pose`` [T, 6] and ``expression`` [T, 50] of a file as a ``flame`` motion.

    ``name`` says in errors what has them. Raises InputError as :func:`motion_of` does, and where
    one is absent or they differ in length.
    """
    parts = []
    for key, width in ((pose, NUM_POSE), (expression, NUM_EXPRESSION)):
        if key not in arrays:
            raise InputError(f"{name}: lacks {key}")
        part = numbers(arrays[key], f"{name}: {key}")
        if part.ndim != 2 or part.shape[1] != width:
            raise InputError(f"{name}: {key} has shape {part.shape}; expected (frames, {width})")
        parts.append(part)
    if len(parts[0]) != len(parts[1]):
        raise InputError(
            f"{name}: {pose} has {len(parts[0])} frames, {expression} {len(parts[1])}; expected "
            "the same"
        )
    values = np.concatenate(parts, axis=1)
    return motion_of(values, name=f"{name}: {pose}", fps=fps, order=POSE_FIRST)


def numbers(array: Any, name: str) -> Floats:
    """``array`` as float32, if it holds real and finite numbers, at least one. Else InputError."""
    values = np.asarray(array)
    if values.dtype.kind not in "fiu":
        raise InputError(f"{name} is {values.dtype} {values.shape}; expected numbers")
    if values.size == 0:
        raise InputError(f"{name} is empty (shape {values.shape})")
    bad = ~np.isfinite(values.reshape(len(values), -1) if values.ndim else values[None, None])
    if bad.any():
        rows = bad.any(axis=1)
        raise InputError(
            f"{name} has NaN or infinite values in {int(rows.sum())} of {len(rows)} rows "
            f"(first: row {int(rows.argmax())})"
        )
    largest = float(np.abs(values).max())
    if largest > 1e4:
        raise InputError(f"{name} has values up to {largest:.3g}; damaged or something else")
    return values.astype(np.float32)


def looks_reversed(motion: Motion) -> bool:
    """Whether the columns look as if their order were the other one.

    Jaws hardly turn to the side or roll, so that two of the six pose columns barely move; where
    the last two columns of the expression do that instead, they are those of the jaw.
    """
    if len(motion) < _FEW_FRAMES:
        return False
    spread = motion.values.std(axis=0)
    jaw_side, last = float(spread[4:6].max()), float(spread[-2:].max())
    return jaw_side > _CLEARLY * last and jaw_side > _JAW_STILL_RAD


@dataclass(frozen=True)
class MotionPlan:
    """Where the motion of a corpus's videos comes from: ``tracker`` (with its ``checkpoint``)
    follows the faces in them, or the ``folder`` has it. What comes out is in ``space``.
    """

    tracker: str = BUILT_IN
    checkpoint: Path | None = None
    folder: Path | None = None
    space: str = "arkit"

    @classmethod
    def choose(
        cls, tracker: str | None, checkpoint: Path | None, folder: Path | None
    ) -> MotionPlan:
        """What ``--tracker``, ``--checkpoint`` and ``--motion`` ask for.

        A checkpoint is loaded, so that a bad one is told before long work. Raises InputError.
        """
        if folder is not None:
            given = {"--tracker": tracker, "--checkpoint": checkpoint}
            named = [name for name, value in given.items() if value is not None]
            if named:
                raise InputError(f"{named[0]}: --motion {folder} has motion already; leave out one")
            return cls(folder=folder, space=_space_of_folder(folder))
        name = tracker or BUILT_IN
        space = space_of(name)
        check_no_checkpoint(name, checkpoint)
        if space == "flame":
            loaded_encoder(name, checkpoint, "auto")
        return cls(name, checkpoint, None, space)

    @property
    def settings(self) -> dict[str, str]:
        """What a data set's recipe has to know of it; nothing of the built-in tracker."""
        if self.folder is not None:
            return {"motion": self.space}
        named = {"checkpoint": self.checkpoint.name} if self.checkpoint else {}
        return {} if self.tracker == BUILT_IN else {"tracker": self.tracker} | named

    def motion(
        self, video: Path, name: str, fps: float, region: tuple[int, int, int, int] | None = None
    ) -> Motion:
        """The motion of the face in ``video`` (in its ``region``).

        In a folder it is called ``name``: ``<name>.npz``, as ``dim extract`` writes it, or the
        folder ``<name>`` as EMOCA does, which runs at the video's rate where that is there, else at
        ``fps``. Raises InputError.
        """
        if self.folder is None:
            return face_tracker(video, self.tracker, self.checkpoint, region=region)(silent)
        file, frames = self.folder / f"{name}.npz", self.folder / name
        if file.is_file():
            motion = Motion.load(file)
        elif frames.is_dir():
            rate = probe_video(video).fps if video.is_file() else fps
            motion = read_emoca_folder(frames, rate)
        else:
            raise InputError(f"{file}: no such motion file, and no folder '{name}' of EMOCA's")
        if motion.space != self.space:
            raise InputError(
                f"{file}: is in the '{motion.space}' space, other files of {self.folder} in "
                f"'{self.space}'; track it again with the same --tracker, or dim convert it"
            )
        return motion


def _space_of_folder(folder: Path) -> str:
    """The space of the motion in a folder, by its first motion file; EMOCA's folders are FLAME."""
    if not folder.is_dir():
        raise InputError(f"--motion {folder}: no such folder")
    for pattern in ("*.npz", "*/*.npz"):  # no deeper: EMOCA's trees have a folder a frame
        files = [path for path in folder.glob(pattern) if not path.name.endswith(".audio.npz")]
        if files:
            return Motion.load(min(files)).space
    if not any(path.is_dir() for path in folder.iterdir()):
        raise InputError(
            f"--motion {folder}: has no motion; expected files NAME.npz of dim extract, or EMOCA's "
            "folders NAME"
        )
    return "flame"


HUBERT_FPS = 50.0
HUBERT_FIRST_S = 0.0125
"""Time of the first HuBERT row: the middle of its 25 ms."""

_SOUND_SUFFIXES = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".mp4", ".mkv", ".webm")


@dataclass(frozen=True)
class SoundPlan:
    """Where a corpus's audio features come from.

    ``origin`` is ``sound`` (files that ``encoder`` is run on), ``given`` (features that lie there)
    or ``none``.
    """

    origin: str
    encoder: AudioEncoder

    @classmethod
    def choose(cls, audio: str, *, given: AudioEncoder | None, sound: bool) -> SoundPlan:
        """What ``--audio`` asks for, of what is there: ``given`` features, ``sound`` files.

        ``auto`` takes features before sound before nothing; otherwise ``given``, ``none`` or an
        encoder's name. Raises InputError for what is absent.
        """
        if audio == "given" and given is None:
            raise InputError("--audio given: there are no audio features; expected mel, none, ...")
        if given is not None and audio in ("auto", "given"):
            return cls("given", given)
        if audio == "none" or (audio == "auto" and not sound):
            return cls("none", NO_SOUND)
        chosen = encoder_here(MEL.name if audio == "auto" else audio)
        if not sound:
            raise InputError(f"--audio {audio}: there is no sound to encode; expected none")
        return cls("sound", chosen)

    def of_pair(
        self,
        speaker: Callable[[], Floats],
        listener: Callable[[], Floats] | None,
        fps: float,
        frames: int,
    ) -> tuple[Floats, Bools | None]:
        """Features [frames, D] of the speaker's sound, zeros where none is to be encoded, and
        whether the listener talks, bool [frames], None without their sound.

        Both are mono samples [N] at SAMPLE_RATE, read where they are needed. Raises InputError
        where one is not as long as the frames within half a second.
        """
        if self.origin != "sound":
            return no_sound(frames), None
        samples = speaker()
        check_sound(samples, fps, frames)
        audio = encoded(samples, self.encoder, fps, frames)
        if listener is None:
            return audio, None
        others = listener()
        check_sound(others, fps, frames)
        own, other = (Voice.of(each, fps, frames) for each in (others, samples))
        return audio, talking(own, other, fps, frames)

    def remarks(self) -> tuple[str, ...]:
        """A line for the user where there is no sound."""
        if self.origin != "none":
            return ()
        return ("no sound: the audio features are one column of zeros (encoder 'none')",)


def encoded(samples: Floats, by: AudioEncoder, fps: float, frames: int) -> Floats:
    """Features [frames, D] of a mono sound at SAMPLE_RATE; what ends early goes on as silence."""
    # the data set keeps them
    return encode(by.name, samples, SAMPLE_RATE, fps, frames, keep=False)


def whole_recording(samples: Floats, by: AudioEncoder, fps: float, least: int = 0) -> Floats:
    """Features [T, D] of all the sound of a recording at SAMPLE_RATE: a row for every frame that
    it fills, and at least ``least``.
    """
    return encoded(samples, by, fps, max(least, int(len(samples) / SAMPLE_RATE * fps)))


def check_sound(samples: Floats, fps: float, frames: int) -> None:
    """Raise InputError where a sound isn't as long as the frames within half a second."""
    check_lengths({"motion": frames / fps, "sound": len(samples) / SAMPLE_RATE})


def encoded_piece(whole: Floats, start_s: float, fps: float, frames: int) -> Floats:
    """Rows [frames, D] from ``start_s`` on of the features of a whole recording.

    Encoding the whole keeps levels relative to all of a person's speech. Raises InputError where
    the recording ends more than half a second before the piece does.
    """
    first = round(start_s * fps)
    rows = whole[max(first, 0) : max(first + frames, 0)]
    if start_s < 0 or len(rows) < 1 or (frames - len(rows)) / fps > TOLERANCE_S:
        raise InputError(
            f"the sound is {len(whole) / fps:.2f} s long; expected at least "
            f"{start_s + frames / fps:.2f} s"
        )
    return rows[np.minimum(np.arange(frames), len(rows) - 1)]


def no_sound(frames: int) -> Floats:
    """The features of a corpus without sound: zeros [frames, 1]."""
    return np.zeros((frames, NO_SOUND.dim), np.float32)


def feature_rows(content: Any, name: str, dim: int | None = HUBERT.dim) -> Floats:
    """Features [T, D] of a file's content: an array, or a list or tuple whose first element is one.

    An axis of 1 in front is dropped. Raises InputError where they are not ``dim`` wide.
    """
    if isinstance(content, list | tuple):
        if not content:
            raise InputError(f"{name} is empty")
        content = content[0]
    rows = numbers(content, name)
    if rows.ndim == 3 and rows.shape[0] == 1:
        rows = rows[0]
    if rows.ndim != 2 or (dim is not None and rows.shape[1] != dim):
        raise InputError(f"{name} has shape {rows.shape}; expected (rows, {dim or 'width'})")
    return rows


def resampled_rows(rows: Floats, rate: float, fps: float, frames: int) -> Floats:
    """Feature rows [T, D], row t at t / ``rate`` s, at ``fps``: [frames, D]; the ends are held."""
    if rate == fps and frames == len(rows):
        return rows
    return to_frames(rows, fps, frames, first_s=0.0, step_s=1 / rate)


def hubert_rows(content: Any, name: str, fps: float, frames: int) -> Floats:
    """HuBERT features of a whole recording (50 rows a second) at ``fps``: [frames, 768].

    Raises InputError where their length is not that of the frames within half a second.
    """
    rows = feature_rows(content, name)
    check_lengths({"motion": frames / fps, "features": len(rows) / HUBERT_FPS})
    return to_frames(rows, fps, frames, first_s=HUBERT_FIRST_S, step_s=1 / HUBERT_FPS)


def read_sound(folder: Path, *stems: str) -> Floats:
    """Mono samples [N] at SAMPLE_RATE of the first of ``stems`` that is a sound in ``folder``.
    Raises InputError where none is."""
    for path in filter(None, (sound_file(folder, stem) for stem in stems)):
        return read_audio(path)
    raise InputError(f"{folder / stems[0]}.wav: no such sound file")


def sound_file(folder: Path, stem: str) -> Path | None:
    """The sound ``stem`` in ``folder`` (stems may hold dots), or None."""
    for suffix in _SOUND_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    return None
