"""What the trained methods that DIM is compared with share: inputs, answers, presets.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from dimcli.core.device import one_thread
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import ATTITUDES, Stimulus
from dimcli.data.windows import Batch, Statistics
from dimcli.models.config import GenerationConfig, InputsConfig, RunConfig, TrainingConfig
from dimcli.models.dim.augment import augmented, with_unknown
from dimcli.models.dim.config import preset
from dimcli.models.dim.losses import masked_mean, velocity_loss
from dimcli.models.dim.vqvae import floored
from dimcli.models.windows import check_stimulus, clip_to_range, speaker_values

Figures = dict[str, Tensor]


@dataclass(frozen=True)
class BaselineRun(RunConfig):
    """A run of a method that DIM is compared with."""

    inputs: InputsConfig = field(default_factory=InputsConfig)
    """What the method is conditioned on."""

    @property
    def centred(self) -> bool:
        """Whether the model sees the speaker's motion about the clip's median."""
        return self.inputs.speaker_centering

    @property
    def attitude_conditioned(self) -> bool:
        """Whether the model is conditioned on the listener's attitude."""
        return self.inputs.attitudes


# Presets: sizes as published (`paper`), for experiments (`small`, and for whole tables on one CPU
# core `table`), for tests. Where the papers say nothing the fields' defaults stand. The small ones
# train on what DIM's `small` trains on, with the same input treatment and, where there is one, the
# same VQ-VAE, so that tables compare the methods and not their surroundings.

PAPER_INPUTS = InputsConfig(attitudes=True)
SMALL_INPUTS = InputsConfig(
    speaker_centering=True, clamp_std=4.0, noise_std=0.15, modality_dropout=0.05,
    attitudes=True, attitude_dropout=0.5,
)  # fmt: skip
SPEAKER_INPUTS = InputsConfig(clamp_std=4.0, noise_std=0.15)
SMALL_TRAINING = preset("small", "finetune").training
SMALL_SPEAKER_TRAINING = TrainingConfig(
    steps=1000, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
    ramp_steps=100, validate_every=250,
)  # fmt: skip
TABLE_TRAINING = preset("table", "finetune").training
TABLE_GENERATION = replace(preset("table", "finetune").generation, steps=1)
TINY_TRAINING = TrainingConfig(
    steps=30, batch_size=4, window_s=1.28, learning_rate=3e-3, validate_every=10,
    validation_batches=1,
)  # fmt: skip
TINY_GENERATION = GenerationConfig(window_s=1.28, overlap_s=0.32)


class Baseline(nn.Module, ABC):
    """A model whose inputs go in standardised, and whose motion comes out so; see
    :meth:`speaker_inputs` and :meth:`unstandardise`.
    """

    config: BaselineRun

    speaker_mean: Tensor
    speaker_std: Tensor
    listener_mean: Tensor
    listener_std: Tensor
    audio_mean: Tensor
    audio_std: Tensor

    def __init__(self, config: BaselineRun) -> None:
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
        self.speaker_mean.copy_(figures.mean["speaker"])
        self.speaker_std.copy_(floored(figures.std["speaker"]))
        self.listener_mean.copy_(figures.mean["listener"])
        self.listener_std.copy_(floored(figures.std["listener"]))
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
        """Attitudes long [B] as the model takes them: all unknown where it takes none."""
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

    def adopt(self, first: nn.Module) -> None:
        """Take over the trained stage before this one. InputError where the method has none."""
        raise InputError(f"{self.config.kind}: has no stage before its own")

    @abstractmethod
    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """What a training step minimises; see :class:`dimcli.training.motion.Objective`."""


class ListenerBaseline(Baseline):
    """A model that answers a speaker's motion and audio with listener motion."""

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

    def answer(
        self,
        stimulus: Stimulus,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
    ) -> Motion:
        """A listener for a whole clip; see :class:`dimcli.models.registry.Model`.

        ``temperature`` is for L2L and ELP; ``steps`` is DIM's alone.
        """
        generator = torch.Generator().manual_seed(seed)

        def respond(motion: Tensor, audio: Tensor, temperature: float) -> Tensor:
            attitude = torch.tensor(ATTITUDES.index(stimulus.attitude), device=motion.device)
            inputs = self.speaker_inputs(motion[None], audio[None])
            return self.respond(inputs[0][0], inputs[1][0], attitude, generator, temperature)

        return listener_of(self, self.config, stimulus, respond, seed, temperature)


def listener_of(
    model: nn.Module,
    config: BaselineRun,
    stimulus: Stimulus,
    respond: Callable[[Tensor, Tensor, float], Tensor],
    seed: int,
    temperature: float | None,
) -> Motion:
    """A listener by ``respond``, which gives motion [T, 56] for a speaker's motion [T, 56] and
    audio [T, A], all in their units, at a temperature."""
    check_stimulus(config.data, stimulus)
    temperature = config.sampling.temperature if temperature is None else temperature
    if temperature < 0:
        raise InputError(f"temperature is {temperature}; expected 0 or more")
    device = next(model.buffers()).device
    motion = torch.from_numpy(speaker_values(stimulus.seen, config.centred)).to(device)
    audio = torch.from_numpy(np.ascontiguousarray(stimulus.audio, np.float32)).to(device)
    with one_thread(), torch.inference_mode():
        values = respond(motion, audio, temperature)
    return Motion(
        clip_to_range(values.float().cpu().numpy(), config.data.space),
        fps=stimulus.fps,
        space=stimulus.space,
        meta={"generated": config.kind, "seed": seed, "temperature": temperature},
    )


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
