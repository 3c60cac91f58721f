"""What a renderer is: it prepares one reference once, then turns motion frames into pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import MOTION_DIM

NUM_LANDMARKS = 478


@dataclass(frozen=True)
class Reference:
    """One picture of a person, and what a tracker saw in it.

    ``image`` uint8 [H, W, 3] RGB; ``landmarks`` float32 [478, 3] in pixels of the picture (x right,
    y down, z depth, smaller is nearer); ``values`` float32 [56], the picture's own motion frame in
    the ``arkit`` space. Raises ValueError when a shape is another.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    values: NDArray[np.float32]

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

    def render(self, values: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order."""
        ...
