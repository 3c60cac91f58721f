"""Perceptual distance of pictures: L1 between the features of a frozen image network.

PIRenderer (Ren et al., ICCV 2021) compares VGG-19's features at four sizes of the picture, for the
warped and the final picture, and the style of the final one by Gram matrices (Johnson et al., ECCV
2016). The network is exchangeable here (:mod:`renderers.trained.backbones`).

Pictures are [B, 3, H, W], RGB in [-1, 1]. Axes: B batch, C channels, H W picture, h w features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renderers.trained.backbones import Backbone


def weighted_mean(error: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of ``error`` [B, C, h, w], each place counting as ``weight`` [B, 1, H, W] says.

    The weights are averaged down to the error's size and divided by their mean, so that they move
    attention about and leave the loss as large as it was. None weighs all places alike.
    """
    if weight is None:
        return error.mean()
    weight = F.adaptive_avg_pool2d(weight, (error.shape[-2], error.shape[-1]))
    return (error.mean(1, keepdim=True) * weight).sum() / weight.sum()


def gram(features: Tensor) -> Tensor:
    """Gram matrices [B, C, C] of ``features`` [B, C, h, w], divided by their C h w numbers."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


class PerceptualLoss(nn.Module):
    """L1 between features at halving sizes of the picture, and between Gram matrices if asked."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        scales: int = 4,
        finest: int = 0,
        style: float = 0.0,
        layer_weights: Sequence[float] | None = None,
    ) -> None:
        """``scales``: how many sizes, each half the one before (the paper: 4).
        ``finest``: how often the first of them is halved; 1 costs a quarter of 0.
        ``style``: weight of the Gram term, which looks at the first size only (the paper: 250 for
        the final picture).
        ``layer_weights``: one for each of the backbone's feature maps, all 1 when None.
        """
        super().__init__()
        self.backbone = backbone
        self.scales = scales
        self.finest = finest
        self.style = style
        self.layer_weights = layer_weights

    def forward(self, picture: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Distance (a scalar) of ``picture`` and ``target`` [B, 3, H, W] in [-1, 1].

        ``weight`` [B, 1, H, W]: how much places count (:func:`~renderers.trained.losses.
        region_weights`). The gradient reaches ``picture`` only.
        """
        total = picture.new_zeros(())
        if self.finest:
            picture = F.avg_pool2d(picture, 2**self.finest)
            target = F.avg_pool2d(target, 2**self.finest)
        for scale in range(self.scales):
            if scale:
                picture, target = F.avg_pool2d(picture, 2), F.avg_pool2d(target, 2)
            seen = self.backbone(picture)
            with torch.no_grad():
                wanted = self.backbone(target)
            shares = self.layer_weights or [1.0] * len(seen)
            for ours, theirs, share in zip(seen, wanted, shares, strict=True):
                total = total + share * weighted_mean((ours - theirs).abs(), weight)
                if self.style and not scale:
                    total = total + self.style * (gram(ours) - gram(theirs)).abs().mean()
        return total
