"""Pictures to be moved, and how faithfully they are: what a tracker sees in the frames drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dimcli.core.motion import MOTION_DIM, Motion, Picture
from dimcli.tracking.following import Follower
from dimcli.tracking.geometry import head_rotations
from dimcli.tracking.landmarks import with_faces
from dimcli.tracking.networks import Bundle
from renderers.mesh.mesh import MeshRenderer
from renderers.trained.likeness import proportions
from weights.canonical_face import canonical_face


def profile(degrees: float, side: int = 384) -> Picture:
    """The open head, turned to its left by so much: uint8 [side, side, 3]."""
    values = np.zeros((1, MOTION_DIM), np.float32)
    values[0, 1] = np.radians(degrees)
    return np.ascontiguousarray(next(iter(MeshRenderer(size=side).render(values))))


def nodding(seed: int, frames: int = 50, fps: float = 25.0) -> Motion:
    """A frontal head that nods by up to 8 degrees, and moves a little else."""
    random = np.random.default_rng(seed)
    times = np.arange(frames) / fps
    values = np.zeros((frames, MOTION_DIM), np.float32)
    for axis, most in enumerate((8.0, 2.0, 2.0)):
        waves = [
            np.sin(2 * np.pi * (hertz * times + random.uniform()))
            for hertz in random.uniform(0.4, 1.6, 3)
        ]
        wave = np.sum(waves, axis=0)
        values[:, axis] = np.radians(most) * wave / np.abs(wave).max()
    return Motion(values, fps)


@dataclass(frozen=True)
class Seen:
    """What the tracker saw: head rotations ``degrees`` [T, 3] and ``proportions`` [T, N, 3], where
    the face's rigid points are on a front view, in cm of the canonical face; NaN for no face."""

    degrees: np.ndarray
    proportions: np.ndarray

    def differs(self, other: Seen) -> np.ndarray:
        """How far proportions are from the usual ones of ``other``: root mean square, cm [T]."""
        apart = self.proportions - np.nanmedian(other.proportions, axis=0)
        return np.sqrt(np.square(apart).sum(axis=2).mean(axis=1))


def seen(frames: Iterable[Picture], fps: float) -> Seen:
    """What the tracker sees in ``frames``."""
    degrees, shapes = [], []
    for frame, face in with_faces(Follower(Bundle.shipped(), fps), frames):
        if face is None:
            degrees.append(np.full(3, np.nan))
            shapes.append(np.full((np.count_nonzero(canonical_face().weights), 3), np.nan))
            continue
        size = (frame.shape[1], frame.shape[0])
        degrees.append(
            np.degrees(head_rotations(face.landmarks[None], size, canonical_face())[0][0])
        )
        shapes.append(proportions(face.landmarks))
    return Seen(np.array(degrees), np.array(shapes))
