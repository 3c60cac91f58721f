"""Where a trained renderer starts: the zero-shot portrait, and where its mesh is, in its square.

For each frame, the portrait renderer's picture of a reference, moved as the tracked head did, and
a map that says which place of the identity's home picture each pixel shows. The network learns the
rest (:mod:`renderers.trained.lite`). Legend: T frames, H W picture, S the square's side in pixels
(256), B batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.motion import PITCH, YAW, Picture, Reals
from renderers.base import Reference, resized
from renderers.portrait.mesh import NUM_FACE, Box, FlowRaster, HeadMesh, Placement, Shift
from renderers.portrait.portrait import PortraitRenderer
from weights.canonical_face import canonical_face

COEFFICIENTS = 59
"""Motion 56, then where the head is: log of its scale, right, down (shares of the square)."""

MAP_STRIDE = 2
"""Pixels of the square to a sample of the map."""

ASIDE = 0.3
"""Radians by which a head that stands a whole side of the square aside (or below) shows more of its
other side (of its top) than its tracked rotation says: that one is told against the camera's axis.
A camera as the tracker thinks of it would give 1.2; fits of the mesh to four clips gave 0.1 to 0.3.
"""


WINDOW = 27
"""Frames of motion about the one that is drawn (PIRenderer's)."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture: its corner ``left``, ``top`` and ``side``, whole px. It may reach
    beyond the picture, which goes on there as its border."""

    left: int
    top: int
    side: int

    def cut(self, image: Picture, size: int) -> Picture:
        """The square [size, size, 3] of ``image`` [H, W, 3]."""
        return resized(self.part(image), (size, size))

    def part(self, image: Picture) -> Picture:
        """The square [side, side, 3] of ``image`` [H, W, 3] as it is."""
        height, width = image.shape[:2]
        right, bottom = self.left + self.side, self.top + self.side
        beyond = (-self.top, bottom - height, -self.left, right - width)
        inside = image[max(0, self.top) : bottom, max(0, self.left) : right]
        if max(beyond) <= 0:
            return inside
        above, below, before, after = (max(0, int(missing)) for missing in beyond)
        how = cv2.BORDER_REPLICATE
        part = cv2.copyMakeBorder(inside, above, below, before, after, how)
        return np.asarray(part, np.uint8)

    def points(self, landmarks: Reals, size: int) -> NDArray[np.float32]:
        """``landmarks`` [..., 3] px of the picture as px of the cut square."""
        corner = np.array([self.left, self.top, 0], np.float32)
        return ((landmarks - corner) * np.float32(size / self.side)).astype(np.float32)


@dataclass(frozen=True)
class Start:
    """One frame before the network: ``whole`` uint8 [H, W, 3], the zero-shot frame; ``picture``
    uint8 [S, S, 3], its square; ``place`` [S / 2, S / 2, 3]: where on the home picture, x y in
    -1..1, each place of the square is, and how much of it is head, 0..1."""

    whole: Picture
    picture: Picture
    place: NDArray[np.float32]


class Starter:
    """Starts of one reference, for an identity whose home mesh is ``home``."""

    def __init__(
        self,
        reference: Reference,
        home: HeadMesh | None = None,
        *,
        side: int | None = None,
    ) -> None:
        """``reference`` is cut to the square already, unless the square's ``side`` is given: then
        it is laid over it so that the face fits that of ``home`` (by default its own mesh).
        """
        self._portrait = PortraitRenderer()
        self._portrait.prepare(reference)
        self.side = side or reference.image.shape[0]
        self.mesh = self._portrait.mesh
        home = home or self.mesh
        self.crop = fitted_crop(self.mesh, home, side) if side else Crop(0, 0, self.side)
        self._raster = FlowRaster(self.mesh, self.mesh.triangles, origin=home.points)
        half = self.side // MAP_STRIDE
        self._box = Box(0, 0, self.side, self.side, half, half)
        centres = (np.arange(half, dtype=np.float32) + 0.5) * MAP_STRIDE
        self._pixels = np.stack(np.meshgrid(centres, centres), -1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self._portrait.size

    def shift(self, values: Reals, landmarks: Reals) -> Shift:
        """Scale and place of a tracked head: what moves the portrait's rigid points for motion
        ``values`` [56] onto the frame's ``landmarks`` [478, 3] px, by least squares."""
        return fit_shift(self._portrait.place(values), landmarks)

    def __call__(self, values: Reals, shift: Shift | None = None) -> Start:
        """The start of a frame of motion ``values`` [56]."""
        values = self._seen(values, shift or Shift())
        placement = self._portrait.place(values, shift)
        whole = self._portrait.draw(values, placement)
        crop, scale = self.crop, np.float32(self.side / self.crop.side)
        corner = np.array([crop.left, crop.top], np.float32)
        in_square = replace(
            placement, points=(placement.points - corner) * scale, depth=placement.depth * scale
        )
        drawn = self._raster.draw(in_square, self._box)
        drawn[..., :2] = (self._pixels + drawn[..., :2]) * (2 / self.side) - 1
        return Start(whole, crop.cut(whole, self.side), drawn)

    def _seen(self, values: Reals, shift: Shift) -> NDArray[np.float32]:
        """``values`` [56] with the head's rotation as it is seen of a head that is moved by
        ``shift``: :data:`ASIDE`."""
        seen = np.array(values, np.float32)
        seen[PITCH] += ASIDE * shift.down / self.side
        seen[YAW] += ASIDE * shift.right / self.side
        return seen


def fitted_crop(mesh: HeadMesh, home: HeadMesh, side: int, shift: Shift | None = None) -> Crop:
    """The square, in whole pixels, that shows ``mesh``'s head as a square of ``side`` px shows
    ``home``'s, moved by ``shift``: as large, and its neck in the same place."""
    shift = shift or Shift()
    ratio = mesh.scale / home.scale / shift.scale
    neck = home.pivot[:2] * np.array([1, -1]) + np.array([shift.right, shift.down])
    left, top = mesh.pivot[:2] * np.array([1, -1]) - ratio * neck
    return Crop(round(float(left)), round(float(top)), round(side * ratio))


def fit_shift(placement: Placement, landmarks: Reals) -> Shift:
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


def place_of(shift: Shift, side: int) -> NDArray[np.float32]:
    """Where the head is, as the network takes it, [3], of a square of ``side`` px."""
    place = [np.log(shift.scale), shift.right / side, shift.down / side]
    return np.array(place, np.float32)


def shift_to(place: Reals, side: int) -> Shift:
    """The shift that :func:`place_of` turns into ``place`` [3]."""
    return Shift(float(np.exp(place[0])), float(place[1] * side), float(place[2] * side))


def coefficients(values: Reals, shifts: list[Shift], side: int) -> NDArray[np.float32]:
    """Motion [T, 56] and where the head is, as the network takes them, [T, 59]."""
    places = np.stack([place_of(shift, side) for shift in shifts])
    return np.concatenate([values, places], axis=1).astype(np.float32)


def windows(numbers: NDArray[np.float32], take: NDArray[np.int64]) -> NDArray[np.float32]:
    """The window about each frame [T, 27, 59] of ``numbers`` [T, 59]; it never leaves its take,
    whose first and last frame it repeats instead."""
    spread = np.arange(WINDOW) - WINDOW // 2
    starts = np.searchsorted(take, take)
    ends = np.searchsorted(take, take, side="right") - 1
    frames = np.arange(len(take))[:, None] + spread
    return numbers[frames.clip(starts[:, None], ends[:, None])]


def as_tensor(pictures: NDArray[np.generic]) -> Tensor:
    """Pictures [B, H, W, 3] as [B, 3, H, W] in -1..1."""
    channels_first = np.ascontiguousarray(np.moveaxis(pictures, -1, 1))
    return torch.from_numpy(channels_first).float() / 127.5 - 1


def as_pictures(tensor: Tensor) -> NDArray[np.uint8]:
    """[B, 3, H, W] in -1..1 as pictures uint8 [B, H, W, 3]."""
    scaled = ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
