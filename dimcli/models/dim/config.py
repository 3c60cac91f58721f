"""Settings of the paper's model and its presets.

``paper`` states what the paper says; what we chose where it says nothing is in
``examples/research.md``. ``released-sizes`` is ``paper`` with the released code's sizes, time-wise
fusion, autoregressive decoder, mask ratio and L1, and nothing else of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from dimcli.core.config import (
    Choice,
    Count,
    Divides,
    Dropout,
    Feedforward,
    Kernel,
    Layers,
    Range,
    Section,
    Share,
    Weight,
    Width,
    require_choice,
)
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ROLES
from dimcli.models.config import STAGES, GenerationConfig, InputsConfig, SampledRun, TrainingConfig
from dimcli.models.names import PRESETS


@dataclass(frozen=True)
class VQConfig(Section, section="vq"):
    """One role's VQ-VAE (section 3.2 of the paper, equations 1-3)."""

    width: Width = 384
    """Width of the transformers."""
    layers: Layers = 8
    """Layers of the encoder, and again of the decoder."""
    heads: Annotated[int, Divides("width")] = 8
    """Attention heads."""
    feedforward: Feedforward = 768
    """Width inside the feed-forward blocks."""
    dropout: Dropout = 0.1
    """Dropout in training."""
    codebook_size: Annotated[int, Range(2, 65536)] = 512
    """Codes in a codebook."""
    code_dim: Width = 128
    """Width of a code vector."""
    stride: Annotated[int, Range(1, 64)] = 1
    """Frames a code stands for."""
    parts: Annotated[str, Choice("whole", "face", "speech")] = "whole"
    """``whole``: one code a step for all 56 numbers. ``face``: one code a step for each of nod,
    turn, lids, gaze, mouth and brows, each with its own small encoder, codebook and decoder.
    ``speech``: the same with the smile apart from the mouth that speaks."""
    local_kernel: Kernel = 0
    """Width of the depthwise convolution in each transformer block; 0 for none (the paper)."""
    frame_kernel: Kernel = 0
    """Width of the convolutions after the decoder that run at the frame rate, so that the joints
    between codes are smooth; 0 for none (the paper)."""
    commitment: Weight = 0.25
    """Weight beta of equation 2."""
    codebook_weight: Weight = 1.0
    """Weight gamma of equation 3, beside means over columns: 128 / 56 weighs the paper's sums over
    128 and 56 numbers as with gamma 1."""
    reconstruction: Annotated[str, Choice("l1", "l2")] = "l2"
    """Reconstruction loss: ``l2`` (equation 1) or ``l1`` (the released code)."""
    velocity_weight: Weight = 0.0
    """Weight of the same loss on frame-to-frame differences."""
    standardise: bool = True
    """Divide each column by its standard deviation in the training data (with a floor)."""
    warmup_steps: Count = 0
    """Steps without quantisation at the start; the codebooks are then set by k-means."""
    revive_after: Count = 200
    """Steps without use after which a code is moved onto a current latent; 0 for never."""
    causal: bool = False
    """Whether the decoder's motion depends on no later code (for online use). The encoder reads the
    whole window all the same: it makes the codes to learn from, and online generation needs none.
    """


@dataclass(frozen=True)
class PaperConfig(Section):
    """The model of section 3.3, its ablations, and what the released code does otherwise."""

    width: Width = 384
    """Width of the role encoders; the joint encoder and the joint decoder are wider by what they
    concatenate."""
    role_layers: Layers = 8
    """Layers of each role-specific encoder."""
    joint_layers: Layers = 8
    """Layers of the joint encoder."""
    decoder_layers: Layers = 8
    """Layers of the joint decoder."""
    heads: Annotated[int, Divides("width")] = 8
    """Attention heads."""
    feedforward: Feedforward = 768
    """Width inside the feed-forward blocks."""
    dropout: Dropout = 0.1
    """Dropout in training."""
    audio_width: Annotated[int, Range(0, 4096)] = 0
    """Width the audio features are projected to before the decoder; 0 for ``width``."""
    joint: Annotated[str, Choice("feature", "time")] = "feature"
    """How the joint encoder fuses the roles: ``feature`` (equation 6) or ``time`` (released)."""
    decoder: Annotated[str, Choice("parallel", "autoregressive")] = "parallel"
    """``parallel`` (equation 7) or ``autoregressive`` (the released code, kept to compare)."""
    targets: Annotated[str, Choice("codes", "motion")] = "codes"
    """What is predicted: ``codes`` of the VQ-VAEs (the paper), or ``motion`` itself, by regression
    (Table 3, without VQ)."""
    branches: Annotated[str, Choice("two", "speaker")] = "two"
    """``two``: an encoder a role, both roles modelled (the paper); ``speaker``: no listener branch,
    only the listener is predicted and nothing is contrasted (Table 3, without S-L)."""
    modalities: Annotated[str, Choice("both", "motion", "audio")] = "both"
    """What is read of the speaker: ``both``, or only ``motion`` or ``audio``, the other being all
    zeros (supplement, Table 1)."""
    freeze_vq_decoder: bool = False
    """Whether the VQ decoders are frozen too (Table 3)."""
    outputs: Annotated[str, Choice("both", *ROLES)] = "both"
    """Whose codes can be predicted: ``both``, ``listener`` or ``speaker``."""
    mask_ratio: Share = 0.75
    """Share of each role's steps that is masked in pre-training."""
    temperature: Annotated[float, Range(1e-4, 100)] = 0.05
    """Temperature tau of the contrastive loss."""
    symmetric: bool = False
    """Whether the contrastive loss also matches listeners to speakers."""
    contrastive_weight: Weight = 1.0
    """Weight lambda 1 of equation 10."""
    masked_weight: Weight = 1.0
    """Weight lambda 2 of equation 10."""
    motion_weight: Weight = 1.0
    """Weight of equation 9's second term, the motion decoded from the predicted codes: 56 is that
    of the paper's sum over 56 numbers."""
    causal: bool = False
    """Whether no step reads later ones (for online use; needs ``vq.causal``)."""


@dataclass(frozen=True)
class AdditionsConfig(Section):
    """What the shipped models add to the paper's."""

    local_kernel: Kernel = 0
    """Width of the depthwise convolution in each transformer block; 0 for none (the paper)."""
    audio_kernel: Annotated[int, Range(0, 99)] = 0
    """Width, in rows of ``mel`` features, of the convolutions that the audio goes through before it
    is projected; 0 for none (the paper)."""
    audio_channels: Width = 64
    """Channels of those convolutions."""
    speaker_inputs: Annotated[str, Choice("motion", "codes")] = "motion"
    """What the speaker's encoder reads: ``motion`` (the paper) or ``codes`` (code vectors)."""
    listener_inputs: Annotated[str, Choice("motion", "codes")] = "motion"
    """What the listener's encoder reads: ``motion`` (the paper) or ``codes``. With codes,
    mask-predict sampling feeds back exactly what was sampled."""
    visible_targets: bool = False
    """Whether the decoder also reads the target's visible codes directly, beside what reaches it
    through the joint encoder. In the paper's fine-tuning none is visible; mask-predict sampling
    needs neighbours to fit, and learns it far sooner this way."""
    code_geometry: bool = False
    """Whether the output also scores codes by where they lie in code space: codes that decode
    alike then learn from each other."""
    listener_visible: Annotated[str, Choice("none", "uniform")] = "none"
    """Target frames visible in fine-tuning: ``none`` (the paper) or ``uniform`` (a uniformly drawn
    share, none at all in a quarter of the samples; what mask-predict sampling meets)."""
    anchor_weight: Weight = 0.0
    """Weight of the motion decoded from the true codes: keeps a VQ decoder that also trains on
    predicted codes from blurring sampled ones."""
    motion_share: Share = 1.0
    """Share of a batch that the two motion terms are computed on; they cost as much as all else."""
    styles: bool = False
    """Whether the decoder is conditioned on the speaker's style (which may be unknown)."""
    style_dropout: Share = 0.3
    """Share of training samples whose style is replaced by unknown."""


@dataclass(frozen=True)
class MouthConfig(Section):
    """The speaker's mouth, in the speaker task."""

    mouth: Annotated[str, Choice("sampled", "expected")] = "sampled"
    """How the speaker's mouth comes out in the speaker task: ``sampled`` as every part is, or
    ``expected``: the motion of the expected code vector. Lips follow the sound, and a sample's
    noise is seen in them at once. Its codes are then never shown to the model again."""
    mouth_residual: bool = False
    """Whether a head adds to an expected mouth what means of code vectors cannot say: frame by
    frame, lips that close between two vowels."""
    lips_weight: Weight = 0.0
    """Weight of a loss on the gap between the lips of an expected mouth; only in the arkit space,
    where the open head says what it is."""
    closed_weight: Weight = 0.0
    """How much more a frame with closed lips counts in that loss than another one."""


@dataclass(frozen=True)
class DIMConfig(
    MouthConfig, AdditionsConfig, InputsConfig, PaperConfig, section="dim", gone=(("look_back", 0),)
):
    """Dyadic interaction modelling (section 3.3 of the paper, equations 4-10), and its inputs."""

    attitude_dropout: Share = 0.5
    """Share of training samples whose attitude is replaced by unknown."""
    traits: bool = False
    """Whether the decoder is told the listener's traits (:mod:`dimcli.models.dim.traits`); only in
    the arkit space."""
    trait_dropout: Share = 0.2
    """Share of training samples whose traits are replaced by unknown."""
    face_dropout: Annotated[float, Range(0, 0.5)] = 0.0
    """Share of fine-tuning samples without the speaker's face, and again of those with a stretch
    without it: such a model listens to a voice alone, and to a camera that comes and goes."""
    history_dropout: Annotated[float, Range(0, 0.5)] = 0.0
    """Share of fine-tuning samples whose autoregressive decoder is shown none of the codes before a
    step, and again of those in which a stretch of them is hidden. What comes next is told so well
    by what was before that the speaker would hardly be listened to; a stream, which has only its
    own codes before it, then wanders off."""
    band_warp: Annotated[float, Range(0, 0.5)] = 0.0
    """Training only, for ``mel`` features: bands are read up to so much higher or lower (0.1: 10 %
    in mel), as throats longer and shorter would shift them."""

    def __post_init__(self) -> None:
        super().__post_init__()
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
class DIMRun(SampledRun):
    """A run of the paper's model: of one role's VQ-VAE (kind ``vq``), or dyadic (``dim``)."""

    kind: str = "dim"
    stage: str = "finetune"
    vq: VQConfig = field(default_factory=VQConfig)
    """The VQ-VAE, of both roles."""
    dim: DIMConfig = field(default_factory=DIMConfig)
    """The dyadic model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("kind", self.kind, ("vq", "dim"))
        if self.generation.attitude_guidance != 1 and not self.dim.attitudes:
            raise InputError(
                f"generation.attitude_guidance is {self.generation.attitude_guidance:g}, which "
                "needs a model trained with dim.attitudes"
            )

    @property
    def stride(self) -> int:
        """Frames that a code stands for."""
        return self.vq.stride

    @property
    def centred(self) -> bool:
        """Whether the model sees the speaker's motion about the clip's median."""
        return self.dim.speaker_centering

    @property
    def face_optional(self) -> bool:
        """Whether a listener also answers a voice alone, and a camera that comes and goes."""
        return self.kind == "dim" and self.dim.face_dropout > 0

    @property
    def hears(self) -> bool:
        """Whether sound makes a difference to the model."""
        return self.kind == "dim" and self.dim.modalities != "motion"

    @property
    def attitude_conditioned(self) -> bool:
        """Whether the model is conditioned on the listener's attitude."""
        return self.kind == "dim" and self.dim.attitudes

    @property
    def trait_conditioned(self) -> bool:
        """Whether the model is told the listener's traits; a direct regression has one answer."""
        drawn = self.kind == "dim" and self.dim.targets == "codes"
        return drawn and self.dim.traits and self.data.space == "arkit"


_SMALL_VQ = VQConfig(
    width=48, layers=2, heads=4, feedforward=96, dropout=0.0, codebook_size=256, code_dim=16,
    stride=4, parts="face", local_kernel=5, frame_kernel=5, velocity_weight=2.0, warmup_steps=250,
    revive_after=100,
)  # fmt: skip
_SMALL_DIM = DIMConfig(
    width=96, role_layers=2, joint_layers=2, decoder_layers=3, heads=4, feedforward=256,
    dropout=0.0, local_kernel=5, listener_inputs="codes", audio_width=64,
    listener_visible="uniform", contrastive_weight=0.1, motion_weight=0.05, anchor_weight=1.0,
    motion_share=0.25, visible_targets=True, code_geometry=True,
    attitudes=True, traits=True, speaker_centering=True, clamp_std=4.0, noise_std=0.15,
    modality_dropout=0.05,
)  # fmt: skip
# A stream is answered step by step, all steps before being known: an autoregressive decoder learns
# just that from every step of a window, where masks at random would hardly ever show a whole past.
_LIVE_VQ = replace(_SMALL_VQ, causal=True)
_LIVE_DIM = replace(
    _SMALL_DIM, causal=True, decoder="autoregressive", visible_targets=False,
    listener_visible="none", face_dropout=0.3, history_dropout=0.3,
)  # fmt: skip
_TINY_VQ = replace(
    _SMALL_VQ, width=16, layers=1, heads=2, feedforward=32, codebook_size=16, code_dim=4,
    warmup_steps=5, revive_after=10,
)  # fmt: skip
_TINY_DIM = replace(
    _SMALL_DIM, width=16, role_layers=1, joint_layers=1, decoder_layers=1, heads=2,
    feedforward=32, audio_width=16, dropout=0.0,
)  # fmt: skip
_TABLE_VQ = replace(
    _SMALL_VQ, width=32, layers=1, heads=2, feedforward=64, codebook_size=128, warmup_steps=150,
)  # fmt: skip
_TABLE_DIM = replace(
    _SMALL_DIM, width=64, role_layers=1, joint_layers=1, decoder_layers=2, feedforward=128,
    audio_width=32, traits=False,
)  # fmt: skip
_SPEAKER_VQ = replace(_SMALL_VQ, stride=2, parts="speech", warmup_steps=120)
_SPEAKER_DIM = replace(
    _SMALL_DIM, width=48, role_layers=1, joint_layers=1, decoder_layers=4, feedforward=288,
    audio_width=96, speaker_inputs="codes", listener_inputs="motion", mouth="expected",
    motion_weight=4.0, motion_share=1.0, attitudes=False, traits=False, styles=True,
    speaker_centering=False, modality_dropout=0.0, band_warp=0.12, audio_kernel=5,
    mouth_residual=True, lips_weight=1.0, closed_weight=2.0,
)  # fmt: skip
_SMALL_STAGES = {
    "train-vq": TrainingConfig(
        steps=1000, batch_size=16, window_s=5.12, learning_rate=2e-3, weight_decay=1e-4,
        schedule="cosine", ramp_steps=100, validate_every=250,
    ),
    "pretrain": TrainingConfig(
        steps=400, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=200,
    ),
    "finetune": TrainingConfig(
        steps=3600, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=250,
    ),
}  # fmt: skip
_LIVE_STAGES = {
    **_SMALL_STAGES,
    "finetune": replace(_SMALL_STAGES["finetune"], steps=9000),
}
_TABLE_STAGES = {
    "train-vq": replace(
        _SMALL_STAGES["train-vq"], steps=500, window_s=2.56, learning_rate=3e-3, ramp_steps=50,
        validate_every=200,
    ),
    "pretrain": replace(
        _SMALL_STAGES["pretrain"], steps=300, window_s=5.12, learning_rate=2e-3, ramp_steps=50,
        validate_every=100,
    ),
    "finetune": replace(
        _SMALL_STAGES["finetune"], steps=600, window_s=5.12, learning_rate=2e-3, ramp_steps=50,
        validate_every=100,
    ),
}  # fmt: skip
_SPEAKER_STAGES = {
    "train-vq": replace(
        _SMALL_STAGES["train-vq"],
        steps=450,
        batch_size=12,
        window_s=2.56,
        validate_every=225,
        validation_batches=4,
    ),
    "pretrain": replace(_SMALL_STAGES["pretrain"], window_s=3.84),
    "finetune": replace(
        _SMALL_STAGES["finetune"],
        steps=25_000,
        window_s=3.84,
        learning_rate=3e-3,
        ramp_steps=300,
        validate_every=500,
        validation_batches=16,
    ),
}
# Losses here are means over columns (:mod:`dimcli.models.dim.losses`), and the paper's are sums: of
# equation 3 over 56 numbers and over the code's 128, of equation 9 over 56.
_PAPER_VQ = VQConfig(standardise=False, codebook_weight=128 / MOTION_DIM, warmup_steps=1000)
_PAPER_DIM = DIMConfig(motion_weight=float(MOTION_DIM))
_PAPER_TRAINING = TrainingConfig(epochs=100.0, beta2=0.999, clip_norm=0.0)
_PAPER_STAGES = {
    "train-vq": replace(_PAPER_TRAINING, learning_rate=1e-4),
    "pretrain": _PAPER_TRAINING,
    "finetune": _PAPER_TRAINING,
}
_PRESETS: dict[str, tuple[VQConfig, DIMConfig, dict[str, TrainingConfig], GenerationConfig]] = {
    "paper": (_PAPER_VQ, _PAPER_DIM, _PAPER_STAGES, GenerationConfig()),
    "released-sizes": (
        replace(_PAPER_VQ, layers=6, feedforward=1536, reconstruction="l1"),
        replace(
            _PAPER_DIM, role_layers=4, joint_layers=4, decoder_layers=4, heads=12,
            feedforward=1536, joint="time", decoder="autoregressive", audio_width=768,
            mask_ratio=0.15,
        ),
        _PAPER_STAGES,
        GenerationConfig(),
    ),
    "small": (
        _SMALL_VQ,
        _SMALL_DIM,
        _SMALL_STAGES,
        GenerationConfig(
            steps=6, temperature=0.9, nod_temperature=1.05, turn_temperature=0.95,
            lids_temperature=0.58, overlap_s=1.28,
            hold_degrees=1.2, hold_expression=0.03, smile_lift=0.2,
        ),
    ),
    "live": (
        _LIVE_VQ,
        _LIVE_DIM,
        _LIVE_STAGES,
        GenerationConfig(
            temperature=0.9, nod_temperature=1.1, turn_temperature=1.5, lids_temperature=0.85,
            gaze_temperature=0.6, mouth_temperature=0.7,
            history_weight=0.6, hold_degrees=1.1, hold_expression=0.05, smile_lift=0.12,
        ),
    ),
    "speaker": (
        _SPEAKER_VQ,
        _SPEAKER_DIM,
        _SPEAKER_STAGES,
        GenerationConfig(
            steps=6, temperature=0.9, sharpening=0.7, offsets=2, window_s=3.84, overlap_s=0.96
        ),
    ),
    "table": (
        _TABLE_VQ,
        _TABLE_DIM,
        _TABLE_STAGES,
        GenerationConfig(steps=6, temperature=0.9, window_s=5.12, overlap_s=1.28),
    ),
    "tiny": (
        _TINY_VQ,
        _TINY_DIM,
        {
            stage: TrainingConfig(
                steps=30, batch_size=4, window_s=1.28, learning_rate=3e-3, validate_every=10,
                validation_batches=1,
            )
            for stage in STAGES
        },
        GenerationConfig(steps=2, window_s=1.28, overlap_s=0.32),
    ),
}  # fmt: skip


def preset(name: str, stage: str, role: str = "listener") -> DIMRun:
    """The run configuration of one stage of a preset. Raises InputError that lists the presets."""
    require_choice("preset", name, PRESETS)
    require_choice("stage", stage, STAGES)
    vq, dim, stages, generation = _PRESETS[name]
    return DIMRun(
        kind="vq" if stage == "train-vq" else "dim",
        stage=stage,
        role=role,
        preset=name,
        vq=vq,
        dim=dim,
        training=stages[stage],
        generation=generation,
    )
