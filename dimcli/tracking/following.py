"""Following one face from frame to frame: find the largest, stay on it, find it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats
from dimcli.tracking.geometry import Region, region_of_landmarks
from dimcli.tracking.networks import (
    MIN_PRESENCE,
    BlendshapeNetwork,
    Bundle,
    Detection,
    FaceDetector,
    FaceMesh,
)

SAME_FACE = 0.2
"""Regions of one face in two frames overlap at least this much (intersection over union)."""

SURELY_SAME_FACE = 0.5
"""From here on, the next frames need not wait for this one's landmarks."""

SMALL_PICTURE = 512
"""Pictures are enlarged by a whole factor as long as their longer side stays within this."""

WORKERS = 2
_AHEAD = 3


@dataclass(frozen=True)
class Face:
    """A face in a frame: ``landmarks`` float32 [478, 3] px, ``blendshapes`` float32 [52]."""

    landmarks: Floats
    blendshapes: Floats


@dataclass(frozen=True)
class _Frame:
    """A frame that was looked at: the picture, enlarged by ``factor``, and the faces in it."""

    image: NDArray[np.uint8]
    factor: int
    faces: list[Detection]


class Follower:
    """Follows the largest face of a video.

    The followed face's region in the last frame says which of the detector's boxes is it; where
    the detector sees none there (a profile, a hand before the face), the region of its last
    landmarks is where to look. The box goes first because the landmark network's answer depends a
    little on how the crop is framed (1 to 2 px of 512): so every frame comes out as if seen alone,
    as the vendor's runtime sees pictures. The other faces are remembered: when the followed face
    is lost, none of them is taken for it before ``patience_s`` seconds have gone by.

    While the boxes leave no doubt, frames are fitted ahead, on ``WORKERS`` cores. A fit that finds
    no face after all is taken back, with those after it, and done again one frame at a time.
    """

    def __init__(self, bundle: Bundle, fps: float, *, patience_s: float = 1.0) -> None:
        self._detector = FaceDetector(bundle, threads=1)
        self._networks: SimpleQueue[tuple[FaceMesh, BlendshapeNetwork]] = SimpleQueue()
        for _ in range(WORKERS):
            self._networks.put((FaceMesh(bundle, threads=1), BlendshapeNetwork(bundle)))
        self._patience = max(1, round(fps * patience_s))
        self._region: Region | None = None
        self._others: list[Region] = []
        self._missing = self._patience
        self._undetected = 0
        self.most_faces = 0
        """The most faces seen at once so far."""

    def __call__(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[Face | None]:
        """The followed face in each frame (RGB uint8 [H, W, 3]), None where it is not."""
        ahead: deque[tuple[_Frame, Future[Face | None]]] = deque()
        expected: Region | None = None
        with ThreadPoolExecutor(WORKERS) as workers:
            for image in images:
                frame = self._look(image)
                region = _nearest(frame.faces, expected, SURELY_SAME_FACE)
                if region is None:
                    yield from self._settle(ahead, leave=0)
                    yield self._step(frame)
                    expected = self._region
                    continue
                ahead.append((frame, workers.submit(self._fit, frame, region)))
                expected = region
                yield from self._settle(ahead, leave=_AHEAD)
                if not ahead:  # a fit was taken back: what is expected is what is known
                    expected = self._region
            yield from self._settle(ahead, leave=0)

    def follow(self, image: NDArray[np.uint8]) -> Face | None:
        """The followed face in the next image, when the ones after it are not there yet."""
        return self._step(self._look(image))

    def _look(self, image: NDArray[np.uint8]) -> _Frame:
        larger, factor = enlarged(image)
        return _Frame(larger, factor, self._detector(larger))

    def _settle(
        self, ahead: deque[tuple[_Frame, Future[Face | None]]], leave: int
    ) -> Iterator[Face | None]:
        """Results of the frames fitted ahead but for the last ``leave``, in order."""
        while len(ahead) > leave:
            frame, fit = ahead.popleft()
            face = fit.result()
            if face is None:
                again = [frame, *(later for later, _ in ahead)]
                ahead.clear()
                for each in again:
                    yield self._step(each)
                return
            self._undetected = 0
            self._accept(frame, face)
            yield face

    def _step(self, frame: _Frame) -> Face | None:
        """The followed face in a frame, when everything about the last frame is known."""
        face = self._follow(frame) or self._find(frame)
        if face is None:
            self._region = None
            self._missing += 1
        else:
            self._accept(frame, face)
        return face

    def _accept(self, frame: _Frame, face: Face) -> None:
        """Take ``face`` for the followed one, and all others in the frame for others."""
        self._missing = 0
        self.most_faces = max(self.most_faces, len(frame.faces), 1)
        self._region = followed = region_of_landmarks(face.landmarks * frame.factor)
        regions = [other.region() for other in frame.faces]
        self._others = [other for other in regions if other.overlap(followed) < SAME_FACE]

    def _follow(self, frame: _Frame) -> Face | None:
        """The face that was followed in the last frame, if it is still there."""
        last = self._region
        if last is None:
            return None
        nearest = _nearest(frame.faces, last, SAME_FACE)
        if nearest is not None:
            self._undetected = 0
            face = self._fit(frame, nearest)
            if face is not None:
                return face
        self._undetected += 1
        somebody_new = any(not self._is_other(face) for face in frame.faces)
        if self._undetected > self._patience and somebody_new:
            return None  # a false lock: the detector sees a face, but not here
        return self._fit(frame, last)

    def _find(self, frame: _Frame) -> Face | None:
        """The largest face that is not one of the others, or any after waiting in vain."""
        faces = frame.faces
        if not faces and self._missing % self._patience == 0:
            faces = self._detector(frame.image, thorough=True)
        if self._missing < self._patience:
            faces = [face for face in faces if not self._is_other(face)]
        fits = (self._fit(frame, face.region()) for face in faces)
        return next((fit for fit in fits if fit is not None), None)

    def _fit(self, frame: _Frame, region: Region) -> Face | None:
        """The face in a region of a frame, if there is one."""
        mesh, blendshapes = networks = self._networks.get()
        try:
            landmarks, presence = mesh(frame.image, region)
            if presence < MIN_PRESENCE:
                return None
            landmarks = landmarks / np.float32(frame.factor)
            return Face(landmarks, blendshapes(landmarks))
        finally:
            self._networks.put(networks)

    def _is_other(self, face: Detection) -> bool:
        region = face.region()
        return any(region.overlap(other) >= SURELY_SAME_FACE for other in self._others)


def _nearest(faces: list[Detection], region: Region | None, least: float) -> Region | None:
    """The region of the face that overlaps ``region`` most, if by ``least`` or more."""
    if region is None or not faces:
        return None
    nearest = max((face.region() for face in faces), key=region.overlap)
    return nearest if nearest.overlap(region) >= least else None


def enlarged(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A small picture made larger by a whole factor, smoothly, and that factor.

    The networks' own sampling is linear, which shows in small faces.
    """
    factor = max(1, SMALL_PICTURE // max(image.shape[:2]))
    if factor == 1:
        return image, 1
    larger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8), factor
