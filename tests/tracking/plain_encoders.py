"""The encoders written out plainly, from the papers and the formats, on named tensors: nothing of
our networks. In double precision.
"""

from math import ceil

import torch.nn.functional as F
from torch import Tensor

from tests.tracking.encoder_files import LARGE, RESNET_STAGES, SMALL

Tensors = dict[str, Tensor]


def doubled(tensors: Tensors) -> Tensors:
    return {name: tensor.double() for name, tensor in tensors.items()}


def norm(tensors: Tensors, name: str, maps: Tensor, eps: float) -> Tensor:
    mean, variance, weight, bias = (
        tensors[f"{name}.{part}"][None, :, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / (variance + eps).sqrt() * weight + bias


def resnet_regressor(tensors: Tensors, pictures: Tensor) -> Tensor:
    """ResNet-50 with the stride in the 3 x 3 convolutions, mean, 1024 with ReLU, the numbers."""
    tensors, eps = doubled(tensors), 1e-5

    def layer(maps, name, bn, stride=1, padding=0):
        maps = F.conv2d(
            maps, tensors[f"encoder.{name}.weight"], None, stride=stride, padding=padding
        )
        return norm(tensors, f"encoder.{bn}", maps, eps)

    maps = layer(pictures.double(), "conv1", "bn1", 2, 3).clamp(min=0)
    maps = F.max_pool2d(maps, 3, 2, 1)
    for stage, (_, blocks) in enumerate(RESNET_STAGES, start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            inner = layer(maps, f"{name}.conv1", f"{name}.bn1").clamp(min=0)
            inner = layer(inner, f"{name}.conv2", f"{name}.bn2", stride, 1).clamp(min=0)
            inner = layer(inner, f"{name}.conv3", f"{name}.bn3")
            if block == 0:
                maps = layer(maps, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            maps = (maps + inner).clamp(min=0)
    features = F.avg_pool2d(maps, 7).flatten(1)
    hidden = (features @ tensors["layers.0.weight"].T + tensors["layers.0.bias"]).clamp(min=0)
    return hidden @ tensors["layers.2.weight"].T + tensors["layers.2.bias"]


def mobilenet_features(tensors: Tensors, prefix: str, pictures: Tensor, large: bool) -> Tensor:
    """MobileNetV3 minimal with TensorFlow's padding; the mean of its last maps."""
    tensors, eps = doubled(tensors), 1e-3

    def layer(maps, name, bn, stride=1, depthwise=False):
        weight = tensors[f"{prefix}{name}.weight"]
        kernel, size = weight.shape[-1], maps.shape[-1]
        missing = max((ceil(size / stride) - 1) * stride + kernel - size, 0)
        before = missing // 2
        maps = F.pad(maps, (before, missing - before, before, missing - before))
        groups = maps.shape[1] if depthwise else 1
        maps = F.conv2d(maps, weight, None, stride=stride, groups=groups)
        return norm(tensors, f"{prefix}{bn}", maps, eps)

    maps = layer(pictures.double(), "conv_stem", "bn1", 2).clamp(min=0)
    first = layer(maps, "blocks.0.0.conv_dw", "blocks.0.0.bn1", 1 if large else 2, True)
    first = layer(first.clamp(min=0), "blocks.0.0.conv_pw", "blocks.0.0.bn2")
    maps = first + maps if large else first
    strides = (2, 2, 2, 1, 2) if large else (2, 2, 1, 2)
    stages = LARGE if large else SMALL
    for stage, ((output, inners), stride) in enumerate(zip(stages, strides, strict=True), start=1):
        for block in range(len(inners)):
            name = f"blocks.{stage}.{block}"
            step = stride if block == 0 else 1
            inner = layer(maps, f"{name}.conv_pw", f"{name}.bn1").clamp(min=0)
            inner = layer(inner, f"{name}.conv_dw", f"{name}.bn2", step, True).clamp(min=0)
            inner = layer(inner, f"{name}.conv_pwl", f"{name}.bn3")
            maps = inner + maps if step == 1 and maps.shape[1] == output else inner
    last = f"blocks.{len(stages) + 1}.0"
    return layer(maps, f"{last}.conv", f"{last}.bn1").clamp(min=0).mean(dim=(2, 3))


def linear(tensors: Tensors, name: str, features: Tensor) -> Tensor:
    tensors = doubled(tensors)
    return features @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
