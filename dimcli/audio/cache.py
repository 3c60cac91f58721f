"""Features that took long to make, kept in the user's folder by what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from dimcli.core.motion import Floats

FOLDER = "features"
LARGEST = 2 * 2**30
"""Bytes that are kept; the longest unused go first."""


def cached_features(
    samples: Floats,
    settings: Sequence[object],
    shape: tuple[int, int],
    make: Callable[[], Floats],
    folder: Path | None = None,
) -> Floats:
    """``make()``, or what it gave for the same ``samples`` and ``settings`` before.

    Files are ``<hash>.npy``, written whole or not at all; one that cannot be read or has another
    ``shape`` is made again. A folder that cannot be written caches nothing. ``folder`` defaults to
    the user's.
    """
    if folder is None:
        from weights import user_folder

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
        features = np.load(path, allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
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
