"""How a model hears: the audio features of a step, made one vector of it.

The paper projects them. Features that come in several rows a frame (``mel4``) may go through
convolutions over these rows first: a lip closure is as long as a few of them and sounds the same
wherever in a step it falls, which a projection of the whole step has to learn for each place.

Axes: B batch, T frames, N steps, R rows of a step, A audio features, D features.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.audio import MEL_DIM
from dimcli.models.config import RunConfig


def hearing(config: RunConfig, width: int) -> nn.Module:
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
        """Audio [B, T, A] -> [B, N, D]; frames outside ``mask`` bool [B, T] are not heard."""
        steps = (audio * mask[..., None]).flatten(1).unflatten(1, (-1, self.row)).mT
        for convolution in self.convolutions:
            steps = F.gelu(convolution(F.pad(steps, self.padding)))
        rows = self.project.in_features // steps.shape[1]
        return self.project(steps.mT.unflatten(1, (-1, rows)).flatten(2))
