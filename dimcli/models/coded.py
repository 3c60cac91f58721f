"""What L2L and ELP share: they speak of the listener in the codes of a frozen VQ-VAE.

Axes: B batch, T frames, N steps (T / stride), P parts (codes a step).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.baseline import (
    SMALL_TRAINING,
    TABLE_GENERATION,
    TABLE_TRAINING,
    TINY_GENERATION,
    TINY_TRAINING,
    BaselineRun,
    ListenerBaseline,
)
from dimcli.models.config import GenerationConfig, InputsConfig, SampledRun
from dimcli.models.dim.config import VQConfig, preset
from dimcli.models.dim.vqvae import VQVAE
from dimcli.models.windows import Track, windows


@dataclass(frozen=True)
class CodedRun(BaselineRun, SampledRun):
    """A run of a method with the listener's VQ-VAE."""

    vq: VQConfig = field(default_factory=VQConfig)
    """The listener's VQ-VAE."""

    @property
    def stride(self) -> int:
        """Frames that a code stands for."""
        return self.vq.stride


PAPER_VQ = VQConfig(
    width=256, layers=12, heads=8, feedforward=384, codebook_size=200, code_dim=256, stride=8,
    reconstruction="l1", standardise=False,
)  # fmt: skip
"""The codebook of L2L as published."""


_SURROUNDINGS = {
    "small": (SMALL_TRAINING, GenerationConfig(temperature=0.9, overlap_s=1.28)),
    "table": (TABLE_TRAINING, TABLE_GENERATION),
    "tiny": (TINY_TRAINING, TINY_GENERATION),
}


def coded_presets(
    paper: CodedRun, inputs: InputsConfig, sizes: Mapping[str, object]
) -> dict[str, CodedRun]:
    """A method's presets: ``paper``, and its own settings by ``sizes`` on DIM's codes of that size,
    trained and sampled alike."""
    presets = {"paper": paper}
    for name, settings in sizes.items():
        training, generation = _SURROUNDINGS[name]
        own = replace(paper, **{paper.kind: settings})  # type: ignore[arg-type]
        vq = preset(name, "train-vq").vq
        presets[name] = replace(own, vq=vq, inputs=inputs, training=training, generation=generation)
    return presets


class CodedBaseline(ListenerBaseline):
    """A baseline with the listener's VQ-VAE inside, which does not train."""

    config: CodedRun

    def __init__(self, config: CodedRun) -> None:
        super().__init__(config)
        self.vq = VQVAE(config.vq, config.data.space)
        self.vq.requires_grad_(False)
        self.parts = len(self.vq.columns)

    def train(self, mode: bool = True) -> CodedBaseline:
        """Training mode; the frozen VQ-VAE stays in eval."""
        super().train(mode)
        self.vq.eval()
        return self

    def adopt(self, first: nn.Module) -> None:
        """Take over the listener's trained VQ-VAE."""
        self.vq.load_state_dict(first.state_dict())

    @torch.no_grad()
    def true_codes(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The batch's listeners as the VQ-VAE sees them: standardised motion [B, T, 56], codes long
        [B, N, P], and which steps are there, bool [B, N]."""
        target = self.vq.standardise(batch.motion["listener"])
        return target, self.vq.encode(target, batch.mask), self.vq.step_mask(batch.mask)

    def steps(self, frames: Tensor) -> Tensor:
        """Frames [B, T, C] -> what a step holds, [B, N, stride * C]."""
        return frames.unflatten(1, (-1, self.config.vq.stride)).flatten(2)

    @abstractmethod
    def choose(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        known: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """Codes long [N, P] of a window: standardised speaker motion [1, T, 56] and audio
        [1, T, A], ``attitude`` long [1]; the first codes are ``known`` long [M, P], M < N."""

    @abstractmethod
    def decode(self, codes: Tensor, attitude: Tensor) -> Tensor:
        """Codes long [N, P] and attitude long [1] -> listener motion [T, 56] in its units."""

    def respond(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """Window after window, each going on from the last one's codes."""
        settings, stride, frames = self.config.generation, self.config.vq.stride, len(motion)
        rate = self.config.data.fps / stride
        size = max(2, round(settings.window_s * rate))
        overlap = min(size - 1, round(settings.overlap_s * rate))
        total = -(-frames // stride)
        held = torch.arange(total * stride, device=motion.device).clamp(max=frames - 1)
        conditions = self.attitude_inputs(attitude[None])
        codes = torch.zeros(total, self.parts, dtype=torch.long, device=motion.device)
        track = Track(total, stride, MOTION_DIM)
        for window in windows(total, size, overlap):
            here = held[window.start * stride : window.stop * stride]
            known = codes[window.start : window.start + window.known]
            chosen = self.choose(
                motion[None, here], audio[None, here], conditions, known, generator, temperature
            )
            codes[window.start : window.stop] = chosen
            track.write(window, self.decode(chosen, conditions))
        return track.frames[:frames]
