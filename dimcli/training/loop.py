"""The training loop, of every trainable thing: models of motion and renderers.

Everything random in step n comes from the seed and n alone, so a run that was stopped and resumed
writes the same bytes as one that was not. Wall-clock times go to the progress callback and never
into the run's files. In a training on several processes (:mod:`dimcli.core.distributed`) only the
first writes, and what it writes says nothing of their number.
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

from dimcli.core import distributed
from dimcli.models.checkpoint import METRICS, STATE, load_training_state, save_training_state

Figures = dict[str, float]


class Schedule(Protocol):
    """The settings of a training that the loop reads."""

    @property
    def seed(self) -> int:
        """Of everything that is drawn at random."""

    @property
    def steps(self) -> int:
        """Steps of the whole training."""

    @property
    def validate_every(self) -> int:
        """Steps between validations."""

    @property
    def patience(self) -> int:
        """Validations without a better loss that end the training; 0 for never."""

    @property
    def clip_norm(self) -> float:
        """Largest norm of the gradient; 0 for any."""


class Trainable(Protocol):
    """Something to train."""

    @property
    def state(self) -> nn.Module:
        """Every tensor that resuming needs, but for the optimiser's."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What makes the steps."""

    @property
    def parts(self) -> int:
        """How many parts a step's batch is computed in (:func:`distributed.in_parts`)."""

    def learning_rate(self, step: int) -> float:
        """Learning rate of ``step`` (from 0)."""

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """What the step minimises, and figures to log: of the part that is computed now."""

    def stepped(self) -> None:
        """Called after each optimiser step."""

    def validate(self) -> Figures:
        """Figures on data that is not learned from. By ``loss`` the best weights are chosen; where
        there is none, the last ones are."""

    def keep(self) -> None:
        """Write the weights into the run directory: they are the best so far."""

    def interrupted(self, best_loss: float) -> None:
        """Called where the time ends between two validations. What is kept now is no part of the
        state, so that a resumed run goes on as if it had not stopped."""

    def line(self, split: str, figures: Figures) -> dict[str, Any] | None:
        """The line of ``metrics.jsonl`` of a split's figures, if it has one: of ``train``, means
        over the steps since the last validation, then of ``val``."""


@dataclass(frozen=True)
class Progress:
    """What a training run reports: ``figures`` are of the last log interval.

    ``split`` is ``train``, ``val`` or, between validations, ``step``.
    """

    step: int
    steps: int
    split: str
    figures: Figures
    seconds: float
    stage: str = ""
    """Of a training of several stages, which one this is."""
    part: int = 0
    parts: int = 1
    """Of several trainings that are as long as each other, which one this is, from 0."""
    limit_s: float = 0.0
    """Seconds that it may take; 0 for any."""
    begun: int = 0
    """The step that it goes on from."""

    def amount(self, stage: str) -> tuple[str, int, int]:
        """What a display of progress shows as ``stage``: how much of all parts is done, and how
        much there will be: steps, or where time is limited seconds, since that may end long before
        the steps do."""
        if not self.limit_s:
            return stage, self.part * self.steps + self.step, self.parts * self.steps
        whole = self.limit_s
        if self.step > self.begun:
            pace = self.seconds / (self.step - self.begun)
            whole = min(whole, pace * (self.steps - self.begun))
        done = self.part * whole + min(self.seconds, whole)
        return f"{stage}, seconds", round(done), math.ceil(self.parts * whole)


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: ``reason`` is ``steps``, ``patience`` or ``minutes``.

    ``waited`` is the share of the time in which training steps waited for their data; ``validated``
    is whether any step was.
    """

    step: int
    best_step: int
    best_loss: float
    reason: str
    waited: float = 0.0
    validated: bool = True

    @property
    def unchanged(self) -> bool:
        """Whether its weights are those that it began with, which were validated first."""
        return not self.best_step and math.isfinite(self.best_loss)


@dataclass
class _State:
    """Where a run is; everything but the tensors that resuming needs.

    ``sums`` add up the figures of the steps since ``logged_from``, the last line of the log; those
    in ``new`` are on the device still, because reading one makes the processor wait for it.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0
    logged_from: int = 0
    sums: Figures = field(default_factory=dict)
    new: dict[str, Tensor] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        facts = {name: value for name, value in vars(self).items() if name != "new"}
        return {**facts, "best_loss": None if math.isinf(self.best_loss) else self.best_loss}

    def add(self, figures: dict[str, Tensor]) -> None:
        """Take in a step's figures."""
        for name, value in figures.items():
            before = self.new[name] if name in self.new else self.sums.pop(name, 0.0)
            self.new[name] = value.double() + before

    def settle(self) -> None:
        """Bring ``sums`` up to date: every process at the same step."""
        self.sums |= distributed.mean_figures(self.new)
        self.new = {}

    def is_best(self, loss: float | None) -> bool:
        """Take in a validation's loss; None counts as better than any before."""
        if loss is not None and not loss < self.best_loss:
            self.stale += 1
            return False
        self.best_loss = math.inf if loss is None else loss
        self.best_step, self.stale = self.step, 0
        return True

    @classmethod
    def from_info(cls, info: dict[str, Any]) -> _State:
        best = math.inf if info["best_loss"] is None else info["best_loss"]
        return cls(**{**info, "best_loss": best})


def train(
    trainable: Trainable,
    schedule: Schedule,
    directory: Path,
    *,
    device: torch.device,
    resume: bool = False,
    max_minutes: float = 0.0,
    started: float | None = None,
    validate_first: bool = False,
    progress: Callable[[Progress], None] | None = None,
    report_every: int = 20,
    tensorboard: bool = False,
) -> TrainingResult:
    """Train and leave the best weights in ``directory``.

    ``max_minutes`` after ``started`` (``time.monotonic()``; None: now) it stops, to be resumed from
    there; 0 is no limit. After Ctrl-C, a kill or any other interruption the last validation is what
    ``resume`` goes on from. With ``validate_first`` the weights that training starts from are the
    first to be kept. Between validations ``progress`` is called after every
    ``report_every`` steps.
    """
    optimizer = trainable.optimizer
    state = _State()
    began = time.monotonic() if started is None else started

    def save() -> None:
        state.settle()
        if distributed.rank() == 0:
            save_training_state(directory, trainable.state, optimizer, state.info())

    def report(split: str, figures: Figures) -> None:
        line = None if split == "step" else trainable.line(split, figures)
        if metrics is not None and line is not None:
            metrics.write(state.step, line)
        if progress is not None:
            seconds = time.monotonic() - began
            limit_s, facts = 60 * max_minutes, (split, figures, seconds)
            now = Progress(state.step, schedule.steps, *facts, limit_s=limit_s, begun=begun)
            progress(now)

    def validate() -> None:
        validated = trainable.validate()
        report("val", validated)
        if state.is_best(validated.get("loss")):
            trainable.keep()
        save()

    if resume and (directory / STATE).is_file():
        state = _State.from_info(load_training_state(directory, trainable.state, optimizer))
    else:  # so that a run killed before its first validation can be told from a finished one
        save()
    begun = state.step
    metrics = _Metrics(directory, state.step, tensorboard) if distributed.rank() == 0 else None
    try:
        if validate_first and math.isinf(state.best_loss):
            validate()
        while (reason := _why_over(state, schedule, began, max_minutes, device)) is None:
            figures = take_step(trainable, schedule, state.step, device)
            state.step += 1
            state.add(figures)
            if state.step % schedule.validate_every and state.step != schedule.steps:
                if state.step % report_every == 0:
                    report("step", distributed.mean_figures(figures))
                continue
            taken = state.step - state.logged_from
            state.settle()
            trained = {name: total / taken for name, total in state.sums.items()}
            report("train", trained)
            state.sums, state.logged_from = {}, state.step
            validate()
        if not state.step or state.logged_from != state.step:
            save()
            trainable.interrupted(state.best_loss)
    finally:
        if metrics is not None:
            metrics.close()
    return TrainingResult(
        state.step, state.best_step, state.best_loss, reason, validated=state.logged_from > 0
    )


def _why_over(
    state: _State, schedule: Schedule, began: float, max_minutes: float, device: torch.device
) -> str | None:
    """Why there is no further step, as :class:`TrainingResult` calls it; None: there is one."""
    if state.step >= schedule.steps:
        return "steps"
    if schedule.patience and state.stale >= schedule.patience:
        return "patience"
    return "minutes" if max_minutes and _time_is_up(began, max_minutes, device) else None


def _time_is_up(began: float, max_minutes: float, device: torch.device) -> bool:
    """Whether the first process's clock says so: all processes stop at the same step."""
    over = distributed.rank() == 0 and time.monotonic() - began > 60 * max_minutes
    if not distributed.active():
        return over
    return bool(distributed.total(torch.tensor(int(over), device=device)))


def take_step(
    trainable: Trainable, schedule: Schedule, step: int, device: torch.device
) -> dict[str, Tensor]:
    """One optimiser step, with randomness of its own; its figures, on the device."""
    optimizer, parts = trainable.optimizer, trainable.parts
    seed = schedule.seed * 1_000_003 + step
    for group in optimizer.param_groups:
        group["lr"] = trainable.learning_rate(step)
    optimizer.zero_grad(set_to_none=True)
    found: list[dict[str, Tensor]] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for part in distributed.in_parts(parts):
            torch.manual_seed(seed)
            with torch.set_grad_enabled(part.learns):
                loss, figures = trainable.loss(step, torch.Generator().manual_seed(seed))
            if part.learns:
                (loss / parts).backward()
                found.append({name: value.detach() for name, value in figures.items()})
    if schedule.clip_norm:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, schedule.clip_norm)
    optimizer.step()
    trainable.stepped()
    if parts == 1:
        return found[0]
    return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}


def _step_of(line: str) -> float:
    """The step of a line of the log; a line that a kill cut short is of a step yet to come."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class _Metrics:
    """``metrics.jsonl`` (and TensorBoard): lines at each validation."""

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

    def write(self, step: int, line: dict[str, Any]) -> None:
        figures = {name: value for name, value in line.items() if isinstance(value, float)}
        rounded = {name: float(f"{value:.6g}") for name, value in figures.items()}
        self.file.write(json.dumps({"step": step, **line, **rounded}) + "\n")
        self.file.flush()
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"{line['split']}/{name}", value, step)

    def close(self) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()
