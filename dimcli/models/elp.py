"""Emotional Listener Portrait (Song et al., ICCV 2023, arXiv 2310.00068): composed codewords.

The listener's motion in a step is a composition of several discrete codewords. Their probabilities
are modelled explicitly, given what the speaker does and the emotion (here the listener's attitude);
an adaptive space encoder turns the drawn codewords, together with the emotion, into motion.

The authors released no code and the paper leaves details open; like the DIM paper's, this is a
re-implementation from the text. Ours to decide were: the codewords are those of the listener's
VQ-VAE, one for each part of the face (``vq.parts``), so that every method here composes motion of
the same pieces; probabilities are learned by cross-entropy and the adaptive space, beside them, by
the squared error of the motion; both networks are transformers over the whole window. The codewords
of a window are drawn independently of each other: it has no autoregression.

Axes: B batch, T frames, N steps (T / stride), D features, P codewords a step, K choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
from torch import Tensor, nn

from dimcli.core.config import Divides, Dropout, Feedforward, Layers, Section, Weight, Width
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import Batch
from dimcli.models.baseline import PAPER_INPUTS, SMALL_INPUTS, Figures, motion_loss
from dimcli.models.coded import PAPER_VQ, CodedBaseline, CodedRun, coded_presets
from dimcli.models.config import GenerationConfig, TrainingConfig
from dimcli.models.dim.layers import Transformer, sinusoidal_positions
from dimcli.models.dim.losses import code_loss, masked_mean
from dimcli.models.dim.sampling import draw
from dimcli.models.registry import Method, register


@dataclass(frozen=True)
class ELPConfig(Section, section="elp"):
    """Emotional Listener Portrait (arXiv 2310.00068): motion composed of codewords, whose
    probabilities depend on the speaker and the emotion."""

    width: Width = 256
    """Width of the transformers."""
    layers: Layers = 4
    """Layers of each of the two transformers: speaker, adaptive space."""
    heads: Annotated[int, Divides("width")] = 8
    """Attention heads."""
    feedforward: Feedforward = 512
    """Width inside the feed-forward blocks."""
    dropout: Dropout = 0.1
    """Dropout in training."""
    velocity_weight: Weight = 1.0
    """Weight of the loss on frame-to-frame differences."""


@dataclass(frozen=True)
class ELPRun(CodedRun):
    """A run of ELP."""

    kind: str = "elp"
    elp: ELPConfig = field(default_factory=ELPConfig)
    """The method's own settings."""


class ELP(CodedBaseline):
    """The speaker's network of probabilities and the adaptive space encoder."""

    config: ELPRun

    def __init__(self, config: ELPRun) -> None:
        super().__init__(config)
        elp, vq = config.elp, config.vq

        def transformer() -> Transformer:
            return Transformer(
                elp.width,
                layers=elp.layers,
                heads=elp.heads,
                feedforward=elp.feedforward,
                dropout=elp.dropout,
            )

        def emotion() -> nn.Embedding:
            embedding = nn.Embedding(len(ATTITUDES), elp.width)
            nn.init.zeros_(embedding.weight)
            return embedding

        self.embed = nn.Linear(vq.stride * (MOTION_DIM + config.data.audio_dim), elp.width)
        self.emotion = emotion()
        self.speaker = transformer()
        self.chances = nn.Linear(elp.width, self.parts * vq.codebook_size)
        self.from_codewords = nn.Linear(self.parts * vq.code_dim, elp.width)
        self.space_emotion = emotion()
        self.space = transformer()
        self.to_motion = nn.Linear(elp.width, vq.stride * MOTION_DIM)

    def expect(self, motion: Tensor, audio: Tensor, attitude: Tensor, present: Tensor) -> Tensor:
        """Logits [B, N, P, K] of the codewords given the speaker, standardised motion [B, T, 56]
        and audio [B, T, A], and the ``attitude`` long [B]; ``present`` bool [B, N]."""
        features = self.embed(self.steps(torch.cat([motion, audio], dim=-1)))
        features = features + self.emotion(attitude)[:, None]
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.chances(self.speaker(features, present)).unflatten(-1, (self.parts, -1))

    def adapt(self, codes: Tensor, attitude: Tensor, present: Tensor) -> Tensor:
        """The adaptive space: codewords long [B, N, P] and the ``attitude`` long [B] -> motion
        [B, T, 56] as the VQ-VAE standardises it."""
        features = self.from_codewords(self.vq.vectors(codes).flatten(2))
        features = features + self.space_emotion(attitude)[:, None]
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        frames: Tensor = self.to_motion(self.space(features, present))
        return frames.unflatten(2, (self.config.vq.stride, -1)).flatten(1, 2)

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """The speaker's cross-entropy of the true codewords, and the motion made of them."""
        own = generator if training else None
        motion, audio = self.speaker_inputs(batch.motion["speaker"], batch.audio, own)
        attitude = self.attitude_inputs(batch.attitude, own)
        target, codes, present = self.true_codes(batch)
        logits = self.expect(motion, audio, attitude, present)
        code = code_loss(logits, codes, present)
        made = self.adapt(codes, attitude, present)
        _, error = motion_loss(target, made, batch.mask, self.config.elp.velocity_weight)
        loss = code + error
        hits = masked_mean((logits.argmax(dim=-1) == codes).float(), present)
        return loss, {"loss": loss, "code": code, "motion": error, "accuracy": hits}

    def choose(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        known: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """All at once, from the speaker's probabilities."""
        steps = motion.shape[1] // self.config.vq.stride
        there = torch.ones(1, steps, dtype=torch.bool, device=motion.device)
        logits = self.expect(motion, audio, attitude, there)[0, len(known) :]
        fresh = draw(logits.float().cpu(), temperature, generator)
        return torch.cat([known, fresh.to(known.device)])

    def decode(self, codes: Tensor, attitude: Tensor) -> Tensor:
        """By the adaptive space."""
        there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
        return self.vq.unstandardise(self.adapt(codes[None], attitude, there))[0]


PRESETS = coded_presets(
    ELPRun(  # pieces of 64 frames
        vq=replace(PAPER_VQ, layers=4, parts="face"),
        inputs=PAPER_INPUTS,
        training=TrainingConfig(window_s=2.56, learning_rate=1e-4),
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    SMALL_INPUTS,
    {
        "small": ELPConfig(width=144, layers=3, heads=6, feedforward=384, dropout=0.0),
        "table": ELPConfig(width=96, layers=2, heads=4, feedforward=192, dropout=0.0),
        "tiny": ELPConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.0),
    },
)

register(Method("elp", ("listener",), presets=PRESETS, build=ELP, coded=True, resumes_from=True))
