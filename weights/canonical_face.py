"""The canonical face that both the tracker and the portrait renderer measure faces against.

It is part of the bundled landmarker file, whose geometry metadata is a protocol buffer.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import DimError

BUNDLE = "face_landmarker.task"
"""Name of the landmarker file in the ``weights`` package."""
NUM_MESH = 468
"""Landmarks of the canonical face: all but the irises' 10."""

_METADATA = "geometry_pipeline_metadata_landmarks.binarypb"


@dataclass(frozen=True)
class CanonicalFace:
    """A face at rest, in centimetres: right-handed, +x to the subject's left, +y up, +z outwards.

    ``vertices`` float64 [468, 3], one a landmark; ``triangles`` int32 [898, 3]; ``weights``
    float64 [468], how much each counts in a head's pose: zero where expressions move the skin.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    weights: NDArray[np.float64]


@cache
def canonical_face() -> CanonicalFace:
    """The canonical face of the bundled landmarker. Raises DimError where the file is broken."""
    import weights as bundled

    path = bundled.path(BUNDLE)
    with zipfile.ZipFile(path) as archive:
        metadata = archive.read(_METADATA)
    vertices: NDArray[np.float64] = np.zeros(0)
    triangles: NDArray[np.int32] = np.zeros(0, np.int32)
    weights = np.zeros(NUM_MESH)
    for field, value in _fields(metadata):
        if field == 1:  # the mesh: x, y, z, u, v of each vertex, and the triangles' corners
            parts = list(_fields(value))
            packed = b"".join(part for number, part in parts if number == 3)
            vertices = np.frombuffer(packed, "<f4").reshape(-1, 5)[:, :3].astype(np.float64)
            corners = [int.from_bytes(part, "little") for number, part in parts if number == 4]
            triangles = np.array(corners, np.int32).reshape(-1, 3)
        elif field == 2:  # a landmark of the pose fit, and its weight
            landmark = dict(_fields(value))
            weight = np.frombuffer(landmark[2], "<f4")[0]
            weights[int.from_bytes(landmark.get(1, b"\0"), "little")] = weight
    if vertices.shape != (NUM_MESH, 3):
        raise DimError(f"{path}: its face has shape {vertices.shape}; expected ({NUM_MESH}, 3)")
    return CanonicalFace(vertices, triangles, weights)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protocol buffer message as (number, content); numbers come little-endian."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint().to_bytes(8, "little")
            continue
        length = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, message[position : position + length]
        position += length
