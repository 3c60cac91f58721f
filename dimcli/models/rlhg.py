"""Responsive Listening Head Generation (Zhou et al., ECCV 2022, arXiv 2112.13548): regression.

Audio and speaker motion of a frame are fused; an LSTM that runs forwards in time decodes them, with
the wanted attitude, into the listener's next frame. Loss: squared errors of the motion and of its
differences. It is deterministic.

What differs from the paper: it starts the LSTM from the listener's true first frame, which nothing
here may see, so the start is a learned one; and it weighs groups of coefficients, where this
standardises every column. The authors' released code leaves the attitude out; ``inputs.attitudes``
says whether it is given.

Axes: B batch, T frames, H width of the LSTM, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.config import Dropout, Range, Section, Weight, Width
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import Batch
from dimcli.models.baseline import (
    PAPER_INPUTS,
    SMALL_INPUTS,
    SMALL_TRAINING,
    TABLE_TRAINING,
    TINY_TRAINING,
    BaselineRun,
    Figures,
    ListenerBaseline,
    motion_loss,
)
from dimcli.models.config import TrainingConfig
from dimcli.models.registry import Method, register


@dataclass(frozen=True)
class RLHGConfig(Section, section="rlhg"):
    """Responsive Listening Head Generation (arXiv 2112.13548): recurrent regression."""

    fusion: Width = 192
    """Width that audio and speaker motion are fused to."""
    hidden: Width = 96
    """Width of the LSTM."""
    layers: Annotated[int, Range(1, 16)] = 2
    """Layers of the LSTM."""
    dropout: Dropout = 0.1
    """Dropout between the LSTM's layers."""
    velocity_weight: Weight = 1.0
    """Weight of the loss on frame-to-frame differences."""


@dataclass(frozen=True)
class RLHGRun(BaselineRun):
    """A run of RLHG."""

    kind: str = "rlhg"
    rlhg: RLHGConfig = field(default_factory=RLHGConfig)
    """The method's own settings."""


class RLHG(ListenerBaseline):
    """Fusion, a causal LSTM and a linear read-out."""

    config: RLHGRun

    def __init__(self, config: RLHGRun) -> None:
        super().__init__(config)
        rlhg = config.rlhg
        width = config.data.audio_dim + MOTION_DIM
        self.fuse = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, rlhg.fusion), nn.Tanh())
        self.attitude = nn.Embedding(len(ATTITUDES), rlhg.fusion)
        nn.init.zeros_(self.attitude.weight)
        self.start = nn.Parameter(torch.zeros(2, rlhg.layers, 1, rlhg.hidden))
        self.recurrent = nn.LSTM(
            rlhg.fusion,
            rlhg.hidden,
            num_layers=rlhg.layers,
            dropout=rlhg.dropout if rlhg.layers > 1 else 0.0,
            bias=False,
            batch_first=True,
        )
        self.read_out = nn.Linear(rlhg.hidden, MOTION_DIM)

    def forward(self, motion: Tensor, audio: Tensor, attitude: Tensor) -> Tensor:
        """Standardised speaker motion [B, T, 56], audio [B, T, A] and attitude long [B] ->
        standardised listener motion [B, T, 56]; frame t is decided before the speaker's frame t."""
        features = self.fuse(torch.cat([motion, audio], dim=-1))
        features = F.pad(features[:, :-1], (0, 0, 1, 0)) + self.attitude(attitude)[:, None]
        start = self.start.expand(-1, -1, len(motion), -1).contiguous()
        decoded, _ = self.recurrent(features, (start[0], start[1]))
        return self.read_out(decoded)

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Squared errors of the motion and of its frame-to-frame differences."""
        own = generator if training else None
        motion, audio = self.speaker_inputs(batch.motion["speaker"], batch.audio, own)
        predicted = self(motion, audio, self.attitude_inputs(batch.attitude, own))
        target = self.standardise(batch.motion["listener"])
        error, loss = motion_loss(target, predicted, batch.mask, self.config.rlhg.velocity_weight)
        return loss, {"loss": loss, "error": error}

    def respond(
        self,
        motion: Tensor,
        audio: Tensor,
        attitude: Tensor,
        generator: torch.Generator,
        temperature: float,
    ) -> Tensor:
        """One pass over the clip; nothing is drawn."""
        predicted = self(motion[None], audio[None], self.attitude_inputs(attitude[None]))
        return self.unstandardise(predicted[0])


PRESETS = {
    "paper": RLHGRun(
        inputs=PAPER_INPUTS,
        training=TrainingConfig(  # clips of 90 frames; batches of 4 on each of 4 processes
            batch_size=16, window_s=3.6, learning_rate=2e-3, weight_decay=0.05
        ),
    ),
    "small": RLHGRun(
        inputs=SMALL_INPUTS,
        rlhg=RLHGConfig(fusion=256, hidden=256, dropout=0.0),
        training=SMALL_TRAINING,
    ),
    "table": RLHGRun(
        inputs=SMALL_INPUTS, rlhg=RLHGConfig(fusion=160, hidden=160), training=TABLE_TRAINING
    ),
    "tiny": RLHGRun(
        inputs=SMALL_INPUTS,
        rlhg=RLHGConfig(fusion=16, hidden=16, dropout=0.0),
        training=TINY_TRAINING,
    ),
}

register(Method("rlhg", ("listener",), presets=PRESETS, build=RLHG, resumes_from=True))
