"""FaceFormer (Fan et al., CVPR 2022, arXiv 2112.05329) at motion-parameter output: autoregression.

Speech is encoded, then one transformer decoder layer writes the face frame by frame, each from its
own frames before, whose weight falls off by the period (biased causal attention over periodic
positions), from the same frame of the speech (the alignment mask leaves nothing else), and from who
speaks. It is trained on what it wrote itself, with squared errors, and is deterministic.

What differs from the paper: it writes the 56 numbers of motion, standardised, where the paper
writes vertices; speech arrives as the data set's features, and ``encoder_layers`` of a transformer
stand for the part of wav2vec 2.0 that the paper fine-tunes; the subjects are the data's styles,
with one more for a stranger. Attention to a single frame is a linear map, and is written as one.

Axes: B batch, T frames, D features, H heads, A audio features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.config import RunConfig
from dimcli.data.windows import Batch
from dimcli.models.baselines.base import Figures
from dimcli.models.baselines.speaker import SpeakerBaseline
from dimcli.models.layers import Transformer, sinusoidal_positions
from dimcli.motion import MOTION_DIM
from dimcli.training.losses import masked_mean


class FaceFormer(SpeakerBaseline):
    """An encoder of speech and one autoregressive decoder layer."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        settings = config.faceformer
        width = settings.width
        self.heads, self.period = settings.heads, settings.period
        self.listen = nn.Linear(config.data.audio_dim, width)
        self.encoder = Transformer(
            width,
            layers=settings.encoder_layers,
            heads=settings.heads,
            feedforward=2 * width,
            dropout=settings.dropout,
        )
        self.style = nn.Embedding(len(self.styles), width)
        self.past = nn.Linear(MOTION_DIM, width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.aligned = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.read_out = nn.Linear(width, MOTION_DIM)
        # as in the paper: the first answer is the resting face, here the mean
        nn.init.zeros_(self.read_out.weight)
        nn.init.zeros_(self.read_out.bias)
        slopes = 2.0 ** (-8.0 * torch.arange(1, self.heads + 1) / self.heads)
        self.register_buffer("slopes", slopes, persistent=False)

    slopes: Tensor

    def forward(self, audio: Tensor, style: Tensor, present: Tensor) -> Tensor:
        """Standardised audio [B, T, A] and style long [B] -> standardised motion [B, T, 56], each
        frame given those written before it. ``present`` bool [B, T] is false at padding.
        """
        frames = audio.shape[1]
        heard = self.listen(audio)
        heard = heard + sinusoidal_positions(frames, heard.shape[2], heard)
        heard = self.aligned(self.encoder(heard, present))
        positions = sinusoidal_positions(self.period, heard.shape[2], heard)
        who = self.style(style)
        feature = who
        keys: list[Tensor] = []
        values: list[Tensor] = []
        written: list[Tensor] = []
        for frame in range(frames):
            state = feature + positions[frame % self.period]
            query, key, value = (
                self.query_key_value(state).unflatten(-1, (3, self.heads, -1)).unbind(1)
            )
            keys.append(key)
            values.append(value)
            state = self.norms[0](state + self.attention_out(self._attend(query, keys, values)))
            state = self.norms[1](state + heard[:, frame])
            state = self.norms[2](state + self.feedforward(state))
            answer = self.read_out(state)
            written.append(answer)
            feature = self.past(answer) + who
        return torch.stack(written, dim=1)

    def _attend(self, query: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        """What the newest frame reads of all so far, [B, D]: ``query`` and each of ``keys`` and
        ``values`` [B, H, D / H]."""
        key, value = torch.stack(keys, dim=2), torch.stack(values, dim=2)
        age = torch.arange(len(keys) - 1, -1, -1, device=query.device)
        periods = torch.div(age, self.period, rounding_mode="floor")
        scores = (key * query[:, :, None]).sum(-1) / math.sqrt(query.shape[-1])
        chance = F.softmax(scores - self.slopes[:, None] * periods, dim=-1)
        return (chance[..., None] * value).sum(dim=2).flatten(1)

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Squared errors of the motion that it wrote on its own."""
        del step
        audio = self.speech_inputs(batch.audio, generator if training else None)
        predicted = self(audio, self.style_inputs(batch), batch.mask)
        target = self.standardise_speaker(batch.motion["speaker"])
        loss = masked_mean((target - predicted).square(), batch.mask)
        return loss, {"loss": loss}

    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """One pass over the speech; nothing is drawn."""
        del generator
        present = torch.ones(audio.shape[:2], dtype=torch.bool, device=audio.device)
        written: Tensor = self(audio, style, present)
        return written
