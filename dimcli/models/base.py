"""What the trained baselines share: standardised inputs, and how the training loop sees them.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import Batch, Statistics
from dimcli.models.config import RunConfig
from dimcli.models.dim.augment import augmented, with_unknown
from dimcli.models.dim.losses import masked_mean, velocity_loss
from dimcli.models.dim.vqvae import STD_FLOOR_EXPRESSION, STD_FLOOR_RAD

Figures = dict[str, Tensor]


class Baseline(nn.Module, ABC):
    """A model that answers a speaker's motion and audio with listener motion.

    The speaker goes in standardised, and the listener comes out so; see :meth:`speaker_inputs` and
    :meth:`unstandardise`.
    """

    speaker_mean: Tensor
    speaker_std: Tensor
    listener_mean: Tensor
    listener_std: Tensor
    audio_mean: Tensor
    audio_std: Tensor

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config
        audio_dim = config.data.audio_dim
        if audio_dim < 1:
            raise InputError(f"data.audio_dim is {audio_dim}; expected at least 1")
        for name, width in (
            ("speaker", MOTION_DIM),
            ("listener", MOTION_DIM),
            ("audio", audio_dim),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_std", torch.ones(width))

    def fit_statistics(self, figures: Statistics) -> None:
        """Take means and standard deviations (with a floor for still columns) of training data."""
        floor = torch.full((MOTION_DIM,), STD_FLOOR_EXPRESSION)
        floor[:6] = STD_FLOOR_RAD
        self.speaker_mean.copy_(figures.mean["speaker"])
        self.speaker_std.copy_(figures.std["speaker"].maximum(floor))
        self.listener_mean.copy_(figures.mean["listener"])
        self.listener_std.copy_(figures.std["listener"].maximum(floor))
        self.audio_mean.copy_(figures.audio_mean)
        self.audio_std.copy_(figures.audio_std)

    def speaker_inputs(
        self, speaker: Tensor, audio: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Speaker motion [B, T, 56] and audio [B, T, A] in their units -> standardised and clamped.

        With a ``generator`` (training) they are augmented as the configuration says.
        """
        settings = self.config.inputs
        motion = (speaker - self.speaker_mean) / self.speaker_std
        sound = (audio - self.audio_mean) / self.audio_std
        if settings.clamp_std:
            motion = motion.clamp(-settings.clamp_std, settings.clamp_std)
            sound = sound.clamp(-settings.clamp_std, settings.clamp_std)
        if generator is not None:
            motion, sound = augmented(
                motion,
                sound,
                generator,
                noise_std=settings.noise_std,
                modality_dropout=settings.modality_dropout,
            )
        return motion, sound

    def attitude_inputs(self, attitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Attitudes long [B] as the model is told them: all unknown where it is told none."""
        if not self.config.inputs.attitudes:
            return torch.full_like(attitude, ATTITUDES.index("unknown"))
        if generator is not None:
            attitude = with_unknown(attitude, self.config.inputs.attitude_dropout, generator)
        return attitude

    def standardise(self, listener: Tensor) -> Tensor:
        """Listener motion [..., 56] in its units -> in standard deviations of training data."""
        return (listener - self.listener_mean) / self.listener_std

    def unstandardise(self, listener: Tensor) -> Tensor:
        """The inverse of :meth:`standardise`."""
        return listener * self.listener_std + self.listener_mean

    @abstractmethod
    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """What a training step minimises; see :class:`dimcli.training.loop.Objective`."""

    @abstractmethod
    def respond(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """A listener [T, 56] in its units, for a whole clip: standardised speaker motion [T, 56]
        and audio [T, A]; ``attitude`` long []."""


def motion_loss(
    motion: Tensor, prediction: Tensor, mask: Tensor, velocity_weight: float
) -> tuple[Tensor, Tensor]:
    """Mean squared error of [B, T, 56] where ``mask`` [B, T], and the same with ``velocity_weight``
    times that of the frame-to-frame differences."""
    error = masked_mean((motion - prediction).square(), mask)
    loss = error
    if velocity_weight:
        weights = motion.new_ones(motion.shape[-1])
        loss = loss + velocity_weight * velocity_loss(motion, prediction, mask, weights)
    return error, loss
