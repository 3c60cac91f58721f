"""The jaw and expression of one head whose face is displaced as asked: bounded least squares.

A face is the displacement of some hundred points from their resting places, the head's rotation
aside. Gauss-Newton steps on the jaw's rotation, which is not linear, and on the expression with
bounds and a small ridge, as no space can do all that the other does.

Legend: N frames, K points, C unknowns. Displacements are in millimetres of the open head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    JAW_OPEN_RAD,
    MOTION_DIM,
    expression_index,
)
from renderers.heads.bounded import bounded_least_squares

if TYPE_CHECKING:
    from renderers.heads.correspondence import SurfacePoints
    from renderers.heads.flame import FlameHead
    from renderers.heads.open_head import OpenHead

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
