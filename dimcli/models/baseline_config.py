"""Settings of the methods that DIM is compared with; each section is one method's."""

from __future__ import annotations

from dataclasses import dataclass

from dimcli.core.config import require_choice, require_range
from dimcli.core.errors import InputError


@dataclass(frozen=True)
class InputsConfig:
    """What a baseline is told of the speaker and of the listener it shall be."""

    speaker_centering: bool = False
    """Subtract the clip's median from the speaker's motion, so that neither the camera nor the
    tracker's resting values matter."""
    clamp_std: float = 0.0
    """Clamp standardised inputs to plus and minus this; 0 for never."""
    noise_std: float = 0.0
    """Training only: noise on the speaker's motion and audio, in standard deviations."""
    modality_dropout: float = 0.0
    """Training only: chance that the speaker's motion, or the audio, is zero in a sample."""
    attitudes: bool = False
    """Whether the model is told the listener's attitude (or that it is unknown)."""
    attitude_dropout: float = 0.0
    """Share of training samples whose attitude is replaced by unknown."""

    def __post_init__(self) -> None:
        require_range("inputs.noise_std", self.noise_std, 0, 10)
        require_range("inputs.modality_dropout", self.modality_dropout, 0, 0.5)
        require_range("inputs.attitude_dropout", self.attitude_dropout, 0, 1)


@dataclass(frozen=True)
class NearestConfig:
    """Nearest Audio and Nearest Motion: which training listener is borrowed."""

    by: str = "audio"
    """What is compared: the speakers' ``audio`` or ``motion``."""
    segment_s: float = 2.56
    """Length of the pieces that are looked up one after another, in seconds (64 frames at 25)."""
    step_s: float = 0.16
    """Speakers are compared by their mean over steps of so many seconds."""
    fade_s: float = 0.32
    """Seconds over which one borrowed piece goes over into the next."""

    def __post_init__(self) -> None:
        require_choice("nearest.by", self.by, ("audio", "motion"))
        require_range("nearest.segment_s", self.segment_s, 0.1, 60)
        require_range("nearest.step_s", self.step_s, 0.01, self.segment_s)
        require_range("nearest.fade_s", self.fade_s, 0, self.segment_s / 2)


@dataclass(frozen=True)
class RLHGConfig:
    """Responsive Listening Head Generation (arXiv 2112.13548): recurrent regression."""

    fusion: int = 192
    """Width that audio and speaker motion are fused to."""
    hidden: int = 96
    """Width of the LSTM."""
    layers: int = 2
    """Layers of the LSTM."""
    dropout: float = 0.1
    """Dropout between the LSTM's layers."""
    velocity_weight: float = 1.0
    """Weight of the loss on frame-to-frame differences."""

    def __post_init__(self) -> None:
        require_range("rlhg.fusion", self.fusion, 1, 4096)
        require_range("rlhg.hidden", self.hidden, 1, 4096)
        require_range("rlhg.layers", self.layers, 1, 16)
        require_range("rlhg.dropout", self.dropout, 0, 0.9)


@dataclass(frozen=True)
class L2LConfig:
    """Learning to Listen (arXiv 2204.08451): autoregression over the listener's motion codes."""

    width: int = 200
    """Width of the predictor and of the cross-modal transformer."""
    speaker_layers: int = 2
    """Layers in which the speaker's motion reads the speaker's audio."""
    layers: int = 5
    """Layers of the predictor, each reading its own past and the speaker."""
    heads: int = 10
    """Attention heads."""
    feedforward: int = 800
    """Width inside the feed-forward blocks."""
    dropout: float = 0.1
    """Dropout in training."""
    top_p: float = 0.9
    """Nucleus sampling: the likeliest codes that together have this chance are drawn from."""

    def __post_init__(self) -> None:
        require_range("l2l.width", self.width, 1, 4096)
        require_range("l2l.dropout", self.dropout, 0, 0.9)
        require_range("l2l.top_p", self.top_p, 0.01, 1)
        if self.width % self.heads:
            raise InputError(f"l2l.heads is {self.heads}; it must divide l2l.width {self.width}")


@dataclass(frozen=True)
class FaceFormerConfig:
    """FaceFormer (arXiv 2112.05329): a speaker's motion, frame after frame, from speech."""

    width: int = 128
    """Width of the encoder and of the decoder layer."""
    encoder_layers: int = 2
    """Layers that encode the speech, on the data set's features."""
    heads: int = 4
    """Attention heads."""
    period: int = 25
    """Frames after which positions repeat, and attention falls off."""
    dropout: float = 0.1
    """Dropout in training, in the encoder."""

    def __post_init__(self) -> None:
        require_range("faceformer.width", self.width, 1, 4096)
        require_range("faceformer.encoder_layers", self.encoder_layers, 0, 32)
        require_range("faceformer.period", self.period, 1, 1000)
        require_range("faceformer.dropout", self.dropout, 0, 0.9)
        _require_divisible(self, "faceformer", "heads", "width")


@dataclass(frozen=True)
class CodeTalkerConfig:
    """CodeTalker (arXiv 2301.02379): a speaker's motion codes, frame after frame, from speech."""

    prior_width: int = 1024
    """First stage: width of the transformers."""
    prior_layers: int = 6
    """First stage: layers of the encoder, and again of the decoder."""
    prior_heads: int = 8
    """First stage: attention heads."""
    prior_feedforward: int = 1536
    """First stage: width inside the feed-forward blocks."""
    components: int = 8
    """Codes a frame, all of one codebook."""
    codebook_size: int = 256
    """Codes in the codebook."""
    code_dim: int = 128
    """Width of a code vector."""
    commitment: float = 0.25
    """Weight of the commitment term."""
    warmup_steps: int = 0
    """First stage: steps without quantisation at the start; the codebook is then set by k-means."""
    revive_after: int = 0
    """First stage: steps without use after which a code is moved onto a current feature; 0 for
    never."""
    width: int = 1024
    """Second stage: width of the encoder and of the decoder."""
    encoder_layers: int = 2
    """Layers that encode the speech, on the data set's features."""
    layers: int = 12
    """Layers of the decoder."""
    heads: int = 4
    """Attention heads of the second stage."""
    period: int = 25
    """Frames after which positions repeat, and attention falls off."""
    dropout: float = 0.1
    """Dropout in training, in the encoder of the speech."""
    motion_weight: float = 1.0
    """Second stage: weight of the motion's error."""
    feature_weight: float = 1.0
    """Second stage: weight of the features' distance to the true motion's codes."""
    own_past: float = 0.0
    """Second stage, training only: share of samples that don't see the true past (0 for the paper's
    teacher forcing) but none, or what the model writes with none. A short training otherwise learns
    to go on as before, and not to listen."""

    def __post_init__(self) -> None:
        require_range("codetalker.prior_width", self.prior_width, 1, 4096)
        require_range("codetalker.prior_layers", self.prior_layers, 0, 32)
        require_range("codetalker.components", self.components, 1, 256)
        require_range("codetalker.codebook_size", self.codebook_size, 2, 65536)
        require_range("codetalker.code_dim", self.code_dim, 1, 4096)
        require_range("codetalker.width", self.width, 1, 4096)
        require_range("codetalker.encoder_layers", self.encoder_layers, 0, 32)
        require_range("codetalker.layers", self.layers, 1, 32)
        require_range("codetalker.period", self.period, 1, 1000)
        require_range("codetalker.dropout", self.dropout, 0, 0.9)
        require_range("codetalker.motion_weight", self.motion_weight, 0, 1000)
        require_range("codetalker.feature_weight", self.feature_weight, 0, 1000)
        require_range("codetalker.own_past", self.own_past, 0, 1)
        _require_divisible(self, "codetalker", "prior_heads", "prior_width")
        _require_divisible(self, "codetalker", "heads", "width")


@dataclass(frozen=True)
class MeshTalkConfig:
    """MeshTalk (arXiv 2104.08223): a speaker's categorical latents, one by one, from speech."""

    width: int = 128
    """Width of the codes of speech and of motion, and of the decoder."""
    heads: int = 64
    """Categorical latents a frame."""
    categories: int = 128
    """Categories of each latent."""
    hidden: int = 64
    """Second stage: width of each head's features."""
    dropout: float = 0.2
    """First stage: dropout in training, in the encoder of the speech."""

    def __post_init__(self) -> None:
        require_range("meshtalk.width", self.width, 1, 4096)
        require_range("meshtalk.heads", self.heads, 1, 1024)
        require_range("meshtalk.categories", self.categories, 2, 65536)
        require_range("meshtalk.hidden", self.hidden, 1, 4096)
        require_range("meshtalk.dropout", self.dropout, 0, 0.9)


@dataclass(frozen=True)
class ELPConfig:
    """Emotional Listener Portrait (arXiv 2310.00068): motion composed of codewords, whose chances
    depend on the speaker and the emotion."""

    width: int = 256
    """Width of the transformers."""
    layers: int = 4
    """Layers of each of the two transformers: speaker, adaptive space."""
    heads: int = 8
    """Attention heads."""
    feedforward: int = 512
    """Width inside the feed-forward blocks."""
    dropout: float = 0.1
    """Dropout in training."""
    velocity_weight: float = 1.0
    """Weight of the loss on frame-to-frame differences."""

    def __post_init__(self) -> None:
        require_range("elp.width", self.width, 1, 4096)
        require_range("elp.dropout", self.dropout, 0, 0.9)
        require_range("elp.velocity_weight", self.velocity_weight, 0, 1000)
        if self.width % self.heads:
            raise InputError(f"elp.heads is {self.heads}; it must divide elp.width {self.width}")


def _require_divisible(config: object, section: str, heads: str, width: str) -> None:
    """Raise InputError unless a section's ``heads`` divide its ``width``, which must be even."""
    count, whole = getattr(config, heads), getattr(config, width)
    if count < 1 or whole % count or whole % 2:
        raise InputError(
            f"{section}.{heads} is {count}; it and 2 must divide {section}.{width} {whole}"
        )
