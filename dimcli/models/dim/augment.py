"""What training does to a speaker so that real cameras, trackers and rooms are nothing new.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dimcli.audio import MEL_DIM, NUM_MELS
from dimcli.core import distributed


def augmented(
    speaker: Tensor,
    audio: Tensor,
    generator: torch.Generator,
    *,
    noise_std: float,
    modality_dropout: float,
) -> tuple[Tensor, Tensor]:
    """Standardised speaker motion [B, T, 56] and audio [B, T, A] with noise, gains and offsets of
    ``noise_std``, and with either of the two all zero with probability ``modality_dropout``."""

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
        drawn = distributed.uniform(size, 1, 1, generator=generator).to(speaker.device)
        speaker = speaker * (drawn >= modality_dropout)
        audio = audio * (drawn < 1 - modality_dropout)
    return speaker, audio


def warped_bands(audio: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """``mel`` features [B, T, R * 32] with each sample's bands read up to ``most`` higher or lower.

    A longer throat has lower formants: vocal tract length perturbation (Jaitly and Hinton 2013), on
    the mel scale.
    """
    rows = audio.unflatten(2, (-1, MEL_DIM))
    bands, others = rows[..., :NUM_MELS], rows[..., NUM_MELS:]
    drawn = 2 * distributed.uniform(len(audio), 1, generator=generator) - 1
    factor = 1 + most * drawn.to(audio.device)
    place = (torch.arange(NUM_MELS, device=audio.device) * factor).clamp(max=NUM_MELS - 1)
    low = place.floor().long().clamp(max=NUM_MELS - 2)
    share = (place - low)[:, None, None]
    index = low[:, None, None].expand(*bands.shape)
    read = bands.gather(3, index) * (1 - share) + bands.gather(3, index + 1) * share
    return torch.cat([read, others], dim=3).flatten(2)


def hidden_steps(present: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Steps that are hidden, bool [B, N] like ``present``: all of a random ``share`` of the
    samples, and of as many others those between two random steps."""
    size, steps = present.shape
    drawn = distributed.uniform(size, 1, generator=generator)
    begin, end = (
        (distributed.uniform(size, 2, generator=generator) * steps).sort().values.T[..., None]
    )
    step = torch.arange(steps)
    hidden = (drawn < share) | ((drawn < 2 * share) & (step >= begin) & (step < end))
    return hidden.to(present.device)


def with_unknown(index: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Attitudes or styles long [B], a random ``share`` of them replaced by the unknown one: 0."""
    drop = distributed.uniform(len(index), generator=generator) < share
    return index.masked_fill(drop.to(index.device), 0)
