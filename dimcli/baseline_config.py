"""Settings of the methods that DIM is compared with; each section is one method's."""

from __future__ import annotations

from dataclasses import dataclass

from dimcli.errors import InputError
from dimcli.ranges import require_choice, require_range


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
        if self.width % self.heads or self.width % 2:
            raise InputError(
                f"faceformer.heads is {self.heads}; it and 2 must divide faceformer.width "
                f"{self.width}"
            )


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
