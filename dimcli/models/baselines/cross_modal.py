"""A transformer layer that reads two sequences: its own and another one.

Axes: B batch, N steps, M steps of the other sequence, D features.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


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
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=own_mask)
        features = features + self.dropout(self.own_out(mixed.transpose(1, 2).flatten(2)))
        (query,) = self._split(self.query(self.query_norm(features)), 1)
        key, value = self._split(self.key_value(self.other_norm(other)), 2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        features = features + self.dropout(self.cross_out(mixed.transpose(1, 2).flatten(2)))
        return features + self.dropout(self.feedforward(self.feedforward_norm(features)))

    def _split(self, parts: Tensor, count: int) -> tuple[Tensor, ...]:
        """[B, N, count * D] -> ``count`` of [B, heads, N, D / heads]."""
        split = parts.unflatten(-1, (count, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split.unbind()
