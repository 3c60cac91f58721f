"""A transformer layer that reads two sequences: its own and another one.

Axes: B batch, N steps, M steps of the other sequence, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Memory:
    """Keys and values [B, heads, N, D / heads] of the steps so far, and of the other sequence."""

    key: Tensor
    value: Tensor
    other_key: Tensor
    other_value: Tensor


class CrossBlock(nn.Module):
    """Pre-norm self-attention, attention to another sequence, and feed-forward."""

    def __init__(self, width: int, *, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.own_norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, 3 * width)
        self.own_out = nn.Linear(width, width)
        self.query_norm = nn.LayerNorm(width)
        self.other_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, other: Tensor, own_mask: Tensor, mask: Tensor) -> Tensor:
        """One layer over ``features`` [B, N, D] that also reads ``other`` [B, M, D].

        ``own_mask`` bool [B, 1, N, N] and ``mask`` bool [B, 1, N, M] say which step reads which.
        """
        query, key, value = self._split(self.own(self.own_norm(features)), 3)
        features = self._own(features, query, key, value, own_mask)
        other_key, other_value = self._split(self.key_value(self.other_norm(other)), 2)
        return self._rest(features, other_key, other_value, mask)

    def remember(self, other: Tensor) -> Memory:
        """What :meth:`step` needs of the sequence ``other`` [B, M, D]."""
        other_key, other_value = self._split(self.key_value(self.other_norm(other)), 2)
        nothing = other_key[:, :, :0]
        return Memory(nothing, nothing, other_key, other_value)

    def step(self, feature: Tensor, memory: Memory) -> Tensor:
        """The next step's ``feature`` [B, 1, D] through the layer under causal masks: it reads the
        steps that ``memory`` has seen, and the other sequence up to the same step. It is then in
        ``memory`` too."""
        query, key, value = self._split(self.own(self.own_norm(feature)), 3)
        memory.key = torch.cat([memory.key, key], dim=2)
        memory.value = torch.cat([memory.value, value], dim=2)
        feature = self._own(feature, query, memory.key, memory.value, None)
        so_far = slice(memory.key.shape[2])
        other_key, other_value = memory.other_key[:, :, so_far], memory.other_value[:, :, so_far]
        return self._rest(feature, other_key, other_value, None)

    def _own(
        self, features: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
    ) -> Tensor:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return features + self.dropout(self.own_out(mixed.transpose(1, 2).flatten(2)))

    def _rest(
        self, features: Tensor, other_key: Tensor, other_value: Tensor, mask: Tensor | None
    ) -> Tensor:
        (query,) = self._split(self.query(self.query_norm(features)), 1)
        mixed = F.scaled_dot_product_attention(query, other_key, other_value, attn_mask=mask)
        features = features + self.dropout(self.cross_out(mixed.transpose(1, 2).flatten(2)))
        return features + self.dropout(self.feedforward(self.feedforward_norm(features)))

    def _split(self, parts: Tensor, count: int) -> tuple[Tensor, ...]:
        """[B, N, count * D] -> ``count`` of [B, heads, N, D / heads]."""
        split = parts.unflatten(-1, (count, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split.unbind()
