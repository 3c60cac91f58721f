"""Following one face from frame to frame: find the largest, stay on it, find it again."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.tracking.bundle import Bundle, Floats
from dimcli.tracking.detector import Detection, FaceDetector
from dimcli.tracking.face_mesh import MIN_PRESENCE, FaceMesh
from dimcli.tracking.geometry import Region, region_of_landmarks

SAME_FACE = 0.2
"""Regions of one face in two frames overlap at least this much (intersection over union)."""

STILL_THERE = 0.5
"""Regions of a face that is not followed overlap at least this much, or it is somebody new."""

SMALL_PICTURE = 512
"""Pictures are enlarged by a whole factor as long as their longer side stays within this."""


class Follower:
    """Follows the largest face of a video.

    The followed face's landmarks in the last frame say which of the detector's boxes is it; where
    the detector sees none there (a profile, a hand before the face), they are themselves the
    region to look in. The box goes first because the landmark network's answer depends a little
    on how the crop is framed (1 to 2 px of 512): so every frame comes out as if seen alone, as
    the vendor's runtime sees pictures. The other faces are remembered: when the followed face is
    lost, none of them is taken for it before ``patience_s`` seconds have gone by.
    """

    def __init__(
        self, bundle: Bundle, fps: float, *, threads: int = 2, patience_s: float = 1.0
    ) -> None:
        self._detector = FaceDetector(bundle, threads)
        self._mesh = FaceMesh(bundle, threads)
        self._patience = max(1, round(fps * patience_s))
        self._region: Region | None = None
        self._others: list[Region] = []
        self._missing = self._patience
        self._undetected = 0
        self.most_faces = 0
        """The most faces seen at once so far."""

    def __call__(self, image: NDArray[np.uint8]) -> Floats | None:
        """Landmarks [478, 3] px of the followed face in the next frame; None where it is not."""
        image, factor = enlarged(image)
        faces = self._detector(image)
        landmarks = self._follow(image, faces)
        if landmarks is None:
            landmarks = self._find(image, faces)
        if landmarks is None:
            self._region = None
            self._missing += 1
            return None
        self._missing = 0
        self.most_faces = max(self.most_faces, len(faces), 1)
        self._region = region_of_landmarks(landmarks)
        regions = [face.region() for face in faces]
        self._others = [other for other in regions if other.overlap(self._region) < SAME_FACE]
        return landmarks / np.float32(factor)

    def _follow(self, image: NDArray[np.uint8], faces: list[Detection]) -> Floats | None:
        """The face that was followed in the last frame, if it is still there."""
        last = self._region
        if last is None:
            return None
        for face in faces:
            if face.region().overlap(last) >= SAME_FACE:
                self._undetected = 0
                landmarks = self._fit(image, face.region())
                if landmarks is not None:
                    return landmarks
        self._undetected += 1
        if self._undetected > self._patience and any(not self._is_other(face) for face in faces):
            return None  # a false lock: the detector sees a face, but not here
        return self._fit(image, last)

    def _find(self, image: NDArray[np.uint8], faces: list[Detection]) -> Floats | None:
        """The largest face that is not one of the others, or any after waiting in vain."""
        if not faces and self._missing % self._patience == 0:
            faces = self._detector(image, thorough=True)
        if self._missing < self._patience:
            faces = [face for face in faces if not self._is_other(face)]
        fits = (self._fit(image, face.region()) for face in faces)
        return next((landmarks for landmarks in fits if landmarks is not None), None)

    def _fit(self, image: NDArray[np.uint8], region: Region) -> Floats | None:
        landmarks, presence = self._mesh(image, region)
        return landmarks if presence >= MIN_PRESENCE else None

    def _is_other(self, face: Detection) -> bool:
        return any(face.region().overlap(other) >= STILL_THERE for other in self._others)


def enlarged(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A small picture made larger by a whole factor, smoothly, and that factor.

    The networks' own sampling is linear, which shows in small faces.
    """
    factor = max(1, SMALL_PICTURE // max(image.shape[:2]))
    if factor == 1:
        return image, 1
    larger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8), factor
