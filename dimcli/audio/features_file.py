"""Audio features as a file: ``.npz`` with the keys ``features``, ``fps`` and ``encoder``."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, existing_file
from dimcli.core.motion import Floats

_UNREADABLE = (
    *(ValueError, TypeError, OSError, EOFError, KeyError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise on a file that is no archive of arrays, or a broken one."""


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
        path = existing_file(path, "audio features")
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in ("features", "fps", "encoder")}
            return cls(content["features"], float(content["fps"]), str(content["encoder"]))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except _UNREADABLE:
            raise InputError(
                f"{path}: not a file of audio features; `dim extract` writes them with "
                "--audio-encoder"
            ) from None
