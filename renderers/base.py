"""What a renderer is: it prepares one reference once, then turns motion frames into pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import MOTION_DIM

NUM_LANDMARKS = 478


@dataclass(frozen=True)
class Reference:
    """One picture of a person, and what a tracker saw in it.

    ``image`` uint8 [H, W, 3] RGB; ``landmarks`` float32 [478, 3] in pixels of the picture (x right,
    y down, z depth, smaller is nearer); ``values`` float32 [56], the picture's own motion frame in
    the ``arkit`` space; ``matte`` float32 [H, W], the share of a pixel that is the person's, None
    where nobody measured it. Raises ValueError when a shape is another.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    values: NDArray[np.float32]
    matte: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"reference image has shape {self.image.shape}; expected uint8 HxWx3")
        if self.landmarks.shape != (NUM_LANDMARKS, 3):
            raise ValueError(
                f"reference landmarks have shape {self.landmarks.shape}; "
                f"expected ({NUM_LANDMARKS}, 3)"
            )
        if self.values.shape != (MOTION_DIM,):
            raise ValueError(
                f"reference values have shape {self.values.shape}; expected ({MOTION_DIM},)"
            )
        if self.matte is not None and self.matte.shape != self.image.shape[:2]:
            raise ValueError(
                f"reference matte has shape {self.matte.shape}; expected {self.image.shape[:2]}"
            )

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of the picture."""
        facts = str(self.image.shape).encode() + self.image.tobytes()
        return hashlib.sha256(facts).hexdigest()[:16]

    def resized(self, size: tuple[int, int] | None) -> Reference:
        """The same reference as a picture of ``size`` (width, height); as it is when None."""
        height, width = self.image.shape[:2]
        if size is None or size == (width, height):
            return self
        across, down = size[0] / width, size[1] / height
        scale = np.array([across, down, across], np.float32)
        image, landmarks = resized(self.image, size), self.landmarks.astype(np.float32)
        matte = self.matte
        if matte is not None:
            matte = np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR), np.float32)
        return replace(self, image=image, landmarks=landmarks * scale, matte=matte)


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``image`` [H, W, 3] scaled to ``size`` (width, height), by area when it shrinks."""
    if size == (image.shape[1], image.shape[0]):
        return image
    how = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


class Renderer(Protocol):
    """Turns motion into frames of one reference."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth telling about the reference, once it is prepared."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        ...

    def prepare(self, reference: Reference) -> None:
        """Take in the picture; everything that does not depend on the motion happens here."""
        ...

    def render(
        self, values: NDArray[np.float32], places: NDArray[np.float32] | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order.

        ``places`` [N, 3] (:func:`renderers.anchor.places`) says where the head leans; renderers
        that keep heads in their place leave it out.
        """
        ...
