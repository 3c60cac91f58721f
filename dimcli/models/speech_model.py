"""What baselines that generate speakers share: speech in, the speaker's own motion out.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.data.clip import UNKNOWN_STYLE
from dimcli.data.windows import Batch
from dimcli.models.base import Baseline
from dimcli.models.config import RunConfig


class SpeechModel(Baseline):
    """A model of speakers: one that says a speech, or the first stage of one."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.styles = (UNKNOWN_STYLE, *filter(None, config.data.styles.split(",")))

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

    def respond(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """Raises InputError: a speaker does not listen."""
        raise InputError(f"{self.config.kind}: generates speakers; see dim eval --task speaker")


class SpeakerBaseline(SpeechModel):
    """A model that says a speech with a face; of the motion it is shown nothing."""

    @abstractmethod
    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """Standardised audio [1, T, A] and style long [1] -> standardised motion [1, T, 56]."""

    def say(self, audio: Tensor, style: str, generator: torch.Generator) -> Tensor:
        """Motion [T, 56] in its units for audio [T, A] in its units; strangers are ``unknown``."""
        who = self.styles.index(style) if style in self.styles else 0
        told = torch.tensor([who], device=audio.device)
        written = self.write(self.speech_inputs(audio[None]), told, generator)[0]
        return written * self.speaker_std + self.speaker_mean


class TwoStageSpeaker(SpeakerBaseline):
    """A speaker in the space of a first stage (``prior``), which no longer trains."""

    prior: SpeechModel

    def __init__(self, config: RunConfig, prior: SpeechModel) -> None:
        super().__init__(config)
        self.prior = prior
        self.prior.requires_grad_(False)

    def train(self, mode: bool = True) -> TwoStageSpeaker:
        """Training mode; the frozen first stage stays in eval."""
        super().train(mode)
        self.prior.eval()
        return self

    def adopt(self, prior: SpeechModel) -> None:
        """Take over the trained first stage, and with it what data is standardised by."""
        self.prior.load_state_dict(prior.state_dict())
        for name, values in self.named_buffers(recurse=False):
            values.copy_(getattr(prior, name))
