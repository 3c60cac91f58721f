"""FLAME's jaw and expression from scanned vertices of its own mesh, for one person.

The person's shape is solved for once, from the resting face, and says where the jaw's joint is; the
face at rest is then exactly the person's. Frames are solved as converted motion is
(:mod:`renderers.heads.face_fitting`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.motion import Motion
from renderers.heads.correspondence import SurfacePoints
from renderers.heads.face_fitting import Face, Solver
from renderers.heads.flame import FlameHead

Floats = NDArray[np.float32]

SHAPE_RIDGE_MM2 = 1.0
"""Squared millimetres a vertex that a standard deviation of shape costs, over all vertices."""
CHUNK = 128
"""Frames solved at once."""


class FlameFitter:
    """Finds the motion of one person's vertices."""

    def __init__(
        self,
        flame: FlameHead,
        rest: Floats,
        vertices: NDArray[np.int64],
        device: torch.device | None = None,
    ) -> None:
        """``rest`` [V, 3] is the person's resting face, metres; ``vertices`` [K] are fitted."""
        self.device = device or torch.device("cpu")
        self.vertices = vertices
        own = torch.from_numpy(np.array(rest, np.float32))
        shape, shift = person_shape(flame, own)
        part = flame.restricted(torch.from_numpy(vertices))
        joints = flame.joints(shape[None], shape.new_zeros(1, 1))[0]
        part.template = own[torch.from_numpy(vertices)] - shift
        part.joint_template = joints
        count = torch.arange(len(vertices))[:, None].expand(-1, 3).contiguous()
        weights = torch.tensor([1.0, 0.0, 0.0]).expand(len(vertices), -1).contiguous()
        points = SurfacePoints(count, weights).to(self.device)
        self.solver = Solver(Face(part.to(self.device), points, 1.0), "flame", self.device)

    def fit(self, moved: Floats, fps: float) -> tuple[Motion, float]:
        """Motion of displacements [T, V, 3] (metres) of the whole mesh, and the millimetres root
        mean square that the fitted vertices are off.
        """
        target = torch.from_numpy(1000 * moved[:, self.vertices].reshape(len(moved), -1))
        values, squares = [], 0.0
        with torch.inference_mode():
            for part in target.split(CHUNK):
                found, left = self.solver.solve(part.to(self.device))
                values.append(found.float().cpu().numpy())
                squares += float(left.square().sum())
        residual = (squares / (len(moved) * len(self.vertices))) ** 0.5
        return Motion(np.concatenate(values), fps=fps, space="flame"), residual


def person_shape(flame: FlameHead, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Shape components [S] of a resting face [V, 3], and where it lies [3], by ridge regression."""
    basis = 1000 * flame.shape_basis.T.double()
    places = 1000 * torch.eye(3, dtype=torch.float64).repeat(len(rest), 1)
    columns = torch.cat([basis, places], dim=1)
    target = 1000 * (rest - flame.template).flatten().double()
    ridge = torch.full((columns.shape[1],), SHAPE_RIDGE_MM2, dtype=torch.float64)
    ridge[-3:] = 1e-9
    solved = torch.linalg.solve(columns.T @ columns + torch.diag(ridge), columns.T @ target)
    return solved[:-3].float(), solved[-3:].float()
