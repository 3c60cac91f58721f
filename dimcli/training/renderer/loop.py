"""A renderer as the training loop (:mod:`dimcli.training.loop`) sees it.

The weights that are kept are a running mean of those that train.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dimcli.training.loop import Figures
from dimcli.training.renderer.card import preview, write_preview
from dimcli.training.renderer.judging import detail, psnr, trained
from dimcli.training.renderer.objective import (
    Objective,
    RendererTraining,
    draw,
    jittered,
    with_moved_camera,
)
from dimcli.training.renderer.training_set import HELD_OUT, STOP, TRAIN, TrainingSet
from renderers.trained import run as runs
from renderers.trained.start import as_pictures

VALIDATION_FRAMES = 24
"""Frames of each part that validation is on."""

SOFTNESS = 0.5
"""By what share a face without any fine detail is worse than its loss says, when the weights to
keep are chosen: the loss alone prefers what is soft."""

RAMP = 50
"""Steps in which the learning rate rises."""


@dataclass(frozen=True)
class Look:
    """What a run reports at a validation: mean ``loss`` since the last one, that of the frames to
    stop by, and PSNR (dB) on held-out frames (NaN where there are none)."""

    step: int
    seconds: float
    loss: float
    stop_loss: float
    psnr: float


def some_of(frames: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of ``frames``, evenly spread."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


class RendererTrainable:
    """A network and its training sets; see :class:`dimcli.training.loop.Trainable`."""

    def __init__(
        self,
        network: nn.Module,
        training_sets: list[TrainingSet],
        config: RendererTraining,
        run: Path,
        objective: Objective,
    ) -> None:
        self.config, self._network, self._run = config, network, run
        self._training_sets, self._objective = training_sets, objective
        self._device = next(network.parameters()).device

        @torch.no_grad()
        def update(kept: Any, current: Any, count: Tensor | int) -> None:
            decay = min(config.average, int(count) / (int(count) + 19))
            torch._foreach_lerp_(kept, current, 1 - decay)

        self._average = AveragedModel(network, multi_avg_fn=update)
        self._average.requires_grad_(False)
        self._average.n_averaged.fill_(1)  # the network as it begins counts as the first
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, betas=(config.beta1, 0.99)
        )
        self.state = nn.ModuleDict({"network": network, "average": self._average})
        self._spread = {
            m.person: torch.from_numpy(m.coefficients[m.frames(TRAIN)].std(axis=0))
            for m in training_sets
        }
        self._trained_loss = math.nan
        self.parts = 1
        self.kept_between = False
        """Whether the run directory has weights of between two validations."""

    def learning_rate(self, step: int) -> float:
        """A short ramp; later it falls with the square root of the steps."""
        rate = self.config.learning_rate * min(1.0, (step + 1) / RAMP)
        return rate * min(1.0, math.sqrt(self.config.settle_after / (step + 1)))

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the objective's terms on random frames of one person; people take turns."""
        config = self.config
        training_set = self._training_sets[step % len(self._training_sets)]
        batch = training_set.random_batch(config.batch_size, generator)
        spread = self._spread[training_set.person]
        batch = jittered(batch, config, spread, generator)
        batch = with_moved_camera(batch, config, spread, generator)
        self._network.train()
        edit = step >= config.warp_only
        batch = batch.to(self._device)
        terms = self._objective(batch, draw(self._network, batch, edit=edit))
        loss = torch.stack(list(terms.values())).sum()
        return loss, {"loss": loss}

    def stepped(self) -> None:
        """Move the running mean."""
        self._average.update_parameters(self._network)

    def validate(self) -> Figures:
        """Loss of the frames to stop by and PSNR (dB) of held-out ones, where there are some. The
        preview pictures are made anew."""
        sets = self._training_sets
        levels = [self._psnr_of(m, some_of(m.frames(HELD_OUT), VALIDATION_FRAMES)) for m in sets]
        figures = {"loss": self._stop_loss(), "psnr": _mean(levels)}
        for training_set in sets:
            if len(held_out := training_set.frames(HELD_OUT)):
                sheet = preview(self._average.module, training_set, held_out)
                write_preview(sheet, self._run / f"preview-{training_set.person}.jpg")
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def keep(self) -> None:
        """The running mean is what is kept."""
        runs.write_network(self._run, self._average.module)

    def interrupted(self, best_loss: float) -> None:
        """Keep the newest weights if they are better, or if nothing says whether they are."""
        stop_loss = self._stop_loss()
        if math.isnan(stop_loss) or stop_loss < best_loss:
            self.keep()
            self.kept_between = True

    def line(self, split: str, figures: Figures) -> dict[str, Any] | None:
        """One line for both splits; null for what is not known (JSON has no NaN)."""
        if split == "train":
            self._trained_loss = figures["loss"]
            return None
        return {
            "loss": None if math.isnan(self._trained_loss) else self._trained_loss,
            "stop_loss": figures.get("loss"),
            "held_out_psnr": figures.get("psnr"),
        }

    def _stop_loss(self) -> float:
        """Mean loss of the frames to stop by; NaN where there are none."""
        return _mean(
            [
                self._loss_of(m, some_of(m.frames(STOP), VALIDATION_FRAMES))
                for m in self._training_sets
            ]
        )

    def _loss_of(self, training_set: TrainingSet, frames: np.ndarray) -> float:
        """Mean loss of the kept weights on ``frames``, the more the softer their face is than the
        clip's (:data:`SOFTNESS`); NaN where there are none."""
        losses = []
        network = self._average.module.eval()
        with torch.inference_mode():
            for frame in frames:
                some = np.array([frame])
                batch = training_set.batch(some).to(self._device)
                drawn = draw(network, batch)
                assert drawn.picture is not None
                loss = float(torch.stack(list(self._objective(batch, drawn).values())).sum())
                (made,), (truth,) = as_pictures(drawn.picture), training_set.pictures(some)
                look = training_set.landmarks[frame]
                sharpness = detail(made, look) / max(detail(truth, look), 1e-6)
                losses.append(loss * (1 + SOFTNESS * max(0.0, 1 - sharpness)))
        return float(np.mean(losses)) if losses else math.nan

    def _psnr_of(self, training_set: TrainingSet, frames: np.ndarray) -> float:
        if not len(frames):
            return math.nan
        made = trained(self._average.module, training_set, frames)
        return float(psnr(made, training_set.pictures(frames)).mean())


def _mean(values: list[float]) -> float:
    """Mean of those that are known; NaN where none is."""
    return math.nan if np.isnan(values).all() else float(np.nanmean(values))
