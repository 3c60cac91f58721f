"""Where MediaPipe's 478 landmarks lie on the open head: found by running its model on pictures.

The face is where we put it, so no detector is needed: the landmark model runs on a square around
the head, twice, and every landmark is put onto the nearest visible triangle of the kind it belongs
to. Inner lips come from a picture with an open mouth, where they are apart. Part of building
``open_head.npz``; not used at run time.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[Any]

NUM_LANDMARKS = 478
IRIS_RIGHT, IRIS_LEFT = range(468, 473), range(473, 478)
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407),
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408),
)
"""Four rings of the lips, outer to inner; the last two lie between."""


EAR_X_M = 0.0735
"""Ears begin here, sideways; no landmark belongs on them."""


class LandmarkModel:
    """The landmark network of the bundled face_landmarker, on a square crop."""

    def __init__(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle) as archive:
            content = archive.read("face_landmarks_detector.tflite")
        self.interpreter = Interpreter(model_content=content, num_threads=1)
        self.interpreter.allocate_tensors()

    def __call__(self, picture: Array, centre: Array, side: float) -> Array:
        """Landmarks [478, 3] in pixels of ``picture``, from the square at ``centre``."""
        scale = 256 / side
        matrix = np.array(
            [[scale, 0, 128 - centre[0] * scale], [0, scale, 128 - centre[1] * scale]]
        )
        crop = cv2.warpAffine(picture, matrix, (256, 256), flags=cv2.INTER_AREA)
        entry = self.interpreter.get_input_details()[0]["index"]
        self.interpreter.set_tensor(entry, crop[None].astype(np.float32) / 255)
        self.interpreter.invoke()
        outputs = [
            self.interpreter.get_tensor(detail["index"])
            for detail in self.interpreter.get_output_details()
        ]
        points = next(out for out in outputs if out.size == NUM_LANDMARKS * 3).reshape(-1, 3)
        return (points - [128, 128, 0]) / scale + [*centre, 0]

    def track(self, picture: Array, centre: Array, side: float, rounds: int = 4) -> Array:
        """Landmarks with the square refitted to them as the vendor's pipeline does."""
        points = self(picture, centre, side)
        for _ in range(rounds):
            low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
            points = self(picture, (low + high) / 2, 1.5 * float((high - low).max()))
        return points


def mirror_pairs(points: Array) -> Array:
    """Index of each landmark's partner across the face, from landmarks of a symmetric face."""
    middle = points[[10, 152, 1, 9], 0].mean()
    mirrored = points * [-1, 1, 1] + [2 * middle, 0, 0]
    apart = points[:, None] - mirrored[None]
    return linear_sum_assignment(np.linalg.norm(apart * [1, 1, 0.3], axis=2))[1]


def symmetric(points: Array, pairs: Array, middle: float) -> Array:
    """``points`` [478, 3] averaged with their mirror picture about x = ``middle``."""
    return (points + points[pairs] * [-1, 1, 1] + [2 * middle, 0, 0]) / 2


def attach(
    points: Array, projected: Array, faces: Array, candidates: Array, depth: Array
) -> tuple[Array, Array]:
    """Nearest visible triangle of each 2-D point: face [L] and barycentric weights [L, 3].

    ``points`` [L, 2] px, ``projected`` [V, 3] px and metres of depth, ``candidates`` the faces that
    may be taken, ``depth`` [H, W] the picture's depth buffer.
    """
    corners = projected[faces[candidates]]
    first, second = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    faces_camera = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    middle = corners.mean(axis=1)
    pixel = np.clip(middle[:, :2].astype(int), 0, np.array(depth.shape[::-1]) - 1)
    shown = faces_camera & (middle[:, 2] < depth[pixel[:, 1], pixel[:, 0]] + 0.002)
    candidates, corners, middle = candidates[shown], corners[shown], middle[shown]
    face, weights = [], []
    for point in points:
        near = np.argsort(np.linalg.norm(middle[:, :2] - point, axis=1))[:60]
        choices = []
        for index in near:
            bary = closest_in_triangle(point, corners[index, :, :2])
            spot = bary @ corners[index]
            gap = float(np.linalg.norm(spot[:2] - point))
            choices.append((max(gap, 0.5), spot[2], candidates[index], bary))
        best = min(choices, key=lambda choice: choice[:2])
        face.append(best[2])
        weights.append(best[3])
    return np.array(face), np.array(weights)


def closest_in_triangle(point: Array, triangle: Array) -> Array:
    """Barycentric weights [3] of the point of a 2-D triangle [3, 2] nearest to ``point``."""
    basis = np.stack([triangle[1] - triangle[0], triangle[2] - triangle[0]], axis=1)
    if abs(np.linalg.det(basis)) > 1e-9:
        u, v = np.linalg.solve(basis, point - triangle[0])
        if u >= 0 and v >= 0 and u + v <= 1:
            return np.array([1 - u - v, u, v])
    best, best_gap = np.zeros(3), np.inf
    for start in range(3):
        end = (start + 1) % 3
        span = triangle[end] - triangle[start]
        t = float(np.clip((point - triangle[start]) @ span / max(span @ span, 1e-12), 0, 1))
        gap = float(np.linalg.norm(triangle[start] + t * span - point))
        if gap < best_gap:
            best, best_gap = np.zeros(3), gap
            best[start], best[end] = 1 - t, t
    return best


@dataclass(frozen=True)
class View:
    """One picture of the head: ``picture`` uint8 [H, W, 3] RGB, ``projected`` vertices [V, 3] in
    px and metres of depth, ``depth`` [H, W].
    """

    picture: Array
    projected: Array
    depth: Array


def embed(
    model: LandmarkModel, arrays: dict[str, Array], closed: View, open_mouth: View
) -> tuple[Array, Array]:
    """Face [478] and barycentric weights [478, 3] of every landmark on the head."""
    faces, region = arrays["faces"], arrays["face_region"]
    middle = closed.picture.shape[1] / 2
    side = 0.85 * closed.picture.shape[0]
    tracked = [
        model.track(view.picture, np.array([middle, 0.55 * side]), side)
        for view in (closed, open_mouth)
    ]
    pairs = mirror_pairs(tracked[0])
    if not (pairs[pairs] == np.arange(NUM_LANDMARKS)).all():
        raise ValueError("the landmarks of the rendered head do not pair up across the face")
    plain, parted = (symmetric(points, pairs, middle)[:, :2] for points in tracked)
    ears = (np.abs(arrays["template"][faces, 0]) > EAR_X_M).any(axis=1)
    skin = np.flatnonzero((region == 0) & ~ears)
    lip_skin = np.flatnonzero(region <= 1)
    face = np.zeros(NUM_LANDMARKS, np.int32)
    weights = np.zeros((NUM_LANDMARKS, 3), np.float32)
    irises = {*IRIS_RIGHT, *IRIS_LEFT}
    rest = [index for index in range(NUM_LANDMARKS) if index not in irises and index not in LIPS]
    for indices, points, candidates, view in (
        (rest, plain, skin, closed),
        (list(LIPS), parted, lip_skin, open_mouth),
        (list(IRIS_LEFT), plain, np.flatnonzero(region == 5), closed),
        (list(IRIS_RIGHT), plain, np.flatnonzero(region == 6), closed),
    ):
        face[indices], weights[indices] = attach(
            points[indices], view.projected, faces, candidates, view.depth
        )
    return face, weights
