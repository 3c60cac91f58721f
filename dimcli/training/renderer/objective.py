"""What a training step of a per-identity renderer minimises, for both networks alike.

Pixels and perception, with the face's busy parts weighing more. The perceptual distance is L1
between the features of a frozen image network (:mod:`renderers.trained.backbones`): PIRenderer (Ren
et al., ICCV 2021) compares VGG-19's at four sizes of the picture, for the warped and the final
picture, and the style of the final one by Gram matrices (Johnson et al., ECCV 2016).

Pictures are [B, 3, H, W], RGB in [-1, 1]; landmarks [B, 478, 2 or 3] in pixels of those pictures.
Legend: B batch, C channels, H W picture, h w features, S side of the square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from dimcli.training.renderer.training_set import Batch
from renderers.trained.backbones import Backbone
from renderers.trained.lite import (
    LiteConfig,
    LiteNet,
    RegionConfig,
    framed,
    pose_of,
    region_weights,
)
from renderers.trained.pirenderer.networks import PIRenderer, PIRendererConfig
from renderers.trained.start import MAP_STRIDE


def weighted_mean(error: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of ``error`` [B, C, h, w], each place counting as ``weight`` [B, 1, H, W] says.

    The weights are averaged down to the error's size and divided by their mean, so that they move
    attention about and leave the loss as large as it was. None weighs all places alike.
    """
    if weight is None:
        return error.mean()
    weight = F.adaptive_avg_pool2d(weight, (error.shape[-2], error.shape[-1]))
    return (error.mean(1, keepdim=True) * weight).sum() / weight.sum().clamp(min=1e-6)


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

        ``weight`` [B, 1, H, W]: how much places count (:func:`~dimcli.training.renderer.objective.
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
    detail: float = 0.0
    """L1 between the amounts of fine detail of the final picture and the target, place by place
    where regions weigh more than 1: all other terms are the smaller the softer a picture is where
    it is unsure."""

    def __post_init__(self) -> None:
        for name in ("pixel", "warp_pixel", "warp", "final", "style", "detail"):
            if getattr(self, name) < 0:
                raise InputError(f"loss {name} is {getattr(self, name)}; expected 0 or more")
        if not 1 <= self.scales <= 6:
            raise InputError(f"loss scales is {self.scales}; expected 1 to 6")
        if not 0 <= self.finest <= 3:
            raise InputError(f"loss finest is {self.finest}; expected 0 to 3")


def pixel_loss(picture: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """L1 of pictures [B, 3, H, W]; ``weight`` [B, 1, H, W] as :func:`region_weights` gives it."""
    return weighted_mean((picture - target).abs(), weight)


def amount_of_detail(picture: Tensor) -> Tensor:
    """How much fine detail there is around each place: [B, 3, H, W] to [B, 1, H/4, W/4], the mean
    size of what is left of the grey levels between two blurs. The finer one has nothing of a
    chequer of single pixels, which would be the cheapest detail to paint."""
    grey = F.pad(picture.mean(1, keepdim=True), (3, 3, 3, 3), mode="replicate")
    finer = F.avg_pool2d(F.avg_pool2d(grey, 2, stride=1), 2, stride=1)
    fine = (finer[..., 2:-2, 2:-2] - F.avg_pool2d(finer, 5, stride=1)).abs()
    return F.avg_pool2d(fine, 8, stride=4, padding=2, count_include_pad=False)


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
            if config.detail:
                wanted = amount_of_detail(target)
                error = (amount_of_detail(final) - wanted).abs()
                face = None if weight is None else (weight - 1).clamp(min=0)
                terms["detail"] = config.detail * weighted_mean(error, face)
            if config.final and self.final is not None:
                terms["final"] = config.final * self.final(final, target, weight)
        return terms


@dataclass(frozen=True)
class RendererTraining:
    """How a renderer is trained."""

    seed: int = 0
    """Of everything that is drawn at random."""
    steps: int = 20_000
    """Most steps; the time usually ends before."""
    minutes: float = 15.0
    """Time for everything, tracking included; 0 for no limit."""
    batch_size: int = 2
    """Frames a step."""
    learning_rate: float = 1e-3
    """Of Adam, after a short ramp."""
    settle_after: int = 400
    """From this step on the learning rate falls with the square root of the steps."""
    beta1: float = 0.9
    """Of Adam."""
    average: float = 0.998
    """The kept weights are the running mean with this decay."""
    jitter: float = 0.1
    """Noise on the motion and on where the head is, in standard deviations: no two trackings
    agree."""
    shake: float = 0.1
    """Share of the square by which the camera is moved, at most: there are more places for a head
    than a clip shows."""
    elsewhere: float = 0.4
    """Share of the frames whose head is shown in another place of the room than it was."""
    warp_only: int = 0
    """So many steps train the warp alone (PIRenderer: 200,000)."""
    validate_every: int = 150
    """Steps between looks at the frames that say when to stop, and at the held-out ones."""
    patience: int = 16
    """Looks without an improvement that end the training."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Weights of the loss's terms."""
    regions: RegionConfig = field(default_factory=RegionConfig)
    """How much more the face's parts count."""

    @property
    def clip_norm(self) -> float:
        """Largest norm of the gradient."""
        return 1.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "patience", "settle_after"):
            if getattr(self, name) < 1:
                raise InputError(f"training {name} is {getattr(self, name)}; expected 1 or more")


@dataclass(frozen=True)
class Preset:
    """A network and how it is trained."""

    network: LiteConfig | PIRendererConfig
    training: RendererTraining


PRESETS = {
    "lite": Preset(
        LiteConfig(),
        RendererTraining(
            steps=1000,  # more give finer texture and lose the small nods of a still head
            loss=LossConfig(
                pixel=10.0, warp_pixel=3.0, warp=0.0, final=0.4, style=0.0, scales=1, finest=0,
                detail=100.0,
            ),
        ),
    ),
    "paper": Preset(
        PIRendererConfig(),
        RendererTraining(
            steps=200_000, minutes=0.0, batch_size=5, learning_rate=1e-4, settle_after=200_000,
            beta1=0.5, average=0.9978, jitter=0.0, shake=0.0, warp_only=1000, validate_every=500,
        ),
    ),
    "tiny": Preset(
        LiteConfig(size=64, width=8, mixtures=4, face=4, room=4),
        RendererTraining(
            steps=40, validate_every=2,
            loss=LossConfig(pixel=10.0, warp_pixel=3.0, warp=0.0, final=0.0, style=0.0),
        ),
    ),
}  # fmt: skip
"""``lite``: a person in a quarter of an hour without a GPU. ``paper``: PIRenderer, fine-tuned.
``tiny``: to see whether everything works."""


@dataclass(frozen=True)
class Drawn:
    """What a network made of a batch: the warped pictures of its stages, and the final one (None
    where only the warp was asked for), [B, 3, S, S]."""

    warped: tuple[Tensor, ...]
    picture: Tensor | None


def draw(network: nn.Module, batch: Batch, *, edit: bool = True) -> Drawn:
    """Either network's pictures of a batch."""
    if isinstance(network, LiteNet):
        pose = pose_of(batch.window)
        made = network(batch.person, batch.start, batch.place, pose, batch.frame)
        return Drawn((made.moved, made.warped), made.picture)
    assert isinstance(network, PIRenderer)
    rendering = network(batch.source, batch.window.transpose(1, 2), edit=edit)
    return Drawn((rendering.warped,), rendering.picture)


class Objective:
    """The loss of a batch by name of its terms."""

    def __init__(self, config: RendererTraining, backbone: Backbone | None) -> None:
        self.config = config
        self._loss = RenderingLoss(config.loss, backbone)

    def __call__(self, batch: Batch, drawn: Drawn) -> dict[str, Tensor]:
        """Weighted terms (scalars) of what a network drew of ``batch``; their sum is what is
        minimised."""
        size = (batch.target.shape[-2], batch.target.shape[-1])
        weight = region_weights(batch.landmarks, size, self.config.regions)
        if batch.certain is not None:
            weight = weight * batch.certain
        terms = self._loss(
            batch.target, warped=drawn.warped[-1], final=drawn.picture, weight=weight
        )
        for number, early in enumerate(drawn.warped[:-1]):
            share = self.config.loss.warp_pixel
            terms[f"stage {number}"] = share * pixel_loss(early, batch.target, weight)
        return terms


def jittered(
    batch: Batch, config: RendererTraining, spread: Tensor, generator: torch.Generator
) -> Batch:
    """``batch`` with noise of ``config.jitter`` times ``spread`` [59] on each frame's motion, the
    same over its window."""
    if not config.jitter:
        return batch
    noise = torch.randn(len(batch.window), 1, len(spread), generator=generator)
    return replace(batch, window=batch.window + config.jitter * noise * spread)


def with_moved_camera(
    batch: Batch, config: RendererTraining, spread: Tensor, generator: torch.Generator
) -> Batch:
    """``batch`` as a camera sees it that is moved by up to ``config.shake`` of the square's side.

    In ``config.elsewhere`` of the frames the room does not follow: the head is then where the clip
    did not show it (and was thought to be, by ``spread`` [59], anywhere), and it alone is judged.
    Moves are whole samples of the map: nothing is blurred.
    """
    if not config.shake:
        return batch
    count, _, _, side = batch.target.shape
    half = side // MAP_STRIDE
    most = int(config.shake * half)
    moves = torch.randint(-most, most + 1, (2, count, 2), generator=generator)
    camera, room = torch.eye(2, 3).repeat(2, count, 1, 1)
    elsewhere = torch.rand(count, 1, generator=generator) < config.elsewhere
    camera[..., 2] = moves[0] * (2 / half)
    room[..., 2] = torch.where(elsewhere, moves[1], moves[0]) * (2 / half)
    pixels = torch.cat([moves[0] * MAP_STRIDE, torch.zeros(count, 1)], 1)[:, None]
    place = framed(batch.place.permute(0, 3, 1, 2), camera)
    head = F.interpolate(place[:, 2:], scale_factor=MAP_STRIDE, mode="bilinear")
    thought = torch.randn(count, 1, len(spread), generator=generator) * spread
    thought[..., :MOTION_DIM] = 0
    lost = elsewhere[..., None]
    return replace(
        batch,
        start=framed(batch.start, camera),
        target=framed(batch.target, camera),
        place=place.permute(0, 2, 3, 1),
        window=batch.window + lost * thought,
        landmarks=batch.landmarks - pixels,
        frame=room,
        certain=torch.where(lost[..., None], head, torch.ones_like(head)),
    )
