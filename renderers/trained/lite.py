"""The ``lite`` network: from a zero-shot portrait to the person, in a few milliseconds on a CPU.

The portrait renderer's mesh has done the motion (:mod:`renderers.trained.start`); what is left
is what one picture cannot know. As in PIRenderer (Ren et al., ICCV 2021) a first stage warps and a
second one edits:

1. *Warp.* A person's :class:`Memory` has a flow fixed to the face, what the mesh always gets wrong
   about this head; one fixed to the skull for each of pitch and yaw, as the mesh can only guess how
   far hair and ears are from the axis; and flows fixed to the square that the head's pose mixes:
   how shoulders go along. All are linear in the pose: they must go on sensibly in poses that the
   clip did not show.
2. *Edit.* A U-Net looks at the warped start and at the memory's learned features: teeth, lids and
   wrinkles on the head, and the room where no head is (a head that moves on must not take it
   along). It refines the flow, adds a residual colour, and says where the background shows, which
   the memory keeps whole.

Unlike PIRenderer's, no stage is conditioned on the motion but on the pose, and on the face not even
on that: it does what the start shows. A network conditioned on the motion learns from a few seconds
which brows went with which nod; of a listener's small nods it kept half.

Several people share the U-Net; each has a memory. Legend: B batch, T frames of a window, S
side of the square (256), K mixtures, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.config import Range, Section
from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, MOTION_DIM
from renderers.heads.contours import EYES, FACE_OVAL, OUTER_LIP_LOWER, OUTER_LIP_UPPER
from renderers.trained.start import MAP_STRIDE

WARP_REACH, EDIT_REACH = 0.1, 0.15
"""Scale of the two flows, in half sides of the square; the second one is bounded by it."""

HEADNESS = 4.0
"""How sure it is, in logits, that no room shows through what the mesh says is the head."""

SPREAD_FLOOR = 0.02
"""Added to the standard deviation of poses: what hardly moves must not be blown up."""

TURN = 0.2
"""Radians of pitch or yaw that the skull's flow is told for. A head that hardly turns tells nothing
about its skull, and must not learn from the tracker's noise."""

SKULL = 1.25
"""The skull begins where the face's oval ends when it is made larger by so much."""

POSE_DIM = 6
"""The head's rotation, then its place as the coefficients have it."""


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
class LiteConfig(Section, section="lite"):
    """Sizes of the network."""

    size: Annotated[int, Range(32, 65_536)] = 256
    """Side of the square, px; a multiple of 16."""
    width: Annotated[int, Range(2, 16_384)] = 24
    """Channels at half the size; 1.5, 2 and 3 times as many at 1/4, 1/8 and 1/16."""
    mixtures: Annotated[int, Range(2, 65_536)] = 16
    """Weights that the pose gives the maps of a memory's room."""
    face: Annotated[int, Range(2, 4096)] = 16
    """Channels of the features that move with the face."""
    room: Annotated[int, Range(2, 4096)] = 8
    """Channels of the features that rest in the square."""
    residual: Annotated[float, Range(0.05, 2)] = 0.6
    """Most that may be painted over the head, of a picture's -1 to 1: it adds what a warp cannot
    make (teeth, shading) and must not repaint a face."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 16:
            raise InputError(f"lite.size is {self.size}; expected a multiple of 16")

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


def pose_of(window: Tensor) -> Tensor:
    """Coefficients [B, T, 59] to the pose [B, 6] at the middle of the window."""
    now = window[:, window.shape[1] // 2]
    return torch.cat([now[:, HEAD], now[:, MOTION_DIM:]], 1)


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


class Maps(nn.Module):
    """Feature maps and flows that weights mix: resting ones, and one for each of K mixtures."""

    def __init__(self, channels: int, side: int, mixtures: int) -> None:
        super().__init__()
        self.rest = nn.Parameter(0.1 * torch.randn(channels, side, side))
        self.rest_flow = nn.Parameter(torch.zeros(2, side // 4, side // 4))
        self.moved = nn.Parameter(torch.zeros(mixtures, channels, side // 2, side // 2))
        self.moved_flow = nn.Parameter(torch.zeros(mixtures, 2, side // 4, side // 4))

    def forward(self, weights: Tensor) -> Tensor:
        """Weights [B, K] to [B, C + 2, side, side]; the last two are the flow."""
        moved = torch.einsum("bk,kchw->bchw", weights, self.moved)
        features = F.interpolate(moved, scale_factor=2, mode="bilinear") + self.rest
        flow = torch.einsum("bk,kchw->bchw", weights, self.moved_flow) + self.rest_flow
        return torch.cat([features, F.interpolate(flow, scale_factor=4, mode="bicubic")], 1)


class Memory(nn.Module):
    """What is one person's own: the range of their poses, their features, their room."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    skull: Tensor

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        for name, value in (("mean", 0.0), ("std", 1.0), ("low", -10.0), ("high", 10.0)):
            self.register_buffer(name, torch.full((POSE_DIM,), value))
        half = config.size // MAP_STRIDE
        self.weights = nn.Linear(POSE_DIM, config.mixtures)
        self.face = nn.Parameter(0.1 * torch.randn(config.face, half, half))
        self.face_flow = nn.Parameter(torch.zeros(2, half // 4, half // 4))
        self.skull_flow = nn.Parameter(torch.zeros(2, 2, half // 4, half // 4))
        self.register_buffer("skull", torch.zeros(1, 1, half, half))
        self.around = Maps(config.room, half, config.mixtures)
        self.room = nn.Parameter(torch.zeros(3, config.size, config.size))

    def fit(self, poses: Tensor, room: Tensor, landmarks: Tensor) -> None:
        """Take the statistics of ``poses`` [N, 6], a first ``room`` [3, S, S], -1..1, and from the
        ``landmarks`` [478, 3] px of the home picture where the face is."""
        self.mean.copy_(poses.mean(0))
        self.std.copy_(poses.std(0) + SPREAD_FLOOR)
        self.low.copy_(poses.amin(0))
        self.high.copy_(poses.amax(0))
        with torch.no_grad():
            self.room.copy_(room)
        side, face = self.skull.shape[-1], RegionConfig(face=1.0, mouth=0.0, eyes=0.0)
        middle = landmarks.mean(0)
        larger = (middle + SKULL * (landmarks - middle)) / MAP_STRIDE
        self.skull.copy_(2 - region_weights(larger[None], (side, side), face))

    def maps(
        self, pose: Tensor, place: Tensor, frame: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features [B, C, h, w] of face and room, and the flow [B, 2, h, w], for a ``pose`` [B, 6],
        taken within the range that was seen, the start's map ``place`` [B, h, w, 3] and ``frame``
        as :meth:`LiteNet.forward` takes it."""
        pose = pose.clamp(self.low, self.high) - self.mean
        turned = torch.einsum("bk,kchw->bchw", pose[:, :2] / TURN, self.skull_flow)
        turned = self.skull * F.interpolate(turned, scale_factor=4, mode="bicubic")
        flow = turned + F.interpolate(self.face_flow[None], scale_factor=4, mode="bicubic")
        face = torch.cat([self.face.expand(len(place), -1, -1, -1), flow], 1)
        face = F.grid_sample(face, place[..., :2], align_corners=False, padding_mode="border")
        head = place[..., 2].unsqueeze(1)
        around = (1 - head) * framed(self.around(self.weights(pose / self.std)), frame)
        flow = WARP_REACH * (head * face[:, -2:] + around[:, -2:])
        return face[:, :-2], around[:, :-2], flow


class Block(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        return self.skip(features) + self.second(F.leaky_relu(self.first(features), 0.1))


class LiteNet(nn.Module):
    """See the module's docstring."""

    def __init__(self, config: LiteConfig, people: list[str]) -> None:
        """``people``: names, each of whom gets a memory."""
        super().__init__()
        self.config = config
        widths = config.widths
        self.people = nn.ModuleDict({name: Memory(config) for name in people})
        inputs = 3 * 4 + 3 + config.face + config.room
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in pairwise(widths):
            self.down.append(Block(fine, fine))
            self.shrink.append(nn.Conv2d(fine, coarse, 4, stride=2, padding=1))
        self.middle = Block(widths[-1], widths[-1])
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.narrow.append(nn.Conv2d(coarse, fine, 1))
            self.up.append(Block(2 * fine, fine))
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
        pose: Tensor,
        frame: Tensor | None = None,
    ) -> LiteRendering:
        """``start`` [B, 3, S, S], -1..1, and ``place`` [B, S/2, S/2, 3], a start's picture and map;
        ``pose`` [B, 6]; ``frame`` [B, 2, 3]: where in the person's square each place of the picture
        is (affine, half sides), the same place when None."""
        memory = self.memory(person)
        face, around, first = memory.maps(pose, place, frame)
        moved = warp(start, first)
        seen = [F.pixel_unshuffle(moved, 2), place.permute(0, 3, 1, 2), face, around]
        features = self.stem(torch.cat(seen, 1).contiguous(memory_format=torch.channels_last))
        passed = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            features = block(features)
            passed.append(features)
            features = shrink(F.leaky_relu(features, 0.1))
        features = self.middle(features)
        flow = first
        for narrow, block in zip(self.narrow, self.up, strict=True):
            features = F.interpolate(narrow(features), scale_factor=2, mode="nearest")
            features = block(torch.cat([features, passed.pop()], 1))
            if len(passed) == 1:  # at a quarter of the size: finer flows tear
                second = torch.tanh(self.flow(F.leaky_relu(features, 0.1)))
                flow = first + EDIT_REACH * F.interpolate(second, scale_factor=2, mode="bilinear")
        painted = F.pixel_shuffle(self.colour(F.leaky_relu(features, 0.1)), 2)
        head = F.interpolate(place[..., 2].unsqueeze(1), scale_factor=2, mode="bilinear")
        bound = self.config.residual
        bounded = bound * torch.tanh(painted[:, :3] / bound)
        residual = head * bounded + (1 - head) * painted[:, :3]
        mask = torch.sigmoid(painted[:, 3:] + 2 + HEADNESS * head)
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
