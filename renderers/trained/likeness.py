"""Whether two faces are likely one person's: a warning, never a refusal.

No face recognition is at hand that may be shipped. What is: the face's own proportions (tracked
landmarks, turned to the front, against the canonical face) and how it looks (EfficientNet-lite0's
features of the face laid into a standard frame: skin, brows, beard, glasses). Both change with
light, lens and expression, so twins and similar people pass, and a person in another light, with
or without glasses, may not.

Measured: halves of one clip are up to 0.12 apart, clips of two people (eight, in all pairs) 0.19 or
more; a single picture and its own clip up to 0.25, and then so are one in ten of other people's.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from renderers.heads.contours import EYES, FACE_OVAL, fit_similarity
from renderers.trained.backbones import Backbone
from weights.canonical_face import canonical_face

SIDE = 112
EYES_AT, CHIN_AT = 0.36, 0.92
"""Where eyes and chin are in the standard frame, as shares of its height."""

GRID = 4
"""The face is compared in so many by so many parts."""

CLIPS_APART, PICTURE_APART = 0.15, 0.25
"""From these distances on, two clips, or a clip and one picture, likely show two people."""

LOOKED_AT = 12
"""So many frames of a clip are looked at."""


def standard_face(image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The face of ``image`` [H, W, 3] upright in a square [SIDE, SIDE, 3], black outside its oval.

    ``landmarks`` [478, 3] px.
    """
    points = landmarks[:, :2]
    eyes = np.mean([points[np.r_[eye.upper, eye.lower]].mean(0) for eye in EYES.values()], axis=0)
    chin = points[152]
    down = (chin - eyes) / ((CHIN_AT - EYES_AT) * SIDE)
    right = np.array([down[1], -down[0]])
    corner = eyes - right * SIDE / 2 - down * EYES_AT * SIDE
    matrix = np.stack([right, down, corner], axis=1).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    face = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((SIDE, SIDE), np.uint8)
    oval = (points[FACE_OVAL] - corner) @ np.linalg.inv(np.stack([right, down], axis=1)).T
    cv2.fillPoly(inside, [np.round(oval).astype(np.int32)], 1)
    return (face * inside[..., None]).astype(np.uint8)


def proportions(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Where the canonical face's rigid points are in this one [N, 3], in its frame and size."""
    face = canonical_face()
    rigid = np.flatnonzero(face.weights)
    own = landmarks[rigid] * np.array([1, -1, -1])
    scale, rotation = fit_similarity(face.vertices[rigid], own)
    front = (own - own.mean(0)) @ rotation / scale
    return (front - (face.vertices[rigid] - face.vertices[rigid].mean(0))).astype(np.float32)


def likeness(
    images: NDArray[np.uint8], landmarks: NDArray[np.floating], backbone: Backbone
) -> NDArray[np.float32]:
    """What a face looks like, one vector: of ``images`` [N, H, W, 3] with ``landmarks``
    [N, 478, 3] px, the mean of some :data:`LOOKED_AT` of them."""
    some = np.unique(np.linspace(0, len(images) - 1, LOOKED_AT).round().astype(int))
    seen = []
    for image, points in zip(images[some], landmarks[some], strict=True):
        face = np.moveaxis(standard_face(image, points), -1, 0)[None]
        with torch.inference_mode():
            coarse = backbone(torch.from_numpy(np.ascontiguousarray(face)).float() / 127.5 - 1)[-1]
            parts = torch.nn.functional.adaptive_avg_pool2d(coarse, GRID).flatten().numpy()
        seen.append(np.concatenate([proportions(points).ravel(), parts]))
    return np.mean(seen, axis=0).astype(np.float32)


def apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How unlike two :func:`likeness` vectors are: the root mean square of the differences in
    proportions (cm on the canonical face), and one minus the cosine of the looks."""
    shape = 3 * int((canonical_face().weights > 0).sum())
    proportion = np.sqrt(np.square(one[:shape] - other[:shape]).mean())
    first, second = one[shape:], other[shape:]
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    return float(proportion + 1 - cosine)
