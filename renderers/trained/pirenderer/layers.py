"""Layers of PIRenderer (Ren et al., ICCV 2021; sizes and order as published).

Legend: B batch, C channels, D latent, h w feature map.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of every leaky rectifier."""

MODULATION_WIDTH = 128
"""Hidden width between the latent and a layer's gains and biases."""


def activate(values: Tensor) -> Tensor:
    """The leaky rectifier of all layers."""
    return F.leaky_relu(values, SLOPE)


def layer_norm(channels: int) -> nn.GroupNorm:
    """Normalises each sample over channels and places; a gain and a bias for each channel."""
    return nn.GroupNorm(1, channels)


class AdaptiveNorm(nn.Module):
    """AdaIN (Huang and Belongie, ICCV 2017): each channel's mean and spread come from a latent."""

    def __init__(self, channels: int, latent: int) -> None:
        super().__init__()
        self.shared = nn.Linear(latent, MODULATION_WIDTH)
        self.gain = nn.Linear(MODULATION_WIDTH, channels)
        self.bias = nn.Linear(MODULATION_WIDTH, channels)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """``features`` [B, C, h, w] normalised over places, then scaled by 1 + gain and shifted
        by the bias that ``latent`` [B, D] asks for.
        """
        hidden = F.relu(self.shared(latent))
        gain, bias = self.gain(hidden)[..., None, None], self.bias(hidden)[..., None, None]
        return F.instance_norm(features) * (1 + gain) + bias


class AdaptiveDown(nn.Module):
    """Halves the size: norm, rectifier and a 4 x 4 convolution, then the same with 3 x 3."""

    def __init__(self, inputs: int, outputs: int, latent: int) -> None:
        super().__init__()
        self.norm_0 = AdaptiveNorm(inputs, latent)
        self.conv_0 = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
        self.norm_1 = AdaptiveNorm(outputs, latent)
        self.conv_1 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """[B, C, h, w] and ``latent`` [B, D] to [B, C', h / 2, w / 2]."""
        features = self.conv_0(activate(self.norm_0(features, latent)))
        return self.conv_1(activate(self.norm_1(features, latent)))


class AdaptiveUp(nn.Module):
    """Doubles the size by transposed convolutions: two layers, beside a shortcut of one."""

    def __init__(self, inputs: int, outputs: int, latent: int) -> None:
        super().__init__()
        self.norm_0 = AdaptiveNorm(inputs, latent)
        self.conv_0 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm_1 = AdaptiveNorm(outputs, latent)
        self.conv_1 = self._up(outputs, outputs)
        self.norm_s = AdaptiveNorm(inputs, latent)
        self.conv_s = self._up(inputs, outputs)

    @staticmethod
    def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """[B, C, h, w] and ``latent`` [B, D] to [B, C', 2 h, 2 w]."""
        deep = self.conv_0(activate(self.norm_0(features, latent)))
        deep = self.conv_1(activate(self.norm_1(deep, latent)))
        return deep + self.conv_s(activate(self.norm_s(features, latent)))


class AdaptiveResiduals(nn.Module):
    """Residual blocks: each adds a modulated 3 x 3 convolution of the features to them.

    The published blocks have a branch before it whose result their code drops; its weights change
    nothing and are left out here.
    """

    def __init__(self, channels: int, latent: int, blocks: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )
        self.norms = nn.ModuleList(AdaptiveNorm(channels, latent) for _ in range(blocks))

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """[B, C, h, w] and ``latent`` [B, D] to [B, C, h, w]."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = features + norm(conv(features), latent)
        return features


class Convolution(nn.Module):
    """A convolution that keeps the size, layer norm, rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = layer_norm(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        return activate(self.norm(self.conv(features)))
