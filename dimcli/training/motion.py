"""Models of motion as the training loop sees them.

Several processes (:mod:`dimcli.core.distributed`) train one model by torch's
DistributedDataParallel; precision, compilation and what is kept for the backward pass are settings
of the training section. All that is torch's own. Accelerate would hold one precision for the life
of a process, in which a method's stages may train with several, and be one more dependency of
everybody who fine-tunes; it has neither the loss of a whole batch in parts nor equal draws.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dimcli.core import distributed
from dimcli.core.errors import InputError
from dimcli.core.tensors import save_tensors
from dimcli.data.windows import Batch, ReadAhead
from dimcli.models.checkpoint import MODEL
from dimcli.models.config import TrainingConfig
from dimcli.models.dim.layers import Block, Transformer
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


def fit_layers(model: nn.Module, config: TrainingConfig) -> None:
    """Compile and checkpoint the transformer layers of ``model`` as ``config`` says. Raises
    InputError where it has none, or nothing compiles them."""
    stacks = [module for module in model.modules() if isinstance(module, Transformer)]
    for name in ("compile", "gradient_checkpointing"):
        if getattr(config, name) and not stacks:
            raise InputError(
                f"training.{name} is true: this method has no transformer layers; expected false"
            )
    for stack in stacks:
        stack.checkpointing = config.gradient_checkpointing
    if not config.compile:
        return
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "cl")):
        raise InputError("training.compile is true: no C++ compiler here; install g++, or false")
    for module in model.modules():
        if isinstance(module, Block):
            module.compile(dynamic=True)  # in place: names of weights stay


@contextmanager
def in_precision(config: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Train in the precision that ``config`` says. Raises InputError where ``device`` lacks it."""
    wanted = config.precision
    capable = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if wanted != "float32" and not capable and (wanted == "tf32" or device.type == "cuda"):
        raise InputError(
            f"training.precision is {wanted}: takes a GPU of the Ampere generation or newer, and "
            f"this is {device.type}; expected float32"
        )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted == "tf32" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


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
        self.parts = config.accumulation
        fit_layers(model, config)
        self._plain = _Step(model, objective)
        self._shared: DistributedDataParallel | None = None
        if distributed.active():
            # Which parameters a step uses changes (warm-up); the objectives keep buffers alike.
            self._shared = DistributedDataParallel(
                self._plain, broadcast_buffers=False, find_unused_parameters=True
            )
        pinned = device.type == "cuda"
        self.ahead = ReadAhead(
            (lambda index: train_batches(index).pinned()) if pinned else train_batches, config.steps
        )
        self._now: tuple[int, Batch] | None = None

    def learning_rate(self, step: int) -> float:
        """By the configuration."""
        return learning_rate(self.config, step)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective on the step's batch, or on the part of it that is computed now."""
        self.state.train()
        if self._now is None or self._now[0] != step:
            self._now = step, self.ahead(step).to(self.device)
        batch, part = self._now[1], distributed.part()
        if part.count > 1:
            batch = batch.part(part.rows(len(batch.mask)))
        with self._autocast():
            if self._shared is None or not part.learns:
                loss, figures = self._plain(batch, step, generator)
            else:  # gradients meet once a step
                with nullcontext() if part.last else self._shared.no_sync():
                    loss, figures = self._shared(batch, step, generator)
        return loss, figures

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
        )

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
            with self._autocast():
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
