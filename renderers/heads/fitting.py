"""Motion of a head whose points are displaced as asked: bounded least squares.

A face is the displacement of some hundred points from their resting places, the head's rotation
aside. Gauss-Newton steps on the jaw's rotation, which is not linear, and on the expression with
bounds and a small ridge, as no space can do all that the other does. :class:`Solver` converts
motion between heads; :class:`FlameFitter` finds FLAME's jaw and expression in scanned vertices of
its own mesh, for one person, whose shape is solved for once, from the resting face.

Legend: N frames, K points, C unknowns. Displacements are in millimetres of the open head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    JAW_OPEN_RAD,
    MOTION_DIM,
    Floats,
    Motion,
    expression_index,
)
from renderers.heads.flame import FlameHead, SurfacePoints
from renderers.heads.open_head import OpenHead

_STEPS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
_ROUNDS = 60
_TOLERANCE = 1e-6


def bounded_least_squares(normal: Tensor, right: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Minimise ``x H x / 2 - g x`` with ``lower <= x <= upper``, by projected Newton steps.

    ``normal`` H [N, C, C], positive definite (a ridge makes it so), ``right`` g [N, C], bounds [C]
    or [N, C]; the result is [N, C], in float64. Unknowns that sit on a bound and would go beyond
    stay; the others take the best part of a Newton step, cut to the bounds (Bertsekas 1982).
    """
    normal, right = normal.double(), right.double()
    lower, upper = (bound.double().expand_as(right) for bound in (lower, upper))
    found = torch.linalg.solve(normal, right[..., None]).squeeze(-1).clamp(lower, upper)
    steps = torch.tensor((0.0, *_STEPS)).to(right)[:, None, None]
    for _ in range(_ROUNDS):
        slope = (normal @ found[..., None]).squeeze(-1) - right
        stuck = ((found <= lower) & (slope > 0)) | ((found >= upper) & (slope < 0))
        free = (~stuck).to(slope)
        held = normal * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        step = torch.linalg.solve(held, (slope * free)[..., None]).squeeze(-1)
        tried = (found - steps * step).clamp(lower, upper)
        bent = (normal @ tried[..., None]).squeeze(-1)
        costs = (tried * (bent / 2 - right)).sum(-1)
        best = tried.gather(0, costs.argmin(0)[None, :, None].expand(1, -1, tried.shape[2]))[0]
        change = float((best - found).abs().max())
        found = best
        if change < _TOLERANCE:
            break
    return found


ROUNDS = 6
"""Gauss-Newton steps. The jaw's rotation is all that is not linear, so few are enough."""

STEP = 0.05
"""For derivatives by differences."""

JAW_GRID_RAD = (-0.05, 0.05, 0.15, 0.25, 0.35, 0.45)
"""Derivatives are taken at these jaw angles and interpolated between them."""

FLAME_LIMIT = 6.0
"""FLAME's components are in standard deviations."""
FLAME_JAW_RAD = ((-0.1, 0.7), (-0.2, 0.2), (-0.2, 0.2))
"""Least and most jaw rotation about x, y and z."""

RIDGE = {"arkit": 0.02, "flame": 0.002}
"""Squared millimetres that a unit of expression costs: a hundredth of what one usually moves."""

GAZE = tuple(name for name in ARKIT_EXPRESSIONS if name.startswith("eyeLook"))
"""FLAME motion does not say where the eyes look."""


class Face:
    """Where the points of one head are, as displacement from rest, upright."""

    def __init__(self, head: OpenHead | FlameHead, points: SurfacePoints, scale: float) -> None:
        """``points`` on ``head``; ``scale`` is this head's size over the open head's."""
        self._head = head
        self._points = points
        self._to_mm = 1000 / scale
        self._rest: Tensor | None = None

    def moved(self, values: Tensor) -> Tensor:
        """Displacement [N, 3 K] in millimetres of motion ``values`` [N, 56], the head's rotation
        aside.
        """
        upright = values.clone()
        upright[:, HEAD] = 0
        if self._rest is None:
            self._rest = self._places(torch.zeros_like(values[:1]))
        return ((self._places(upright) - self._rest) * self._to_mm).flatten(1)

    def _places(self, values: Tensor) -> Tensor:
        return self._points.on(self._head.vertices(values))

    def derivatives(self, columns: list[int], like: Tensor) -> Tensor:
        """Change of the displacement with each of the ``columns``, at each jaw angle of the grid:
        [grid, C, 3 K].
        """
        grid = like.new_zeros(len(JAW_GRID_RAD), MOTION_DIM)
        grid[:, JAW.start] = torch.tensor(JAW_GRID_RAD).to(like)
        here = self.moved(grid)
        found = []
        for column in columns:
            there = grid.clone()
            there[:, column] += STEP
            found.append((self.moved(there) - here) / STEP)
        return torch.stack(found, dim=1)


@dataclass(frozen=True)
class Unknowns:
    """What is solved for in a space: ``columns`` of the motion, their bounds and ridge [C]."""

    columns: list[int]
    lower: list[float]
    upper: list[float]
    ridge: list[float]

    @classmethod
    def of(cls, space: str) -> Unknowns:
        """Jaw and expression; in arkit only the jaw's opening, as other units move it sideways."""
        expressions = list(range(EXPRESSION.start, EXPRESSION.stop))
        if space == "flame":
            jaw = list(range(JAW.start, JAW.stop))
            bounds = [*FLAME_JAW_RAD, *[(-FLAME_LIMIT, FLAME_LIMIT)] * len(expressions)]
        else:
            jaw = [JAW.start]
            gaze = {expression_index(name) for name in GAZE}
            expressions = [column for column in expressions if column not in gaze]
            bounds = [(0.0, JAW_OPEN_RAD), *[(0.0, 1.0)] * len(expressions)]
        lower, upper = zip(*bounds, strict=True)
        ridge = [0.0] * len(jaw) + [RIDGE[space]] * len(expressions)
        return cls([*jaw, *expressions], list(lower), list(upper), ridge)


class Solver:
    """Finds the motion in a space whose points are displaced as asked."""

    def __init__(self, face: Face, space: str, device: torch.device) -> None:
        self.face = face
        self.space = space
        unknowns = Unknowns.of(space)
        self.columns = unknowns.columns
        self.lower, self.upper, self.ridge = (
            torch.tensor(numbers, device=device)
            for numbers in (unknowns.lower, unknowns.upper, unknowns.ridge)
        )
        self.start = torch.zeros(1, MOTION_DIM, device=device)
        with torch.inference_mode():
            self.derivatives = face.derivatives(self.columns, self.start)
            across = self.derivatives.transpose(1, 2)
            self.squared = self.derivatives @ across
            self.crossed = self.derivatives[:-1] @ across[1:]
        self.grid = torch.tensor(JAW_GRID_RAD, device=device)

    def solve(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Motion [N, 56] for displacements ``target`` [N, 3 K], and what is left of them."""
        best = self.start.expand(len(target), -1).clone()
        left = target - self.face.moved(best)
        cost = self._cost(best, left)
        for _ in range(ROUNDS):
            tried = self._step(best, left)
            new_left = target - self.face.moved(tried)
            new_cost = self._cost(tried, new_left)
            better = (new_cost < cost)[:, None]
            if not better.any():
                break
            best, left = torch.where(better, tried, best), torch.where(better, new_left, left)
            cost = torch.minimum(new_cost, cost)
        return best, left

    def _cost(self, values: Tensor, left: Tensor) -> Tensor:
        points = left.shape[1] / 3
        return left.square().sum(1) / points + (self.ridge * values[:, self.columns] ** 2).sum(1)

    def _step(self, values: Tensor, left: Tensor) -> Tensor:
        """One Gauss-Newton step within the bounds, from ``values`` with ``left`` over."""
        now = values[:, self.columns]
        curve, pull = self._normal_equations(values[:, JAW.start], left)
        normal = curve + torch.diag(self.ridge + 1e-6)
        right = pull + (curve @ now[..., None]).squeeze(-1)
        upper = self.upper.expand(len(values), -1).clone()
        if self.space == "arkit":  # the lips close over a jaw only as far as it is open
            close = self.columns.index(expression_index("mouthClose"))
            upper[:, close] = (values[:, JAW.start] / JAW_OPEN_RAD).clamp(0, 1)
        stepped = values.clone()
        solved = bounded_least_squares(normal, right, self.lower, upper)
        stepped[:, self.columns] = solved.to(stepped)
        return stepped

    def _normal_equations(self, jaw: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """``D D'`` [N, C, C] and ``D left`` [N, C], mean over the points, for the derivatives D
        [C, 3 K] at jaw angles [N], which are interpolated between those of the grid. Products of
        the grid's are all it takes: D itself would be large.
        """
        low = (torch.searchsorted(self.grid, jaw.contiguous()) - 1).clamp(0, len(self.grid) - 2)
        share = ((jaw - self.grid[low]) / (self.grid[low + 1] - self.grid[low])).clamp(0, 1)
        high_share, low_share = share[:, None, None], 1 - share[:, None, None]
        crossed = self.crossed[low]
        curve = (
            low_share**2 * self.squared[low]
            + high_share**2 * self.squared[low + 1]
            + low_share * high_share * (crossed + crossed.transpose(1, 2))
        )
        pulls = torch.einsum("gck,nk->ngc", self.derivatives, left)
        frames = torch.arange(len(jaw), device=jaw.device)
        pull = low_share[..., 0] * pulls[frames, low] + high_share[..., 0] * pulls[frames, low + 1]
        points = left.shape[1] / 3
        return curve / points, pull / points


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
