"""What every run is made of: frozen dataclasses, each field with its meaning under it.

A method adds sections of its own in a subclass of :class:`RunConfig`, beside its model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dimcli.core.config import from_dict, read_document, require_choice, require_range
from dimcli.core.errors import InputError
from dimcli.data.clip import ROLES, DataConfig

STAGES = ("train-vq", "pretrain", "finetune")
PRIOR = "prior"
"""The stage that learns a space of motion, of methods that have such a stage of their own."""
PRESETS = ("paper", "official", "small", "speaker", "table", "tiny")
"""Names of the presets: the paper's sizes, the released code's, what is shipped (``small``
listeners and ``speaker``), a smaller one for whole tables on one CPU core, one for tests."""


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast a stage trains."""

    steps: int = 100_000
    """Optimiser steps at most."""
    batch_size: int = 32
    """Windows in a batch."""
    window_s: float = 6.4
    """Length of a training window in seconds."""
    learning_rate: float = 1e-5
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.0
    """Weight decay of AdamW."""
    schedule: str = "constant"
    """``constant``, or ``cosine`` down to 2 % at the last step."""
    ramp_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    clip_norm: float = 1.0
    """Gradient norm to clip to; 0 for never."""
    conversations: int = 0
    """Conversations of the train split to learn from, the first so many; 0 for all."""
    validate_every: int = 500
    """Steps between validations (and checkpoints)."""
    validation_batches: int = 8
    """Batches in a validation; the same windows every time."""
    patience: int = 0
    """Validations without a better loss after which training stops; 0 for never."""
    seed: int = 0
    """Seed of everything random in the stage."""

    def __post_init__(self) -> None:
        require_range("training.steps", self.steps, 1, 1e9)
        require_range("training.batch_size", self.batch_size, 1, 65536)
        require_range("training.window_s", self.window_s, 0.04, 3600)
        require_range("training.learning_rate", self.learning_rate, 0, 10)
        require_range("training.weight_decay", self.weight_decay, 0, 10)
        require_range("training.clip_norm", self.clip_norm, 0, 1e9)
        require_range("training.conversations", self.conversations, 0, 1e9)
        require_range("training.validate_every", self.validate_every, 1, 1e9)
        require_range("training.validation_batches", self.validation_batches, 1, 1e6)
        require_choice("training.schedule", self.schedule, ("constant", "cosine"))


@dataclass(frozen=True)
class GenerationConfig:
    """How a fine-tuned model is sampled."""

    steps: int = 1
    """Mask-predict passes a window; 1 is the paper's."""
    temperature: float = 1.0
    """Sampling temperature; 0 takes the likeliest code."""
    attitude_guidance: float = 1.0
    """How much the listener's attitude counts beside what it counted in training (1):
    classifier-free guidance, for models trained with ``dim.attitude_dropout``."""
    sharpening: float = 0.0
    """How much more an expected mouth departs from its local mean than decoded: an expectation
    blurs what is brief, such as closed lips."""
    offsets: int = 1
    """At how many beginnings of its steps, a frame apart, an expected mouth is heard; their mean is
    taken. Where a step of several frames begins says nothing about the sound."""
    window_s: float = 6.4
    """Length of a window in seconds."""
    overlap_s: float = 1.6
    """Seconds of the last window that the next one starts from."""

    def __post_init__(self) -> None:
        require_range("generation.steps", self.steps, 1, 10_000)
        require_range("generation.offsets", self.offsets, 1, 64)
        require_range("generation.temperature", self.temperature, 0, 100)
        require_range("generation.attitude_guidance", self.attitude_guidance, 0, 100)


@dataclass(frozen=True)
class RunConfig:
    """What a run directory's ``config.yaml`` says, whatever was trained."""

    kind: str = ""
    """What was trained: ``vq``, or a method's name (``nearest`` for both of that name)."""
    stage: str = "train"
    """``train-vq``, ``pretrain`` or ``finetune``; ``train`` for other methods, and
    ``prior`` for the first stage of those that have two."""
    role: str = "listener"
    """Whose VQ-VAE this is, or the role that fine-tuning is for."""
    preset: str = "small"
    """The preset that the run started from."""
    data: DataConfig = field(default_factory=DataConfig)
    """What goes in."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The stage's training."""

    def __post_init__(self) -> None:
        require_choice("stage", self.stage, (*STAGES, PRIOR, "train"))
        require_choice("role", self.role, ROLES)

    @property
    def stride(self) -> int:
        """Frames that a step of the model stands for."""
        return 1

    @property
    def centred(self) -> bool:
        """Whether the model sees the speaker's motion about the clip's median."""
        return False

    @property
    def attitude_conditioned(self) -> bool:
        """Whether the model is told the listener's attitude."""
        return False

    @property
    def sampling(self) -> GenerationConfig:
        """How the model is sampled, where nothing else is asked for."""
        return GenerationConfig()


def read_data_config(run: Path) -> DataConfig:
    """What a run's model takes, read without its library. Raises InputError that names the file."""
    path = run / "config.yaml"
    document = read_document(path)
    data = document.get("data") if isinstance(document, dict) else None
    return from_dict(DataConfig, data, f"{path}: data")


def require_divisible(config: object, section: str, heads: str, width: str) -> None:
    """Raise InputError unless a section's ``heads`` divide its ``width``, which must be even."""
    count, whole = getattr(config, heads), getattr(config, width)
    if count < 1 or whole % count or whole % 2:
        raise InputError(
            f"{section}.{heads} is {count}; it and 2 must divide {section}.{width} {whole}"
        )
