"""The networks of MediaPipe's face_landmarker bundle: face boxes, landmarks and blendshapes.

The detector is MediaPipe's short-range one, a single-shot network with 896 anchors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from dimcli.core.errors import DimError
from dimcli.core.motion import ARKIT_EXPRESSIONS, Floats
from dimcli.media import quiet_libraries
from dimcli.tracking.geometry import REGION_SCALE, Region, eye_angle
from weights.canonical_face import BUNDLE

NUM_LANDMARKS = 478


def sigmoid(logits: Floats) -> Floats:
    """The logistic function, without overflow: beyond 80, float32 is at 0 or 1 anyway."""
    return 1 / (1 + np.exp(-logits.clip(-80, 80)))


class Network:
    """One TFLite network on the CPU, with one input and outputs told apart by their size."""

    def __init__(self, content: bytes, threads: int) -> None:
        with quiet_libraries():  # "INFO: Created ... delegate"
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


DETECTOR_SIDE = 128
MIN_SCORE = 0.5
MIN_OVERLAP = 0.3
"""Boxes that overlap more than this (intersection over union) are one face."""

_STRIDES = ((8, 2), (16, 6))
"""Pixels between anchors, and how many anchors share each place."""


@dataclass(frozen=True)
class Detection:
    """A face: box ``low``, ``high`` [2] and ``keypoints`` [6, 2] (right eye, left eye, ...) in
    pixels of the picture; ``score`` 0..1.
    """

    low: Floats
    high: Floats
    keypoints: Floats
    score: float

    @property
    def area(self) -> float:
        """Square pixels of the box."""
        return float(np.prod(self.high - self.low))

    def region(self) -> Region:
        """Where to look for its landmarks."""
        (x, y), (width, height) = (self.low + self.high) / 2, (self.high - self.low) * REGION_SCALE
        angle = eye_angle(self.keypoints[0], self.keypoints[1])
        return Region(float(x), float(y), float(width), float(height), angle)


class FaceDetector:
    """Finds the faces in a picture, largest first."""

    def __init__(self, bundle: Bundle, threads: int = 2) -> None:
        self._network = bundle.detector(threads)
        self._anchors = _anchors()

    def __call__(self, image: NDArray[np.uint8], *, thorough: bool = False) -> list[Detection]:
        """Faces in an RGB picture [H, W, 3].

        ``thorough`` looks again where none is found in the whole picture: with a margin around it
        (faces that fill it), then in overlapping squares of it (faces that are small in it).
        """
        faces: list[Detection] = []
        for regions in _looks(image.shape[1], image.shape[0]):
            found = [self._look(image, region) for region in regions]
            points = np.concatenate([points for points, _ in found])
            faces = _merge(points, np.concatenate([scores for _, scores in found]))
            if faces or not thorough:
                break
        return sorted(faces, key=lambda face: -face.area)

    def small(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB picture [H, W, 3], also those that are small in it beside others: where
        the largest fits in half of one of the squares that overlap by half, it looks at these, too.
        """
        faces = self(image, thorough=True)
        side = min(image.shape[:2]) / 2
        if faces and side >= DETECTOR_SIDE and faces[0].area <= (side / 2) ** 2:
            middles = _centres(image.shape[0], side), _centres(image.shape[1], side)
            found = [
                self._look(image, Region(x, y, side, side)) for y in middles[0] for x in middles[1]
            ]
            points, scores = zip(*found, strict=True)
            faces = _merge(np.concatenate(points), np.concatenate(scores)) or faces
        return sorted(faces, key=lambda face: -face.area)

    def _look(self, image: NDArray[np.uint8], region: Region) -> tuple[Floats, Floats]:
        """What the network sees in a square: boxes' low and high corners and 6 keypoints, as
        points [N, 8, 2] px of the picture, and scores [N].
        """
        crop = region.crop(image, DETECTOR_SIDE, cv2.BORDER_CONSTANT)
        outputs = self._network(crop * np.float32(2 / 255) - np.float32(1))
        scores = sigmoid(outputs["classificators"][0, :, 0])
        kept = np.flatnonzero(scores >= MIN_SCORE)
        numbers = outputs["regressors"][0, kept].reshape(-1, 8, 2)
        centres = numbers[:, 0] + self._anchors[kept]
        points = numbers + self._anchors[kept, None]
        points[:, 0] = centres - numbers[:, 1] / 2
        points[:, 1] = centres + numbers[:, 1] / 2
        corner = (region.x - region.width / 2, region.y - region.height / 2)
        points = points * np.float32(region.width / DETECTOR_SIDE) + np.array(corner, np.float32)
        return points, scores[kept]


def _anchors() -> Floats:
    """Centres [896, 2] of the anchors in pixels of the network's input, row by row."""
    centres = []
    for stride, count in _STRIDES:
        axis = (np.arange(DETECTOR_SIDE // stride) + 0.5) * stride
        y, x = np.meshgrid(axis, axis, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(centres).astype(np.float32)


def _looks(width: int, height: int) -> Iterator[list[Region]]:
    """Groups of square regions to look at, in order, until one shows a face."""
    long, short = max(width, height), min(width, height)
    middle = (width / 2, height / 2)
    yield [Region(*middle, long, long)]
    yield [Region(*middle, long * 1.6, long * 1.6)]
    for side in (short, short / 2, short / 4):
        if side < DETECTOR_SIDE:
            return
        yield [
            Region(x, y, side, side) for y in _centres(height, side) for x in _centres(width, side)
        ]


def _centres(length: int, side: float) -> NDArray[np.float64]:
    """Centres of the squares along one side of the picture, overlapping by half."""
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return np.linspace(side / 2, length - side / 2, max(count, 1))


def _merge(points: Floats, scores: Floats) -> list[Detection]:
    """Non-maximum suppression that averages the boxes of one face, weighted by their scores."""
    merged = []
    while len(scores):
        best = int(scores.argmax())
        same = _overlaps(points, points[best]) > MIN_OVERLAP
        same[best] = True
        weights = scores[same] / scores[same].sum()
        low, high, *_ = mean = np.einsum("n,nij->ij", weights, points[same])
        merged.append(Detection(low, high, mean[2:], float(scores[best])))
        points, scores = points[~same], scores[~same]
    return merged


def _overlaps(points: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes [N, 8, 2] with another [8, 2], 0..1."""
    sides = np.minimum(points[:, 1], other[1]) - np.maximum(points[:, 0], other[0])
    shared = sides.clip(0).prod(axis=1)
    areas = (points[:, 1] - points[:, 0]).prod(axis=1)
    return shared / (areas + (other[1] - other[0]).prod() - shared)


MESH_SIDE = 256
MIN_PRESENCE = 0.5

BLENDSHAPES: tuple[str, ...] = ("_neutral", *sorted((*ARKIT_EXPRESSIONS, "jawOpen")))
"""Names of the network's 52 blendshapes, in order."""

JAW_OPEN = BLENDSHAPES.index("jawOpen")

# the landmarks that the blendshape network reads: brows, eyes, lips, face oval, nose, irises
_BLENDSHAPE_INPUTS = np.array(
    """
    0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87
    88 91 93 95 103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159
    160 161 162 163 168 172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270 276 282
    283 284 285 288 291 293 295 296 297 300 308 310 311 312 314 317 318 321 323 324 332 334 336 338
    356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 397 398 400 402
    405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
    """.split(),  # noqa: SIM905  as a list it would be 146 lines
    dtype=np.intp,
)


class FaceMesh:
    """Landmarks of the face in a region of a picture."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._network = bundle.landmarks(threads)

    def __call__(self, image: NDArray[np.uint8], region: Region) -> tuple[Floats, float]:
        """Landmarks float32 [478, 3] in pixels of ``image`` (x right, y down, z depth at the same
        scale, towards the camera negative), and the presence of a face, 0..1.
        """
        crop = region.crop(image, MESH_SIDE, cv2.BORDER_REPLICATE)
        outputs = self._network(crop * np.float32(1 / 255))
        points = outputs["Identity"].reshape(NUM_LANDMARKS, 3)
        presence = sigmoid(outputs["Identity_1"]).item()
        matrix = region.matrix(MESH_SIDE)
        landmarks = np.empty_like(points)
        landmarks[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        landmarks[:, 2] = points[:, 2] * (region.width / MESH_SIDE)
        return landmarks, presence


class BlendshapeNetwork:
    """Blendshapes from landmarks."""

    def __init__(self, bundle: Bundle) -> None:
        self._network = bundle.blendshapes()

    def __call__(self, landmarks: Floats) -> Floats:
        """52 coefficients in 0..1 (:data:`BLENDSHAPES`) from landmarks [478, 3] px."""
        (values,) = self._network(landmarks[_BLENDSHAPE_INPUTS, :2]).values()
        return values.reshape(len(BLENDSHAPES)).copy()
