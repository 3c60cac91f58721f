"""Transformer parts that every model here is made of.

Axes: B batch, N steps, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dimcli.audio import MEL_DIM
from dimcli.core.device import large_products
from dimcli.models.dim.config import DIMRun

Made = TypeVar("Made")
LARGE = 2**21
"""Multiplications from which a product is large."""


def sinusoidal_positions(steps: int, width: int, like: Tensor) -> Tensor:
    """Sinusoidal positions over time, [steps, width], on ``like``'s device; float32 at least, so
    that what they are added to stays so under autocast."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return _kept(_positions)(steps, width, like.device, dtype)


def attention_mask(visible: Tensor, causal: bool = False) -> Tensor:
    """Which step may read which, bool [B, 1, N, N], from ``visible`` bool [B, N].

    A step always reads itself: a step that nothing may read (masked, or padding) then has finite
    features, which the caller throws away.
    """
    itself, past = _kept(_order)(visible.shape[1], visible.device)
    allowed = visible[:, None, :] | itself
    if causal:
        allowed = allowed & past
    return allowed[:, None]


def _positions(steps: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    position = torch.arange(steps, device=device, dtype=torch.float32)[:, None]
    frequency = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    angle = position * torch.exp(frequency * (-math.log(10000.0) / width))
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    return table[:, :width].to(dtype)


def _order(steps: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Whether a step is another one, and whether it is that or before it: bool [N, N] each."""
    step = torch.arange(steps, device=device)
    distance = step[:, None] - step[None, :]
    return distance == 0, distance >= 0


_KEPT: dict[Callable[..., Any], Callable[..., Any]] = {
    make: lru_cache(maxsize=64)(make) for make in (_positions, _order)
}


def _kept(make: Callable[..., Made]) -> Callable[..., Made]:
    """``make``, which in a stream is asked for the same few tables at every step; those of
    inference are of no use to training."""
    return _KEPT[make] if torch.is_inference_mode_enabled() else make


class Linear(nn.Linear):
    """torch's, whose large products on a CPU are faster in inference (:func:`large_products`)."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [..., D] -> [..., D']."""
        if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
            return super().forward(features)
        if features.numel() * self.out_features < LARGE:
            return super().forward(features)
        with large_products(features.device):
            return super().forward(features)


class LocalMixing(nn.Module):
    """Depthwise convolution over steps: neighbours by their distance, whatever their position."""

    def __init__(self, width: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.padding = (kernel - 1, 0) if causal else (kernel // 2, (kernel - 1) // 2)
        self.convolution = nn.Conv1d(width, width, kernel, groups=width)

    def forward(self, features: Tensor) -> Tensor:
        """Mix ``features`` [B, N, D] over N."""
        return self.over(F.pad(features, (0, 0, *self.padding)), features.shape[1])

    def over(self, padded: Tensor, steps: int) -> Tensor:
        """Mix ``padded`` [B, N + K - 1, D], where K is the kernel, into N ``steps``."""
        # A sum of shifted copies: several times faster than the library's depthwise convolution.
        mixed = cast(Tensor, self.convolution.bias)
        for shift, weight in enumerate(self.convolution.weight[:, 0].unbind(dim=1)):
            mixed = torch.addcmul(mixed, padded[:, shift : shift + steps], weight)
        return mixed


def causal_kernel(weight: Tensor) -> Tensor:
    """The kernel [..., K] of a convolution that reads both sides, for one that reads only the past.

    Taps keep their distance in time; those on later steps go, and earlier ones than there were are
    zero. So a model that was trained with both sides goes on from there under causal masks.
    """
    kept = weight.shape[-1] // 2 + 1
    return F.pad(weight[..., :kept], (weight.shape[-1] - kept, 0))


@dataclass
class BlockMemory:
    """What a causal layer keeps of the steps before: ``keys`` and ``values`` [B, heads, N, D /
    heads], and the ``rows`` [B, K - 1, D] that its convolution of kernel K still reads."""

    keys: Tensor
    values: Tensor
    rows: Tensor


class Block(nn.Module):
    """A pre-norm transformer layer, with an optional local mixing before the attention."""

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        feedforward: int,
        dropout: float,
        local_kernel: int = 0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.local = LocalMixing(width, local_kernel, causal) if local_kernel else None
        self.local_norm = nn.LayerNorm(width) if local_kernel else None
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = Linear(width, 3 * width)
        self.attention_out = Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            Linear(width, feedforward), nn.GELU(), Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, mask: Tensor, visible: Tensor) -> Tensor:
        """One layer over ``features`` [B, N, D].

        ``mask`` bool [B, 1, N, N] says which step reads which; ``visible`` bool [B, N] which steps
        the convolution may read.
        """
        if self.local is not None and self.local_norm is not None:
            readable = self.local_norm(features) * visible[..., None]
            features = features + self.dropout(self.local(readable))
        query, key, value = self._attends(features)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._mixed_in(features, mixed)

    def _attends(self, features: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value [B, heads, N, D / heads] of ``features`` [B, N, D]."""
        parts = self.query_key_value(self.attention_norm(features))
        return parts.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _mixed_in(self, features: Tensor, mixed: Tensor) -> Tensor:
        features = features + self.dropout(self.attention_out(mixed.transpose(1, 2).flatten(2)))
        return features + self.dropout(self.feedforward(self.feedforward_norm(features)))

    def memory(self, like: Tensor, steps: int) -> BlockMemory:
        """Room for ``steps`` of features like [B, N, D]."""
        batch, _, width = like.shape
        size = batch, self.heads, steps, width // self.heads
        before = self.local.padding[0] if self.local is not None else 0
        rows = like.new_zeros(batch, before, width)
        return BlockMemory(like.new_zeros(size), like.new_zeros(size), rows)

    def step(self, features: Tensor, memory: BlockMemory, at: int) -> Tensor:
        """The layer's output [B, M, D] from step ``at`` on, from its input there and what
        ``memory`` has of the steps before: of one step, or of the first few (``at`` is 0)."""
        steps = features.shape[1]
        if self.local is not None and self.local_norm is not None:
            rows = torch.cat([memory.rows, self.local_norm(features)], dim=1)
            features = features + self.local.over(rows, steps)
            memory.rows = rows[:, steps:]
        query, key, value = self._attends(features)
        new, seen = slice(at, at + steps), slice(at + steps)
        memory.keys[:, :, new], memory.values[:, :, new] = key, value
        keys, values = memory.keys[:, :, seen], memory.values[:, :, seen]
        mixed = F.scaled_dot_product_attention(query, keys, values, is_causal=steps > 1)
        return self._mixed_in(features, mixed)


class Transformer(nn.Module):
    """A stack of blocks with a final norm. Positions are the caller's to add."""

    def __init__(
        self,
        width: int,
        *,
        layers: int,
        heads: int,
        feedforward: int,
        dropout: float = 0.0,
        local_kernel: int = 0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.checkpointing = False
        """Whether activations are computed again in the backward pass in place of being kept."""
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads=heads,
                feedforward=feedforward,
                dropout=dropout,
                local_kernel=local_kernel,
                causal=causal,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, visible: Tensor) -> Tensor:
        """Features [B, N, D] -> [B, N, D]; steps outside ``visible`` bool [B, N] are not read."""
        mask = attention_mask(visible, self.causal)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                features = checkpoint(block, features, mask, visible, use_reentrant=False)
            else:
                features = block(features, mask, visible)
        return self.norm(features)

    def of_visible(self, features: Tensor, visible: Tensor) -> Tensor:
        """What :meth:`forward` makes of the ``visible`` steps, without working on the others, whose
        result is zero. With convolutions, which ask how far apart steps are, all are worked on.
        """
        steps, most = visible.shape[1], max(1, int(visible.sum(dim=1).max()))
        if most == steps or any(cast(Block, block).local is not None for block in self.blocks):
            return self(features, visible)
        order = visible.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
        there = visible.gather(1, order)
        order = order[..., None].expand(-1, -1, features.shape[2])
        made = self(features.gather(1, order), there) * there[..., None]
        return torch.zeros_like(features).scatter(1, order, made)

    def memory(self, like: Tensor, steps: int) -> list[BlockMemory]:
        """Room for :meth:`step` to remember ``steps`` of features like [B, N, D]."""
        return [cast(Block, block).memory(like, steps) for block in self.blocks]

    def step(self, features: Tensor, memory: list[BlockMemory], at: int) -> Tensor:
        """Rows [B, M, D] from ``at`` on of :meth:`forward` of a causal stack, from those rows of
        its input: the first few (``at`` is 0), then one after the other."""
        for block, kept in zip(self.blocks, memory, strict=True):
            features = cast(Block, block).step(features, kept, at)
        return self.norm(features)


def audio_encoder(config: DIMRun, width: int) -> nn.Module:
    """What makes ``width`` features a step of audio [B, T, A] and its mask, bool [B, T]."""
    dim, stride, audio_dim = config.dim, config.vq.stride, config.data.audio_dim
    if not dim.audio_kernel:
        return StepProjection(audio_dim * stride, width)
    return RowConvolutions(
        audio_dim,
        stride,
        width,
        kernel=dim.audio_kernel,
        channels=dim.audio_channels,
        causal=dim.causal,
    )


class StepProjection(nn.Linear):
    """All features of a step projected at once (the paper)."""

    def forward(self, audio: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Audio [B, T, A] -> [B, N, D]; what is outside ``mask`` bool [B, T] stays in its step."""
        rows = self.in_features // audio.shape[2]
        return super().forward(audio.unflatten(1, (-1, rows)).flatten(2))


class RowConvolutions(nn.Module):
    """Three convolutions over time, the second of which takes every other row; then a projection.

    ``audio_dim`` features a frame, in rows of ``MEL_DIM`` where they are whole rows of it;
    ``stride`` frames a step; ``width`` of what comes out; ``kernel`` rows; ``channels`` within.
    """

    def __init__(
        self, audio_dim: int, stride: int, width: int, *, kernel: int, channels: int, causal: bool
    ) -> None:
        super().__init__()
        self.row = MEL_DIM if audio_dim % MEL_DIM == 0 else audio_dim
        self.rows = stride * audio_dim // self.row
        halves = 2 - self.rows % 2
        self.padding = (kernel - 1, 0) if causal else (kernel // 2, (kernel - 1) // 2)
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(self.row, channels, kernel),
                nn.Conv1d(channels, channels, kernel, stride=halves),
                nn.Conv1d(channels, channels, kernel),
            ]
        )
        self.project = nn.Linear(channels * self.rows // halves, width)

    def forward(self, audio: Tensor, mask: Tensor) -> Tensor:
        """Audio [B, T, A] -> [B, N, D]; frames outside ``mask`` bool [B, T] are not read."""
        steps = (audio * mask[..., None]).flatten(1).unflatten(1, (-1, self.row)).mT
        for convolution in self.convolutions:
            steps = F.gelu(convolution(F.pad(steps, self.padding)))
        rows = self.project.in_features // steps.shape[1]
        return self.project(steps.mT.unflatten(1, (-1, rows)).flatten(2))
