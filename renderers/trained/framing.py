"""The square part of a picture that a per-identity renderer sees, and footage cut to it.

Legend: T frames, H W picture, S the square's side in pixels (256).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

FACES_WIDE = 2.3
"""Side of the square in face sizes (mean of the width and height that landmarks span): room for
hair and shoulders."""

ABOVE = 0.47
"""Height of the face's middle in the square, as a share from the top: hair is above it."""

STRAY = 1.25
"""The square also holds every face of the clip, each this much enlarged."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture: its corner ``left``, ``top`` and ``side``, whole px. It may reach
    beyond the picture, which goes on there as its border."""

    left: int
    top: int
    side: int

    def cut(self, image: Picture, size: int) -> Picture:
        """The square [size, size, 3] of ``image`` [H, W, 3]."""
        part = self.part(image)
        if size == self.side:
            return part
        how = cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, (size, size), interpolation=how), np.uint8)

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

    def points(self, landmarks: Floats, size: int) -> NDArray[np.float32]:
        """``landmarks`` [..., 3] px of the picture as px of the cut square."""
        corner = np.array([self.left, self.top, 0], np.float32)
        return ((landmarks - corner) * np.float32(size / self.side)).astype(np.float32)


def crop_of(landmarks: Floats, width: int, height: int) -> Crop:
    """The square that holds the face of ``landmarks`` [T, 478, 3] px (NaN where none was seen) in
    all frames of a clip of this size: whole pixels, inside the picture."""
    seen = landmarks[~np.isnan(landmarks[:, 0, 0]), :, :2]
    low, high = seen.min(axis=1), seen.max(axis=1)
    centres, sizes = (low + high) / 2, (high - low).mean(axis=1)
    side = FACES_WIDE * np.median(sizes)
    reach = np.ptp(centres, axis=0).max() + STRAY * sizes.max()
    side = int(min(width, height, max(side, reach)))
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
    left = np.clip(round(middle[0] - side / 2), 0, width - side)
    top = np.clip(round(middle[1] - ABOVE * side), 0, height - side)
    return Crop(int(left), int(top), side)


@dataclass(frozen=True)
class Footage:
    """A continuous piece of film of one person, cut to the square, and what a tracker saw in it.

    ``frames`` uint8 [T, S, S, 3]; ``landmarks`` float32 [T, 478, 3] px of the square; ``values``
    float32 [T, 56], arkit; ``valid`` bool [T], a face was seen; ``held_out`` bool [T], kept for
    judging.
    """

    frames: Picture
    landmarks: NDArray[np.float32]
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    held_out: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> int:
        """Side of the square, px."""
        return int(self.frames.shape[1])
