"""What the encoders of EMOCA, DECA and SMIRK share: crops in, FLAME parameters out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core.motion import Floats

Picture = NDArray[np.uint8]

SIDE = 224
"""Pixels of the encoders' pictures."""


@dataclass(frozen=True)
class FlameCodes:
    """What an encoder says of B crops: ``expression`` [B, 50]; ``pose`` [B, 6] head and jaw,
    axis-angle radians; ``shape`` [B, S]; ``camera`` [B, 3], scale s and shift tx, ty of
    x = s (X + tx), y = -s (Y + ty) in units of half a crop from its middle, y down.
    """

    expression: Tensor
    pose: Tensor
    shape: Tensor
    camera: Tensor


@dataclass(frozen=True)
class Square:
    """An upright square of a picture: its left upper corner and its side, in pixels."""

    left: float
    top: float
    side: float

    @classmethod
    def around(cls, low: Floats, high: Floats, scale: float) -> Square:
        """About the middle of a box [2], [2], ``scale`` times as large as its mean side."""
        side = float(int((high - low).mean() * scale))
        x, y = (low + high) / 2
        return cls(float(x) - side / 2, float(y) - side / 2, side)

    def crop(self, image: Picture) -> Picture:
        """The square as a picture [224, 224, 3], bilinear, black beyond the picture.

        Its corners are the middles of the crop's corner pixels, as in the encoders' own code.
        """
        scale = self.side / (SIDE - 1)
        matrix = np.array([[scale, 0, self.left], [0, scale, self.top]])
        cropped = cv2.warpAffine(
            image,
            matrix,
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        return np.asarray(cropped, np.uint8)

    def picture_camera(self, camera: Floats, size: tuple[int, int]) -> Floats:
        """A crop's camera [3] as that of the picture of ``size`` (width, height): where FLAME's
        origin lies, relative to width and height, and how long a metre is, relative to the mean of
        the two.
        """
        scale, *shift = camera
        half = SIDE / 2 * self.side / (SIDE - 1)
        x = self.left + half * (1 + scale * shift[0])
        y = self.top + half * (1 - scale * shift[1])
        width, height = size
        return np.array([x / width, y / height, scale * half / np.mean(size)], np.float32)


class FlameEncoder(nn.Module, ABC):
    """An encoder of crops; its tensors have the names of its published checkpoint."""

    name: ClassVar[str]
    """Of the tracker."""
    prefixes: ClassVar[tuple[str, ...]]
    """What the names of its tensors in the checkpoint begin with."""
    box: ClassVar[NDArray[np.intp]]
    """Landmarks whose bounding box it wants the crop around."""
    scale: ClassVar[float]
    """The crop's side over the box's mean side."""

    def square(self, landmarks: Floats) -> Square:
        """Where to crop for a face with landmarks [478, 3] px."""
        points = landmarks[self.box, :2]
        return Square.around(points.min(axis=0), points.max(axis=0), self.scale)

    @abstractmethod
    def forward(self, pictures: Tensor) -> FlameCodes:
        """Codes of RGB crops [B, 3, 224, 224] in 0..1."""
