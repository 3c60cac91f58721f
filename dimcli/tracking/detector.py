"""Finding faces: MediaPipe's short-range detector, a single-shot network with 896 anchors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats
from dimcli.tracking.bundle import Bundle, sigmoid
from dimcli.tracking.geometry import REGION_SCALE, Region, eye_angle

SIDE = 128
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

    def _look(self, image: NDArray[np.uint8], region: Region) -> tuple[Floats, Floats]:
        """What the network sees in a square: boxes' low and high corners and 6 keypoints, as
        points [N, 8, 2] px of the picture, and scores [N].
        """
        crop = region.crop(image, SIDE, cv2.BORDER_CONSTANT)
        outputs = self._network(crop * np.float32(2 / 255) - np.float32(1))
        scores = sigmoid(outputs["classificators"][0, :, 0])
        kept = np.flatnonzero(scores >= MIN_SCORE)
        numbers = outputs["regressors"][0, kept].reshape(-1, 8, 2)
        centres = numbers[:, 0] + self._anchors[kept]
        points = numbers + self._anchors[kept, None]
        points[:, 0] = centres - numbers[:, 1] / 2
        points[:, 1] = centres + numbers[:, 1] / 2
        corner = (region.x - region.width / 2, region.y - region.height / 2)
        points = points * np.float32(region.width / SIDE) + np.array(corner, np.float32)
        return points, scores[kept]


def _anchors() -> Floats:
    """Centres [896, 2] of the anchors in pixels of the network's input, row by row."""
    centres = []
    for stride, count in _STRIDES:
        axis = (np.arange(SIDE // stride) + 0.5) * stride
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
        if side < SIDE:
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
