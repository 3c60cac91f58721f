"""Landmarks on the FLAME head, from the embeddings that the user imported.

Legend: N frames, V vertices, F faces, L landmarks. Lengths are metres, angles radians.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from renderers.heads.flame import read_arrays
from renderers.heads.open_head import rotation_matrices

CONTOUR_DEGREES = 39
"""The contour's table has a row for each degree of yaw up to here, to either side."""


class FlameLandmarks(nn.Module):
    """Landmarks on FLAME's surface, from the embeddings that are there.

    ``sets`` names them: ``static`` (51 of the 68 of iBUG, without the contour), ``dynamic`` (the 17
    of the contour, a row for each degree of yaw), ``full`` (all 68, for a head that looks ahead),
    ``mediapipe`` (105 of MediaPipe's).
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], faces: NDArray[np.int32]) -> None:
        """``arrays``: ``<set>_faces`` [..., L] and ``<set>_barycentric`` [..., L, 3] of each set,
        and ``mediapipe_indices`` [L]; ``faces`` [F, 3] the mesh's.
        """
        super().__init__()
        self.sets = tuple(sorted(name[:-6] for name in arrays if name.endswith("_faces")))
        for name in self.sets:
            corners = torch.from_numpy(faces[arrays[f"{name}_faces"]].astype(np.int64))
            weights = torch.from_numpy(arrays[f"{name}_barycentric"].astype(np.float32))
            self.register_buffer(f"{name}_corners", corners, persistent=False)
            self.register_buffer(f"{name}_weights", weights, persistent=False)
        indices = arrays.get("mediapipe_indices", np.zeros(0, np.int64))
        self.mediapipe_indices = indices.astype(np.int64)
        """Which of MediaPipe's landmarks the ``mediapipe`` set holds, in its order."""

    @classmethod
    def load(cls, path: Path, faces: NDArray[np.int32]) -> FlameLandmarks:
        """The embeddings in the file that the import wrote, on a mesh with ``faces`` [F, 3].

        InputError where the file is damaged.
        """
        return cls(read_arrays(path), faces)

    def points(self, name: str, vertices: Tensor) -> Tensor:
        """Landmarks [N, L, 3] of a set without rows, on ``vertices`` [N, V, 3]."""
        return _on_surface(
            vertices, self.get_buffer(f"{name}_corners"), self.get_buffer(f"{name}_weights")
        )

    def contour(self, vertices: Tensor, rotation: Tensor) -> Tensor:
        """The 17 points [N, 17, 3] of the jaw's outline on ``vertices`` [N, V, 3], as a camera in
        front sees it when the head's rotation is ``rotation`` [N, 3].

        The table's row is DECA's: rounded degrees of yaw, those to the other side after 39.
        """
        row = contour_row(rotation)
        corners = self.get_buffer("dynamic_corners")[row]
        weights = self.get_buffer("dynamic_weights")[row]
        frames = torch.arange(len(vertices), device=vertices.device)[:, None, None]
        return (vertices[frames, corners] * weights.to(vertices)[..., None]).sum(dim=-2)

    def ibug68(self, vertices: Tensor, rotation: Tensor) -> Tensor:
        """The 68 points [N, 68, 3]: contour, then brows, nose, eyes and mouth."""
        inner = self.points("static", vertices)
        return torch.cat([self.contour(vertices, rotation), inner], dim=1)


def _on_surface(vertices: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Points [N, L, 3] on ``vertices`` [N, V, 3]: ``corners`` [L, 3] weighted by [L, 3]."""
    return (vertices[:, corners] * weights.to(vertices)[..., None]).sum(dim=-2)


def contour_row(rotation: Tensor) -> Tensor:
    """Row [N] of the contour's table for head rotations [N, 3]: the yaw in degrees, or 39 more than
    its size where it is negative.
    """
    matrix = rotation_matrices(rotation)
    across = (matrix[:, 0, 0] ** 2 + matrix[:, 1, 0] ** 2).sqrt()
    degrees = torch.atan2(-matrix[:, 2, 0], across) * (180 / math.pi)
    row = degrees.clamp(-CONTOUR_DEGREES, CONTOUR_DEGREES).round().long()
    return torch.where(row < 0, CONTOUR_DEGREES - row, row)
