"""CodeTalker (Xing et al., CVPR 2023, arXiv 2301.02379) at motion-parameter output.

The first stage (:mod:`dimcli.models.motion_prior`) makes a space of codes. In the second,
FaceFormer's decoder with more layers predicts each frame's code features from the frames before it,
the same frame of the speech and an embedding of who speaks; each component is replaced by its
nearest code, and the first stage's decoder, which stays frozen, makes the motion. It is trained
with the true past (teacher forcing) on squared errors of the motion and, as regularisation, of the
features to the true motion's quantised ones (its section 3.3). It is deterministic.

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

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.base import Figures
from dimcli.models.config import RunConfig
from dimcli.models.dim.losses import masked_mean
from dimcli.models.motion_prior import MotionPrior
from dimcli.models.speech_decoder import (
    Past,
    SpeechEncoder,
    WritingLayer,
    periodic_positions,
)
from dimcli.models.speech_model import TwoStageSpeaker
from dimcli.models.windows import Track, windows


class CodeTalker(TwoStageSpeaker):
    """An encoder of speech and an autoregressive decoder into the codes of a motion prior."""

    prior: MotionPrior

    def __init__(self, config: RunConfig) -> None:
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
        del step
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
        del generator
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
