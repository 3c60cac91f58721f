"""Audio features: who made them, and the two kinds of files that keep them.

An :class:`AudioFeatures` file is what the user asks for; the cache in the user's folder keeps what
took long to make, by what it was made from.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimcli.core.arrays import BrokenFileError, read_archive, read_array
from dimcli.core.errors import InputError, about
from dimcli.core.files import atomic_output
from dimcli.core.motion import Floats
from dimcli.core.progress import Progress, silent
from weights import user_folder

FOLDER = "features"
LARGEST = 2 * 2**30
"""Bytes that are kept; the longest unused go first."""


@dataclass(frozen=True)
class AudioEncoder:
    """What made a feature array: ``name`` and width ``dim``. Two must match to mix features."""

    name: str
    dim: int


class LoadedEncoder(ABC):
    """An encoder that is ready to run; ``encoder`` says what its features are."""

    encoder: AudioEncoder

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
        """Features float32 [frames, dim] of a mono sound [N] at ``rate`` Hz.

        Row t describes the 1/fps seconds around t / fps. Sound that ends early counts as silence;
        sound past the last frame is ignored. ``keep`` keeps what took long in the user's folder,
        for the next time the same sound is encoded. Raises InputError on NaN or a wrong shape.
        """
        return self._encode(samples, rate, fps, frames, progress, keep)

    @abstractmethod
    def _encode(
        self, samples: Floats, rate: int, fps: float, frames: int, progress: Progress, keep: bool
    ) -> Floats: ...


_NONE = "not a file of audio features; `dim extract` writes them with --audio-encoder"


@dataclass(frozen=True)
class AudioFeatures:
    """Features of a sound: ``values`` float32 [T, D] at ``fps`` rows a second, by ``encoder``."""

    values: Floats
    fps: float
    encoder: str

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise InputError(
                f"audio features are {self.values.dtype} {self.values.shape}; expected float32 "
                "[frames, width]"
            )
        if not np.isfinite(self.values).all():
            raise InputError("audio features have NaN or infinite values")

    def save(self, path: Path, force: bool = False) -> None:
        """Write the file, whole or not at all."""
        with atomic_output(path, force=force) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, features=self.values, fps=np.float64(self.fps), encoder=np.array(self.encoder)
            )

    @classmethod
    def load(cls, path: Path) -> AudioFeatures:
        """Read such a file; nothing in it is executed. Raises InputError that names the file."""
        try:
            content = read_archive(path, "audio features", ("features", "fps", "encoder"))
        except BrokenFileError:
            raise InputError(f"{path}: {_NONE}") from None
        try:
            with about(path):
                return cls(content["features"], float(content["fps"]), str(content["encoder"]))
        except (KeyError, ValueError, TypeError):
            raise InputError(f"{path}: {_NONE}") from None


def cached_features(
    samples: Floats,
    settings: Sequence[object],
    shape: tuple[int, int],
    make: Callable[[], Floats],
) -> Floats:
    """``make()``, or what it gave for the same ``samples`` and ``settings`` before.

    Files are ``<hash>.npy``, written whole or not at all; one that cannot be read or has another
    ``shape`` is made again. A folder that cannot be written caches nothing.
    """
    folder = user_folder() / FOLDER
    digest = hashlib.sha256(np.ascontiguousarray(samples).tobytes())
    digest.update(json.dumps(list(settings)).encode())
    path = folder / f"{digest.hexdigest()}.npy"
    kept = _read(path, shape)
    if kept is not None:
        return kept
    features = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_output(path, force=True) as temporary:
            np.save(temporary, features)
        _shrink(folder)
    except (OSError, InputError):  # a full or read-only disk costs time, not the result
        pass
    return features


def _read(path: Path, shape: tuple[int, int]) -> Floats | None:
    try:
        features = read_array(path, "features")
        os.utime(path)
    except (OSError, InputError):
        return None
    fits = features.shape == shape and features.dtype == np.float32
    return features if fits else None


def _shrink(folder: Path) -> None:
    """Remove files, those unused for longest first, until ``LARGEST`` bytes are left."""
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > LARGEST:
            file.unlink(missing_ok=True)
