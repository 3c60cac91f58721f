"""What a run is made of: frozen dataclasses, each field with its meaning under it.

:mod:`dimcli.models.presets` has the presets, :mod:`dimcli.core.config` reads and writes them as
YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dimcli.core.config import read_config as read_file
from dimcli.core.config import require_choice, require_range
from dimcli.core.errors import InputError
from dimcli.data.clip import ROLES, DataConfig
from dimcli.models.baseline_config import (
    CodeTalkerConfig,
    ELPConfig,
    FaceFormerConfig,
    InputsConfig,
    L2LConfig,
    MeshTalkConfig,
    NearestConfig,
    RLHGConfig,
)
from dimcli.models.generation_config import GenerationConfig
from dimcli.models.kinds import KINDS, PRIOR, SECTIONS, TWO_STAGE

STAGES = ("train-vq", "pretrain", "finetune")


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
    turn, lids, gaze, mouth and brows, each with its own small encoder, codebook and decoder.
    ``speech``: the same with the smile apart from the mouth that speaks."""
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
    """Whether the decoder's motion depends on no later code (for online use). The encoder reads the
    whole window all the same: it makes the codes to learn from, and online generation needs none.
    """

    def __post_init__(self) -> None:
        require_range("vq.width", self.width, 1, 4096)
        require_range("vq.codebook_size", self.codebook_size, 2, 65536)
        require_range("vq.stride", self.stride, 1, 64)
        require_range("vq.dropout", self.dropout, 0, 0.9)
        require_choice("vq.parts", self.parts, ("whole", "face", "speech"))
        require_choice("vq.reconstruction", self.reconstruction, ("l1", "l2"))
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
    targets: str = "codes"
    """What is predicted: ``codes`` of the VQ-VAEs (the paper), or ``motion`` itself, by regression
    (Table 3, without VQ)."""
    branches: str = "two"
    """``two``: an encoder a role, both roles modelled (the paper); ``speaker``: no listener branch,
    only the listener is predicted and nothing is contrasted (Table 3, without S-L)."""
    modalities: str = "both"
    """What is read of the speaker: ``both``, or only ``motion`` or ``audio``, the other being all
    zeros (supplement, Table 1)."""
    freeze_vq_decoder: bool = False
    """Whether the VQ decoders are frozen too (Table 3)."""
    speaker_inputs: str = "motion"
    """What the speaker's encoder reads: ``motion`` (the paper) or ``codes`` (code vectors)."""
    listener_inputs: str = "motion"
    """What the listener's encoder reads: ``motion`` (the paper) or ``codes``. With codes,
    mask-predict sampling feeds back exactly what was sampled."""
    joint: str = "feature"
    """How the joint encoder fuses the roles: ``feature`` (equation 6) or ``time`` (released)."""
    visible_targets: bool = False
    """Whether the decoder also reads the target's visible codes directly, beside what reaches it
    through the joint encoder. In the paper's fine-tuning none is visible; mask-predict sampling
    needs neighbours to fit, and learns it far sooner this way."""
    code_geometry: bool = False
    """Whether the output also scores codes by where they lie in code space: codes that decode
    alike then learn from each other."""
    decoder: str = "parallel"
    """``parallel`` (equation 7) or ``autoregressive`` (the released code, kept to compare)."""
    audio_width: int = 0
    """Width the audio features are projected to before the decoder; 0 for ``width``."""
    audio_kernel: int = 0
    """Width, in rows of ``mel`` features, of the convolutions that the audio goes through before it
    is projected; 0 for none (the paper)."""
    audio_channels: int = 64
    """Channels of those convolutions."""
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
    styles: bool = False
    """Whether the decoder is told the speaker's style (or that it is unknown)."""
    style_dropout: float = 0.3
    """Share of training samples whose style is replaced by unknown."""
    mouth: str = "sampled"
    """How the speaker's mouth comes out in the speaker task: ``sampled`` as every part is, or
    ``expected``: the motion of the expected code vector. Lips follow the sound, and a sample's
    noise is seen in them at once. Its codes are then never shown to the model again."""
    mouth_residual: bool = False
    """Whether a head adds to an expected mouth what means of code vectors cannot say: frame by
    frame, lips that close between two vowels."""
    lips_weight: float = 0.0
    """Weight of a loss on the gap between the lips of an expected mouth; only in the arkit space,
    where the open head says what it is."""
    closed_weight: float = 0.0
    """How much more a frame with closed lips counts in that loss than another one."""
    speaker_centering: bool = False
    """Subtract the clip's median from the speaker's motion, so that neither the camera nor the
    tracker's resting values matter."""
    clamp_std: float = 0.0
    """Clamp standardised inputs to plus and minus this; 0 for never."""
    noise_std: float = 0.0
    """Training only: noise on the speaker's motion and audio, in standard deviations."""
    modality_dropout: float = 0.0
    """Training only: chance that the speaker's motion, or the audio, is zero in a sample."""
    band_warp: float = 0.0
    """Training only, for ``mel`` features: bands are read up to so much higher or lower (0.1: 10 %
    in mel), as throats longer and shorter would shift them."""
    causal: bool = False
    """Whether no step reads later ones (for online use; needs ``vq.causal``)."""
    look_back: int = 0
    """Steps that attention reaches back; 0 for all."""

    def __post_init__(self) -> None:
        require_range("dim.width", self.width, 1, 4096)
        require_range("dim.mask_ratio", self.mask_ratio, 0, 1)
        require_range("dim.dropout", self.dropout, 0, 0.9)
        require_range("dim.motion_share", self.motion_share, 0, 1)
        require_range("dim.temperature", self.temperature, 1e-4, 100)
        require_choice("dim.targets", self.targets, ("codes", "motion"))
        require_range("dim.style_dropout", self.style_dropout, 0, 1)
        require_range("dim.band_warp", self.band_warp, 0, 0.5)
        require_choice("dim.mouth", self.mouth, ("sampled", "expected"))
        require_range("dim.audio_kernel", self.audio_kernel, 0, 99)
        require_range("dim.audio_channels", self.audio_channels, 1, 4096)
        require_range("dim.lips_weight", self.lips_weight, 0, 1000)
        require_range("dim.closed_weight", self.closed_weight, 0, 1000)
        require_choice("dim.branches", self.branches, ("two", "speaker"))
        require_choice("dim.modalities", self.modalities, ("both", "motion", "audio"))
        require_choice("dim.speaker_inputs", self.speaker_inputs, ("motion", "codes"))
        require_choice("dim.listener_inputs", self.listener_inputs, ("motion", "codes"))
        require_choice("dim.joint", self.joint, ("feature", "time"))
        require_choice("dim.decoder", self.decoder, ("parallel", "autoregressive"))
        require_choice("dim.outputs", self.outputs, ("both", *ROLES))
        require_choice("dim.listener_visible", self.listener_visible, ("none", "uniform"))
        if self.width % self.heads:
            raise InputError(f"dim.heads is {self.heads}; it must divide dim.width {self.width}")
        if self.targets == "motion":
            codes = "codes" in (self.speaker_inputs, self.listener_inputs)
            if codes or self.visible_targets or self.code_geometry or self.decoder != "parallel":
                raise InputError(
                    "dim.targets is 'motion', which has no codes: dim.speaker_inputs and "
                    "dim.listener_inputs must be motion, dim.decoder parallel, and "
                    "dim.visible_targets and dim.code_geometry false"
                )
        if self.branches == "speaker" and self.contrastive_weight:
            raise InputError(
                f"dim.contrastive_weight is {self.contrastive_weight:g}; it must be 0 where "
                "dim.branches is 'speaker': there is no listener to contrast with"
            )

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
class RunConfig:
    """Everything a run directory's ``config.yaml`` says."""

    kind: str = "dim"
    """What was trained: ``vq``, or a method: ``dim``, ``nearest``, ``rlhg``, ``l2l``, ``elp``,
    ``faceformer``, ``codetalker``, ``meshtalk``."""
    stage: str = "finetune"
    """``train-vq``, ``pretrain`` or ``finetune``; ``train`` for other methods, and
    ``prior`` for the first stage of those that have two."""
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
    inputs: InputsConfig = field(default_factory=InputsConfig)
    """What a baseline is told."""
    nearest: NearestConfig = field(default_factory=NearestConfig)
    """Nearest Audio or Nearest Motion."""
    rlhg: RLHGConfig = field(default_factory=RLHGConfig)
    """Responsive Listening Head Generation."""
    l2l: L2LConfig = field(default_factory=L2LConfig)
    """Learning to Listen."""
    elp: ELPConfig = field(default_factory=ELPConfig)
    """Emotional Listener Portrait."""
    faceformer: FaceFormerConfig = field(default_factory=FaceFormerConfig)
    """FaceFormer, a speaker's."""
    codetalker: CodeTalkerConfig = field(default_factory=CodeTalkerConfig)
    """CodeTalker, a speaker's."""
    meshtalk: MeshTalkConfig = field(default_factory=MeshTalkConfig)
    """MeshTalk, a speaker's."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The stage's training."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """Sampling defaults."""

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, KINDS)
        require_choice("stage", self.stage, (*STAGES, PRIOR, "train"))
        require_choice("role", self.role, ROLES)
        if self.stage == PRIOR:
            require_choice(f"kind (of stage {PRIOR})", self.kind, TWO_STAGE)
            if self.kind == "meshtalk":  # it learns from exchanging samples
                require_range("training.batch_size", self.training.batch_size, 2, 65536)
        if self.generation.attitude_guidance != 1 and not self.dim.attitudes:
            raise InputError(
                f"generation.attitude_guidance is {self.generation.attitude_guidance:g}, which "
                "needs a model trained with dim.attitudes"
            )

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that a run of this kind has; its file says no more."""
        return ("data", *SECTIONS[self.kind])

    @property
    def stride(self) -> int:
        """Frames that a step of the model stands for."""
        return self.vq.stride if "vq" in self.sections else 1

    @property
    def centred(self) -> bool:
        """Whether the model sees the speaker's motion about the clip's median."""
        section = self.dim if "dim" in self.sections else self.inputs
        return section.speaker_centering

    @property
    def told_attitudes(self) -> bool:
        """Whether the model is told the listener's attitude."""
        return self.dim.attitudes if self.kind == "dim" else self.inputs.attitudes


def read_config(path: Path) -> RunConfig:
    """Read a run's ``config.yaml``. Raises InputError that names the file and the fault."""
    return read_file(RunConfig, path)
