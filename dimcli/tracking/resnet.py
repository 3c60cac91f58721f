"""ResNet-50 (He et al. 2015) and the regressor on it, with the tensor names of DECA's encoders.

Names and layout are torchvision's (the stride of a block is in its 3 x 3 convolution) without the
classifier: ``encoder.conv1``, ``encoder.layer1.0.conv1``, ..., then ``layers.0`` and ``layers.2``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES = 2048
HIDDEN = 1024

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks and stride of the four stages."""
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut: [B, C, H, W] to [B, 4 width, ...]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        output = width * _EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, output, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(output)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != output:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, output, 1, stride, bias=False), nn.BatchNorm2d(output)
            )

    def forward(self, pictures: Tensor) -> Tensor:
        """Feature maps [B, C, H, W] to [B, 4 width, H / stride, W / stride]."""
        shortcut = pictures if self.downsample is None else self.downsample(pictures)
        hidden = torch.relu(self.bn1(self.conv1(pictures)))
        hidden = torch.relu(self.bn2(self.conv2(hidden)))
        return torch.relu(self.bn3(self.conv3(hidden)) + shortcut)


class ResNet50(nn.Module):
    """Pictures [B, 3, H, W] to features [B, 2048], the mean over the last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for number, (width, blocks, stride) in enumerate(_STAGES, start=1):
            stage = []
            for block in range(blocks):
                stage.append(Bottleneck(channels, width, stride if block == 0 else 1))
                channels = width * _EXPANSION
            self.add_module(f"layer{number}", nn.Sequential(*stage))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] to features [B, 2048]."""
        hidden = self.maxpool(torch.relu(self.bn1(self.conv1(pictures))))
        for number in range(1, len(_STAGES) + 1):
            hidden = self.get_submodule(f"layer{number}")(hidden)
        return hidden.mean(dim=(2, 3))


def head(outputs: int) -> nn.Sequential:
    """The two layers that regress ``outputs`` numbers from features [B, 2048]."""
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


class Regressor(nn.Module):
    """Pictures [B, 3, 224, 224] to ``outputs`` numbers: ``encoder`` and ``layers``."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet50()
        self.layers = head(outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, 224, 224] to numbers [B, outputs]."""
        numbers: Tensor = self.layers(self.encoder(pictures))
        return numbers
