"""PIRenderer's three networks (Ren et al., ICCV 2021): motion to a latent, latent to a flow that
warps the source picture, and an editor that repairs what the warp can't know.

Preset ``paper`` has the published sizes, and the published order of layers, at 256 px. Weights as
published are read by :mod:`renderers.trained.pirenderer.published`. Coefficients here are motion 56
and the head's place 3.

Legend: B batch, T frames, W frames of the window, K coefficients, D latent, C channels, H W
picture, h w feature map or flow grid. Pictures are RGB in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.config import Layers, Range, Section
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM

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


NUM_PLACE = 3
"""Coefficients after the motion: log of the head's scale, its place right and down (shares of the
picture), against the source's."""

INITIAL_STD = 0.02
"""Of the weights at the start (published: normal), and, far smaller, of the flow's last layer, so
that the first warp is the source itself rather than noise."""
INITIAL_FLOW_STD = 1e-4


Size = Annotated[int, Range(1, 16_384)]


@dataclass(frozen=True)
class PIRendererConfig(Section, section="paper"):
    """Sizes of the three networks; the defaults are the published ones."""

    coefficients: Size = MOTION_DIM + NUM_PLACE
    """Numbers that drive a frame: motion 56 (either space), then the head's place 3."""
    adapter: Annotated[int, Range(0, 16_384)] = 0
    """Coefficients of published weights to start from (73), which a first layer makes out of ours;
    0 for none."""
    window: Size = 27
    """Frames of motion about the one that is drawn, odd."""
    latent: Size = 256
    """Width of the latent."""
    mapping_layers: Layers = 3
    """Dilated convolutions over time; each shortens the window by 6 frames."""
    warp_width: Size = 32
    """Channels of the warping network at full size; doubled at each halving."""
    warp_down: Layers = 5
    """Halvings of the warping network."""
    warp_up: Layers = 3
    """Doublings after them; the flow grid is the picture halved ``warp_down - warp_up`` times."""
    edit_width: Size = 64
    """Channels of the editing network at full size; doubled at each halving."""
    edit_layers: Annotated[int, Range(1, 64)] = 3
    """Halvings of the editing network."""
    edit_blocks: Layers = 2
    """Modulated residual blocks at each of its sizes."""
    widest: Size = 256
    """Most channels anywhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        shortest = 7 + 6 * self.mapping_layers
        if self.window % 2 == 0 or self.window < shortest:
            raise InputError(
                f"renderer window is {self.window}; expected an odd number from {shortest}, as "
                f"mapping_layers is {self.mapping_layers}"
            )
        if not 1 <= self.warp_up <= self.warp_down:
            raise InputError(
                f"renderer warp_up is {self.warp_up}; expected 1 to warp_down ({self.warp_down})"
            )

    def width(self, base: int, halvings: int) -> int:
        """Channels of a network that starts with ``base``, after so many halvings."""
        return min(base * 2**halvings, self.widest)


PRESETS = {
    "paper": PIRendererConfig(),
    "tiny": PIRendererConfig(
        window=13, latent=16, mapping_layers=1, warp_width=8, warp_down=3, warp_up=2, edit_width=8,
        edit_layers=2, edit_blocks=1, widest=16,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Rendering:
    """What the networks give: ``flow`` [B, 2, h, w] (x, y, in samples of its own grid), ``warped``
    and ``picture`` [B, 3, H, W]; ``picture`` is None where the editor was not asked.
    """

    flow: Tensor
    warped: Tensor
    picture: Tensor | None = None


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """``picture`` [B, 3, H, W] sampled where ``flow`` [B, 2, h, w] points, grey beyond its border.

    The published convention: the grid runs from -1 to 1 over the samples' centres and is enlarged
    bilinearly, yet -1 and 1 are the picture's outer edges when it is sampled.
    """
    height, width = flow.shape[-2:]
    x = torch.linspace(-1, 1, width, device=flow.device, dtype=flow.dtype)
    y = torch.linspace(-1, 1, height, device=flow.device, dtype=flow.dtype)
    grid = torch.stack(
        [x + flow[:, 0] * (2 / (width - 1)), y[:, None] + flow[:, 1] * (2 / (height - 1))], 1
    )
    if grid.shape[-2:] != picture.shape[-2:]:
        size = picture.shape[-2:]
        grid = F.interpolate(grid, size=size, mode="bilinear", align_corners=False)
    return F.grid_sample(picture, grid.permute(0, 2, 3, 1), align_corners=False)


class MappingNetwork(nn.Module):
    """A window of coefficients to a latent: convolutions over time, then their mean."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        known = config.adapter or config.coefficients
        self.adapter = nn.Conv1d(config.coefficients, known, 1) if config.adapter else None
        self.first = nn.Conv1d(known, config.latent, 7)
        self.layers = nn.ModuleList(
            nn.Conv1d(config.latent, config.latent, 3, dilation=3)
            for _ in range(config.mapping_layers)
        )

    def forward(self, windows: Tensor) -> Tensor:
        """``windows`` [B, K, W] to latents [B, D]."""
        if self.adapter is not None:
            windows = self.adapter(windows)
        hidden = self.first(windows)
        for layer in self.layers:
            hidden = layer(activate(hidden)) + hidden[..., 3:-3]
        return hidden.mean(2)


class WarpingNetwork(nn.Module):
    """A source picture and a latent to a flow: an hourglass, every layer modulated."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        widths = [config.width(config.warp_width, size) for size in range(config.warp_down + 1)]
        self.first = nn.Conv2d(3, config.warp_width, 7, padding=3)
        self.down = nn.ModuleList(
            AdaptiveDown(widths[size], widths[size + 1], config.latent)
            for size in range(config.warp_down)
        )
        self.up = nn.ModuleList()
        channels = widths[-1]
        for size in reversed(range(config.warp_down - config.warp_up, config.warp_down)):
            self.up.append(AdaptiveUp(channels, widths[size], config.latent))
            channels = 2 * widths[size]  # the encoder's features of that size come beside
        self.norm = layer_norm(channels)
        self.flow = nn.Conv2d(channels, 2, 7, padding=3)

    def forward(self, source: Tensor, latent: Tensor) -> Tensor:
        """``source`` [B, 3, H, W] and ``latent`` [B, D] to a flow [B, 2, h, w]."""
        features = self.first(source)
        passed = []
        for layer in self.down:
            passed.append(features)
            features = layer(features, latent)
        for layer in self.up:
            features = torch.cat([layer(features, latent), passed.pop()], 1)
        return self.flow(activate(self.norm(features)))


class EditingNetwork(nn.Module):
    """Source and warped picture to the final one: a U-Net whose decoder is modulated."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        widths = [config.width(config.edit_width, size) for size in range(config.edit_layers + 1)]
        sizes = range(config.edit_layers)
        self.first = Convolution(6, widths[0], 7)
        self.down = nn.ModuleList(Convolution(widths[size], widths[size + 1]) for size in sizes)
        self.residual = nn.ModuleList(
            AdaptiveResiduals(widths[size + 1], config.latent, config.edit_blocks) for size in sizes
        )
        self.up = nn.ModuleList(Convolution(widths[size + 1], widths[size]) for size in sizes)
        self.jump = nn.ModuleList(Convolution(widths[size], widths[size]) for size in sizes)
        self.final = nn.Conv2d(widths[0], 3, 7, padding=3)

    def forward(self, source: Tensor, warped: Tensor, latent: Tensor) -> Tensor:
        """``source`` and ``warped`` [B, 3, H, W], ``latent`` [B, D]; a picture [B, 3, H, W]."""
        features = self.first(torch.cat([source, warped], 1))
        passed = []
        for layer in self.down:
            passed.append(features)
            features = F.avg_pool2d(layer(features), 2)
        for size in reversed(range(len(self.down))):
            features = self.residual[size](features, latent)
            features = self.up[size](F.interpolate(features, scale_factor=2))
            features = features + self.jump[size](passed.pop())
        return torch.tanh(self.final(features))


class PIRenderer(nn.Module):
    """The three networks in a row. Pictures: height and width that halve ``warp_down`` and
    ``edit_layers`` times without a remainder."""

    def __init__(self, config: PIRendererConfig, seed: int = 0) -> None:
        """``seed`` fixes the weights at the start."""
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.warping = WarpingNetwork(config)
        self.editing = EditingNetwork(config)
        generator = torch.Generator().manual_seed(seed)
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, std=INITIAL_STD, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.normal_(self.warping.flow.weight, std=INITIAL_FLOW_STD, generator=generator)

    def forward(self, source: Tensor, windows: Tensor, *, edit: bool = True) -> Rendering:
        """``source`` [B, 3, H, W] as the motion ``windows`` [B, K, W] says.

        ``edit`` false stops at the warped picture, as PIRenderer's first stage of training does.
        Raises ValueError where the windows don't fit the configuration.
        """
        expected = (self.config.coefficients, self.config.window)
        if windows.shape[1:] != expected:
            raise ValueError(
                f"windows have shape {tuple(windows.shape)}; expected [B, {expected[0]}, "
                f"{expected[1]}]"
            )
        latent = self.mapping(windows)
        flow = self.warping(source, latent)
        warped = warp(source, flow)
        picture = self.editing(source, warped, latent) if edit else None
        return Rendering(flow, warped, picture)
