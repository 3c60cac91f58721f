"""CodeTalker (Xing et al., CVPR 2023, arXiv 2301.02379) at motion-parameter output.

The first stage (its section 3.2) is a VQ-VAE. A frame of motion becomes ``components`` codes of one
shared codebook (the paper's H face components at temporal unit P = 1, its best setting). Encoder
and decoder are a convolution over time with instance norm each, then a transformer that reads the
whole window. Loss: mean absolute error of the motion, codebook and commitment terms.
``warmup_steps`` and ``revive_after``, which DIM's VQ-VAE has too, keep the codebook alive in short
trainings (0 for the paper's). In the second, FaceFormer's decoder with more layers predicts each
frame's code features from the frames before it, the same frame of the speech and an embedding of
who speaks; each component is replaced by its nearest code, and the first stage's decoder, which
stays frozen, makes the motion. It is trained with the true past (teacher forcing) on squared errors
of the motion and, as regularisation, of the features to the true motion's quantised ones (its
section 3.3). It is deterministic.

What differs from the paper: it writes the 56 numbers of motion, standardised, where the paper
writes vertices; speech arrives as the data set's features, and ``encoder_layers`` of a transformer
stand for the part of wav2vec 2.0 that the paper fine-tunes; the subjects are the data's styles,
with one more for a stranger; long speech is said in windows that share frames, each going on from
the last one's codes. As in the paper, what a frame reads of its own past is decoded from the codes
so far, by a decoder that has norms over all of them. With teacher forcing alone a short training
learns to go on as before and not to listen; ``own_past`` (0 for the paper's) is against that.

Axes: B batch, T frames, D features, F = components * code width, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.core.config import (
    Count,
    Divides,
    Dropout,
    Feedforward,
    Range,
    Section,
    Share,
    Weight,
    Width,
)
from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.baseline import (
    SMALL_SPEAKER_TRAINING,
    SPEAKER_INPUTS,
    TABLE_TRAINING,
    TINY_GENERATION,
    TINY_TRAINING,
    BaselineRun,
    Figures,
)
from dimcli.models.config import GenerationConfig, SampledRun, TrainingConfig
from dimcli.models.dim.layers import Transformer, sinusoidal_positions
from dimcli.models.dim.losses import masked_mean, reconstruction_loss
from dimcli.models.dim.quantizer import Quantized, Quantizer
from dimcli.models.registry import Method, register
from dimcli.models.speaker_baseline import (
    Past,
    SpeechEncoder,
    SpeechModel,
    TwoStageSpeaker,
    WritingLayer,
    periodic_positions,
)
from dimcli.models.windows import Track, windows

KERNEL = 5
SLOPE = 0.2
"""Of the leaky rectifiers, as in the released code."""


@dataclass(frozen=True)
class CodeTalkerConfig(Section, section="codetalker"):
    """CodeTalker (arXiv 2301.02379): a speaker's motion codes, frame after frame, from speech."""

    prior_width: Width = 1024
    """First stage: width of the transformers."""
    prior_layers: Annotated[int, Range(0, 32)] = 6
    """First stage: layers of the encoder, and again of the decoder."""
    prior_heads: Annotated[int, Divides("prior_width", 2)] = 8
    """First stage: attention heads."""
    prior_feedforward: Feedforward = 1536
    """First stage: width inside the feed-forward blocks."""
    components: Annotated[int, Range(1, 256)] = 8
    """Codes a frame, all of one codebook."""
    codebook_size: Annotated[int, Range(2, 65536)] = 256
    """Codes in the codebook."""
    code_dim: Width = 128
    """Width of a code vector."""
    commitment: Weight = 0.25
    """Weight of the commitment term."""
    warmup_steps: Count = 0
    """First stage: steps without quantisation at the start; the codebook is then set by k-means."""
    revive_after: Count = 0
    """First stage: steps without use after which a code is moved onto a current feature; 0 for
    never."""
    width: Width = 1024
    """Second stage: width of the encoder and of the decoder."""
    encoder_layers: Annotated[int, Range(0, 32)] = 2
    """Layers that encode the speech, on the data set's features."""
    layers: Annotated[int, Range(1, 32)] = 12
    """Layers of the decoder."""
    heads: Annotated[int, Divides("width", 2)] = 4
    """Attention heads of the second stage."""
    period: Annotated[int, Range(1, 1000)] = 25
    """Frames after which positions repeat, and attention falls off."""
    dropout: Dropout = 0.1
    """Dropout in training, in the encoder of the speech."""
    motion_weight: Weight = 1.0
    """Second stage: weight of the motion's error."""
    feature_weight: Weight = 1.0
    """Second stage: weight of the features' distance to the true motion's codes."""
    own_past: Share = 0.0
    """Second stage, training only: share of samples that don't see the true past (0 for the paper's
    teacher forcing) but none, or what the model writes with none. A short training otherwise learns
    to go on as before, and not to listen."""


@dataclass(frozen=True)
class CodeTalkerRun(BaselineRun, SampledRun):
    """A run of CodeTalker."""

    kind: str = "codetalker"
    codetalker: CodeTalkerConfig = field(default_factory=CodeTalkerConfig)
    """The method's own settings."""


class TemporalConvolution(nn.Module):
    """Convolution over time that replicates the ends, leaky rectifier, instance norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(
            width, width, KERNEL, padding=KERNEL // 2, padding_mode="replicate"
        )

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Features [B, T, D] -> [B, T, D]; padding (``present`` bool [B, T] false, at the end) is
        to the last frame before it what the end of a clip is."""
        count = present.sum(dim=1, keepdim=True)
        frame = torch.arange(features.shape[1], device=features.device)
        source = frame.minimum((count - 1).clamp(min=0))
        held = features.gather(1, source[..., None].expand_as(features))
        mixed = F.leaky_relu(self.convolution(held.mT).mT, SLOPE)
        weight = present[..., None].to(mixed.dtype)
        mean = (mixed * weight).sum(dim=1, keepdim=True) / count[..., None].clamp(min=1)
        spread = ((mixed - mean).square() * weight).sum(dim=1, keepdim=True)
        return (mixed - mean) / (spread / count[..., None].clamp(min=1) + 1e-5).sqrt()


class MotionPrior(SpeechModel):
    """Motion -> codes -> motion."""

    config: CodeTalkerRun

    def __init__(self, config: CodeTalkerRun) -> None:
        super().__init__(config)
        settings = config.codetalker
        width, self.components = settings.prior_width, settings.components

        def transformer() -> Transformer:
            return Transformer(
                width,
                layers=settings.prior_layers,
                heads=settings.prior_heads,
                feedforward=settings.prior_feedforward,
            )

        self.features = settings.components * settings.code_dim
        self.embed = nn.Linear(MOTION_DIM, width)
        self.squash = TemporalConvolution(width)
        self.encoder = transformer()
        self.to_codes = nn.Linear(width, self.features)
        self.quantizer = Quantizer(settings.codebook_size, settings.code_dim, settings.commitment)
        self.from_codes = nn.Linear(self.features, width)
        self.expand = TemporalConvolution(width)
        self.decoder = transformer()
        self.to_motion = nn.Linear(width, MOTION_DIM, bias=False)

    def encode(self, motion: Tensor, present: Tensor) -> Tensor:
        """Standardised motion [B, T, 56] -> features [B, T, F] that are not quantised yet."""
        features = self.squash(F.leaky_relu(self.embed(motion), SLOPE), present)
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.to_codes(self.encoder(features, present))

    def quantise(self, features: Tensor, present: Tensor) -> Quantized:
        """Features [B, T, F] -> their components' nearest codes long [B, T, components] and those
        codes' vectors [B, T, F], straight-through."""
        parts = features.unflatten(2, (self.components, -1)).flatten(1, 2)
        found = self.quantizer(parts, present.repeat_interleave(self.components, dim=1))
        return Quantized(
            codes=found.codes.unflatten(1, (-1, self.components)),
            vectors=found.vectors.unflatten(1, (-1, self.components)).flatten(2),
            loss=found.loss,
            perplexity=found.perplexity,
        )

    def decode(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Code vectors [B, T, F] -> standardised motion [B, T, 56]."""
        features = self.expand(self.from_codes(vectors), present)
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.to_motion(self.decoder(features, present))

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Motion and codebook terms; ``loss``, which validation compares, is the motion's alone."""
        settings = self.config.codetalker
        motion = self.standardise_speaker(batch.motion["speaker"])
        latent = self.encode(motion, batch.mask)
        quantised = self.quantise(latent, batch.mask)
        coded = step >= settings.warmup_steps
        written = self.decode(quantised.vectors if coded else latent, batch.mask)
        ones = motion.new_ones(MOTION_DIM)
        error = reconstruction_loss(motion, written, batch.mask, ones, "l1")
        if training:
            rows = latent.detach()[batch.mask].unflatten(1, (self.components, -1)).flatten(0, 1)
            self.quantizer.keep_alive(rows, step, settings.warmup_steps, settings.revive_after)
        figures = {"loss": error, "perplexity": quantised.perplexity}
        return (error + quantised.loss if coded else error), figures


class CodeTalker(TwoStageSpeaker):
    """An encoder of speech and an autoregressive decoder into the codes of a motion prior."""

    config: CodeTalkerRun

    prior: MotionPrior

    def __init__(self, config: CodeTalkerRun) -> None:
        prior = MotionPrior(config)
        super().__init__(config, prior)
        settings = config.codetalker
        width = settings.width
        self.speech = SpeechEncoder(
            config.data.audio_dim,
            width,
            layers=settings.encoder_layers,
            heads=settings.heads,
            dropout=settings.dropout,
        )
        self.style = nn.Embedding(len(self.styles), width)
        self.past = nn.Linear(MOTION_DIM, width)
        self.layers = nn.ModuleList(
            WritingLayer(width, heads=settings.heads, period=settings.period)
            for _ in range(settings.layers)
        )
        self.to_features = nn.Linear(width, prior.features, bias=False)
        nn.init.zeros_(self.to_features.weight)  # as in the paper's code

    @property
    def _layers(self) -> list[WritingLayer]:
        return list(self.layers)  # type: ignore[arg-type]

    def predict(self, before: Tensor, heard: Tensor, style: Tensor) -> Tensor:
        """Features [B, T, F] of frames from the motion ``before`` each, standardised [B, T, 56]
        (zero, the mean face, before the first), and the encoded speech ``heard`` [B, T, D]."""
        features = self.past(before) + self._places(heard, style)
        for layer in self._layers:
            features = layer(features, heard)
        return self.to_features(features)

    def _places(self, heard: Tensor, style: Tensor) -> Tensor:
        """Who speaks, and where in the period each frame is, [B, T, D]."""
        frames, width = heard.shape[1:]
        positions = periodic_positions(frames, width, self.config.codetalker.period, heard)
        return self.style(style)[:, None] + positions

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Squared errors of motion and features, given the true motion before each frame; ``loss``,
        which validation compares, is the motion's alone (features grow as they leave the mean)."""
        settings = self.config.codetalker
        audio = self.speech_inputs(batch.audio, generator if training else None)
        target = self.standardise_speaker(batch.motion["speaker"])
        with torch.no_grad():
            true = self.prior.quantise(self.prior.encode(target, batch.mask), batch.mask).vectors
        heard, style = self.speech(audio, batch.mask), self.style_inputs(batch)
        before = F.pad(target[:, :-1], (0, 0, 1, 0))
        if training and settings.own_past:
            before = self._own_past(before, heard, style, batch.mask, generator)
        features = self.predict(before, heard, style)
        vectors = self.prior.quantise(features, batch.mask).vectors
        written = self.prior.decode(vectors, batch.mask)
        motion = masked_mean((target - written).square(), batch.mask)
        regularisation = masked_mean((true - features).square(), batch.mask)
        loss = settings.motion_weight * motion + settings.feature_weight * regularisation
        return loss, {"loss": motion, "total": loss, "features": regularisation}

    @torch.no_grad()
    def _own_past(
        self, true: Tensor, heard: Tensor, style: Tensor, present: Tensor, draws: torch.Generator
    ) -> Tensor:
        """The past [B, T, 56], ``true`` in some samples; see ``codetalker.own_past``."""
        nothing = torch.zeros_like(true)
        vectors = self.prior.quantise(self.predict(nothing, heard, style), present).vectors
        written = F.pad(self.prior.decode(vectors, present)[:, :-1], (0, 0, 1, 0))
        share = self.config.codetalker.own_past
        drawn = distributed.uniform(len(true), 1, 1, generator=draws).to(true)
        return torch.where(drawn < share / 2, nothing, torch.where(drawn < share, written, true))

    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """Frame after frame, in windows; nothing is drawn."""
        settings, frames = self.config.generation, audio.shape[1]
        size = max(2, round(settings.window_s * self.config.data.fps))
        overlap = min(size - 1, round(settings.overlap_s * self.config.data.fps))
        vectors = audio.new_zeros(1, frames, self.prior.features)
        track = Track(frames, 1, MOTION_DIM)
        for window in windows(frames, size, overlap):
            here = slice(window.start, window.stop)
            known = vectors[:, here][:, : window.known]
            vectors[:, here] = self.go_on(audio[:, here], style, known)
            track.write(window, self._decoded(vectors[:, here])[0])
        return track.frames[None].to(audio)

    def go_on(self, audio: Tensor, style: Tensor, known: Tensor) -> Tensor:
        """Code vectors [1, T, F] of a window of audio [1, T, A], the first of which are ``known``
        [1, M, F]; each frame reads the last one that is decoded from all before it."""
        heard = self.speech(audio, _all(audio))
        aligned = [layer.aligned(heard) for layer in self._layers]
        pasts = [Past() for _ in aligned]
        places = self._places(heard, style)
        vectors, last = known, audio.new_zeros(1, MOTION_DIM)
        said = self._decoded(known) if known.shape[1] else known
        for frame in range(audio.shape[1]):
            state = self.past(last) + places[:, frame]
            for layer, heard_by, past in zip(self._layers, aligned, pasts, strict=True):
                state = layer.step(state, heard_by[:, frame], past)
            if frame < known.shape[1]:
                last = said[:, frame]
                continue
            features = self.to_features(state)[:, None]
            found = self.prior.quantise(features, _all(features)).vectors
            vectors = torch.cat([vectors, found], dim=1)
            last = self._decoded(vectors)[:, -1]
        return vectors

    def _decoded(self, vectors: Tensor) -> Tensor:
        return self.prior.decode(vectors, _all(vectors))


def _all(features: Tensor) -> Tensor:
    """A mask bool [B, T] for features [B, T, ...] without padding."""
    return torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)


PRESETS = {
    "paper": CodeTalkerRun(  # sizes for BIWI; one clip a step, of 4.7 s on average
        training=TrainingConfig(batch_size=1, window_s=4.7, learning_rate=1e-4, weight_decay=0.002),
    ),
    "small": CodeTalkerRun(
        inputs=SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=96, prior_layers=2, prior_heads=4, prior_feedforward=192, code_dim=16,
            warmup_steps=120, revive_after=100, width=128, layers=3, dropout=0.0, own_past=0.75,
        ),
        training=replace(SMALL_SPEAKER_TRAINING, window_s=2.56),
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    "table": CodeTalkerRun(
        inputs=SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=64, prior_layers=1, prior_heads=4, prior_feedforward=128, code_dim=16,
            warmup_steps=100, revive_after=100, width=96, layers=2, dropout=0.0, own_past=0.75,
        ),
        training=TABLE_TRAINING,
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    "tiny": CodeTalkerRun(
        inputs=SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=16, prior_layers=1, prior_heads=2, prior_feedforward=32, components=4,
            codebook_size=16, code_dim=4, warmup_steps=5, revive_after=10, width=16,
            encoder_layers=1, layers=2, heads=2, period=5, dropout=0.0,
        ),
        training=TINY_TRAINING,
        generation=TINY_GENERATION,
    ),
}  # fmt: skip  # fmt: skip

register(Method("codetalker", ("speaker",), presets=PRESETS, build=CodeTalker, prior=MotionPrior))
