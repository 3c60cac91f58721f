"""What a renderer is trained on: pixels and perception, with the face's busy parts weighing more.

Pictures are [B, 3, H, W], RGB in [-1, 1]; landmarks [B, 478, 2 or 3] in pixels of those pictures.
Axes: B batch, H W picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dimcli.core.errors import InputError
from renderers.heads.contours import EYES, FACE_OVAL, OUTER_LIP_LOWER, OUTER_LIP_UPPER
from renderers.trained.backbones import Backbone
from renderers.trained.perceptual import PerceptualLoss, weighted_mean

MOUTH = np.concatenate([OUTER_LIP_UPPER, OUTER_LIP_LOWER])
EYE_CONTOURS = tuple(np.concatenate([eye.upper, eye.lower]) for eye in EYES.values())

REACH = 1.5
"""Size of the ellipses of mouth and eyes over their contours': some skin around counts as well."""

THINNEST = 0.12
"""Half-axis of the thinnest ellipse over the distance of the eyes' centres: a closed eye or mouth
keeps a region."""


@dataclass(frozen=True)
class RegionConfig:
    """How much more than the background the parts of a face count; 0 for no more than it."""

    face: float = 1.0
    """Within the face's outline: whose face it is shows there, not in the background."""
    mouth: float = 4.0
    """The lips and what is between them, on top of ``face``."""
    eyes: float = 4.0
    """Each eye, on top of ``face``."""

    def __post_init__(self) -> None:
        for name in ("face", "mouth", "eyes"):
            if not 0 <= getattr(self, name) <= 100:
                raise InputError(f"region {name} is {getattr(self, name)}; expected 0 to 100")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms. The defaults are PIRenderer's; it has no pixel term and no regions."""

    pixel: float = 0.0
    """L1 of the final picture."""
    warp_pixel: float = 0.0
    """L1 of the warped picture."""
    warp: float = 2.5
    """Perceptual distance of the warped picture."""
    final: float = 4.0
    """Perceptual distance of the final picture."""
    style: float = 250.0
    """Gram term inside the final picture's perceptual distance."""
    scales: int = 4
    """Sizes of the picture that the perceptual distance looks at, each half the one before."""
    finest: int = 0
    """How often the first of those sizes is halved; 1 takes a quarter of the time of 0."""

    def __post_init__(self) -> None:
        for name in ("pixel", "warp_pixel", "warp", "final", "style"):
            if getattr(self, name) < 0:
                raise InputError(f"loss {name} is {getattr(self, name)}; expected 0 or more")
        if not 1 <= self.scales <= 6:
            raise InputError(f"loss scales is {self.scales}; expected 1 to 6")
        if not 0 <= self.finest <= 3:
            raise InputError(f"loss finest is {self.finest}; expected 0 to 3")


def _ellipse(
    contour: Tensor, size: tuple[int, int], thinnest: Tensor, reach: float, softness: float
) -> Tensor:
    """Soft ellipse [B, H, W] around points [B, N, 2]: 1 inside, falling to 0 beyond its rim.

    ``thinnest`` [B] is the least half-axis in pixels; the others are ``reach`` times the contour's;
    ``softness`` is the rim's width over the radius.
    """
    height, width = size
    centre = contour.mean(1)
    away = contour - centre[:, None]
    # points on an ellipse's rim spread by half its squared half-axis
    spread = 2 * reach**2 * away.transpose(1, 2) @ away / contour.shape[1]
    least = thinnest.square()[:, None, None] * torch.eye(2, device=contour.device)
    inverse = torch.linalg.inv(spread + least)
    down = torch.arange(height, device=contour.device, dtype=contour.dtype) + 0.5
    across = torch.arange(width, device=contour.device, dtype=contour.dtype) + 0.5
    y = (down[None] - centre[:, 1:])[:, :, None]
    x = (across[None] - centre[:, :1])[:, None, :]
    squared = (
        inverse[:, 0, 0, None, None] * x.square()
        + inverse[:, 1, 1, None, None] * y.square()
        + 2 * inverse[:, 0, 1, None, None] * x * y
    )
    return torch.sigmoid((1 - squared.sqrt()) / softness)


def region_weights(
    landmarks: Tensor, size: tuple[int, int], regions: RegionConfig | None = None
) -> Tensor:
    """How much each place counts [B, 1, H, W]: 1 in the background, more in face, mouth and eyes.

    ``landmarks`` [B, 478, 2 or 3] in pixels of a picture of ``size`` (height, width).
    """
    regions = regions or RegionConfig()
    points = landmarks[..., :2].float()
    eyes = [points[:, contour] for contour in EYE_CONTOURS]
    apart = (eyes[0].mean(1) - eyes[1].mean(1)).norm(dim=1)
    thinnest = THINNEST * apart
    weight = torch.ones(len(points), *size, device=points.device)
    if regions.face:
        weight += regions.face * _ellipse(points[:, FACE_OVAL], size, thinnest, 1.0, 0.08)
    if regions.mouth:
        weight += regions.mouth * _ellipse(points[:, MOUTH], size, thinnest, REACH, 0.15)
    for eye in eyes if regions.eyes else ():
        weight += regions.eyes * _ellipse(eye, size, thinnest, REACH, 0.15)
    return weight[:, None]


def pixel_loss(picture: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """L1 of pictures [B, 3, H, W]; ``weight`` [B, 1, H, W] as :func:`region_weights` gives it."""
    return weighted_mean((picture - target).abs(), weight)


class RenderingLoss(nn.Module):
    """All terms of one training step, for the warped and the final picture."""

    def __init__(self, config: LossConfig, backbone: Backbone | None) -> None:
        """``backbone`` may be None where ``config`` weighs no perceptual term."""
        super().__init__()
        self.config = config
        self.warp: PerceptualLoss | None = None
        self.final: PerceptualLoss | None = None
        if config.warp or config.final:
            if backbone is None:
                raise ValueError("a perceptual term needs a backbone")
            scales, finest = config.scales, config.finest
            self.warp = PerceptualLoss(backbone, scales=scales, finest=finest)
            self.final = PerceptualLoss(backbone, scales=scales, finest=finest, style=config.style)

    def forward(
        self,
        target: Tensor,
        *,
        warped: Tensor | None = None,
        final: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The weighted terms by name (scalars; their sum is the loss) of the ``warped`` and the
        ``final`` picture [B, 3, H, W]; None leaves one out, as PIRenderer's first stage does with
        the final one. ``weight`` [B, 1, H, W] as :func:`region_weights` gives it.
        """
        config, terms = self.config, {}
        if warped is not None:
            if config.warp_pixel:
                terms["warp pixel"] = config.warp_pixel * pixel_loss(warped, target, weight)
            if config.warp and self.warp is not None:
                terms["warp"] = config.warp * self.warp(warped, target, weight)
        if final is not None:
            if config.pixel:
                terms["pixel"] = config.pixel * pixel_loss(final, target, weight)
            if config.final and self.final is not None:
                terms["final"] = config.final * self.final(final, target, weight)
        return terms
