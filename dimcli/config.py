"""What a run is made of: frozen dataclasses, the presets, and strict YAML.

Reading refuses unknown keys and names the known ones; writing is the exact inverse, so a run
directory's ``config.yaml`` always says everything that was needed to make it.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dimcli.errors import InputError

ROLES = ("speaker", "listener")
ATTITUDES = ("unknown", "negative", "neutral", "positive")
Section = TypeVar("Section")


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; expected between {low:g} and {high:g}")


def _require_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} is '{value}'; expected one of {', '.join(known)}")


@dataclass(frozen=True)
class DataConfig:
    """What the model's inputs are; copied from the data set when a run starts."""

    fps: float = 25.0
    """Frames a second of the motion and the audio features."""
    space: str = "arkit"
    """Motion space: ``arkit`` or ``flame``."""
    audio_encoder: str = "mel"
    """Name of the audio encoder."""
    audio_dim: int = 0
    """Width of the audio features; 0 until a data set fills it in."""


@dataclass(frozen=True)
class VQConfig:
    """One role's VQ-VAE (section 3.2 of the paper, equations 1-3)."""

    width: int = 384
    """Width of the transformers."""
    layers: int = 8
    """Layers of the encoder, and again of the decoder."""
    heads: int = 8
    """Attention heads."""
    feedforward: int = 768
    """Width inside the feed-forward blocks."""
    dropout: float = 0.1
    """Dropout in training."""
    codebook_size: int = 512
    """Codes in a codebook."""
    code_dim: int = 128
    """Width of a code vector."""
    stride: int = 1
    """Frames a code stands for."""
    parts: str = "whole"
    """``whole``: one code a step for all 56 numbers. ``face``: one code a step for each of nod,
    turn, lids, gaze, mouth and brows, each with its own small encoder, codebook and decoder."""
    local_kernel: int = 0
    """Width of the depthwise convolution in each transformer block; 0 for none (the paper)."""
    frame_kernel: int = 0
    """Width of the convolutions after the decoder that run at the frame rate, so that the joints
    between codes are smooth; 0 for none (the paper)."""
    commitment: float = 0.25
    """Weight beta of equation 2."""
    codebook_weight: float = 1.0
    """Weight gamma of equation 3."""
    reconstruction: str = "l2"
    """Reconstruction loss: ``l2`` (equation 1) or ``l1`` (the released code)."""
    velocity_weight: float = 0.0
    """Weight of the same loss on frame-to-frame differences."""
    standardise: bool = True
    """Divide each column by its standard deviation in the training data (with a floor)."""
    warmup_steps: int = 0
    """Steps without quantisation at the start; the codebooks are then set by k-means."""
    revive_after: int = 200
    """Steps without use after which a code is moved onto a current latent; 0 for never."""
    causal: bool = False
    """Whether no step sees later ones (for online use)."""

    def __post_init__(self) -> None:
        _require("vq.width", self.width, 1, 4096)
        _require("vq.codebook_size", self.codebook_size, 2, 65536)
        _require("vq.stride", self.stride, 1, 64)
        _require("vq.dropout", self.dropout, 0, 0.9)
        _require_choice("vq.parts", self.parts, ("whole", "face"))
        _require_choice("vq.reconstruction", self.reconstruction, ("l1", "l2"))
        if self.width % self.heads:
            raise InputError(f"vq.heads is {self.heads}; it must divide vq.width {self.width}")


@dataclass(frozen=True)
class DIMConfig:
    """Dyadic interaction modelling (section 3.3 of the paper, equations 4-10)."""

    width: int = 384
    """Width of the role encoders; the joint encoder and the joint decoder are wider by what they
    concatenate."""
    role_layers: int = 8
    """Layers of each role-specific encoder."""
    joint_layers: int = 8
    """Layers of the joint encoder."""
    decoder_layers: int = 8
    """Layers of the joint decoder."""
    heads: int = 8
    """Attention heads."""
    feedforward: int = 768
    """Width inside the feed-forward blocks."""
    dropout: float = 0.1
    """Dropout in training."""
    local_kernel: int = 0
    """Width of the depthwise convolution in each transformer block; 0 for none (the paper)."""
    speaker_inputs: str = "motion"
    """What the speaker's encoder reads: ``motion`` (the paper) or ``codes`` (code vectors)."""
    listener_inputs: str = "motion"
    """What the listener's encoder reads: ``motion`` (the paper) or ``codes``. With codes,
    mask-predict sampling feeds back exactly what was sampled."""
    joint: str = "feature"
    """How the joint encoder fuses the roles: ``feature`` (equation 6) or ``time`` (released)."""
    decoder: str = "parallel"
    """``parallel`` (equation 7) or ``autoregressive`` (the released code, kept to compare)."""
    audio_width: int = 0
    """Width the audio features are projected to before the decoder; 0 for ``width``."""
    outputs: str = "both"
    """Whose codes can be predicted: ``both``, ``listener`` or ``speaker``."""
    mask_ratio: float = 0.75
    """Share of each role's steps that is masked in pre-training."""
    listener_visible: str = "none"
    """Target frames visible in fine-tuning: ``none`` (the paper) or ``uniform`` (a uniformly drawn
    share, none at all in a quarter of the samples; what mask-predict sampling meets)."""
    temperature: float = 0.05
    """Temperature tau of the contrastive loss."""
    symmetric: bool = False
    """Whether the contrastive loss also matches listeners to speakers."""
    contrastive_weight: float = 1.0
    """Weight lambda 1 of equation 10."""
    masked_weight: float = 1.0
    """Weight lambda 2 of equation 10."""
    motion_weight: float = 1.0
    """Weight of equation 9's second term, the motion decoded from the predicted codes."""
    anchor_weight: float = 0.0
    """Weight of the motion decoded from the true codes: keeps a VQ decoder that also trains on
    predicted codes from blurring sampled ones."""
    motion_share: float = 1.0
    """Share of a batch that the two motion terms are computed on; they cost as much as all else."""
    attitudes: bool = False
    """Whether the decoder is told the listener's attitude (or that it is unknown)."""
    attitude_dropout: float = 0.5
    """Share of training samples whose attitude is replaced by unknown."""
    speaker_centering: bool = False
    """Subtract the clip's median from the speaker's motion, so that neither the camera nor the
    tracker's resting values matter."""
    clamp_std: float = 0.0
    """Clamp standardised inputs to plus and minus this; 0 for never."""
    noise_std: float = 0.0
    """Training only: noise on the speaker's motion and audio, in standard deviations."""
    modality_dropout: float = 0.0
    """Training only: chance that the speaker's motion, or the audio, is zero in a sample."""
    causal: bool = False
    """Whether no step sees later ones (for online use)."""
    look_back: int = 0
    """Steps that attention reaches back; 0 for all."""

    def __post_init__(self) -> None:
        _require("dim.width", self.width, 1, 4096)
        _require("dim.mask_ratio", self.mask_ratio, 0, 1)
        _require("dim.dropout", self.dropout, 0, 0.9)
        _require("dim.motion_share", self.motion_share, 0, 1)
        _require("dim.temperature", self.temperature, 1e-4, 100)
        _require_choice("dim.speaker_inputs", self.speaker_inputs, ("motion", "codes"))
        _require_choice("dim.listener_inputs", self.listener_inputs, ("motion", "codes"))
        _require_choice("dim.joint", self.joint, ("feature", "time"))
        _require_choice("dim.decoder", self.decoder, ("parallel", "autoregressive"))
        _require_choice("dim.outputs", self.outputs, ("both", *ROLES))
        _require_choice("dim.listener_visible", self.listener_visible, ("none", "uniform"))
        if self.width % self.heads:
            raise InputError(f"dim.heads is {self.heads}; it must divide dim.width {self.width}")

    @property
    def output_roles(self) -> tuple[str, ...]:
        """The roles whose codes can be predicted."""
        return ROLES if self.outputs == "both" else (self.outputs,)


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
    validate_every: int = 500
    """Steps between validations (and checkpoints)."""
    validation_batches: int = 8
    """Batches in a validation; the same windows every time."""
    patience: int = 0
    """Validations without a better loss after which training stops; 0 for never."""
    seed: int = 0
    """Seed of everything random in the stage."""

    def __post_init__(self) -> None:
        _require("training.steps", self.steps, 1, 1e9)
        _require("training.batch_size", self.batch_size, 1, 65536)
        _require("training.window_s", self.window_s, 0.04, 3600)
        _require_choice("training.schedule", self.schedule, ("constant", "cosine"))


@dataclass(frozen=True)
class GenerationConfig:
    """How a fine-tuned model is sampled."""

    steps: int = 1
    """Mask-predict passes a window; 1 is the paper's."""
    temperature: float = 1.0
    """Sampling temperature; 0 takes the likeliest code."""
    window_s: float = 6.4
    """Length of a window in seconds."""
    overlap_s: float = 1.6
    """Seconds of the last window that the next one starts from."""


@dataclass(frozen=True)
class RunConfig:
    """Everything a run directory's ``config.yaml`` says."""

    kind: str = "dim"
    """``vq`` or ``dim``."""
    stage: str = "finetune"
    """``train-vq``, ``pretrain`` or ``finetune``."""
    role: str = "listener"
    """Whose VQ-VAE this is, or the role that fine-tuning is for."""
    preset: str = "small"
    """The preset that the run started from."""
    data: DataConfig = field(default_factory=DataConfig)
    """What goes in."""
    vq: VQConfig = field(default_factory=VQConfig)
    """The VQ-VAE, of both roles."""
    dim: DIMConfig = field(default_factory=DIMConfig)
    """The dyadic model."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The stage's training."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """Sampling defaults."""

    def __post_init__(self) -> None:
        _require_choice("kind", self.kind, ("vq", "dim"))
        _require_choice("stage", self.stage, ("train-vq", "pretrain", "finetune"))
        _require_choice("role", self.role, ROLES)


_SMALL_VQ = VQConfig(
    width=48, layers=2, heads=4, feedforward=96, dropout=0.0, codebook_size=256, code_dim=16,
    stride=4, parts="face", local_kernel=5, frame_kernel=5, velocity_weight=2.0, warmup_steps=300,
    revive_after=100,
)  # fmt: skip
_SMALL_DIM = DIMConfig(
    width=96, role_layers=2, joint_layers=2, decoder_layers=3, heads=4, feedforward=256,
    dropout=0.0, local_kernel=5, listener_inputs="codes", audio_width=64,
    listener_visible="uniform", contrastive_weight=0.1, motion_weight=0.05, anchor_weight=1.0,
    motion_share=0.25,
    attitudes=True, speaker_centering=True, clamp_std=4.0, noise_std=0.15, modality_dropout=0.05,
)  # fmt: skip
_TINY_VQ = replace(
    _SMALL_VQ, width=16, layers=1, heads=2, feedforward=32, codebook_size=16, code_dim=4,
    warmup_steps=5, revive_after=10,
)  # fmt: skip
_TINY_DIM = replace(
    _SMALL_DIM, width=16, role_layers=1, joint_layers=1, decoder_layers=1, heads=2,
    feedforward=32, audio_width=16, dropout=0.0,
)  # fmt: skip
_SMALL_STAGES = {
    "train-vq": TrainingConfig(
        steps=2500, batch_size=16, window_s=5.12, learning_rate=2e-3, weight_decay=1e-4,
        schedule="cosine", ramp_steps=100, validate_every=250,
    ),
    "pretrain": TrainingConfig(
        steps=1200, batch_size=16, learning_rate=1e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=200,
    ),
    "finetune": TrainingConfig(
        steps=3500, batch_size=16, learning_rate=1e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=250,
    ),
}  # fmt: skip
_STAGES = ("train-vq", "pretrain", "finetune")
_PAPER_VQ = VQConfig(reconstruction="l2", standardise=False)
_PRESETS: dict[str, tuple[VQConfig, DIMConfig, dict[str, TrainingConfig], GenerationConfig]] = {
    "paper": (_PAPER_VQ, DIMConfig(), dict.fromkeys(_STAGES, TrainingConfig()), GenerationConfig()),
    "official": (
        replace(_PAPER_VQ, layers=6, feedforward=1536, reconstruction="l1"),
        DIMConfig(
            role_layers=4, joint_layers=4, decoder_layers=4, heads=12, feedforward=1536,
            joint="time", decoder="autoregressive", audio_width=768, mask_ratio=0.15,
        ),
        dict.fromkeys(_STAGES, TrainingConfig(learning_rate=1e-4)),
        GenerationConfig(),
    ),
    "small": (_SMALL_VQ, _SMALL_DIM, _SMALL_STAGES, GenerationConfig(steps=6)),
    "tiny": (
        _TINY_VQ,
        _TINY_DIM,
        {
            stage: TrainingConfig(
                steps=30, batch_size=4, window_s=1.28, learning_rate=3e-3, validate_every=10,
                validation_batches=1,
            )
            for stage in _STAGES
        },
        GenerationConfig(steps=2, window_s=1.28, overlap_s=0.32),
    ),
}  # fmt: skip
PRESETS = tuple(_PRESETS)
"""Names of the presets: the paper's sizes, the released code's, what is shipped, and for tests."""


def preset(name: str, stage: str, role: str = "listener") -> RunConfig:
    """The run configuration of one stage of a preset. Raises InputError that lists the presets."""
    _require_choice("preset", name, PRESETS)
    _require_choice("stage", stage, _STAGES)
    vq, dim, stages, generation = _PRESETS[name]
    return RunConfig(
        kind="vq" if stage == "train-vq" else "dim",
        stage=stage,
        role=role,
        preset=name,
        vq=vq,
        dim=dim,
        training=stages[stage],
        generation=generation,
    )


def with_overrides(config: RunConfig, overrides: dict[str, Any]) -> RunConfig:
    """Replace dotted keys, such as ``training.steps``; values may be strings, as YAML scalars."""
    document = to_dict(config)
    for key, value in overrides.items():
        *parents, last = key.split(".")
        target = document
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                raise InputError(f"setting '{key}': no section '{parent}'")
            target = target[parent]
        if last not in target:
            raise InputError(f"setting '{key}' is unknown; known: {', '.join(sorted(target))}")
        target[last] = yaml.safe_load(value) if isinstance(value, str) else value
    return from_dict(RunConfig, document, "overrides")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries, in field order."""
    return dataclasses.asdict(config)


def from_dict(section: type[Section], document: Any, source: str) -> Section:
    """Build ``section`` from dictionaries; unknown keys and wrong types raise InputError.

    ``source`` is the file or flag that error messages name.
    """
    if not isinstance(document, dict):
        raise InputError(f"{source}: expected a mapping for {section.__name__}")
    hints = typing.get_type_hints(section)
    unknown = [str(key) for key in document if key not in hints]
    if unknown:
        raise InputError(
            f"{source}: unknown key {', '.join(unknown)} in {section.__name__}; "
            f"known: {', '.join(hints)}"
        )
    values = {
        key: _convert(hints[key], value, f"{source}: {key}") for key, value in document.items()
    }
    return section(**values)


def _convert(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_dict(kind, value, name)
    if isinstance(kind, types.UnionType):
        raise TypeError(f"{name}: optional fields are not used in configurations")
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-5 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not kind:
        raise InputError(f"{name} is {value!r}; expected {kind.__name__}")
    return value


def write_config(config: RunConfig, path: Path) -> None:
    """Write ``config`` as YAML."""
    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")


def read_config(path: Path) -> RunConfig:
    """Read a run's ``config.yaml``. Raises InputError that names the file and the fault."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; a run directory has config.yaml")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    return from_dict(RunConfig, document, str(path))
