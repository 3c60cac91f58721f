"""What a data set of scans keeps of its mesh: lips and upper face, and their true displacements.

``vertices.safetensors`` beside the index holds the vertex numbers of both regions and, where motion
becomes vertices by a learned map, that map (:mod:`renderers.heads.vertex_converter`). True
displacements of the val and test clips are in ``vertices/<conversation>.safetensors``, in half
precision: a two-thousandth of a displacement is less than any scanner sees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from dimcli.data.clip import ClipRecord
from dimcli.data.store import ClipStore
from renderers.heads.regions import Floats, HeadRegions, Indices, Regions, RegionsOfMotion
from renderers.heads.vertex_converter import VertexConverter

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
            with safe_open(path, framework="numpy") as file:
                facts = json.loads((file.metadata() or {})["mesh"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            lips, upper = tensors.pop("lips"), tensors.pop("upper")
            converter = VertexConverter.of_tensors(tensors) if tensors else None
            return cls(facts["name"], lips, upper, converter, facts["key"])
        except (SafetensorError, KeyError, ValueError, TypeError):
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
