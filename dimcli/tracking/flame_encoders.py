"""EMOCA (Danecek et al. 2022), DECA (Feng et al. 2021) and SMIRK (Retsinas et al. 2024): crops of
faces to FLAME parameters.

Our own definitions of their encoders; the checkpoints are their authors', and the user's to get.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import NUM_EXPRESSION, NUM_POSE, Floats, Picture
from dimcli.tracking.backbones import LARGE, SMALL, Layout, MobileNet, Regressor, head
from dimcli.tracking.networks import NUM_LANDMARKS

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

    def digest(self) -> str:
        """Hash of its tensors: two files with the same ones are one checkpoint."""
        digest = hashlib.sha256(self.name.encode())
        for tensor in self.state_dict().values():
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()

    @abstractmethod
    def forward(self, pictures: Tensor) -> FlameCodes:
        """Codes of RGB crops [B, 3, 224, 224] in 0..1."""


DECA_SHAPE, TEXTURE, CAMERA, LIGHT = 100, 50, 3, 27
_PARTS = (DECA_SHAPE, TEXTURE, NUM_EXPRESSION, NUM_POSE, CAMERA, LIGHT)
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
        return self.layers(features)


def _codes(numbers: Tensor) -> FlameCodes:
    """What ``E_flame`` regressed [B, 236], taken apart; texture and light are not used."""
    shape, _, expression, pose, camera, _ = numbers.split(_PARTS, dim=1)
    return FlameCodes(expression=expression, pose=pose, shape=shape, camera=camera)


SMIRK_SHAPE = 300
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
        self.shape_layers = _head(LARGE, SMIRK_SHAPE)


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
