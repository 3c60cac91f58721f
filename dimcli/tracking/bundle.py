"""The networks of MediaPipe's face_landmarker bundle, from one zip."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from dimcli.core.errors import DimError
from dimcli.core.motion import Floats
from weights.canonical_face import BUNDLE

NUM_LANDMARKS = 478


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
