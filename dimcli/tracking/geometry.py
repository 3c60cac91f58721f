"""Where a face lies in a picture, and how a head is turned: the geometry around the networks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats
from weights.canonical_face import NUM_MESH, CanonicalFace

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
"""Landmarks of the outer eye corners (the subject's right and left)."""

UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14
"""Landmarks of the middle of the inner lips."""

REGION_SCALE = 1.5
"""A region is this much larger than the face's box."""

VERTICAL_FIELD_OF_VIEW = np.deg2rad(63.0)
"""Of the camera that MediaPipe's face geometry assumes."""


@dataclass(frozen=True)
class Region:
    """A turned rectangle in a picture: centre and size in pixels, ``angle`` in radians (clockwise
    as seen, y down).
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    def matrix(self, side: int) -> NDArray[np.float64]:
        """Affine map [2, 3] from pixels of a ``side`` x ``side`` crop to pixels of the picture."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        linear = turn * (np.array([self.width, self.height]) / side)
        centre = np.array([self.x, self.y])
        return np.column_stack([linear, centre - linear @ np.full(2, side / 2)])

    def crop(self, image: NDArray[np.uint8], side: int, border: int) -> NDArray[np.uint8]:
        """The region as an upright picture [side, side, 3]; ``border`` is OpenCV's border mode."""
        cropped = cv2.warpAffine(
            image,
            self.matrix(side),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        return np.asarray(cropped, np.uint8)

    def changed(self, turn: float, scale: float) -> Region:
        """The region turned by ``turn`` radians and ``scale`` times as large about its centre."""
        width, height = self.width * scale, self.height * scale
        return Region(self.x, self.y, width, height, self.angle + turn)

    def overlap(self, other: Region) -> float:
        """Intersection over union of the two, as if neither were turned; 0..1."""
        width = min(self.x + self.width / 2, other.x + other.width / 2) - max(
            self.x - self.width / 2, other.x - other.width / 2
        )
        height = min(self.y + self.height / 2, other.y + other.height / 2) - max(
            self.y - self.height / 2, other.y - other.height / 2
        )
        shared = max(width, 0.0) * max(height, 0.0)
        return shared / (self.width * self.height + other.width * other.height - shared)


def eye_angle(right_eye: Floats, left_eye: Floats) -> float:
    """Angle in radians of the line from the right eye to the left, each [2] in pixels."""
    across = left_eye - right_eye
    return float(np.arctan2(across[1], across[0]))


def region_of_landmarks(landmarks: Floats) -> Region:
    """Where to look for the face in the next frame, from landmarks [478, 3] px."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    side = REGION_SCALE * float((high - low).max())
    x, y = (low + high) / 2
    angle = eye_angle(landmarks[RIGHT_EYE_OUTER, :2], landmarks[LEFT_EYE_OUTER, :2])
    return Region(float(x), float(y), side, side, angle)


def head_rotations(
    landmarks: Floats, size: tuple[int, int], face: CanonicalFace
) -> tuple[Floats, Floats]:
    """Head rotations [T, 3] (axis-angle, radians) and positions [T, 3] (centimetres, from the
    camera) of landmarks [T, 478, 3] px in pictures of ``size`` (width, height).

    MediaPipe's face geometry: landmarks are put before a camera with a vertical field of view of
    63 degrees at the depth where they are as large as the canonical face, in two passes because
    perspective changes the size; then a weighted Procrustes fit (Akca 2003, section 2.4).
    """
    width, height = size
    screen = landmarks[:, :NUM_MESH].astype(np.float64)
    # the near plane lies at depth 1; z is scaled as x is
    near_height = 2 * np.tan(VERTICAL_FIELD_OF_VIEW / 2)
    screen[..., 0] -= width / 2
    screen[..., 1] = height / 2 - screen[..., 1]
    screen *= near_height / height
    depth = screen[..., 2] - screen[..., 2].mean(axis=1, keepdims=True) + 1
    used = face.weights > 0
    flat = screen * (1, 1, -1)
    scale = _procrustes(face.vertices[used], flat[:, used], face.weights[used])[1]
    metric = np.empty_like(screen)
    for _ in range(2):
        metric[..., 2] = depth / scale[:, None]
        metric[..., :2] = screen[..., :2] * metric[..., 2:]
        metric[..., 2] *= -1
        turn, ratio, shift = _procrustes(face.vertices[used], metric[:, used], face.weights[used])
        scale = scale * ratio
    rotations = np.stack([cv2.Rodrigues(matrix)[0][:, 0] for matrix in turn])
    return rotations.astype(np.float32), shift.astype(np.float32)


def _procrustes(
    source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rotations [T, 3, 3], scales [T] and shifts [T, 3] that take source [N, 3] to target [T, N, 3]
    with the least weighted squares.
    """
    share = weights / weights.sum()
    source_centre = share @ source
    target_centre = np.einsum("n,tnk->tk", share, target)
    centred = (source - source_centre) * share[:, None]
    left, _, right = np.linalg.svd(np.einsum("tni,nj->tij", target, centred))
    # no mirrored faces: turn the least important axis round
    left[..., 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))[:, None]
    turn = left @ right
    fitted = np.einsum("tij,nj->tni", turn, centred)
    scale = np.einsum("tni,tni->t", fitted, target) / (centred * (source - source_centre)).sum()
    shift = target_centre - scale[:, None] * np.einsum("tij,j->ti", turn, source_centre)
    return turn, scale, shift


def lip_gaps(landmarks: Floats) -> Floats:
    """How far the inner lips are apart, over the distance of the outer eye corners: [T], of
    landmarks [T, 478, 3] px."""

    def distance(one: int, other: int) -> Floats:
        return np.linalg.norm(landmarks[:, one] - landmarks[:, other], axis=1)

    return distance(UPPER_LIP_INNER, LOWER_LIP_INNER) / distance(RIGHT_EYE_OUTER, LEFT_EYE_OUTER)
