"""SMIRK (Retsinas et al. 2024): pictures of faces to FLAME parameters.

Our own definition of its encoder; the checkpoint is its authors', and the user's to get.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core.motion import NUM_EXPRESSION
from dimcli.tracking.bundle import NUM_LANDMARKS
from dimcli.tracking.flame_encoder import FlameCodes, FlameEncoder
from dimcli.tracking.mobilenet import LARGE, SMALL, Layout, MobileNet

SHAPE = 300
EYELIDS = 2
JAW_LIMIT_RAD = 0.2
"""The jaw turns sideways at most this far."""


class _PoseEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileNet(SMALL)
        self.pose_cam_layers = _head(SMALL, 6)


class _ShapeEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileNet(LARGE)
        self.shape_layers = _head(LARGE, SHAPE)


class _ExpressionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileNet(LARGE)
        self.expression_layers = _head(LARGE, NUM_EXPRESSION + EYELIDS + 3)


def _head(layout: Layout, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(layout.features, outputs))


class Smirk(FlameEncoder):
    """``SMIRK_em1.pt``: three encoders; the generator in the file is not used, nor are the eyelids,
    for which motion has no numbers.
    """

    name = "smirk"
    prefixes: ClassVar[tuple[str, ...]] = ("pose_encoder.", "shape_encoder.", "expression_encoder.")
    box: ClassVar[NDArray[np.intp]] = np.arange(NUM_LANDMARKS)
    scale = 1.4

    def __init__(self) -> None:
        super().__init__()
        self.pose_encoder = _PoseEncoder()
        self.shape_encoder = _ShapeEncoder()
        self.expression_encoder = _ExpressionEncoder()

    def forward(self, pictures: Tensor) -> FlameCodes:
        """Codes of RGB crops [B, 3, 224, 224] in 0..1."""
        pose, shape, expression = self.pose_encoder, self.shape_encoder, self.expression_encoder
        rotation, camera = pose.pose_cam_layers(pose.encoder(pictures)).split(3, dim=1)
        numbers = expression.expression_layers(expression.encoder(pictures))
        expressions, _, jaw = numbers.split((NUM_EXPRESSION, EYELIDS, 3), dim=1)
        opening, sideways = jaw[:, :1].relu(), jaw[:, 1:].clamp(-JAW_LIMIT_RAD, JAW_LIMIT_RAD)
        return FlameCodes(
            expression=expressions,
            pose=torch.cat([rotation, opening, sideways], dim=1),
            shape=shape.shape_layers(shape.encoder(pictures)),
            camera=camera,
        )
