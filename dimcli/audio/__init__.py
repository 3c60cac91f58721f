"""Sound to features at the motion's frame rate, by an encoder that has a name.

``mel`` is built in (:mod:`dimcli.audio.log_mel`), and so is ``mel4``, the same four times a frame,
for lips, which close for less time than two frames take; ``hubert`` is the paper's
(:mod:`dimcli.audio.hubert`), and ``hubert:NAME`` another HuBERT model by its hub name or folder.
Data sets and models record the name and the width of their features, so that a model refuses
those of another encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from dimcli.audio.log_mel import (
    ACTIVITY,
    LEVEL,
    MEL_DIM,
    NUM_MELS,
    PITCH,
    SAMPLE_RATE,
    VOICING,
    mel,
    mel_rows,
    silence,
)
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.core.progress import Progress, silent

__all__ = [
    "ACTIVITY",
    "ENCODERS",
    "HUBERT",
    "LEVEL",
    "MEL",
    "MEL4",
    "MEL_DIM",
    "NO_SOUND",
    "NUM_MELS",
    "PITCH",
    "SAMPLE_RATE",
    "VOICING",
    "AudioEncoder",
    "LoadedEncoder",
    "encode",
    "encode_file",
    "encoder",
    "encoder_here",
    "load_encoder",
    "mel",
    "mel_rows",
    "silence",
]


@dataclass(frozen=True)
class AudioEncoder:
    """What made a feature array: ``name`` and width ``dim``. Two must match to mix features."""

    name: str
    dim: int


MEL = AudioEncoder("mel", MEL_DIM)
MEL4 = AudioEncoder("mel4", 4 * MEL_DIM)
"""Four rows of ``mel`` a frame, one after the other: 10 ms each at 25 frames a second."""
HUBERT = AudioEncoder("hubert", 768)
NO_SOUND = AudioEncoder("none", 1)
"""For corpora without sound: one column of zeros, so that a model's input has some width."""
ENCODERS: dict[str, AudioEncoder] = {each.name: each for each in (MEL, MEL4, HUBERT, NO_SOUND)}
"""Encoders by name; ``hubert:NAME`` is another HuBERT model than the default one."""


class LoadedEncoder(Protocol):
    """An encoder that is ready to run."""

    @property
    def encoder(self) -> AudioEncoder:
        """What its features are."""
        ...

    def __call__(
        self,
        samples: Floats,
        rate: int,
        fps: float,
        frames: int,
        progress: Progress = silent,
        *,
        keep: bool = True,
    ) -> Floats:
        """See :func:`encode`."""
        ...


@dataclass(frozen=True)
class MelEncoder:
    """The built-in encoder, or ``mel4``; nothing has to be loaded."""

    encoder: AudioEncoder = MEL

    def __call__(
        self,
        samples: Floats,
        rate: int,
        fps: float,
        frames: int,
        progress: Progress = silent,
        *,
        keep: bool = True,
    ) -> Floats:
        """See :func:`encode`."""
        return mel_rows(samples, rate, fps, frames, self.encoder.dim // MEL_DIM)


@dataclass(frozen=True)
class OnlineMelEncoder(MelEncoder):
    """``mel`` or ``mel4`` of a whole sound as a stream would have had them."""

    def __call__(
        self,
        samples: Floats,
        rate: int,
        fps: float,
        frames: int,
        progress: Progress = silent,
        *,
        keep: bool = True,
    ) -> Floats:
        """See :func:`encode`."""
        from dimcli.audio.online_mel import online_mel
        from dimcli.audio.sound import checked_sound

        sound = checked_sound(samples, rate, SAMPLE_RATE)
        return online_mel(sound, fps, frames, self.encoder.dim // MEL_DIM)


@dataclass(frozen=True)
class NoSoundEncoder:
    """Hears nothing, for models that were trained without sound."""

    encoder: AudioEncoder = NO_SOUND

    def __call__(
        self,
        samples: Floats,
        rate: int,
        fps: float,
        frames: int,
        progress: Progress = silent,
        *,
        keep: bool = True,
    ) -> Floats:
        """See :func:`encode`."""
        return np.zeros((frames, NO_SOUND.dim), np.float32)


def encoder(name: str) -> AudioEncoder:
    """The encoder of that name, without loading it; of ``hubert:NAME`` only the settings are read.

    Raises InputError that lists the known ones, or where there is no such model.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    kind, _, model = name.partition(":")
    if kind != HUBERT.name or not model:
        raise InputError(
            f"audio encoder '{name}' is unknown; known: {', '.join(ENCODERS)}, hubert:FOLDER and "
            "hubert:HUB/NAME"
        )
    from dimcli.audio.hubert import hubert_width

    return AudioEncoder(name, hubert_width(model))


def encoder_here(name: str) -> AudioEncoder:
    """The encoder of that name, if its model and its packages are on this machine: worth asking
    before long work. Raises what :func:`load_encoder` would.
    """
    known = encoder(name)
    if name.partition(":")[0] == HUBERT.name:
        from dimcli.audio.hubert_files import find_hubert, import_transformers

        import_transformers()
        find_hubert(name.partition(":")[2] or None)
    return known


@lru_cache(maxsize=2)
def load_encoder(name: str, device: str = "auto", *, online: bool = False) -> LoadedEncoder:
    """The encoder called ``name``, ready to run; a network runs on ``device``.

    ``online`` makes the features of a stream. Raises InputError where the name is unknown, the
    model isn't here or it needs whole sounds, MissingDependencyError where a package isn't.
    """
    known = encoder(name)
    if known in (MEL, MEL4):
        return OnlineMelEncoder(known) if online else MelEncoder(known)
    if online:
        raise InputError(
            f"--online: these weights need the audio encoder '{name}', which hears whole sounds "
            "only; expected weights that were trained on mel or mel4"
        )
    if known == NO_SOUND:
        return NoSoundEncoder()
    from dimcli.audio.hubert import HubertEncoder

    return HubertEncoder.load(known, device)


def encode(
    name: str,
    samples: Floats,
    rate: int,
    fps: float,
    frames: int,
    *,
    device: str = "auto",
    keep: bool = True,
    progress: Progress = silent,
) -> Floats:
    """Features float32 [frames, dim] of a mono sound [N] at ``rate`` Hz by the encoder ``name``.

    Row t describes the 1/fps seconds around t / fps. Sound that ends early counts as silence;
    sound past the last frame is ignored. ``keep`` keeps what took long in the user's folder, for
    the next time the same sound is encoded. Raises InputError on NaN, a wrong shape, or what
    :func:`load_encoder` raises.
    """
    return load_encoder(name, device)(samples, rate, fps, frames, progress, keep=keep)


def encode_file(
    name: str,
    path: Path,
    fps: float,
    frames: int,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> Floats:
    """Features float32 [frames, dim] of the sound of a video or sound file; see :func:`encode`.

    A video without sound is silent. Raises InputError where the file cannot be read.
    """
    from dimcli.media import read_audio

    samples = read_audio(path, SAMPLE_RATE)
    return encode(name, samples, SAMPLE_RATE, fps, frames, device=device, progress=progress)
