"""A face in pictures that come one at a time, with nothing known of those that follow.

:mod:`dimcli.tracking.landmarks` knows a whole video, and fills gaps from both sides.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from dimcli.core.motion import HEAD, JAW, MOTION_DIM, Floats, Motion, Picture, slerp_axis_angle
from dimcli.core.progress import Progress, silent
from dimcli.tracking.following import Face, Follower
from dimcli.tracking.landmarks import TRACKER, FaceVideo, measure, motion_values
from dimcli.tracking.networks import Bundle
from weights.canonical_face import canonical_face

LOST_S = 0.5
"""A face that is not seen stays where it was for so long; then nobody is there."""
PICTURES_A_SECOND = 25.0
"""About; at other rates what is told in seconds is a little longer or shorter."""
EARLY_S = 1e-4
"""Times are compared with so much play: those of a video's frames are rounded."""


class FaceStream:
    """The motion of the largest face, from pictures one after the other."""

    def __init__(self) -> None:
        self.follower = Follower(Bundle.shipped(), PICTURES_A_SECOND)

    def __call__(self, picture: Picture) -> Floats | None:
        """One frame of motion [56] in the ``arkit`` space, or None where no face is."""
        return self.motion_of(self.follower.follow(picture), picture.shape[1], picture.shape[0])

    def motion_of(self, face: Face | None, width: int, height: int) -> Floats | None:
        """The same of the next ``face``, found in a picture of this size."""
        if face is None:
            return None
        rotation, _, (gap,), blendshapes = np.split(
            measure([face], (width, height), canonical_face()), [3, 6, 7], axis=1
        )
        return motion_values(rotation, blendshapes, gap)[0]


class Watch:
    """Motion seen at any times, or not at all, as frames at a steady rate.

    A frame is what was seen last before its end, or between the last two where that lies after its
    beginning. Who is not seen for :data:`LOST_S` is gone: such frames are NaN.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._frame = 0
        self._waiting: deque[tuple[float, Floats | None]] = deque()
        self._before: tuple[float, Floats] | None = None
        self._last: tuple[float, Floats] | None = None
        self._lost = False

    def take(self, values: Floats | None, time_s: float) -> None:
        """Motion [56], or nobody, seen at ``time_s``; what comes out of order is left out."""
        newest = self._waiting[-1][0] if self._waiting else self._last and self._last[0]
        if newest is None or time_s > newest:
            self._waiting.append((time_s, values))

    def next(self) -> Floats:
        """The next frame: float32 [56]."""
        begin, end = self._frame / self._fps, (self._frame + 1) / self._fps
        self._frame += 1
        while self._waiting and self._waiting[0][0] < end - EARLY_S:
            time_s, values = self._waiting.popleft()
            if values is None:
                self._before = None
            else:
                self._before, self._last = self._last, (time_s, values)
        if self._last is None or self._last[0] < begin - LOST_S:
            self._before = None
            return np.full(MOTION_DIM, np.nan, np.float32)
        time_s, values = self._last
        if self._before is None or time_s < begin + EARLY_S or self._before[0] > begin:
            return values
        share = (begin - self._before[0]) / (time_s - self._before[0])
        return between(self._before[1], values, share)


def between(start: Floats, end: Floats, share: float) -> Floats:
    """Motion [56] on the way from ``start`` to ``end`` [56]: turns by slerp, the rest linearly."""
    weight = np.full(1, share, np.float32)
    values = start * (1 - weight) + end * weight
    for part in (HEAD, JAW):
        values[part] = slerp_axis_angle(start[None, part], end[None, part], weight)[0]
    return values


def watched(motion: Motion, fps: float, frames: int) -> Motion:
    """``frames`` frames of ``motion`` at ``fps`` as a :class:`Watch` sees them, where ``motion`` is
    not ``valid`` nobody; the frames at which nobody is there are not ``valid``, and zero."""
    watch = Watch(fps)
    for index, (values, seen) in enumerate(zip(motion.values, motion.valid, strict=True)):
        watch.take(values if seen else None, index / motion.fps)
    rows = np.stack([watch.next() for _ in range(frames)])
    there = np.isfinite(rows[:, 0])
    return Motion(np.nan_to_num(rows), fps=fps, space=motion.space, valid=there, meta=motion.meta)


def track_online(
    path: Path,
    *,
    region: tuple[int, int, int, int] | None = None,
    progress: Progress = silent,
) -> Motion:
    """Motion of the largest face of a video, each frame as it is known when it comes: those without
    a face are not ``valid``, and zero. See :func:`dimcli.tracking.landmarks.track_face`."""
    stream = FaceStream()
    video = FaceVideo(path, region, stream.follower)
    rows = [stream.motion_of(face, *video.size) for _, face in video.frames(progress)]
    valid = np.array([row is not None for row in rows])
    nobody = np.zeros(MOTION_DIM, np.float32)
    values = np.stack([nobody if row is None else row for row in rows])
    facts = video.facts(valid, tracker=TRACKER, smooth=False)
    return Motion(values, fps=video.fps, valid=valid, meta=facts)
