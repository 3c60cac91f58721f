"""The built-in tracker: pictures and videos to landmarks, blendshapes, head rotation and motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW_OPEN_RAD,
    JAW_PITCH,
    MOTION_DIM,
    Bools,
    Floats,
    Motion,
    Picture,
)
from dimcli.core.progress import Progress, silent
from dimcli.media import probe_video, read_frames
from dimcli.tracking.following import Face, Follower, enlarged
from dimcli.tracking.geometry import head_rotations, lip_gaps
from dimcli.tracking.networks import (
    BLENDSHAPES,
    MIN_PRESENCE,
    NUM_LANDMARKS,
    BlendshapeNetwork,
    Bundle,
    FaceDetector,
    FaceMesh,
)
from dimcli.tracking.postprocessing import bridge_rotations, fill_columns, smooth_motion
from renderers.portrait.expression import jaw_open_of_lips
from weights.canonical_face import CanonicalFace, canonical_face

TRACKER = "mediapipe-face-landmarker"
TRACKER_VERSION = 2
"""Goes up whenever the same video would give other motion."""

LARGE_PICTURE = 1500
"""Longer side in pixels from which a face that was not found may only have been too small."""
MIN_SEEN = 0.5
"""A video that shows a face in less than this share of its frames is refused."""

_EXPRESSION_COLUMNS = np.array([BLENDSHAPES.index(name) for name in ARKIT_EXPRESSIONS])
_BATCH = 32  # frames whose head rotation is fitted together


@dataclass(frozen=True)
class FaceObservation:
    """The largest face of one picture.

    ``landmarks`` float32 [478, 3] px (x right, y down, z depth at the same scale); ``blendshapes``
    float32 [52] in 0..1 (names: ``networks.BLENDSHAPES``); ``rotation`` float32 [3] axis-angle
    radians in the frame of :mod:`dimcli.core.motion`; ``presence`` and the detector's ``score``
    0..1; ``faces`` how many there are.
    """

    landmarks: Floats
    blendshapes: Floats
    rotation: Floats
    presence: float
    score: float
    faces: int

    @property
    def values(self) -> Floats:
        """The face as one frame of motion in the ``arkit`` space, float32 [56]."""
        return motion_values(
            self.rotation[None], self.blendshapes[None], lip_gaps(self.landmarks[None])
        )[0]


@dataclass(frozen=True)
class FaceTrack:
    """The followed face of a video.

    ``motion`` is what the rest of the project takes. ``blendshapes`` float32 [T, 52] are the
    network's own numbers and ``landmarks`` float32 [T, 478, 3] px, where they were asked for; both
    are NaN where no face was seen.
    """

    motion: Motion
    blendshapes: Floats
    landmarks: Floats | None


def motion_values(rotations: Floats, blendshapes: Floats, gaps: Floats) -> Floats:
    """Motion [T, 56] in the ``arkit`` space from head rotations [T, 3] rad, blendshapes [T, 52] and
    gaps of the lips [T] (:func:`lip_gaps`).

    The jaw is open as far as the lips say. The network's own ``jawOpen``, which it reads off the
    face's length against its width, hardly moves where a face is broad or looks so, and sleeps
    until a mouth is wide open: on real talkers it has 0.6 to 1 of the correlation with their lips.
    """
    values = np.zeros((len(rotations), MOTION_DIM), np.float32)
    values[:, HEAD] = rotations
    values[:, EXPRESSION] = expression = blendshapes[:, _EXPRESSION_COLUMNS]
    values[:, JAW_PITCH] = jaw_open_of_lips(gaps, expression) * JAW_OPEN_RAD
    return values


def observe_picture(image: NDArray[np.uint8]) -> FaceObservation:
    """The largest face of an RGB picture [H, W, 3]. Raises InputError where there is none.

    The face is fitted once, in the detector's box, exactly as frames of a video are: a second fit
    in the first one's region moves landmarks by 1 to 2 px of 512, visibly neither to the better
    nor to the worse, and a picture's values would no longer be those of the same frame in a video.
    """
    size = (image.shape[1], image.shape[0])
    image, factor = enlarged(image)
    bundle = Bundle.shipped()
    mesh = FaceMesh(bundle, threads=2)
    fits = []
    for face in FaceDetector(bundle)(image, thorough=True):
        landmarks, presence = mesh(image, face.region())
        if presence >= MIN_PRESENCE:
            area = np.ptp(landmarks[:, :2], axis=0).prod()
            fits.append((area, landmarks, presence, face.score))
    if not fits:
        closer = "; crop it closer to the head" if max(size) > LARGE_PICTURE else ""
        raise InputError(
            f"no face can be seen in the picture; expected one, looking at the camera{closer}"
        )
    _, landmarks, presence, score = max(fits, key=lambda fit: fit[0])
    landmarks = landmarks / np.float32(factor)
    rotation, _ = head_rotations(landmarks[None], size, canonical_face())
    blendshapes = BlendshapeNetwork(bundle)(landmarks)
    return FaceObservation(landmarks, blendshapes, rotation[0], presence, score, faces=len(fits))


def track_video(
    path: Path,
    *,
    smooth: bool = False,
    region: tuple[int, int, int, int] | None = None,
    progress: Progress = silent,
) -> Motion:
    """Motion of the largest face of a video; see :func:`track_face`."""
    return track_face(path, smooth=smooth, region=region, progress=progress).motion


def track_face(
    path: Path,
    *,
    smooth: bool = False,
    region: tuple[int, int, int, int] | None = None,
    keep_landmarks: bool = False,
    progress: Progress = silent,
) -> FaceTrack:
    """Follow the largest face of a video, streamed: memory holds some hundred numbers a frame.

    ``region`` (x, y, width, height px) looks at a part of the picture only, as one half of a pair.
    ``smooth`` applies :func:`dimcli.tracking.postprocessing.smooth_motion`. The motion's ``camera``
    [T, 3] is the face's centre x, y and its size (the mean of width and height), relative to the
    picture's width, height and the mean of the two. Frames without a face are marked in ``valid``
    and interpolated (rotation by slerp). Raises InputError where the video cannot be read or more
    than half of its frames show no face.
    """
    video = FaceVideo(path, region)
    batch: list[Face | None] = []
    numbers: list[Floats] = []
    kept: list[Floats] = []
    for _, face in video.frames(progress):
        batch.append(face)
        if len(batch) == _BATCH:
            numbers.append(measure(batch, video.size, canonical_face()))
            batch.clear()
        if keep_landmarks:
            kept.append(_NOWHERE if face is None else face.landmarks)
    numbers.append(measure(batch, video.size, canonical_face()))
    table = np.concatenate(numbers)
    valid = ~np.isnan(table[:, 0])
    facts = video.facts(valid, tracker=TRACKER, smooth=smooth)
    motion, blendshapes = _assemble(table, valid, video.fps)
    motion.meta.update(facts)
    return FaceTrack(
        motion=smooth_motion(motion) if smooth else motion,
        blendshapes=blendshapes,
        landmarks=np.stack(kept) if keep_landmarks else None,
    )


class FaceVideo:
    """A video whose largest face is followed, in a ``region`` (x, y, width, height px) of it."""

    def __init__(
        self,
        path: Path,
        region: tuple[int, int, int, int] | None = None,
        follower: Follower | None = None,
    ) -> None:
        """Raises InputError where the video cannot be read."""
        self._path, self._region, self._info = path, region, probe_video(path)
        self._follower = follower or Follower(Bundle.shipped(), self._info.fps)

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self._info.fps

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is looked at, px."""
        return self._region[2:] if self._region else (self._info.width, self._info.height)

    def frames(self, progress: Progress) -> Iterator[tuple[Picture, Face | None]]:
        """Each frame with the followed face in it."""
        expected = max(1, round(self._info.duration_s * self.fps))
        with closing(read_frames(self._info, region=self._region)) as frames:
            for count, seen in enumerate(with_faces(self._follower, frames), start=1):
                yield seen
                progress("tracking", count, max(expected, count))

    def facts(self, valid: Bools, *, tracker: str, smooth: bool) -> dict[str, Any]:
        """What a motion's ``meta`` says of how the video was tracked, once its frames are; where
        ``valid`` they show a face.

        Raises InputError where too few of them do.
        """
        if valid.mean() < MIN_SEEN:
            raise InputError(
                f"{self._path}: {1 - valid.mean():.0%} of its frames show no face; expected a face "
                "in at least half of them"
            )
        width, height = self.size
        return {
            "source": str(Path(self._path).resolve()),
            "tracker": tracker,
            "smoothed": smooth,
            "width": width,
            "height": height,
            "frames_without_face": round(1 - float(valid.mean()), 4),
            "most_faces": self._follower.most_faces,
            **({} if self._region is None else {"region": list(self._region)}),
        }


def with_faces(
    follower: Follower, frames: Iterable[Picture]
) -> Iterator[tuple[Picture, Face | None]]:
    """Each frame with the followed face in it; the follower looks a few frames ahead."""
    waiting: deque[Picture] = deque()

    def kept() -> Iterator[Picture]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    for face in follower(kept()):
        yield waiting.popleft(), face


_NUMBERS = 3 + 3 + 1 + len(BLENDSHAPES)
"""What is kept of every frame: rotation, camera, lip gap, blendshapes."""

_NOWHERE: Floats = np.full((NUM_LANDMARKS, 3), np.nan, np.float32)


def measure(faces: list[Face | None], size: tuple[int, int], canonical: CanonicalFace) -> Floats:
    """Numbers [T, _NUMBERS] of faces in pictures of ``size`` (width, height); NaN for None."""
    numbers = np.full((len(faces), _NUMBERS), np.nan, np.float32)
    seen = [face for face in faces if face is not None]
    if not seen:
        return numbers
    landmarks = np.stack([face.landmarks for face in seen])
    rotations, _ = head_rotations(landmarks, size, canonical)
    low, high = landmarks[..., :2].min(axis=1), landmarks[..., :2].max(axis=1)
    numbers[[face is not None for face in faces]] = np.column_stack(
        [
            rotations,
            (low + high) / 2 / np.array(size, np.float32),
            (high - low).mean(axis=1) / np.mean(size),
            lip_gaps(landmarks),
            np.stack([face.blendshapes for face in seen]),
        ]
    )
    return numbers


def _assemble(numbers: Floats, valid: NDArray[np.bool_], fps: float) -> tuple[Motion, Floats]:
    """Motion and raw blendshapes from numbers [T, _NUMBERS], NaN where ``valid`` is not."""
    raw = numbers[:, 7:].copy()
    filled = fill_columns(numbers, valid)
    filled[:, :3] = bridge_rotations(numbers[:, :3], valid)
    rotations, camera, gaps, blendshapes = np.split(filled, [3, 6, 7], axis=1)
    values = motion_values(rotations, blendshapes, gaps[:, 0])
    return Motion(values, fps=fps, valid=valid, camera=camera), raw
