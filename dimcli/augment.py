"""What training does to a speaker so that real cameras, trackers and rooms are nothing new.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dimcli import distributed
from dimcli.config import ATTITUDES


def augmented(
    speaker: Tensor,
    audio: Tensor,
    generator: torch.Generator,
    *,
    noise_std: float,
    modality_dropout: float,
) -> tuple[Tensor, Tensor]:
    """Standardised speaker motion [B, T, 56] and audio [B, T, A] with noise, gains and offsets of
    ``noise_std``, and with either of the two all zero with the chance ``modality_dropout``."""

    def normal(*shape: int) -> Tensor:
        return distributed.normal(*shape, generator=generator).to(speaker.device)

    size = len(speaker)
    if noise_std:
        width, audio_width = speaker.shape[2], audio.shape[2]
        gain = torch.exp(0.25 * normal(size, 1, 1) + noise_std * normal(size, 1, width))
        speaker = speaker * gain + 2 * noise_std * normal(size, 1, width)
        speaker = speaker + noise_std * normal(*speaker.shape)
        tilt = 2 * noise_std * normal(size, 1, 1) + noise_std * normal(size, 1, audio_width)
        audio = audio + tilt + noise_std * normal(*audio.shape)
    if modality_dropout:
        chance = distributed.uniform(size, 1, 1, generator=generator).to(speaker.device)
        speaker = speaker * (chance >= modality_dropout)
        audio = audio * (chance < 1 - modality_dropout)
    return speaker, audio


def with_unknown(attitude: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Attitudes long [B], a random ``share`` of them replaced by unknown."""
    drop = distributed.uniform(len(attitude), generator=generator) < share
    return attitude.masked_fill(drop.to(attitude.device), ATTITUDES.index("unknown"))
