"""Rotations in space, for what runs at every start and every frame: scipy's take half a second to
import, and ten times as long for a single one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]
_SMALL_RAD = 1e-8


@dataclass(frozen=True)
class Rotations:
    """Rotations as unit quaternions [..., 4] (x, y, z, w). Those of one and of many go together."""

    quaternions: Numbers

    @classmethod
    def of_vectors(cls, vectors: ArrayLike) -> Rotations:
        """Of axis-angle ``vectors`` [..., 3], radians."""
        vectors = np.asarray(vectors, np.float64)
        angle = np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))
        share = np.sin(angle / 2) / np.maximum(angle, _SMALL_RAD)
        share = np.where(angle < _SMALL_RAD, 0.5, share)
        return cls(np.concatenate([vectors * share, np.cos(angle / 2)], axis=-1))

    @classmethod
    def of_quaternions(cls, quaternions: ArrayLike) -> Rotations:
        """Of quaternions [..., 4] of any length but none."""
        quaternions = np.asarray(quaternions, np.float64)
        return cls(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True))

    @property
    def vectors(self) -> Numbers:
        """Axis-angle [..., 3], radians, of no more than half a turn."""
        # the shorter of the two ways round
        shorter = np.where(self.quaternions[..., 3:] < 0, -self.quaternions, self.quaternions)
        axis, cosine = shorter[..., :3], shorter[..., 3:]
        sine = np.sqrt(np.square(axis).sum(axis=-1, keepdims=True))
        angle = 2 * np.arctan2(sine, cosine)
        share = np.where(sine < _SMALL_RAD, 2.0, angle / np.maximum(sine, _SMALL_RAD))
        return axis * share

    @property
    def matrices(self) -> Numbers:
        """Matrices [..., 3, 3]."""
        x, y, z, w = np.moveaxis(self.quaternions, -1, 0)
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    @property
    def yaw_pitch_roll(self) -> Numbers:
        """Angles [..., 3], radians, about y, then x, then z, axes that turn along; no roll where
        x is turned by a right angle, and yaw and roll are one."""
        m = self.matrices
        level = np.hypot(m[..., 0, 2], m[..., 2, 2])
        upright = level > _SMALL_RAD
        yaw = np.where(
            upright,
            np.arctan2(m[..., 0, 2], m[..., 2, 2]),
            np.arctan2(-m[..., 2, 0], m[..., 0, 0]),
        )
        pitch = np.arctan2(-m[..., 1, 2], level)
        roll = np.where(upright, np.arctan2(m[..., 1, 0], m[..., 1, 1]), 0.0)
        return np.stack([yaw, pitch, roll], axis=-1)

    @property
    def angles(self) -> Numbers:
        """How far each turns [...], radians, at most half a turn."""
        axis, cosine = self.quaternions[..., :3], self.quaternions[..., 3]
        return 2 * np.arctan2(np.sqrt(np.square(axis).sum(axis=-1)), np.abs(cosine))

    @property
    def inverse(self) -> Rotations:
        """Those that turn back."""
        return Rotations(self.quaternions * np.array([-1, -1, -1, 1]))

    def __mul__(self, first: Rotations) -> Rotations:
        """``first``, and then these."""
        ax, ay, az, aw = np.moveaxis(self.quaternions, -1, 0)
        bx, by, bz, bw = np.moveaxis(first.quaternions, -1, 0)
        both = [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
        return Rotations(np.stack(both, axis=-1))

    def mean(self) -> Rotations:
        """The one that is nearest to all of [N]: the largest eigenvector of their outer products
        (Markley et al. 2007)."""
        _, vectors = np.linalg.eigh(self.quaternions.T @ self.quaternions)
        return Rotations(vectors[:, -1])
