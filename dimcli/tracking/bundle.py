"""MediaPipe's face_landmarker bundle: three small networks and a canonical face, from one zip."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from dimcli.errors import DimError

BUNDLE = "face_landmarker.task"
NUM_LANDMARKS = 478
NUM_MESH = 468
"""Landmarks of the canonical face: all but the irises' 10."""

Floats = NDArray[np.float32]


def sigmoid(logits: Floats) -> Floats:
    """The logistic function, without overflow: beyond 80, float32 is at 0 or 1 anyway."""
    return 1 / (1 + np.exp(-logits.clip(-80, 80)))


@contextmanager
def _without_native_chatter() -> Iterator[None]:
    """Keep the native library's "INFO: Created ... delegate" off the user's terminal.

    It has no switch for that, and writes past Python to the file behind standard error.
    """
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Network:
    """One TFLite network on the CPU, with one input and outputs told apart by their size."""

    def __init__(self, content: bytes, threads: int) -> None:
        with _without_native_chatter():
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        self._input = given["index"]
        self.input_shape: tuple[int, ...] = tuple(int(side) for side in given["shape"])
        self._outputs = [
            (detail["name"], detail["index"]) for detail in self._interpreter.get_output_details()
        ]

    def __call__(self, values: Floats) -> dict[str, Floats]:
        """Outputs by name, for an input of :attr:`input_shape`; the batch axis of 1 is optional."""
        self._interpreter.set_tensor(self._input, values.reshape(self.input_shape))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs}


@dataclass(frozen=True)
class CanonicalFace:
    """The face that head rotation is measured against.

    ``vertices`` float64 [468, 3] in centimetres (right-handed, +x to the subject's left, +y up,
    +z out of the face); ``weights`` float64 [468], how much each counts in the fit: zero where
    expressions move the skin.
    """

    vertices: NDArray[np.float64]
    weights: NDArray[np.float64]


class Bundle:
    """The parts of a face_landmarker bundle. Networks are made anew on every call."""

    def __init__(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                self._parts = {name: archive.read(name) for name in archive.namelist()}
        except (OSError, zipfile.BadZipFile) as error:
            raise DimError(f"{path}: not a face_landmarker bundle ({error})") from None

    @classmethod
    def shipped(cls) -> Bundle:
        """The bundle in the ``weights`` package."""
        import weights

        return cls(weights.path(BUNDLE))

    def detector(self, threads: int) -> Network:
        """Face detector: RGB [128, 128, 3] in -1..1 to 896 boxes."""
        return Network(self._parts["face_detector.tflite"], threads)

    def landmarks(self, threads: int) -> Network:
        """Landmarks: RGB [256, 256, 3] in 0..1 to 478 points and a presence score."""
        return Network(self._parts["face_landmarks_detector.tflite"], threads)

    def blendshapes(self) -> Network:
        """Blendshapes: 146 landmarks [146, 2] in pixels to 52 coefficients in 0..1."""
        return Network(self._parts["face_blendshapes.tflite"], threads=1)

    @cached_property
    def canonical_face(self) -> CanonicalFace:
        """The canonical face, read from the bundle's protocol buffer."""
        vertices = np.zeros(0)
        weights = np.zeros(NUM_MESH)
        for field, value in _fields(self._parts["geometry_pipeline_metadata_landmarks.binarypb"]):
            if field == 1:  # canonical mesh: x, y, z, u, v of each vertex
                packed = b"".join(part for number, part in _fields(value) if number == 3)
                vertices = np.frombuffer(packed, "<f4").reshape(-1, 5)[:, :3].astype(np.float64)
            elif field == 2:  # a landmark of the fit, and its weight
                landmark = dict(_fields(value))
                weight = np.frombuffer(landmark[2], "<f4")[0]
                weights[int.from_bytes(landmark.get(1, b"\0"), "little")] = weight
        if vertices.shape != (NUM_MESH, 3):
            raise DimError(f"canonical face has shape {vertices.shape}; expected ({NUM_MESH}, 3)")
        return CanonicalFace(vertices, weights)


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
