"""VGG-19 (Simonyan and Zisserman, 2014) to relu_5_1: the features that PIRenderer compares.

The weights are the user's copy of torchvision's, brought in by ``dim weights import vgg19 FILE``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from dimcli.pickles import read_torch

VGG19_LAYERS = {
    **{0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256},
    **{19: 512, 21: 512, 23: 512, 25: 512, 28: 512},
}
"""Number in torchvision's ``features`` and output channels of each convolution to relu_5_1."""

VGG19_TAPS = (0, 5, 10, 19, 28)
"""Convolutions whose rectified output counts: relu_1_1, 2_1, 3_1, 4_1, 5_1 (PIRenderer)."""

VGG19_POOLED = (5, 10, 19, 28)
"""Convolutions before which the size is halved."""

VGG19_FILE = "vgg19.safetensors"
"""Name in the user's folder."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A 3 x 3 convolution with these weights, which do not train."""
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)


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
            self.convolutions[str(number)] = _convolution(weight, bias)
            inputs = outputs
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    @classmethod
    def from_file(cls, path: Path) -> VGG19:
        """From a file that :func:`import_vgg19` wrote."""
        return cls(load_file(path))

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


def import_vgg19(file: Path, folder: Path) -> Path:
    """Read torchvision's ``vgg19`` weights and keep what the loss needs as safetensors in
    ``folder``; returns that file. Raises InputError where ``file`` holds something else.
    """
    tensors = read_torch(file)
    if not isinstance(tensors, Mapping):
        raise InputError(f"{file}: not a state dict; expected torchvision's vgg19 weights")
    try:
        network = VGG19(tensors)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    kept = {
        f"features.{number}.{part}": value.contiguous()
        for number, layer in network.convolutions.items()
        for part, value in layer.state_dict().items()
    }
    target = folder / VGG19_FILE
    with atomic_output(target, force=True) as temporary:
        save_file(kept, temporary)
    return target
