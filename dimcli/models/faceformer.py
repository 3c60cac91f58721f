"""FaceFormer (Fan et al., CVPR 2022, arXiv 2112.05329) at motion-parameter output: autoregression.

Speech is encoded, then one transformer decoder layer writes the face frame by frame, each from its
own frames before, whose weight falls off by the period (biased causal attention over periodic
positions), from the same frame of the speech (the alignment mask leaves nothing else), and from who
speaks. It is trained on what it wrote itself, with squared errors, and is deterministic.

What differs from the paper: it writes the 56 numbers of motion, standardised, where the paper
writes vertices; speech arrives as the data set's features, and ``encoder_layers`` of a transformer
stand for the part of wav2vec 2.0 that the paper fine-tunes; the subjects are the data's styles,
with one more for a stranger. Its layer is in :mod:`dimcli.models.speaker_baseline`.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
from torch import Tensor, nn

from dimcli.core.config import Divides, Dropout, Range, Section, Width
from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.baseline import (
    SMALL_SPEAKER_TRAINING,
    SPEAKER_INPUTS,
    TABLE_TRAINING,
    TINY_TRAINING,
    BaselineRun,
    Figures,
)
from dimcli.models.config import TrainingConfig
from dimcli.models.dim.losses import masked_mean
from dimcli.models.registry import Method, register
from dimcli.models.speaker_baseline import (
    Past,
    SpeakerBaseline,
    SpeechEncoder,
    WritingLayer,
    periodic_positions,
)


@dataclass(frozen=True)
class FaceFormerConfig(Section, section="faceformer"):
    """FaceFormer (arXiv 2112.05329): a speaker's motion, frame after frame, from speech."""

    width: Width = 128
    """Width of the encoder and of the decoder layer."""
    encoder_layers: Annotated[int, Range(0, 32)] = 2
    """Layers that encode the speech, on the data set's features."""
    heads: Annotated[int, Divides("width", 2)] = 4
    """Attention heads."""
    period: Annotated[int, Range(1, 1000)] = 25
    """Frames after which positions repeat, and attention falls off."""
    dropout: Dropout = 0.1
    """Dropout in training, in the encoder."""


@dataclass(frozen=True)
class FaceFormerRun(BaselineRun):
    """A run of FaceFormer."""

    kind: str = "faceformer"
    faceformer: FaceFormerConfig = field(default_factory=FaceFormerConfig)
    """The method's own settings."""


class FaceFormer(SpeakerBaseline):
    """An encoder of speech and one autoregressive decoder layer."""

    config: FaceFormerRun

    def __init__(self, config: FaceFormerRun) -> None:
        super().__init__(config)
        settings = config.faceformer
        width = settings.width
        self.period = settings.period
        self.speech = SpeechEncoder(
            config.data.audio_dim,
            width,
            layers=settings.encoder_layers,
            heads=settings.heads,
            dropout=settings.dropout,
        )
        self.style = nn.Embedding(len(self.styles), width)
        self.past = nn.Linear(MOTION_DIM, width)
        self.layer = WritingLayer(width, heads=settings.heads, period=settings.period)
        self.read_out = nn.Linear(width, MOTION_DIM)
        # as in the paper: the first answer is the resting face, here the mean
        nn.init.zeros_(self.read_out.weight)
        nn.init.zeros_(self.read_out.bias)

    def forward(self, audio: Tensor, style: Tensor, present: Tensor) -> Tensor:
        """Standardised audio [B, T, A] and style long [B] -> standardised motion [B, T, 56], each
        frame given those written before it. ``present`` bool [B, T] is false at padding.
        """
        heard = self.layer.aligned(self.speech(audio, present))
        frames, width = heard.shape[1:]
        positions = periodic_positions(frames, width, self.period, heard)
        who = self.style(style)
        feature, past = who, Past()
        written: list[Tensor] = []
        for frame in range(frames):
            state = self.layer.step(feature + positions[frame], heard[:, frame], past)
            answer = self.read_out(state)
            written.append(answer)
            feature = self.past(answer) + who
        return torch.stack(written, dim=1)

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Squared errors of the motion that it wrote on its own."""
        audio = self.speech_inputs(batch.audio, generator if training else None)
        predicted = self(audio, self.style_inputs(batch), batch.mask)
        target = self.standardise_speaker(batch.motion["speaker"])
        loss = masked_mean((target - predicted).square(), batch.mask)
        return loss, {"loss": loss}

    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """One pass over the speech; nothing is drawn."""
        present = torch.ones(audio.shape[:2], dtype=torch.bool, device=audio.device)
        return self(audio, style, present)


PRESETS = {
    "paper": FaceFormerRun(  # one clip a step; BIWI's are 4.7 s long on average
        training=TrainingConfig(batch_size=1, window_s=4.7, learning_rate=1e-4, weight_decay=0.0),
    ),
    "small": FaceFormerRun(
        inputs=SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(dropout=0.0),
        training=replace(SMALL_SPEAKER_TRAINING, window_s=2.56),
    ),
    "table": FaceFormerRun(
        inputs=SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(width=96, dropout=0.0),
        training=TABLE_TRAINING,
    ),
    "tiny": FaceFormerRun(
        inputs=SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(width=16, encoder_layers=1, heads=2, period=5, dropout=0.0),
        training=TINY_TRAINING,
    ),
}

register(Method("faceformer", ("speaker",), presets=PRESETS, build=FaceFormer))
