"""The gap between the lips of a face in motion, on the open head.

The distance of the inner lips (MediaPipe's landmarks 13 and 14) over that of the outer eye corners
(33 and 263), as :func:`dimcli.tracking.jaw.lip_gap` measures it in pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dimcli.core.motion import HEAD
from renderers.heads.open_head import OpenHead

UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14
CLOSED = 0.015
"""Lips closer than this (1.2 mm on the open head) are closed."""


@dataclass(frozen=True)
class _LipPoints:
    """The few vertices that the two lip landmarks hang on."""

    head: OpenHead
    weights: Tensor
    interocular: float


@cache
def _lip_points(device: torch.device) -> _LipPoints:
    head = OpenHead.bundled()
    corners = head.landmark_corners[[UPPER_LIP_INNER, LOWER_LIP_INNER]]
    weights = head.landmark_barycentric[[UPPER_LIP_INNER, LOWER_LIP_INNER]]
    points = head.restricted(corners.flatten()).to(device)
    return _LipPoints(points, weights.to(device), head.interocular)


def lip_gap(values: Tensor) -> Tensor:
    """Gap of the lips of motion ``values`` [T, 56] in the arkit space: [T], negative where they
    press on each other. Differentiable.
    """
    points = _lip_points(values.device)
    still = torch.cat([torch.zeros_like(values[:, HEAD]), values[:, HEAD.stop :]], dim=1)
    corners = points.head.vertices(still).unflatten(1, (2, 3))
    lips = (corners * points.weights[..., None]).sum(dim=2)
    return (lips[:, 0, 1] - lips[:, 1, 1]) / points.interocular
