"""Models of motion as the training loop sees them.

Several processes (:mod:`dimcli.core.distributed`) train one model by torch's
DistributedDataParallel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dimcli.core import distributed
from dimcli.core.tensors import save_tensors
from dimcli.data.windows import Batch, ReadAhead
from dimcli.models.checkpoint import MODEL
from dimcli.models.config import TrainingConfig
from dimcli.training.loop import Figures

Batches = Callable[[int], Batch]


class Objective(Protocol):
    """What a step minimises; see :mod:`dimcli.models.dim.objectives`."""

    def __call__(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise and figures to log (``loss`` is what validation compares)."""


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of ``step`` (from 0)."""
    rate = config.learning_rate
    if config.ramp_steps and step < config.ramp_steps:
        return rate * (step + 1) / config.ramp_steps
    if config.schedule == "cosine":
        share = min(1.0, step / config.steps)
        return rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
    return rate


class MotionTraining:
    """A model, what it minimises and its data; see :class:`dimcli.training.loop.Trainable`."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train_batches: Batches,
        validation_batches: Batches,
        config: TrainingConfig,
        *,
        directory: Path,
        device: torch.device,
    ) -> None:
        self.state = model.to(device)
        self.config, self.device, self._directory = config, device, directory
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            trainable,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(config.beta1, config.beta2),
        )
        self._objective, self._validation_batches = objective, validation_batches
        self._step: nn.Module = _Step(model, objective)
        if distributed.active():
            # Which parameters a step uses changes (warm-up); the objectives keep buffers alike.
            self._step = DistributedDataParallel(
                self._step, broadcast_buffers=False, find_unused_parameters=True
            )
        self.ahead = ReadAhead(train_batches, config.steps)

    def learning_rate(self, step: int) -> float:
        """By the configuration."""
        return learning_rate(self.config, step)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective on the step's batch."""
        self.state.train()
        loss, figures = self._step(self.ahead(step).to(self.device), step, generator)
        return loss, figures

    def stepped(self) -> None:
        """Nothing more."""

    @torch.no_grad()
    def validate(self) -> Figures:
        """Mean figures over the validation batches: the same windows and masks every time."""
        self.state.eval()
        config, sums = self.config, dict[str, float]()
        for index in range(config.validation_batches):
            generator = torch.Generator().manual_seed(index)
            batch = self._validation_batches(index).to(self.device)
            _, figures = self._objective(batch, config.steps, generator, False)
            for name, value in distributed.mean_figures(figures).items():
                sums[name] = sums.get(name, 0.0) + value / config.validation_batches
        return sums

    def keep(self) -> None:
        """The model is what is kept."""
        if distributed.rank() == 0:
            save_tensors(self.state.state_dict(), self._directory / MODEL)

    def interrupted(self, best_loss: float) -> None:
        """The weights of the best validation stay; those of now where none was made yet."""
        if math.isinf(best_loss):
            self.keep()

    def line(self, split: str, figures: Figures) -> dict[str, Any]:
        """One line a split."""
        return {"split": split, **figures}


class _Step(nn.Module):
    """An objective as a module, for DistributedDataParallel to call."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(
        self, batch: Batch, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and the figures of a training step."""
        return self.objective(batch, step, generator, True)
