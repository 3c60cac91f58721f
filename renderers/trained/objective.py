"""What a training step of a per-identity renderer minimises, for both networks alike.

Legend: B batch, S side of the square.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from renderers.trained.backbones import Backbone
from renderers.trained.lite import LiteConfig, LiteNet, framed, pose_of
from renderers.trained.losses import (
    LossConfig,
    RegionConfig,
    RenderingLoss,
    pixel_loss,
    region_weights,
)
from renderers.trained.material import Batch
from renderers.trained.pirenderer.networks import PIRenderer, PIRendererConfig
from renderers.trained.start import MAP_STRIDE


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
                pixel=10.0, warp_pixel=3.0, warp=0.0, final=0.4, style=0.0, scales=1, finest=0
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

    def __call__(self, network: nn.Module, batch: Batch, *, edit: bool = True) -> dict[str, Tensor]:
        """Weighted terms (scalars); their sum is what is minimised."""
        size = (batch.target.shape[-2], batch.target.shape[-1])
        weight = region_weights(batch.landmarks, size, self.config.regions)
        if batch.certain is not None:
            weight = weight * batch.certain
        drawn = draw(network, batch, edit=edit)
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


def shaken(
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
