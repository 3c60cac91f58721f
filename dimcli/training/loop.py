"""The training loop of all models of motion; renderers have theirs in ``training/renderer``.

Everything random in step n comes from the seed and n alone, so a run that was stopped and resumed
writes the same bytes as one that was not. Wall-clock times go to the progress callback and never
into the run's files. Several processes (:mod:`dimcli.core.distributed`) train one model by
torch's DistributedDataParallel; only the first writes, and what it writes says nothing of their
number.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dimcli.core import distributed
from dimcli.core.tensors import save_tensors
from dimcli.data.windows import Batch, ReadAhead
from dimcli.models.checkpoint import METRICS, MODEL, STATE, load_training_state, save_training_state
from dimcli.models.config import TrainingConfig


class Objective(Protocol):
    """What a step minimises; see :mod:`dimcli.models.dim.objectives`."""

    def __call__(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise and figures to log (``loss`` is what validation compares)."""


@dataclass(frozen=True)
class Progress:
    """What a training run reports: ``figures`` are of the last log interval."""

    step: int
    steps: int
    split: str
    figures: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: ``reason`` is ``steps``, ``patience`` or ``minutes``.

    ``waited`` is the share of the time in which training steps waited for their data.
    """

    step: int
    best_step: int
    best_loss: float
    reason: str
    waited: float = 0.0


Batches = Callable[[int], Batch]


@dataclass
class _State:
    """Where a run is; everything but the tensors that resuming needs.

    ``sums`` add up the figures of the steps since ``logged_from``, the last line of the log.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0
    logged_from: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        return {**vars(self), "best_loss": None if math.isinf(self.best_loss) else self.best_loss}

    @classmethod
    def from_info(cls, info: dict[str, Any]) -> _State:
        best = math.inf if info["best_loss"] is None else info["best_loss"]
        return cls(**{**info, "best_loss": best})


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of ``step`` (from 0)."""
    rate = config.learning_rate
    if config.ramp_steps and step < config.ramp_steps:
        return rate * (step + 1) / config.ramp_steps
    if config.schedule == "cosine":
        share = min(1.0, step / config.steps)
        return rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
    return rate


def train(
    model: nn.Module,
    objective: Objective,
    train_batches: Batches,
    validation_batches: Batches,
    *,
    config: TrainingConfig,
    directory: Path,
    device: torch.device,
    resume: bool = False,
    max_minutes: float = 0.0,
    progress: Callable[[Progress], None] | None = None,
    tensorboard: bool = False,
) -> TrainingResult:
    """Train ``model`` in place and leave the best weights in ``directory``.

    ``max_minutes`` stops early, to be resumed from there; 0 is no limit. After Ctrl-C, a kill or
    any other interruption the last validation is what ``resume`` goes on from.
    """
    model.to(device)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trainable, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    step_module = _on_all_processes(model, objective)
    ahead = ReadAhead(train_batches, config.steps)
    state = _State()
    if resume and (directory / STATE).is_file():
        state = _State.from_info(load_training_state(directory, model, optimizer))
    else:  # so that a run killed before its first validation can be told from a finished one
        _save_state(directory, model, optimizer, state)
    metrics = _Metrics(directory, state.step, tensorboard) if distributed.rank() == 0 else None
    started = time.monotonic()
    reason = "steps"

    def report(split: str, figures: dict[str, float]) -> None:
        if metrics is not None:
            metrics.write(state.step, split, figures)
        if progress is not None:
            seconds = time.monotonic() - started
            progress(Progress(state.step, config.steps, split, figures, seconds))

    try:
        while state.step < config.steps:
            if config.patience and state.stale >= config.patience:  # ended so before, and resumed
                reason = "patience"
                break
            if max_minutes and _time_is_up(started, max_minutes, device):
                reason = "minutes"
                _save_state(directory, model, optimizer, state)
                break
            figures = take_step(
                model,
                optimizer,
                step_module,
                ahead,
                config=config,
                step=state.step,
                device=device,
            )
            state.step += 1
            for name, value in figures.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
            if state.step % config.validate_every and state.step != config.steps:
                if progress is not None and state.step % 20 == 0:
                    seconds = time.monotonic() - started
                    progress(Progress(state.step, config.steps, "step", figures, seconds))
                continue
            taken = state.step - state.logged_from
            report("train", {name: total / taken for name, total in state.sums.items()})
            state.sums, state.logged_from = {}, state.step
            validated = _validate(model, objective, validation_batches, config, device)
            report("val", validated)
            _keep_best(model, validated["loss"], state, directory)
            _save_state(directory, model, optimizer, state)
    finally:
        ahead.close()
        if metrics is not None:
            metrics.close()
    waited = ahead.waited_s / max(time.monotonic() - started, 1e-9)
    return TrainingResult(state.step, state.best_step, state.best_loss, reason, waited)


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


def _on_all_processes(model: nn.Module, objective: Objective) -> nn.Module:
    step = _Step(model, objective)
    if not distributed.active():
        return step
    # Which parameters a step uses changes (warm-up); buffers are kept alike by the objectives.
    return DistributedDataParallel(step, broadcast_buffers=False, find_unused_parameters=True)


def _time_is_up(started: float, max_minutes: float, device: torch.device) -> bool:
    """Whether the first process's clock says so: all processes stop at the same step."""
    over = distributed.rank() == 0 and time.monotonic() - started > 60 * max_minutes
    return bool(distributed.total(torch.tensor(int(over), device=device)))


def _save_state(
    directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: _State
) -> None:
    if distributed.rank() == 0:
        save_training_state(directory, model, optimizer, state.info())


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step_module: nn.Module,
    batches: Batches,
    *,
    config: TrainingConfig,
    step: int,
    device: torch.device,
) -> dict[str, float]:
    """One optimiser step, with randomness of its own."""
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed * 1_000_003 + step)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        loss, figures = step_module(batches(step).to(device), step, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
    if config.clip_norm:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    optimizer.step()
    return distributed.mean_figures(figures)


@torch.no_grad()
def _validate(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    config: TrainingConfig,
    device: torch.device,
) -> dict[str, float]:
    """Mean figures over the validation batches: the same windows and masks every time."""
    model.eval()
    sums: dict[str, float] = {}
    for index in range(config.validation_batches):
        generator = torch.Generator().manual_seed(index)
        _, figures = objective(batches(index).to(device), config.steps, generator, False)
        for name, value in distributed.mean_figures(figures).items():
            sums[name] = sums.get(name, 0.0) + value / config.validation_batches
    return sums


def _keep_best(model: nn.Module, loss: float, state: _State, directory: Path) -> None:
    if loss < state.best_loss:
        state.best_loss, state.best_step, state.stale = loss, state.step, 0
        if distributed.rank() == 0:
            save_tensors(model.state_dict(), directory / MODEL)
    else:
        state.stale += 1


def _step_of(line: str) -> float:
    """The step of a line of the log; a line that a kill cut short is of a step yet to come."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class _Metrics:
    """``metrics.jsonl`` (and TensorBoard): one line a split and interval."""

    def __init__(self, directory: Path, step: int, tensorboard: bool) -> None:
        path = directory / METRICS
        kept: list[str] = []
        if step and path.is_file():  # lines after the checkpoint will be written again
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step_of(line) <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.board = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(directory / "tensorboard"))

    def write(self, step: int, split: str, figures: dict[str, float]) -> None:
        rounded = {name: float(f"{value:.6g}") for name, value in figures.items()}
        self.file.write(json.dumps({"step": step, "split": split, **rounded}) + "\n")
        self.file.flush()
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()
