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
    """A square of a picture: its corner ``left``, ``top`` and ``side``, px; may be fractions."""

    left: float
    top: float
    side: float

    def cut(self, image: Picture, size: int) -> Picture:
        """The square [size, size, 3] of ``image`` [H, W, 3]; beyond the border it goes on."""
        height, width = image.shape[:2]
        whole = all(float(number).is_integer() for number in (self.left, self.top, self.side))
        low = np.array([self.left, self.top])
        if whole and low.min() >= 0 and (low + self.side <= [width, height]).all():
            left, top, side = int(self.left), int(self.top), int(self.side)
            part = image[top : top + side, left : left + side]
            how = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
            return np.asarray(cv2.resize(part, (size, size), interpolation=how), np.uint8)
        scale = size / self.side
        if scale < 1:  # warping does not average: shrink first
            small = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        across, down = image.shape[1] / width, image.shape[0] / height
        x, y = size / self.side / across, size / self.side / down
        # centres of pixels, not their corners, are what a warp's matrix takes to each other
        matrix = np.array(
            [
                [x, 0, -self.left * across * x + (x - 1) / 2],
                [0, y, -self.top * down * y + (y - 1) / 2],
            ]
        )
        warped = cv2.warpAffine(
            image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8)

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
