"""Rotations as axis-angle vectors in radians, batched, on scipy's Rotation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def slerp_axis_angle(
    start: NDArray[np.float32], end: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Shortest way between rotations ``start`` and ``end`` [N, 3], ``weight`` [N] in 0..1."""
    from scipy.spatial.transform import Rotation

    first = Rotation.from_rotvec(start)
    step = (first.inv() * Rotation.from_rotvec(end)).as_rotvec()
    return (first * Rotation.from_rotvec(step * weight[:, None])).as_rotvec().astype(np.float32)
