"""Learning to Listen (Ng et al., CVPR 2022, arXiv 2204.08451): autoregression over motion codes.

A VQ-VAE turns the listener's motion into codes. A cross-modal transformer lets the speaker's motion
read the speaker's audio; a second transformer predicts each code of the listener from the
listener's codes so far and from the speaker up to that moment. Codes are drawn from the nucleus of
that prediction and decoded by the VQ-VAE's decoder, which stays frozen.

What differs from the paper: it is given the listener's true past at the start of every clip.
Nothing here may see it, so a clip starts from a learned token and goes on from its own generated
past. The paper's codebook is that of the preset ``paper``; with several codes a step
(``vq.parts``) those of one step are drawn independently given the past.

Axes: B batch, T frames, N steps (T / stride), D features, P parts (codes a step), K codes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import Batch
from dimcli.models.base import Figures
from dimcli.models.coded import CodedBaseline
from dimcli.models.config import RunConfig
from dimcli.models.cross_modal import CrossBlock
from dimcli.models.dim.layers import attention_mask, sinusoidal_positions
from dimcli.models.dim.losses import code_loss, masked_mean
from dimcli.models.draws import draw


class L2L(CodedBaseline):
    """The cross-modal transformer, the predictor, and the frozen VQ-VAE whose codes it predicts."""

    def __init__(self, config: RunConfig) -> None:
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
        del step
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
        del attitude
        there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
        return self.vq.unstandardise(self.vq.decode(self.vq.vectors(codes[None]), there))[0]
