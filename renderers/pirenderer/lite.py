"""The ``lite`` network: from a zero-shot portrait to the person, in a few milliseconds on a CPU.

The portrait renderer's mesh has done the large motion (:mod:`renderers.pirenderer.start`); what is
left is what one picture cannot know. As in PIRenderer (Ren et al., ICCV 2021) a mapping network
turns a window of motion into a latent, a first stage warps and a second one edits:

1. *Warp.* A person's :class:`Memory` has a flow fixed to the face, what the mesh always gets wrong
   about this head, and flows fixed to the square that motion mixes linearly: how hair and shoulders
   go along with the head and its place. Linear, because it must go on sensibly in poses that the
   clip did not show. The head itself turns as the mesh does: a flow that learned its turns from a
   few seconds of tracking took small nods away.
2. *Edit.* A U-Net, modulated by the latent, looks at the warped start and at the memory's learned
   features: teeth, lids and wrinkles on the head, and the room where no head is (a head that moves
   on must not take it along). It refines the flow, adds a residual colour, and says where the
   background shows, which the memory keeps whole.

Several people share the U-Net; each has a memory. Legend: B batch, T frames of the window (27), S
side of the square (256), K mixtures, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.errors import InputError
from dimcli.motion import MOTION_DIM
from renderers.pirenderer.start import COEFFICIENTS, MAP_STRIDE

WINDOW = 27
"""Frames of motion about the one that is drawn (the paper's)."""

WARP_REACH, EDIT_REACH = 0.1, 0.15
"""Scale of the two flows, in half sides of the square; the second one is bounded by it."""

HEADNESS = 4.0
"""How sure it is, in logits, that no room shows through what the mesh says is the head."""

SPREAD_FLOOR = 0.02
"""Added to the standard deviation of coefficients: what hardly moves must not be blown up."""


@dataclass(frozen=True)
class LiteConfig:
    """Sizes of the network."""

    size: int = 256
    """Side of the square, px; a multiple of 16."""
    width: int = 24
    """Channels at half the size; 1.5, 2 and 3 times as many at 1/4, 1/8 and 1/16."""
    latent: int = 64
    """Width of the motion latent."""
    mixtures: int = 16
    """Weights that motion gives a memory's maps."""
    face: int = 16
    """Channels of the features that move with the face."""
    room: int = 8
    """Channels of the features that rest in the square."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 16:
            raise InputError(f"lite size is {self.size}; expected a multiple of 16 from 32")
        for name in ("width", "latent", "mixtures", "face", "room"):
            if getattr(self, name) < 2:
                raise InputError(f"lite {name} is {getattr(self, name)}; expected 2 or more")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at 1/2, 1/4, 1/8 and 1/16 of the size."""
        return self.width, self.width * 3 // 2, self.width * 2, self.width * 3


@dataclass(frozen=True)
class LiteRendering:
    """What the network gives, at the square's size: ``flow`` [B, 2, S/2, S/2] (x y, half sides),
    ``mask`` [B, 1, S, S] (1 person, 0 room), ``residual`` and ``room`` [B, 3, S, S]; ``moved``,
    ``warped`` (the start after the first, after both flows) and ``picture`` [B, 3, S, S]."""

    flow: Tensor
    mask: Tensor
    residual: Tensor
    room: Tensor
    moved: Tensor
    warped: Tensor
    picture: Tensor


class Maps(nn.Module):
    """Feature maps and a flow that motion mixes: resting ones, and one for each mixture."""

    def __init__(self, channels: int, side: int, mixtures: int, flows: int) -> None:
        """``flows``: so many of the mixtures, the first ones, have a flow."""
        super().__init__()
        self.rest = nn.Parameter(0.1 * torch.randn(channels, side, side))
        self.moved = nn.Parameter(torch.zeros(mixtures, channels, side // 2, side // 2))
        self.flows = nn.Parameter(torch.zeros(flows, 2, side // 4, side // 4))

    def forward(self, weights: Tensor) -> Tensor:
        """Weights [B, K] to [B, C + 2, side, side]; the last two are the flow."""
        moved = torch.einsum("bk,kchw->bchw", weights, self.moved)
        flows = torch.einsum("bk,kchw->bchw", weights[:, : len(self.flows)], self.flows)
        features = F.interpolate(moved, scale_factor=2, mode="bilinear") + self.rest
        return torch.cat([features, F.interpolate(flows, scale_factor=4, mode="bicubic")], 1)


class Memory(nn.Module):
    """What is one person's own: the range of their motion, their features, their room."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        for name, value in (("mean", 0.0), ("std", 1.0), ("low", -10.0), ("high", 10.0)):
            self.register_buffer(name, torch.full((COEFFICIENTS,), value))
        half = config.size // MAP_STRIDE
        self.face_weights = nn.Linear(MOTION_DIM, config.mixtures)
        self.room_weights = nn.Linear(COEFFICIENTS, config.mixtures)
        mixtures = config.mixtures + 1
        self.face = Maps(config.face, half, mixtures, flows=1)
        self.around = Maps(config.room, half, mixtures, flows=mixtures)
        self.room = nn.Parameter(torch.zeros(3, config.size, config.size))

    def fit(self, coefficients: Tensor, room: Tensor) -> None:
        """Take the statistics of ``coefficients`` [N, 59] and a first ``room`` [3, S, S], -1..1."""
        self.mean.copy_(coefficients.mean(0))
        self.std.copy_(coefficients.std(0) + SPREAD_FLOOR)
        self.low.copy_(coefficients.amin(0))
        self.high.copy_(coefficients.amax(0))
        with torch.no_grad():
            self.room.copy_(room)

    def standardised(self, coefficients: Tensor) -> Tensor:
        """``coefficients`` [..., 59] within the range that was seen, about zero."""
        return (coefficients.clamp(self.low, self.high) - self.mean) / self.std

    def maps(
        self, now: Tensor, place: Tensor, frame: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features [B, C, h, w] of face and room, and the flow [B, 2, h, w], for standardised
        coefficients ``now`` [B, 59], the start's map ``place`` [B, h, w, 3] and ``frame`` as
        :meth:`LiteNet.forward` takes it."""
        face = self.face(_and_one(self.face_weights(now[:, :MOTION_DIM])))
        face = F.grid_sample(face, place[..., :2], align_corners=False, padding_mode="border")
        head = place[..., 2].unsqueeze(1)
        around = (1 - head) * framed(self.around(_and_one(self.room_weights(now))), frame)
        flow = WARP_REACH * (head * face[:, -2:] + around[:, -2:])
        return face[:, :-2], around[:, :-2], flow


def _and_one(weights: Tensor) -> Tensor:
    """``weights`` [B, K] behind a one [B, 1 + K]: that of the resting map."""
    return F.pad(weights, (1, 0), value=1.0)


class Mapping(nn.Module):
    """A window of standardised motion [B, T, 56] to a latent [B, D]. Where the head is changes
    nothing about how it looks."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.now = nn.Linear(MOTION_DIM, latent)
        self.around = nn.Conv1d(MOTION_DIM, latent // 2, 7, stride=5)
        self.mix = nn.Linear(latent + latent // 2 * ((WINDOW - 7) // 5 + 1), latent)

    def forward(self, window: Tensor) -> Tensor:
        """[B, T, 56] to [B, D]."""
        now = self.now(window[:, WINDOW // 2])
        around = self.around(window.transpose(1, 2)).flatten(1)
        return self.mix(F.leaky_relu(torch.cat([now, around], 1), 0.1))


class Block(nn.Module):
    """Two convolutions added to their input; the latent scales and shifts what is between them."""

    def __init__(self, inputs: int, outputs: int, latent: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(latent, 2 * outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """``features`` [B, C, h, w], ``latent`` [B, D]."""
        gain, bias = self.modulate(latent)[..., None, None].chunk(2, 1)
        inner = F.leaky_relu(self.first(features) * (1 + gain) + bias, 0.1)
        return self.skip(features) + self.second(inner)


class LiteNet(nn.Module):
    """See the module's docstring."""

    def __init__(self, config: LiteConfig, people: list[str]) -> None:
        """``people``: names, each of whom gets a memory."""
        super().__init__()
        self.config = config
        widths, latent = config.widths, config.latent
        self.people = nn.ModuleDict({name: Memory(config) for name in people})
        self.mapping = Mapping(latent)
        inputs = 3 * 4 + 3 + config.face + config.room
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in pairwise(widths):
            self.down.append(Block(fine, fine, latent))
            self.shrink.append(nn.Conv2d(fine, coarse, 4, stride=2, padding=1))
        self.middle = Block(widths[-1], widths[-1], latent)
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.narrow.append(nn.Conv2d(coarse, fine, 1))
            self.up.append(Block(2 * fine, fine, latent))
        self.flow = nn.Conv2d(widths[1], 2, 3, padding=1)
        self.colour = nn.Conv2d(widths[0], 16, 3, padding=1)
        for parameter in self.flow.parameters():
            nn.init.zeros_(parameter)
        nn.init.normal_(self.colour.weight, std=0.01)
        for layer in self.modules():  # a CPU is faster with channels last
            if isinstance(layer, nn.Conv2d):
                weight = layer.weight.data.contiguous(memory_format=torch.channels_last)
                layer.weight = nn.Parameter(weight)

    def memory(self, person: str) -> Memory:
        """One person's memory."""
        memory = self.people[person]
        assert isinstance(memory, Memory)
        return memory

    def forward(
        self,
        person: str,
        start: Tensor,
        place: Tensor,
        window: Tensor,
        frame: Tensor | None = None,
    ) -> LiteRendering:
        """``start`` [B, 3, S, S], -1..1, and ``place`` [B, S/2, S/2, 3], a start's picture and map;
        ``window`` [B, T, 59]; ``frame`` [B, 2, 3]: where in the person's square each place of the
        picture is (affine, half sides), the same place when None."""
        memory = self.memory(person)
        window = memory.standardised(window)
        latent = self.mapping(window[..., :MOTION_DIM])
        face, around, first = memory.maps(window[:, WINDOW // 2], place, frame)
        moved = warp(start, first)
        seen = [F.pixel_unshuffle(moved, 2), place.permute(0, 3, 1, 2), face, around]
        features = self.stem(torch.cat(seen, 1).contiguous(memory_format=torch.channels_last))
        passed = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            features = block(features, latent)
            passed.append(features)
            features = shrink(F.leaky_relu(features, 0.1))
        features = self.middle(features, latent)
        flow = first
        for narrow, block in zip(self.narrow, self.up, strict=True):
            features = F.interpolate(narrow(features), scale_factor=2, mode="nearest")
            features = block(torch.cat([features, passed.pop()], 1), latent)
            if len(passed) == 1:  # at a quarter of the size: finer flows tear
                second = torch.tanh(self.flow(F.leaky_relu(features, 0.1)))
                flow = first + EDIT_REACH * F.interpolate(second, scale_factor=2, mode="bilinear")
        painted = F.pixel_shuffle(self.colour(F.leaky_relu(features, 0.1)), 2)
        head = F.interpolate(place[..., 2].unsqueeze(1), scale_factor=2, mode="bilinear")
        residual, mask = painted[:, :3], torch.sigmoid(painted[:, 3:] + 2 + HEADNESS * head)
        room = framed(memory.room.expand(len(start), -1, -1, -1), frame)
        warped = warp(start, flow)
        picture = mask * (warped + residual) + (1 - mask) * room
        return LiteRendering(flow, mask, residual, room, moved, warped, picture)


def framed(maps: Tensor, frame: Tensor | None) -> Tensor:
    """``maps`` [B, C, H, W] as a camera sees them that looks at ``frame`` [B, 2, 3]."""
    if frame is None:
        return maps
    grid = F.affine_grid(frame, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False, padding_mode="border")


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """``picture`` [B, 3, H, W] looked up ``flow`` [B, 2, h, w] (x y, half sides) further on."""
    batch, _, height, width = picture.shape
    smooth = F.interpolate(flow, (height, width), mode="bilinear")
    identity = torch.eye(2, 3, device=picture.device).expand(batch, 2, 3)
    grid = F.affine_grid(identity, [batch, 1, height, width], align_corners=False)
    return F.grid_sample(
        picture, grid + smooth.permute(0, 2, 3, 1), align_corners=False, padding_mode="border"
    )
