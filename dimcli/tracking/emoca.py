"""EMOCA (Danecek et al. 2022) and DECA (Feng et al. 2021): pictures of faces to FLAME parameters.

Our own definitions of their encoders; the checkpoints are their authors', and the user's to get.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import NUM_EXPRESSION, NUM_POSE
from dimcli.tracking.flame_encoder import FlameCodes, FlameEncoder
from dimcli.tracking.resnet import Regressor, head

SHAPE, TEXTURE, CAMERA, LIGHT = 100, 50, 3, 27
_PARTS = (SHAPE, TEXTURE, NUM_EXPRESSION, NUM_POSE, CAMERA, LIGHT)
"""What ``E_flame`` regresses, in order."""

_JAW_LINE = (
    *(127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE_AND_LIPS = (1, 4, 0, 17, 61, 291)
LIKE_68 = np.array([*_JAW_LINE, *_BROWS, *_NOSE_AND_LIPS])
"""Landmarks that bound the 68 points which these encoders' crops were made from: jaw line from ear
to ear, brows, and in profile nose and lips."""


class Deca(FlameEncoder):
    """``deca_model.tar``: everything from one encoder, ``E_flame``."""

    name = "deca"
    prefixes: ClassVar[tuple[str, ...]] = ("E_flame.",)
    box: ClassVar[NDArray[np.intp]] = LIKE_68
    scale = 1.1 * 1.25

    def __init__(self) -> None:
        super().__init__()
        self.E_flame = Regressor(sum(_PARTS))

    def forward(self, pictures: Tensor) -> FlameCodes:
        """Codes of RGB crops [B, 3, 224, 224] in 0..1."""
        return _codes(self.E_flame(pictures))


class Emoca(FlameEncoder):
    """``EMOCA_v2_lr_mse_20``: DECA's encoder and one for the expression, ``E_expression``.

    That one has a trunk of its own (the published models) or a second head on DECA's. Its 50
    numbers are the expression; 53 have the jaw's rotation behind them, 56 the head's and the jaw's,
    which then replace DECA's.
    """

    name = "emoca"
    prefixes: ClassVar[tuple[str, ...]] = ("E_flame.", "E_expression.")
    box: ClassVar[NDArray[np.intp]] = LIKE_68
    scale = Deca.scale

    def __init__(self, outputs: int = NUM_EXPRESSION, own_trunk: bool = True) -> None:
        super().__init__()
        self.E_flame = Regressor(sum(_PARTS))
        self.E_expression: nn.Module = Regressor(outputs) if own_trunk else _SecondHead(outputs)
        self._own_trunk = own_trunk

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], path: Path) -> Emoca:
        """The variant that a checkpoint's tensors are of, not loaded yet. Raises InputError."""
        weight = tensors.get("E_expression.layers.2.weight")
        if weight is None:
            return cls()
        outputs = len(weight)
        if outputs not in (NUM_EXPRESSION, NUM_EXPRESSION + 3, NUM_EXPRESSION + 6):
            raise InputError(
                f"{path}: its expression encoder gives {outputs} numbers; expected 50 expression "
                "components, or 53 or 56 with poses"
            )
        own = any(name.startswith("E_expression.encoder.") for name in tensors)
        return cls(outputs, own)

    def forward(self, pictures: Tensor) -> FlameCodes:
        """Codes of RGB crops [B, 3, 224, 224] in 0..1."""
        features = self.E_flame.encoder(pictures)
        codes = _codes(self.E_flame.layers(features))
        numbers = self.E_expression(pictures if self._own_trunk else features)
        expression, pose = numbers[:, :NUM_EXPRESSION], numbers[:, NUM_EXPRESSION:]
        kept = codes.pose[:, : NUM_POSE - pose.shape[1]]
        return FlameCodes(
            expression=expression,
            pose=torch.cat([kept, pose], dim=1),
            shape=codes.shape,
            camera=codes.camera,
        )


class _SecondHead(nn.Module):
    """A head on another encoder's features [B, 2048]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = head(outputs)

    def forward(self, features: Tensor) -> Tensor:
        numbers: Tensor = self.layers(features)
        return numbers


def _codes(numbers: Tensor) -> FlameCodes:
    """What ``E_flame`` regressed [B, 236], taken apart; texture and light are not used."""
    shape, _, expression, pose, camera, _ = numbers.split(_PARTS, dim=1)
    return FlameCodes(expression=expression, pose=pose, shape=shape, camera=camera)
