"""Talking heads that were scanned, as FaceFormer, CodeTalker and DIM lay BIWI and VOCASET out.

``wav/<name>.wav``, ``vertices_npy/<name>.npy`` [T, 3 V], ``templates.pkl`` (subject to [V, 3]) and,
where the user has lists of them, ``regions/lve.txt`` and ``regions/fdd.txt``. A name is
``<subject>_<sentence>``; the subject may hold underscores.

Legend: T frames, V vertices. Lengths are in the corpus's own unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import MEL4, AudioEncoder, encoder_here
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.dyads import Dyads, Skipped, Span, check_lengths
from dimcli.data.corpora.sounds import check_sound, encoded
from dimcli.pickles import read_pickle
from renderers.heads.regions import Indices, read_region

Floats = NDArray[np.float32]

RESIDUAL = "residual"
"""Name of the fact that says how well a clip's motion explains its vertices."""


@dataclass(frozen=True)
class Scan:
    """One spoken sentence: its ``name``, ``subject``, ``sentence`` number and ``split``."""

    name: str
    subject: str
    sentence: int
    split: str


def scans(
    root: Path, names: Iterable[str], scan_of: dict[str, Scan]
) -> tuple[list[Scan], list[Skipped]]:
    """Those of ``names`` that are clips, sorted, and those that lack a file.

    ``scan_of`` holds the clips that the corpus's splits know.
    """
    found, skipped = [], []
    for name in sorted(set(names)):
        if name not in scan_of:
            continue
        absent = [
            str(path.relative_to(root))
            for path in (root / "wav" / f"{name}.wav", root / "vertices_npy" / f"{name}.npy")
            if not path.is_file()
        ]
        if absent:
            skipped.append(Skipped(name, f"lacks {' and '.join(absent)}"))
        else:
            found.append(scan_of[name])
    return found, skipped


def names_in(root: Path) -> list[str]:
    """Names of the sounds and vertices in ``root``. Raises InputError where there are none."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected wav/, vertices_npy/, templates.pkl")
    names = [path.stem for path in (root / "wav").glob("*.wav")]
    names += [path.stem for path in (root / "vertices_npy").glob("*.npy")]
    if not names:
        raise InputError(
            f"{root}: has no sentence; expected wav/<name>.wav and vertices_npy/<name>.npy"
        )
    return names


def state_of(path: Path) -> tuple[int, int]:
    """What says that a file is still the one that was read: for caches."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)
def read_templates(path: Path, vertices: int, state: tuple[int, int]) -> dict[str, Floats]:
    """The subjects' resting faces [V, 3] in a file of that ``state``, by the reader of pickles.

    Raises InputError where one has another number of vertices.
    """
    del state
    content = read_pickle(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected a dictionary of subjects and their resting faces")
    templates = {}
    for subject, array in content.items():
        values = np.asarray(array)
        if values.size != vertices * 3 or values.dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {subject} has shape {values.shape}; expected ({vertices}, 3)"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {subject} has NaN or infinite values")
        templates[str(subject)] = values.reshape(vertices, 3).astype(np.float32)
    return templates


def open_vertices(path: Path, vertices: int) -> NDArray[np.floating]:
    """The vertices of a file, [T, 3 V], mapped and not read. Raises InputError."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise InputError(f"{path}: not a whole .npy file of plain numbers") from None
    if array.ndim == 3 and array.shape[1:] == (vertices, 3):
        array = array.reshape(len(array), -1)
    if array.ndim != 2 or array.shape[1] != 3 * vertices or array.dtype.kind != "f":
        raise InputError(
            f"{path}: is {array.dtype} {array.shape}; expected numbers (frames, {3 * vertices})"
        )
    if not len(array):
        raise InputError(f"{path}: has no frames")
    return array


def displacements(frames: NDArray[np.floating], template: Floats, name: str) -> Floats:
    """Vertices ``frames`` [T, 3 V] less the subject's resting face: float32 [T, V, 3].

    Raises InputError where they are not finite.
    """
    moved = np.asarray(frames, np.float32).reshape(len(frames), -1, 3) - template
    bad = ~np.isfinite(moved).all(axis=(1, 2))
    if bad.any():
        raise InputError(
            f"{name}: NaN or infinite vertices in {int(bad.sum())} of {len(bad)} frames "
            f"(first: frame {int(bad.argmax())})"
        )
    return moved


def template_of(root: Path, subject: str, vertices: int) -> Floats:
    """A subject's resting face [V, 3]. Raises InputError where there is none."""
    path = root / "templates.pkl"
    templates = read_templates(path, vertices, state_of(path))
    if subject not in templates:
        raise InputError(f"{path}: has no {subject}")
    return templates[subject]


def region_lists(root: Path, vertices: int) -> tuple[Indices, Indices] | None:
    """Lip and upper-face vertices by the user's lists beside the corpus, or None without both."""
    paths = [root / "regions" / name for name in ("lve.txt", "fdd.txt")]
    if not all(path.is_file() for path in paths):
        return None
    lips, upper = (read_region(path, vertices) for path in paths)
    return lips, upper


def speech_encoder(audio: str) -> AudioEncoder:
    """The encoder of ``--audio``; ``auto`` is the one that hears lips close."""
    return encoder_here(MEL4.name if audio == "auto" else audio)


def spoken_clip(
    scan: Scan, motion: Motion, samples: Floats, by: AudioEncoder, residual: float
) -> Dyads:
    """A clip of a speaker alone: the listener's motion is zeros.

    ``samples`` of the sound at SAMPLE_RATE. Raises InputError where it isn't as long as the motion.
    """
    frames = len(motion)
    check_sound(samples, motion.fps, frames)
    audio = encoded(samples, by, motion.fps, frames)
    span = Span(scan.name, 0, frames, scan.subject, "nobody", style=scan.subject)
    return Dyads(
        motion.values,
        np.zeros_like(motion.values),
        audio,
        (span,),
        facts={RESIDUAL: json.dumps(round(residual, 6))},
    )


def same_length(motion: Motion, frames: int) -> tuple[Motion, int]:
    """``motion`` and a number of frames cut to the shorter. InputError where they differ much."""
    check_lengths({"motion": motion.duration_s, "vertices": frames / motion.fps})
    count = min(len(motion), frames)
    cut = Motion(
        motion.values[:count], fps=motion.fps, space=motion.space, valid=motion.valid[:count]
    )
    return cut, count
