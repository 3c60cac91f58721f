"""The convolutional networks in the published encoders, with the tensor names of their checkpoints.

ResNet-50 (He et al. 2015) and the regressor on it, as in DECA's encoders: names and layout are
torchvision's (the stride of a block is in its 3 x 3 convolution) without the classifier:
``encoder.conv1``, ``encoder.layer1.0.conv1``, ..., then ``layers.0`` and ``layers.2``.

MobileNetV3 minimal (Howard et al. 2019), as in SMIRK's, with the names of timm's feature extractors
``tf_mobilenetv3_small_minimal_100`` and ``tf_mobilenetv3_large_minimal_100``: no squeeze and
excitation, ReLU everywhere, 3 x 3 kernels only, TensorFlow's padding and its batch norm's epsilon.
Names: ``conv_stem``, ``bn1``, ``blocks.<stage>.<block>.conv_pw``, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        return self.layers(self.encoder(pictures))


_STEM = 16
_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """``blocks`` inverted residuals with ``output`` channels; the first has ``stride``. A block's
    inner width is ``expansions`` times its input, one number a block.
    """

    output: int
    stride: int
    expansions: tuple[float, ...]


@dataclass(frozen=True)
class Layout:
    """A separable convolution, the stages behind it, and the channels of the last layer."""

    first_stride: int
    stages: tuple[Stage, ...]
    features: int


SMALL = Layout(
    first_stride=2,
    stages=(
        Stage(24, 2, (4.5, 3.67)),
        Stage(40, 2, (4, 6, 6)),
        Stage(48, 1, (3, 3)),
        Stage(96, 2, (6, 6, 6)),
    ),
    features=576,
)
LARGE = Layout(
    first_stride=1,
    stages=(
        Stage(24, 2, (4, 3)),
        Stage(40, 2, (3, 3, 3)),
        Stage(80, 2, (6, 2.5, 2.3, 2.3)),
        Stage(112, 1, (6, 6)),
        Stage(160, 2, (6, 6, 6)),
    ),
    features=960,
)


def _inner_width(channels: int, expansion: float) -> int:
    """The nearest multiple of 8 to the expanded width."""
    return int(channels * expansion + 4) // 8 * 8


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's padding: H to ceil(H / stride), more at the far sides."""

    def __init__(
        self, channels: int, output: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, output, kernel, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C, H, W] to [B, output, H / stride, W / stride], sides rounded up."""
        missing = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(
                maps.shape[2:], self.stride, self.kernel_size, strict=True
            )
        ]
        rows, columns = missing
        padded = functional.pad(
            maps, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        )
        return super().forward(padded)


class Chain(nn.Module):
    """Convolutions by their names, each with a batch norm (``bn1``, ``bn2``, ...) and ReLU. Of
    several the last has no ReLU, and the input is added to it where the shape allows.
    """

    def __init__(self, **convolutions: SameConv) -> None:
        super().__init__()
        self._names = tuple(convolutions)
        for number, (name, convolution) in enumerate(convolutions.items(), start=1):
            self.add_module(name, convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(convolution.out_channels, _EPSILON))
        layers = list(convolutions.values())
        self._skips = len(layers) > 1 and (
            all(layer.stride == (1, 1) for layer in layers)
            and layers[0].in_channels == layers[-1].out_channels
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C, H, W] to [B, output, H / stride, W / stride]."""
        hidden = maps
        for number, name in enumerate(self._names, start=1):
            hidden = self.get_submodule(f"bn{number}")(self.get_submodule(name)(hidden))
            if number < len(self._names) or number == 1:
                hidden = torch.relu(hidden)
        return hidden + maps if self._skips else hidden


def _separable(channels: int, output: int, stride: int) -> Chain:
    """A depthwise and a pointwise convolution."""
    return Chain(
        conv_dw=SameConv(channels, channels, 3, stride, groups=channels),
        conv_pw=SameConv(channels, output, 1),
    )


def _inverted_residual(channels: int, inner: int, output: int, stride: int) -> Chain:
    """Pointwise to ``inner`` channels, depthwise, pointwise."""
    return Chain(
        conv_pw=SameConv(channels, inner, 1),
        conv_dw=SameConv(inner, inner, 3, stride, groups=inner),
        conv_pwl=SameConv(inner, output, 1),
    )


class MobileNet(nn.Module):
    """Pictures [B, 3, H, W] to features [B, ``layout.features``], the mean over the last maps."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, _STEM, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(_STEM, _EPSILON)
        stages: list[nn.Module] = [nn.Sequential(_separable(_STEM, _STEM, layout.first_stride))]
        channels = _STEM
        for stage in layout.stages:
            blocks = []
            for number, expansion in enumerate(stage.expansions):
                inner = _inner_width(channels, expansion)
                stride = stage.stride if number == 0 else 1
                blocks.append(_inverted_residual(channels, inner, stage.output, stride))
                channels = stage.output
            stages.append(nn.Sequential(*blocks))
        stages.append(nn.Sequential(Chain(conv=SameConv(channels, layout.features, 1))))
        self.blocks = nn.Sequential(*stages)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] to features [B, layout.features]."""
        hidden: Tensor = self.blocks(torch.relu(self.bn1(self.conv_stem(pictures))))
        return hidden.mean(dim=(2, 3))
