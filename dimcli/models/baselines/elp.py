"""Emotional Listener Portrait (Song et al., ICCV 2023, arXiv 2310.00068): composed codewords.

The listener's motion in a step is a composition of several codewords, each one of a few choices.
Their chances are modelled explicitly, given what the speaker does and the emotion (here the
listener's attitude); the adaptive space encoder turns drawn codewords and the emotion into motion.

The authors released no code and the paper leaves details open; like the DIM paper's, this is a
re-implementation from the text. Ours to decide were: codewords are learned on the listener's motion
through a straight-through Gumbel-softmax (arXiv 1611.01144); the speaker's chances learn to match
them by cross-entropy, at the same time; the three networks are transformers; a term on the mean
chances keeps all codewords in use.

Axes: B batch, T frames, N steps (T / stride), D features, H codewords a step, K choices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dimcli import distributed
from dimcli.config import ATTITUDES, RunConfig
from dimcli.data.windows import Batch
from dimcli.draws import draw
from dimcli.losses import masked_mean
from dimcli.models.baselines.base import Baseline, Figures, motion_loss
from dimcli.models.layers import Transformer, sinusoidal_positions
from dimcli.motion import MOTION_DIM
from dimcli.stitching import Track, windows


class ELP(Baseline):
    """Listener encoder (training only), speaker encoder, codewords, adaptive space encoder."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        elp = config.elp

        def transformer() -> Transformer:
            return Transformer(
                elp.width,
                layers=elp.layers,
                heads=elp.heads,
                feedforward=elp.feedforward,
                dropout=elp.dropout,
            )

        speaker_width = MOTION_DIM + config.data.audio_dim
        self.embed_listener = nn.Linear(elp.stride * MOTION_DIM, elp.width)
        self.listener = transformer()
        self.composition = nn.Linear(elp.width, elp.codewords * elp.choices)
        self.embed_speaker = nn.Linear(elp.stride * speaker_width, elp.width)
        self.emotion = nn.Embedding(len(ATTITUDES), elp.width)
        self.speaker = transformer()
        self.chances = nn.Linear(elp.width, elp.codewords * elp.choices)
        self.codewords = nn.Parameter(torch.randn(elp.codewords, elp.choices, elp.code_dim) * 0.1)
        self.from_codewords = nn.Linear(elp.code_dim, elp.width)
        self.space_emotion = nn.Embedding(len(ATTITUDES), elp.width)
        self.space = transformer()
        self.to_motion = nn.Linear(elp.width, elp.stride * MOTION_DIM)
        for embedding in (self.emotion, self.space_emotion):
            nn.init.zeros_(embedding.weight)

    def step_mask(self, frame_mask: Tensor) -> Tensor:
        """Steps all of whose frames are there: bool [B, T] -> [B, N]."""
        return frame_mask.unflatten(1, (-1, self.config.elp.stride)).all(dim=-1)

    def _steps(self, frames: Tensor, embed: nn.Linear) -> Tensor:
        """Frames [B, T, C] -> features of steps [B, N, D] with their positions."""
        features = embed(frames.unflatten(1, (-1, self.config.elp.stride)).flatten(2))
        return features + sinusoidal_positions(features.shape[1], features.shape[2], features)

    def compose(self, listener: Tensor, present: Tensor) -> Tensor:
        """Logits [B, N, H, K] of the codewords in standardised listener motion [B, T, 56]."""
        features = self.listener(self._steps(listener, self.embed_listener), present)
        return self.composition(features).unflatten(-1, (self.config.elp.codewords, -1))

    def expect(self, motion: Tensor, audio: Tensor, attitude: Tensor, present: Tensor) -> Tensor:
        """Logits [B, N, H, K] of the codewords given the speaker, standardised motion [B, T, 56]
        and audio [B, T, A], and the ``attitude`` long [B]."""
        features = self._steps(torch.cat([motion, audio], dim=-1), self.embed_speaker)
        features = self.speaker(features + self.emotion(attitude)[:, None], present)
        return self.chances(features).unflatten(-1, (self.config.elp.codewords, -1))

    def adapt(self, choice: Tensor, attitude: Tensor, present: Tensor) -> Tensor:
        """The adaptive space: one-hot ``choice`` [B, N, H, K] -> standardised motion [B, T, 56]."""
        composed = torch.einsum("bnhk,hkd->bnd", choice, self.codewords)
        features = self.from_codewords(composed) + self.space_emotion(attitude)[:, None]
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        frames = self.to_motion(self.space(features, present))
        return frames.unflatten(2, (self.config.elp.stride, -1)).flatten(1, 2)

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Motion through the codewords, and the speaker's cross-entropy of these codewords."""
        elp = self.config.elp
        own = generator if training else None
        motion, audio = self.speaker_inputs(batch.motion["speaker"], batch.audio, own)
        attitude = self.attitude_inputs(batch.attitude, own)
        present = self.step_mask(batch.mask)
        target = self.standardise(batch.motion["listener"])
        composed = self.compose(target, present)
        chance = composed.softmax(dim=-1)
        if training:
            progress = min(1.0, step / self.config.training.steps)
            heat = elp.gumbel_start * (elp.gumbel_end / elp.gumbel_start) ** progress
            choice = gumbel_softmax(composed, heat, generator)
        else:
            choice = one_hot(composed.argmax(dim=-1), elp.choices)
        _, reconstruction = motion_loss(
            target, self.adapt(choice, attitude, present), batch.mask, elp.velocity_weight
        )
        expected = self.expect(motion, audio, attitude, present).log_softmax(dim=-1)
        entropy = masked_mean(-(chance.detach() * expected).sum(dim=-1), present)
        summed = distributed.gather_batch((chance * present[..., None, None]).sum(dim=1))
        mean = summed.sum(dim=0) / distributed.total(present.sum()).clamp(min=1)
        usage = torch.special.xlogy(mean, mean * elp.choices).sum(dim=-1).mean()
        loss = reconstruction + entropy + elp.usage_weight * usage
        figures = {"loss": loss, "motion": reconstruction, "code": entropy, "usage": usage}
        return loss, figures

    def respond(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """Codewords drawn from the speaker's chances, window by window."""
        settings, stride, frames = self.config.generation, self.config.elp.stride, len(motion)
        rate = self.config.data.fps / stride
        size = max(2, round(settings.window_s * rate))
        overlap = min(size - 1, round(settings.overlap_s * rate))
        total = -(-frames // stride)
        spare = total * stride - frames
        motion = torch.cat([motion, motion[-1:].expand(spare, -1)])
        audio = torch.cat([audio, audio[-1:].expand(spare, -1)])
        told = self.attitude_inputs(attitude[None])
        track = Track(total, stride, MOTION_DIM)
        codes = torch.zeros(total, self.config.elp.codewords, dtype=torch.long)
        for window in windows(total, size, overlap):
            first, last = window.start * stride, window.stop * stride
            there = torch.ones(
                1, window.stop - window.start, dtype=torch.bool, device=motion.device
            )
            logits = self.expect(motion[None, first:last], audio[None, first:last], told, there)[0]
            fresh = logits[window.known :].float().cpu()
            codes[window.start + window.known : window.stop] = draw(fresh, temperature, generator)
            chosen = codes[None, window.start : window.stop].to(motion.device)
            choice = one_hot(chosen, self.config.elp.choices)
            track.write(window, self.unstandardise(self.adapt(choice, told, there))[0])
        return track.frames[:frames]


def one_hot(codes: Tensor, choices: int) -> Tensor:
    """Codes long [...] -> float [..., K]."""
    return nn.functional.one_hot(codes, choices).float()


def gumbel_softmax(logits: Tensor, heat: float, generator: torch.Generator) -> Tensor:
    """A draw from ``logits`` [..., K], one-hot in value and soft in gradient."""
    uniform = distributed.uniform(*logits.shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    noise = -torch.log(-torch.log(uniform)).to(logits.device)
    soft = ((logits + noise) / heat).softmax(dim=-1)
    hard = one_hot(soft.argmax(dim=-1), logits.shape[-1])
    return hard + soft - soft.detach()
