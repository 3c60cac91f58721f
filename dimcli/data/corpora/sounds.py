"""The speaker's sound on its way into a data set: encoded from files, or features as given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import HUBERT, MEL, NO_SOUND, SAMPLE_RATE, AudioEncoder, encode, encoder_here
from dimcli.audio.sound import to_frames
from dimcli.core.errors import InputError
from dimcli.data.corpora.dyads import TOLERANCE_S, check_lengths
from dimcli.data.corpora.orders import numbers

Floats = NDArray[np.float32]

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

    def remarks(self) -> tuple[str, ...]:
        """A line for the user where there is no sound."""
        if self.origin != "none":
            return ()
        return ("no sound: the audio features are one column of zeros (encoder 'none')",)


def encoded(samples: Floats, by: AudioEncoder, fps: float, frames: int) -> Floats:
    """Features [frames, D] of a mono sound at SAMPLE_RATE; what ends early goes on as silence."""
    # the data set keeps them
    return encode(by.name, samples, SAMPLE_RATE, fps, frames, keep=False)


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


def sound_file(folder: Path, stem: str) -> Path | None:
    """The sound ``stem`` in ``folder`` (stems may hold dots), or None."""
    for suffix in _SOUND_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    return None
