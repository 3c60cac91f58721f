"""Talking heads that were scanned, as FaceFormer, CodeTalker and DIM lay BIWI and VOCASET out.

``wav/<name>.wav``, ``vertices_npy/<name>.npy`` [T, 3 V], ``templates.pkl`` (subject to [V, 3]) and,
where the user has lists of them, ``regions/lve.txt`` and ``regions/fdd.txt``. A name is
``<subject>_<sentence>``; the subject may hold underscores.

A data set of scans keeps of its mesh, in ``vertices.safetensors`` beside the index, the vertex
numbers of lips and upper face and, where motion becomes vertices by a learned map, that map
(:mod:`renderers.heads.vertex_converter`). True displacements of the val and test clips are in
``vertices/<conversation>.safetensors``, in half precision: a two-thousandth of a displacement is
less than any scanner sees.

Legend: T frames, V vertices. Lengths are in the corpus's own unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dimcli.audio import MEL4, AudioEncoder, encoder_here
from dimcli.core.arrays import read_array
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from dimcli.core.motion import Floats, Motion
from dimcli.core.tensors import read_arrays, read_note
from dimcli.data.clip import ClipRecord
from dimcli.data.corpora.sources import check_sound, encoded
from dimcli.data.store import ClipStore
from dimcli.data.writer import Dyads, Skipped, Span, check_lengths
from dimcli.pickles import read_pickle
from renderers.heads.regions import HeadRegions, Indices, Regions, RegionsOfMotion, read_region
from renderers.heads.vertex_converter import VertexConverter

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
    array = read_array(path, "numpy", mapped=True)
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
    """The encoder of ``--audio``; ``auto`` is the one fine enough in time for closing lips."""
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


FILE = "vertices.safetensors"
FOLDER = "vertices"


@dataclass(frozen=True)
class ScanMesh:
    """A corpus's mesh: its ``name``, vertex numbers of ``lips`` [L] and ``upper`` face [U].

    ``converter`` turns motion into displacements of all its vertices; without one the mesh is
    FLAME's. ``key`` says what it was made from.
    """

    name: str
    lips: Indices
    upper: Indices
    converter: VertexConverter | None = None
    key: str = ""

    def save(self, folder: Path) -> None:
        """Write beside a data set's index."""
        tensors: dict[str, NDArray[Any]] = {"lips": self.lips, "upper": self.upper}
        facts = {"name": self.name, "key": self.key}
        if self.converter is not None:
            tensors |= self.converter.tensors()
        with atomic_output(folder / FILE, force=True) as temporary:
            save_file(tensors, temporary, metadata={"mesh": json.dumps(facts)})

    @classmethod
    def load(cls, folder: Path) -> ScanMesh | None:
        """The mesh beside a data set's index, or None. Raises InputError where it is damaged."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            facts, tensors = read_note(path, "mesh"), read_arrays(path)
            lips, upper = tensors.pop("lips"), tensors.pop("upper")
            converter = VertexConverter.of_tensors(tensors) if tensors else None
            return cls(facts["name"], lips, upper, converter, facts["key"])
        except (InputError, KeyError, ValueError, TypeError):
            raise InputError(f"{path}: damaged; prepare the data set again") from None

    def cut(self, moved: Floats) -> Regions:
        """The regions of displacements [T, V, 3] of the whole mesh."""
        return Regions(moved[:, self.lips], moved[:, self.upper])

    def of_motion(self) -> RegionsOfMotion:
        """What motion does to the regions. Raises InputError where FLAME is not imported."""
        if self.converter is not None:
            return ConvertedRegions(self.name, self.converter.on(self.lips, self.upper))
        from renderers.heads.flame import FlameHead
        from weights.importing import imported

        flame = FlameHead.load(imported("flame", "vertex errors of flame motion"))
        return HeadRegions.of(self.name, flame, self.lips, self.upper)


@dataclass(frozen=True)
class ConvertedRegions:
    """The regions of a mesh that a learned map moves; see :class:`ScanMesh`."""

    name: str
    converter: VertexConverter

    def moved(self, values: Floats) -> Regions:
        """Displacements in the corpus's unit."""
        moved = self.converter.displacements(values)
        return Regions(moved[:, : self.converter.split], moved[:, self.converter.split :])


def save_true_regions(folder: Path, conversation: str, regions: Regions) -> None:
    """Keep the true displacements of a conversation of the data set in ``folder``."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    tensors = {  # in the order in which they are written, whatever order indexing left them in
        "lips": np.ascontiguousarray(regions.lips, np.float16),
        "upper": np.ascontiguousarray(regions.upper, np.float16),
    }
    with atomic_output(folder / FOLDER / f"{conversation}.safetensors", force=True) as temporary:
        save_file(tensors, temporary)


def true_regions(store: ClipStore, record: ClipRecord) -> Regions | None:
    """The true displacements of a clip as they were scanned, float32; None where not kept."""
    path = store.root / FOLDER / f"{record.conversation}.safetensors"
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            lips, upper = (
                file.get_slice(key)[record.start : record.stop].astype(np.float32)
                for key in ("lips", "upper")
            )
    except (SafetensorError, KeyError):
        raise InputError(f"{path}: damaged; prepare the data set again") from None
    if len(lips) != len(record) or len(upper) != len(record):
        raise InputError(f"{path}: has other frames than its clip; prepare the data set again")
    return Regions(lips, upper)
