"""Where a trained renderer starts: the zero-shot portrait, and where its mesh is.

For each frame, the portrait renderer's picture of a reference, moved as the tracked head did, and
a map that says which place of the identity's home picture each pixel shows. The network learns the
rest (:mod:`renderers.pirenderer.lite`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.face_model import canonical_face
from renderers.base import Reference
from renderers.portrait import PortraitRenderer
from renderers.portrait_mesh import NUM_FACE, Box, FlowRaster, HeadMesh, Placement, Shift

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

COEFFICIENTS = 59
"""Motion 56, then where the head is: log of its scale, right, down (shares of the square)."""

MAP_STRIDE = 2
"""Pixels of the square to a sample of the map."""


@dataclass(frozen=True)
class Start:
    """One frame before the network: ``picture`` uint8 [S, S, 3]; ``place`` [S / 2, S / 2, 3]:
    the place x, y on the home picture, -1..1, and how much of it is head, 0..1."""

    picture: Picture
    place: NDArray[np.float32]


class Starter:
    """Starts of one reference, for an identity whose home mesh is ``home``."""

    def __init__(self, reference: Reference, home: HeadMesh | None = None) -> None:
        """``reference``: cut to the square. ``home``: its own mesh when None."""
        self.size = reference.image.shape[0]
        self._portrait = PortraitRenderer()
        self._portrait.prepare(reference)
        mesh = self._portrait.mesh
        self.mesh = mesh
        self._raster = FlowRaster(mesh, mesh.triangles, origin=(home or mesh).points)
        side = self.size // MAP_STRIDE
        self._box = Box(0, 0, self.size, self.size, side, side)
        centres = (np.arange(side, dtype=np.float32) + 0.5) * MAP_STRIDE
        self._pixels = np.stack(np.meshgrid(centres, centres), -1)

    def shift(self, values: Floats, landmarks: Floats) -> Shift:
        """Scale and place of a tracked head: what moves the portrait's rigid points for motion
        ``values`` [56] onto the frame's ``landmarks`` [478, 3] px, by least squares."""
        return fit_shift(self._portrait.place(values), landmarks)

    def __call__(self, values: Floats, shift: Shift | None = None) -> Start:
        """The start of a frame of motion ``values`` [56]."""
        placement = self._portrait.place(values, shift)
        picture = self._portrait.draw(values, placement)
        drawn = self._raster.draw(placement, self._box)
        drawn[..., :2] = (self._pixels + drawn[..., :2]) * (2 / self.size) - 1
        return Start(picture, drawn)


def fit_shift(placement: Placement, landmarks: Floats) -> Shift:
    """The shift that moves a placed mesh's rigid points onto ``landmarks`` [478, 3] px."""
    weight = canonical_face().weights
    pivot = placement.pose.pivot[:2] * np.array([1, -1])
    arms = placement.points[:NUM_FACE] - pivot
    target = landmarks[:NUM_FACE, :2] - pivot
    weight = weight / weight.sum()
    mean_arm, mean_target = weight @ arms, weight @ target
    arms, target = arms - mean_arm, target - mean_target
    scale = (weight[:, None] * arms * target).sum() / (weight[:, None] * arms**2).sum()
    right, down = mean_target - scale * mean_arm
    return Shift(float(scale), float(right), float(down))


def coefficients(values: Floats, shifts: list[Shift], size: int) -> NDArray[np.float32]:
    """Motion [T, 56] and where the head is, as the network takes them, [T, 59]."""
    places = [[np.log(s.scale), s.right / size, s.down / size] for s in shifts]
    return np.concatenate([values, np.array(places).reshape(-1, 3)], axis=1).astype(np.float32)
