"""Learning to Listen (Ng et al., CVPR 2022, arXiv 2204.08451): autoregression over motion codes.

A VQ-VAE turns the listener's motion into codes. A cross-modal transformer lets the speaker's motion
read the speaker's audio; a second transformer predicts each code of the listener from the
listener's codes so far and from the speaker up to that moment. Codes are drawn from the nucleus of
that prediction and decoded by the VQ-VAE's decoder, which stays frozen.

What differs from the paper: it is given the listener's true past at the start of every clip.
Nothing here may see it, so a clip starts from a learned token and goes on from its own generated
past. The paper's codebook is that of the preset ``paper``; with several codes a step
(``vq.parts``) those of one step are drawn independently given the past.

Axes: B batch, T frames, N steps (T / stride), D features, P parts (codes a step), K codes,
M steps of the sequence that a layer also reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.config import Divides, Dropout, Feedforward, Layers, Range, Section, Width
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import Batch
from dimcli.models.baseline import SMALL_INPUTS, Figures
from dimcli.models.coded import PAPER_VQ, CodedBaseline, CodedRun, coded_presets
from dimcli.models.config import GenerationConfig, TrainingConfig
from dimcli.models.dim.layers import attention_mask, sinusoidal_positions
from dimcli.models.dim.losses import code_loss, masked_mean
from dimcli.models.dim.sampling import draw
from dimcli.models.registry import Method, register


@dataclass(frozen=True)
class L2LConfig(Section, section="l2l"):
    """Learning to Listen (arXiv 2204.08451): autoregression over the listener's motion codes."""

    width: Width = 200
    """Width of the predictor and of the cross-modal transformer."""
    speaker_layers: Layers = 2
    """Layers in which the speaker's motion reads the speaker's audio."""
    layers: Layers = 5
    """Layers of the predictor, each reading its own past and the speaker."""
    heads: Annotated[int, Divides("width")] = 10
    """Attention heads."""
    feedforward: Feedforward = 800
    """Width inside the feed-forward blocks."""
    dropout: Dropout = 0.1
    """Dropout in training."""
    top_p: Annotated[float, Range(0.01, 1)] = 0.9
    """Nucleus sampling: the likeliest codes that together have this probability are drawn from."""


@dataclass(frozen=True)
class L2LRun(CodedRun):
    """A run of L2L."""

    kind: str = "l2l"
    l2l: L2LConfig = field(default_factory=L2LConfig)
    """The method's own settings."""


class L2L(CodedBaseline):
    """The cross-modal transformer, the predictor, and the frozen VQ-VAE whose codes it predicts."""

    config: L2LRun

    def __init__(self, config: L2LRun) -> None:
        super().__init__(config)
        l2l, vq = config.l2l, config.vq

        def blocks(layers: int) -> nn.ModuleList:
            return nn.ModuleList(
                CrossBlock(
                    l2l.width, heads=l2l.heads, feedforward=l2l.feedforward, dropout=l2l.dropout
                )
                for _ in range(layers)
            )

        self.motion = nn.Linear(vq.stride * MOTION_DIM, l2l.width)
        self.audio = nn.Linear(vq.stride * config.data.audio_dim, l2l.width)
        self.speaker = blocks(l2l.speaker_layers)
        self.past = nn.Linear(self.parts * vq.code_dim, l2l.width)
        self.start = nn.Parameter(torch.randn(l2l.width) * 0.02)
        self.attitude = nn.Embedding(len(ATTITUDES), l2l.width)
        nn.init.zeros_(self.attitude.weight)
        self.predictor = blocks(l2l.layers)
        self.norm = nn.LayerNorm(l2l.width)
        self.head = nn.Linear(l2l.width, self.parts * vq.codebook_size)

    @property
    def _predictor(self) -> list[CrossBlock]:
        return list(self.predictor)  # type: ignore[arg-type]

    def encode_speaker(self, motion: Tensor, audio: Tensor, present: Tensor) -> Tensor:
        """Standardised motion [B, T, 56] that has read the audio [B, T, A]: [B, N, D].

        ``present`` bool [B, N]; no step reads a later one.
        """
        features, sound = self.motion(self.steps(motion)), self.audio(self.steps(audio))
        positions = sinusoidal_positions(features.shape[1], features.shape[2], features)
        features, sound = features + positions, sound + positions
        mask = attention_mask(present, causal=True)
        for block in self.speaker:
            features = block(features, sound, mask, mask)
        return features

    def predict(self, speaker: Tensor, codes: Tensor, attitude: Tensor, present: Tensor) -> Tensor:
        """Logits [B, N, P, K] of every step, from the ``codes`` long [B, N - 1 or more, P] before
        it and the encoded ``speaker`` [B, N, D] up to it."""
        steps = speaker.shape[1]
        past = self.past(self.vq.vectors(codes[:, : steps - 1]).flatten(2))
        start = self.start.expand(len(past), 1, -1)
        features = torch.cat([start, past], dim=1) + self.attitude(attitude)[:, None]
        features = features + sinusoidal_positions(steps, features.shape[2], features)
        mask = attention_mask(present, causal=True)
        for block in self.predictor:
            features = block(features, speaker, mask, mask)
        return self.head(self.norm(features)).unflatten(-1, (self.parts, -1))

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Cross-entropy of the listener's codes, given the true ones before each."""
        own = generator if training else None
        motion, audio = self.speaker_inputs(batch.motion["speaker"], batch.audio, own)
        _, codes, present = self.true_codes(batch)
        speaker = self.encode_speaker(motion, audio, present)
        attitude = self.attitude_inputs(batch.attitude, own)
        logits = self.predict(speaker, codes, attitude, present)
        loss = code_loss(logits, codes, present)
        hits = masked_mean((logits.argmax(dim=-1) == codes).float(), present)
        return loss, {"loss": loss, "accuracy": hits}

    def choose(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        known: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """One step after the other, each drawn given all before it."""
        steps = motion.shape[1] // self.config.vq.stride
        there = torch.ones(1, steps, dtype=torch.bool, device=motion.device)
        speaker = self.encode_speaker(motion, audio, there)
        memories = [block.remember(speaker) for block in self._predictor]
        positions = sinusoidal_positions(steps, speaker.shape[2], speaker)
        codes = known.new_zeros(steps, self.parts)
        codes[: len(known)] = known
        for index in range(steps):
            before = self.start
            if index:
                before = self.past(self.vq.vectors(codes[index - 1]).flatten())
            feature = before + self.attitude(attitude)[:, None] + positions[index]
            for block, memory in zip(self._predictor, memories, strict=True):
                feature = block.step(feature, memory)
            if index >= len(known):
                logits = self.head(self.norm(feature))[0, 0].unflatten(-1, (self.parts, -1))
                drawn = draw(logits.cpu(), temperature, generator, top_p=self.config.l2l.top_p)
                codes[index] = drawn.to(codes.device)
        return codes

    def decode(self, codes: Tensor, attitude: Tensor) -> Tensor:
        """By the VQ-VAE's frozen decoder."""
        there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
        return self.vq.unstandardise(self.vq.decode(self.vq.vectors(codes[None]), there))[0]


@dataclass
class Memory:
    """Keys and values [B, heads, N, D / heads] of the steps so far, and of the other sequence."""

    key: Tensor
    value: Tensor
    other_key: Tensor
    other_value: Tensor


class CrossBlock(nn.Module):
    """Pre-norm self-attention, attention to another sequence, and feed-forward."""

    def __init__(self, width: int, *, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.own_norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, 3 * width)
        self.own_out = nn.Linear(width, width)
        self.query_norm = nn.LayerNorm(width)
        self.other_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, other: Tensor, own_mask: Tensor, mask: Tensor) -> Tensor:
        """One layer over ``features`` [B, N, D] that also reads ``other`` [B, M, D].

        ``own_mask`` bool [B, 1, N, N] and ``mask`` bool [B, 1, N, M] say which step reads which.
        """
        query, key, value = self._split(self.own(self.own_norm(features)), 3)
        features = self._own(features, query, key, value, own_mask)
        other_key, other_value = self._split(self.key_value(self.other_norm(other)), 2)
        return self._rest(features, other_key, other_value, mask)

    def remember(self, other: Tensor) -> Memory:
        """What :meth:`step` needs of the sequence ``other`` [B, M, D]."""
        other_key, other_value = self._split(self.key_value(self.other_norm(other)), 2)
        nothing = other_key[:, :, :0]
        return Memory(nothing, nothing, other_key, other_value)

    def step(self, feature: Tensor, memory: Memory) -> Tensor:
        """The next step's ``feature`` [B, 1, D] through the layer under causal masks: it reads the
        steps that ``memory`` has seen, and the other sequence up to the same step. It is then in
        ``memory`` too."""
        query, key, value = self._split(self.own(self.own_norm(feature)), 3)
        memory.key = torch.cat([memory.key, key], dim=2)
        memory.value = torch.cat([memory.value, value], dim=2)
        feature = self._own(feature, query, memory.key, memory.value, None)
        so_far = slice(memory.key.shape[2])
        other_key, other_value = memory.other_key[:, :, so_far], memory.other_value[:, :, so_far]
        return self._rest(feature, other_key, other_value, None)

    def _own(
        self, features: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
    ) -> Tensor:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return features + self.dropout(self.own_out(mixed.transpose(1, 2).flatten(2)))

    def _rest(
        self, features: Tensor, other_key: Tensor, other_value: Tensor, mask: Tensor | None
    ) -> Tensor:
        (query,) = self._split(self.query(self.query_norm(features)), 1)
        mixed = F.scaled_dot_product_attention(query, other_key, other_value, attn_mask=mask)
        features = features + self.dropout(self.cross_out(mixed.transpose(1, 2).flatten(2)))
        return features + self.dropout(self.feedforward(self.feedforward_norm(features)))

    def _split(self, parts: Tensor, count: int) -> tuple[Tensor, ...]:
        """[B, N, count * D] -> ``count`` of [B, heads, N, D / heads]."""
        split = parts.unflatten(-1, (count, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split.unbind()


PRESETS = coded_presets(
    L2LRun(
        vq=PAPER_VQ,
        training=TrainingConfig(window_s=2.56, learning_rate=1e-4, ramp_steps=4000),
        generation=GenerationConfig(temperature=0.7, window_s=2.56, overlap_s=1.28),
    ),
    replace(SMALL_INPUTS, attitudes=False),
    {
        "small": L2LConfig(
            width=144, speaker_layers=2, layers=3, heads=6, feedforward=384, dropout=0.0
        ),
        "table": L2LConfig(
            width=96, speaker_layers=1, layers=2, heads=4, feedforward=192, dropout=0.0
        ),
        "tiny": L2LConfig(
            width=16, speaker_layers=1, layers=1, heads=2, feedforward=32, dropout=0.0
        ),
    },
)

register(Method("l2l", ("listener",), presets=PRESETS, build=L2L, coded=True, resumes_from=True))
