"""What every run is made of: frozen dataclasses, each field with its meaning under it.

A method adds sections of its own in a subclass of :class:`RunConfig`, beside its model.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import weights
from dimcli.core.config import (
    Choice,
    Count,
    Duration,
    Range,
    Section,
    Seed,
    Share,
    from_dict,
    read_document,
    require_choice,
)
from dimcli.core.errors import InputError
from dimcli.data.clip import ROLES, DataConfig

STAGES = ("train-vq", "pretrain", "finetune")
PRIOR = "prior"
"""The stage that learns a space of motion, of methods that have such a stage of their own."""

NEEDS_FACE = (
    "these weights need the speaker's face; for a voice alone take listener-live, or others that "
    "were trained with dim.face_dropout"
)
"""What those weights say that are not so, :attr:`RunConfig.face_optional`, of a voice alone."""

LONGEST_WINDOW_S = 120.0
"""Attention takes memory by the square of a window's steps."""


@dataclass(frozen=True)
class TrainingConfig(Section, section="training"):
    """How long and how fast a stage trains."""

    steps: Annotated[int, Range(1, 1e9)] = 100_000
    """Optimiser steps at most."""
    epochs: Annotated[float, Range(0, 1e6)] = 0.0
    """Passes over the train split, which say how many steps there are; 0: ``steps`` says it. A pass
    is a window for every ``window_s``, begun or whole, of each clip."""
    batch_size: Annotated[int, Range(1, 65536)] = 32
    """Windows in a batch."""
    window_s: Annotated[float, Range(0.04, LONGEST_WINDOW_S)] = 6.4
    """Length of a training window in seconds."""
    bucketing: bool = False
    """Whether a batch is of clips of like length, each whole up to ``window_s`` (50, say), in place
    of windows of ``window_s`` from clips of any length."""
    learning_rate: Annotated[float, Range(0, 10)] = 1e-5
    """Peak learning rate of AdamW."""
    weight_decay: Annotated[float, Range(0, 10)] = 0.0
    """Weight decay of AdamW; at 0 it is Adam."""
    beta1: Share = 0.9
    """Decay of AdamW's mean of gradients."""
    beta2: Share = 0.98
    """Decay of AdamW's mean of squared gradients."""
    schedule: Annotated[str, Choice("constant", "cosine")] = "constant"
    """``constant``, or ``cosine`` down to 2 % at the last step."""
    ramp_steps: Count = 0
    """Steps over which the learning rate rises from 0."""
    clip_norm: Annotated[float, Range(0, 1e9)] = 1.0
    """Gradient norm to clip to; 0 for never."""
    conversations: Count = 0
    """Conversations of the train split to learn from, the first so many; 0 for all."""
    validate_every: Annotated[int, Range(1, 1e9)] = 500
    """Steps between validations (and checkpoints)."""
    validation_batches: Annotated[int, Range(1, 1e6)] = 8
    """Batches in a validation; the same windows every time."""
    validate_first: bool = False
    """Whether the weights that training starts from are validated, and kept where no later ones are
    better."""
    patience: Count = 0
    """Validations without a better loss after which training stops; 0 for never."""
    seed: Seed = 0
    """Seed of everything random in the stage."""
    precision: Annotated[str, Choice("float32", "tf32", "bf16")] = "float32"
    """Of products in training: ``float32``; ``tf32`` (a GPU's, from Ampere on); ``bf16``, for
    layers only, while weights, sums and losses stay in float32."""
    accumulation: Annotated[int, Range(1, 4096)] = 1
    """Parts that a batch is computed in, one after the other, so that a large one fits the memory.
    The step is the whole batch's, negatives of equation 5 included: each part is computed once more
    without gradients before."""
    gradient_checkpointing: bool = False
    """Whether the layers' activations are computed again in the backward pass in place of being
    kept: less memory, a third more time."""
    compile: bool = False
    """Whether transformer layers are compiled (torch.compile); it takes a C++ compiler."""


ADAPTATION = TrainingConfig(
    steps=600,
    batch_size=8,
    learning_rate=2e-4,
    weight_decay=1e-2,
    ramp_steps=10,
    validate_every=20,
    validation_batches=4,
    validate_first=True,
    patience=5,
)
"""How the preset :data:`dimcli.models.names.ADAPT` trains."""


@dataclass(frozen=True)
class GenerationConfig(Section, section="generation"):
    """How a fine-tuned model is sampled."""

    steps: Annotated[int, Range(1, 10_000)] = 1
    """Mask-predict passes a window; 1 is the paper's."""
    temperature: Annotated[float, Range(0, 100)] = 1.0
    """Sampling temperature; 0 takes the likeliest code."""
    nod_temperature: Annotated[float, Range(0.01, 100)] = 1.0
    """Factor on the temperature for the codes of nods (pitch), where motion has parts: below 1 nods
    come where they are likely, and fewer elsewhere."""
    turn_temperature: Annotated[float, Range(0.01, 100)] = 1.0
    """The same for those of turns and tilts (yaw and roll)."""
    lids_temperature: Annotated[float, Range(0.01, 100)] = 1.0
    """The same for those of the lids: below 1 there are fewer blinks, above 1 more."""
    gaze_temperature: Annotated[float, Range(0.01, 100)] = 1.0
    """The same for those of the gaze: below 1 there are fewer glances away, above 1 more."""
    mouth_temperature: Annotated[float, Range(0.01, 100)] = 1.0
    """The same for those of the mouth: below 1 smiles change less, above 1 more."""
    history_weight: Annotated[float, Range(0, 1)] = 1.0
    """How much the codes before a step count for an autoregressive decoder. Below 1 its logits are
    mixed with those it has without them, which know the speaker alone and cannot wander off; for
    models trained with ``dim.history_dropout``."""
    attitude_guidance: Annotated[float, Range(0, 100)] = 1.0
    """How much the listener's attitude counts beside what it counted in training (1):
    classifier-free guidance, for models trained with ``dim.attitude_dropout``."""
    sharpening: Annotated[float, Range(0, 100)] = 0.0
    """How much more an expected mouth departs from its local mean than decoded: an expectation
    blurs what is brief, such as closed lips."""
    offsets: Annotated[int, Range(1, 64)] = 1
    """An expected mouth is the mean of so many, whose steps begin a frame apart: where a step of
    several frames begins says nothing about the sound."""
    hold_degrees: Annotated[float, Range(0, 10)] = 0.0
    """A listener's head stays until it is to turn further than this about an axis (see
    :class:`dimcli.models.dim.stillness.Hold`); 0 for never."""
    hold_expression: Annotated[float, Range(0, 1)] = 0.0
    """The same for each number of the expression."""
    smile_lift: Annotated[float, Range(-1, 1)] = 0.0
    """How much more than the listeners of the training data those smile of whose attitude nothing
    is said, in models that are told traits."""
    window_s: Duration = 6.4
    """Length of a window in seconds."""
    overlap_s: Annotated[float, Range(0, 3600)] = 1.6
    """Seconds of the last window that the next one starts from."""


@dataclass(frozen=True)
class InputsConfig(Section, section="inputs"):
    """What a baseline is conditioned on."""

    speaker_centering: bool = False
    """Subtract the clip's median from the speaker's motion, so that neither the camera nor the
    tracker's resting values matter."""
    clamp_std: Annotated[float, Range(0, 1000)] = 0.0
    """Clamp standardised inputs to plus and minus this; 0 for never."""
    noise_std: Annotated[float, Range(0, 10)] = 0.0
    """Training only: noise on the speaker's motion and audio, in standard deviations."""
    modality_dropout: Annotated[float, Range(0, 0.5)] = 0.0
    """Training only: probability that the speaker's motion, or the audio, is zero in a sample."""
    attitudes: bool = False
    """Whether the model is conditioned on the listener's attitude (which may be unknown)."""
    attitude_dropout: Share = 0.0
    """Share of training samples whose attitude is replaced by unknown."""


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
        """Whether the model is conditioned on the listener's attitude."""
        return False

    @property
    def trait_conditioned(self) -> bool:
        """Whether the model is conditioned on the listener's traits."""
        return False

    @property
    def face_optional(self) -> bool:
        """Whether a listener also answers a voice alone, and a camera that comes and goes."""
        return False

    @property
    def hears(self) -> bool:
        """Whether sound makes a difference to the model."""
        return True

    @property
    def sampling(self) -> GenerationConfig:
        """How the model is sampled, where nothing else is asked for."""
        return GenerationConfig()


@dataclass(frozen=True)
class SampledRun(RunConfig):
    """A run of a method that is sampled."""

    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """Sampling defaults."""

    @property
    def sampling(self) -> GenerationConfig:
        """How the model is sampled, where nothing else is asked for."""
        return self.generation


def find_run(name: str | Path, option: str = "") -> Path:
    """Directory of the run that a user named: a path, a bundled name, or ``owner/name`` of a
    fetched one. Raises InputError, which names the ``option`` and the nearest bundled name."""
    try:
        return weights.resolve(str(name))
    except InputError as error:
        near = difflib.get_close_matches(str(name), weights.registry()["runs"], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        reason = str(error).removeprefix("--weights ")
        raise InputError(f"{option} {reason}{hint}".strip()) from None


def read_data_config(run: Path) -> DataConfig:
    """What a run's model takes, read without its library. Raises InputError that names the file."""
    path = run / "config.yaml"
    document = read_document(path)
    data = document.get("data") if isinstance(document, dict) else None
    return from_dict(DataConfig, data, f"{path}: data")
