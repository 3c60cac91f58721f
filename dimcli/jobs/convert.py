"""Motion from one space to the other: the same face on the other head, by least squares.

A frame's face is the displacement of some hundred points from their resting places, the head's
rotation aside, which both spaces share. The other space's jaw and expression are those whose
points move alike (:mod:`renderers.heads.fitting`).

Legend: N frames, K points. Displacements are in millimetres of the open head.
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

from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, SPACES, Motion, expression_index
from dimcli.core.progress import Progress, silent
from renderers.heads.fitting import GAZE, Face, Solver
from weights.importing import find_imported, imported

if TYPE_CHECKING:
    from renderers.heads.correspondence import Correspondence
    from renderers.heads.flame import FlameHead
    from renderers.heads.open_head import OpenHead

CHUNK = 128
"""Frames solved at once."""


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
    from dimcli.core.motion import check_motion_output

    started = time.monotonic()
    output = output or Path(f"{path.stem}-{space}.npz")
    check_motion_output(output, path, force=force)
    motion = Motion.load(path)
    if motion.space == space:
        raise InputError(f"{path}: is in the '{space}' space already; nothing to convert")
    found = convert_motion(motion, space, device=device, progress=progress)
    found.motion.save(output, force=force)
    return ConversionResult(output, found, time.monotonic() - started)


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
        from renderers.heads.correspondence import correspond
        from renderers.heads.flame import FlameHead, FlameLandmarks, read_arrays
        from renderers.heads.open_head import OpenHead

        flame = FlameHead.load(imported("flame", "converting between the spaces (dim convert)"))
        embedding = find_imported("flame-landmarks")
        landmarks = FlameLandmarks.load(embedding, flame.faces) if embedding else None
        masks = find_imported("flame-masks")
        face = read_arrays(masks)["face"] if masks else None
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
