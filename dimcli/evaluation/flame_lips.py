"""How far the lips of a FLAME face are open, by its landmarks; see
:mod:`dimcli.evaluation.lips`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.motion import HEAD, Motion
from renderers.heads.flame import FlameHead
from renderers.heads.flame_landmarks import FlameLandmarks
from renderers.heads.lip_gap import LOWER_LIP_INNER, UPPER_LIP_INNER
from weights.importing import find_imported

Floats = NDArray[np.float32]

EYE_CORNERS = (33, 263)


@dataclass(frozen=True)
class FlameLips:
    """The user's FLAME with MediaPipe's landmarks of the inner lips and outer eye corners."""

    head: FlameHead
    landmarks: FlameLandmarks
    columns: tuple[int, int, int, int]

    @classmethod
    def of_imported(cls) -> FlameLips | None:
        """From the imported files, or None where they are not all there."""
        flame, embedding = find_imported("flame"), find_imported("flame-landmarks")
        if flame is None or embedding is None:
            return None
        head = FlameHead.load(flame)
        landmarks = FlameLandmarks.load(embedding, head.faces)
        known = landmarks.mediapipe_indices.tolist()
        wanted = (UPPER_LIP_INNER, LOWER_LIP_INNER, *EYE_CORNERS)
        if not set(wanted) <= set(known):
            return None
        upper, lower, right, left = (known.index(number) for number in wanted)
        return cls(head, landmarks, (upper, lower, right, left))

    def opening(self, motion: Motion) -> Floats:
        """Distance of the inner lips, less that at rest, over that of the eyes: float32 [T]."""
        values = torch.from_numpy(np.array(motion.values))
        values[:, HEAD] = 0
        with torch.inference_mode():
            gaps = torch.cat([self._gap(part) for part in values.split(256)])
            gaps = gaps - self._gap(torch.zeros_like(values[:1]))
        return gaps.clamp(min=0).numpy()

    def _gap(self, values: Tensor) -> Tensor:
        points = self.landmarks.points("mediapipe", self.head.vertices(values))
        upper, lower, right, left = (points[:, column] for column in self.columns)
        return (upper[:, 1] - lower[:, 1]) / (right - left).norm(dim=1)
