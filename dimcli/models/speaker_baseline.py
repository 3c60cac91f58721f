"""What baselines that generate speakers share: speech in, the speaker's own motion out.

FaceFormer and CodeTalker also share encoded speech, and layers that write a face from its past. A
layer (FaceFormer, section 3.2) lets a frame read those before it, whose weight falls off by the
period (biased causal attention; positions repeat with the period, too), then the same frame of the
speech, and ends in a feed-forward block; norms come after each. The alignment mask leaves attention
to the speech a single frame, so that it is a linear map, and is written as one.

Axes: B batch, T frames, D features, H heads, A audio features.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.device import one_thread
from dimcli.core.motion import Motion
from dimcli.data.clip import Stimulus
from dimcli.data.windows import Batch
from dimcli.models.baseline import Baseline, BaselineRun
from dimcli.models.dim.layers import Transformer, sinusoidal_positions
from dimcli.models.windows import check_stimulus, clip_to_range


class SpeechModel(Baseline):
    """A model of speakers: one that says a speech, or the first stage of one."""

    def __init__(self, config: BaselineRun) -> None:
        super().__init__(config)
        self.styles = config.data.style_names

    def speech_inputs(self, audio: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Audio [B, T, A] in its units -> standardised; noisy where a ``generator`` is given."""
        nothing = audio.new_zeros(*audio.shape[:2], len(self.speaker_mean))
        return self.speaker_inputs(nothing, audio, generator)[1]

    def style_inputs(self, batch: Batch) -> Tensor:
        """Who speaks in each sample, long [B]."""
        if batch.style is None:
            return torch.zeros(len(batch.audio), dtype=torch.long, device=batch.audio.device)
        return batch.style

    def standardise_speaker(self, motion: Tensor) -> Tensor:
        """Speaker motion [..., 56] in its units -> in standard deviations of training data."""
        return (motion - self.speaker_mean) / self.speaker_std


class SpeakerBaseline(SpeechModel):
    """A model that says a speech with a face; of the motion it is shown nothing."""

    @abstractmethod
    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """Standardised audio [1, T, A] and style long [1] -> standardised motion [1, T, 56]."""

    def say(self, audio: Tensor, style: str, generator: torch.Generator) -> Tensor:
        """Motion [T, 56] in its units for audio [T, A] in its units; strangers are ``unknown``."""
        who = self.styles.index(style) if style in self.styles else 0
        styles = torch.tensor([who], device=audio.device)
        written = self.write(self.speech_inputs(audio[None]), styles, generator)[0]
        return written * self.speaker_std + self.speaker_mean

    def answer(
        self,
        stimulus: Stimulus,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
    ) -> Motion:
        """A speaker for a whole clip in one go; see :class:`dimcli.models.registry.Model`."""
        data = self.config.data
        check_stimulus(data, stimulus)
        device = next(self.buffers()).device
        audio = torch.from_numpy(np.ascontiguousarray(stimulus.audio, np.float32)).to(device)
        generator = torch.Generator().manual_seed(seed)
        with one_thread(), torch.inference_mode():
            values = self.say(audio, stimulus.style, generator).float().cpu().numpy()
        return Motion(
            clip_to_range(values, data.space),
            fps=data.fps,
            space=data.space,
            meta={"generated": self.config.kind, "seed": seed, "style": stimulus.style},
        )


class TwoStageSpeaker(SpeakerBaseline):
    """A speaker in the space of a first stage (``prior``), which no longer trains."""

    prior: SpeechModel

    def __init__(self, config: BaselineRun, prior: SpeechModel) -> None:
        super().__init__(config)
        self.prior = prior
        self.prior.requires_grad_(False)

    def train(self, mode: bool = True) -> TwoStageSpeaker:
        """Training mode; the frozen first stage stays in eval."""
        super().train(mode)
        self.prior.eval()
        return self

    def adopt(self, first: nn.Module) -> None:
        """Take over the trained first stage, and with it what data is standardised by."""
        self.prior.load_state_dict(first.state_dict())
        for name, values in self.named_buffers(recurse=False):
            values.copy_(getattr(first, name))


class SpeechEncoder(nn.Module):
    """A transformer over the data set's audio features; reads the whole window."""

    def __init__(
        self, audio_dim: int, width: int, *, layers: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.listen = nn.Linear(audio_dim, width)
        self.transformer = Transformer(
            width, layers=layers, heads=heads, feedforward=2 * width, dropout=dropout
        )

    def forward(self, audio: Tensor, present: Tensor) -> Tensor:
        """Audio [B, T, A] -> [B, T, D]; ``present`` bool [B, T] is false at padding."""
        heard = self.listen(audio)
        heard = heard + sinusoidal_positions(heard.shape[1], heard.shape[2], heard)
        return self.transformer(heard, present)


def periodic_positions(frames: int, width: int, period: int, like: Tensor) -> Tensor:
    """Positions that repeat with the period, [frames, width], on ``like``'s device and type."""
    repeats = -(-frames // period)
    return sinusoidal_positions(period, width, like).repeat(repeats, 1)[:frames]


@dataclass
class Past:
    """Keys and values, [B, H, D / H] each, of the frames that a layer has written so far."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class WritingLayer(nn.Module):
    """One layer, for all frames at once (:meth:`forward`) or one after the other (:meth:`step`)."""

    slopes: Tensor

    def __init__(self, width: int, *, heads: int, period: int) -> None:
        super().__init__()
        self.heads, self.period = heads, period
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.aligned = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, features: Tensor, heard: Tensor) -> Tensor:
        """``features`` [B, T, D] of frames whose past is known, ``heard`` [B, T, D] -> [B, T, D].

        A frame reads none after it, so that padding at the end does not matter.
        """
        # [B, T, 3, H, D / H] -> three of [B, H, T, D / H]
        parts = self.query_key_value(features).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        frame = torch.arange(features.shape[1], device=features.device)
        age = frame[:, None] - frame[None, :]
        bias = self._bias(age).to(features.dtype).masked_fill(age < 0, -math.inf)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self._rest(features, mixed.transpose(1, 2).flatten(2), self.aligned(heard))

    def step(self, feature: Tensor, aligned: Tensor, past: Past) -> Tensor:
        """The next frame's ``feature`` [B, D], which is then in ``past`` too.

        ``aligned`` [B, D] is the layer's ``aligned`` of what is heard in that frame.
        """
        query, key, value = (
            self.query_key_value(feature).unflatten(-1, (3, self.heads, -1)).unbind(1)
        )
        past.keys.append(key)
        past.values.append(value)
        keys, values = torch.stack(past.keys, dim=2), torch.stack(past.values, dim=2)
        age = torch.arange(keys.shape[2] - 1, -1, -1, device=feature.device)
        scores = (keys * query[:, :, None]).sum(-1) / math.sqrt(query.shape[-1])
        attention = F.softmax(scores + self._bias(age), dim=-1)
        mixed = (attention[..., None] * values).sum(dim=2).flatten(1)
        return self._rest(feature, mixed, aligned)

    def _bias(self, age: Tensor) -> Tensor:
        """What scores of frames so old (``age`` long [...]) are lowered by, [H, ...]."""
        periods = torch.div(age, self.period, rounding_mode="floor")
        return -self.slopes.view(-1, *[1] * age.dim()) * periods

    def _rest(self, feature: Tensor, mixed: Tensor, aligned: Tensor) -> Tensor:
        feature = self.norms[0](feature + self.attention_out(mixed))
        feature = self.norms[1](feature + aligned)
        return self.norms[2](feature + self.feedforward(feature))
