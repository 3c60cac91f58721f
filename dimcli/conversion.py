"""Motion from one space to the other: the same face on the other head, by least squares.

A frame's face is the displacement of some hundred points from their resting places, the head's
rotation aside, which both spaces share. The other space's jaw and expression are those whose
points move alike: Gauss-Newton on the jaw's rotation, which is not linear, and bounded least
squares with a small ridge on the rest, as neither space can do all that the other does.

Legend: N frames, K points, C unknowns. Displacements are in millimetres of the open head.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.bounded import bounded_least_squares
from dimcli.device import choose_device
from dimcli.errors import InputError
from dimcli.importing import find_imported, imported
from dimcli.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    JAW_OPEN_RAD,
    MOTION_DIM,
    SPACES,
    Motion,
    expression_index,
)
from dimcli.progress import Progress, silent

if TYPE_CHECKING:
    from renderers.correspondence import Correspondence, SurfacePoints
    from renderers.flame import FlameHead
    from renderers.heads import OpenHead

CHUNK = 128
"""Frames solved at once."""

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


@dataclass(frozen=True)
class Conversion:
    """A converted motion; ``residual_mm`` [T] how far its face is from the original's, root mean
    square over the points, ``moved_mm`` [T] how far the original's is from rest.
    """

    motion: Motion
    residual_mm: NDArray[np.float32]
    moved_mm: NDArray[np.float32]
    remarks: tuple[str, ...] = ()

    def figures(self) -> dict[str, float]:
        """Means over the frames, and the 95th percentile of what is left."""
        return {
            "frames": len(self.motion),
            "residual_mm": float(self.residual_mm.mean()),
            "residual_95_mm": float(np.percentile(self.residual_mm, 95)),
            "moved_mm": float(self.moved_mm.mean()),
        }


@dataclass(frozen=True)
class ConversionResult:
    """A converted motion that was written, and how long it took (s)."""

    path: Path
    conversion: Conversion
    taken_s: float


def convert_motion(
    motion: Motion, space: str, *, device: str = "auto", progress: Progress = silent
) -> Conversion:
    """``motion`` in the other ``space``, by the open head and the user's FLAME.

    Raises InputError where FLAME is not imported, and says how to get it.
    """
    converter = Converter.of_imported(choose_device(device))
    return converter.convert(motion, space, progress=progress)


def convert_file(
    path: Path,
    space: str,
    output: Path | None = None,
    *,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> ConversionResult:
    """Convert a motion file to ``space``, by default into ``<motion>-<space>.npz`` in this folder.

    Raises InputError as :func:`convert_motion` does.
    """
    from dimcli.pipeline import check_motion_output

    started = time.monotonic()
    output = output or Path(f"{path.stem}-{space}.npz")
    check_motion_output(output, force=force)
    motion = Motion.load(path)
    if motion.space == space:
        raise InputError(f"{path}: is in the '{space}' space already; nothing to convert")
    found = convert_motion(motion, space, device=device, progress=progress)
    found.motion.save(output, force=force)
    return ConversionResult(output, found, time.monotonic() - started)


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


class Converter:
    """Converts motion between the two spaces, for one pair of heads."""

    def __init__(
        self,
        head: OpenHead,
        flame: FlameHead,
        pairs: Correspondence,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.exact = pairs.exact
        self.faces: dict[str, Face] = {}
        for space, whole, points, scale in (
            ("arkit", head, pairs.open, 1.0),
            ("flame", flame, pairs.flame, pairs.scale),
        ):
            needed, on_part = points.support()
            part = whole.restricted(needed).to(self.device)
            self.faces[space] = Face(part, on_part.to(self.device), scale)

    @classmethod
    def of_imported(cls, device: torch.device | None = None) -> Converter:
        """A converter between the open head and the user's FLAME. InputError where it's missing."""
        from safetensors.numpy import load_file

        from renderers.correspondence import correspond
        from renderers.flame import FlameHead, FlameLandmarks
        from renderers.heads import OpenHead

        flame = FlameHead.load(imported("flame", "converting between the spaces (dim convert)"))
        embedding = find_imported("flame-landmarks")
        landmarks = FlameLandmarks.load(embedding, flame.faces) if embedding else None
        masks = find_imported("flame-masks")
        face = load_file(masks)["face"] if masks else None
        head = OpenHead.bundled()
        return cls(head, flame, correspond(head, flame, landmarks, face), device)

    def convert(self, motion: Motion, space: str, *, progress: Progress = silent) -> Conversion:
        """``motion`` in the other ``space``. The head's rotation, times and validity stay;
        camera and shape go.
        """
        if space not in SPACES or space == motion.space:
            raise InputError(f"--to {space}: the motion is in the '{motion.space}' space")
        values = np.zeros_like(motion.values)
        residual = np.zeros(len(motion), np.float32)
        moved = np.zeros(len(motion), np.float32)
        source, solver = self.faces[motion.space], Solver(self.faces[space], space, self.device)
        for start in range(0, len(motion), CHUNK):
            part = slice(start, start + CHUNK)
            with torch.inference_mode():
                target = source.moved(torch.from_numpy(motion.values[part]).to(self.device))
                found, left = solver.solve(target)
            values[part] = found.cpu().numpy()
            residual[part] = _rms(left).cpu().numpy()
            moved[part] = _rms(target).cpu().numpy()
            progress("converting", min(start + CHUNK, len(motion)), len(motion))
        values[:, HEAD] = motion.head
        facts = {"from": motion.space, "residual_mm": round(float(residual.mean()), 3)}
        meta = {**motion.meta, "converted": facts}
        # a camera means what the tracker of the other space means by it; a shape is FLAME's
        converted = replace(motion, values=values, space=space, camera=None, shape=None, meta=meta)
        return Conversion(converted, residual, moved, self._remarks(motion))

    def _remarks(self, motion: Motion) -> tuple[str, ...]:
        remarks: tuple[str, ...] = ()
        if not self.exact:
            remarks += (
                "the heads were matched by their geometry alone; closer with FLAME's landmarks: "
                "`dim weights import flame-landmarks mediapipe_landmark_embedding.npz`",
            )
        gaze = [expression_index(name) for name in GAZE]
        if motion.space == "arkit" and np.abs(motion.values[:, gaze]).max() > 0.1:
            remarks += ("where the eyes look is lost: motion in the flame space has no gaze",)
        return remarks


def _rms(displacement: Tensor) -> Tensor:
    """Root mean square over the points, millimetres [N], of displacements [N, 3 K]."""
    return displacement.unflatten(1, (-1, 3)).square().sum(-1).mean(-1).sqrt()


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
        points = left.shape[1] / 3
        change = self._derivatives_at(values[:, JAW.start])
        now = values[:, self.columns]
        normal = change @ change.transpose(1, 2) / points + torch.diag(self.ridge + 1e-6)
        wanted = left + (now[:, None] @ change).squeeze(1)
        right = (change @ wanted[..., None]).squeeze(-1) / points
        upper = self.upper.expand(len(values), -1).clone()
        if self.space == "arkit":  # the lips close over a jaw only as far as it is open
            close = self.columns.index(expression_index("mouthClose"))
            upper[:, close] = (values[:, JAW.start] / JAW_OPEN_RAD).clamp(0, 1)
        stepped = values.clone()
        solved = bounded_least_squares(normal, right, self.lower, upper)
        stepped[:, self.columns] = solved.to(stepped)
        return stepped

    def _derivatives_at(self, jaw: Tensor) -> Tensor:
        """Derivatives [N, C, 3 K] at jaw angles [N], from the grid."""
        low = (torch.searchsorted(self.grid, jaw.contiguous()) - 1).clamp(0, len(self.grid) - 2)
        share = ((jaw - self.grid[low]) / (self.grid[low + 1] - self.grid[low])).clamp(0, 1)
        weight = share[:, None, None]
        return self.derivatives[low] * (1 - weight) + self.derivatives[low + 1] * weight
