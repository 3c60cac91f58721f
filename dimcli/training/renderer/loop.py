"""The training loop of renderers; motion has its own, :mod:`dimcli.training.loop`.

Everything random in step n comes from the seed and n alone, so a run that was stopped and resumed
writes the same bytes as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dimcli.core.files import atomic_output
from dimcli.core.progress import Progress, silent
from dimcli.models.checkpoint import METRICS, load_training_state, save_training_state
from dimcli.training.renderer.card import preview, psnr, trained, write_preview
from dimcli.training.renderer.objective import (
    Objective,
    RendererTraining,
    jittered,
    with_moved_camera,
)
from dimcli.training.renderer.training_set import HELD_OUT, STOP, TRAIN, TrainingSet
from renderers.trained import run as runs

LOOKED_AT = 24
"""Frames of each part that are looked at while training."""

RAMP = 50
"""Steps in which the learning rate rises."""


@dataclass(frozen=True)
class Look:
    """What a run tells while it trains: mean ``loss`` since the last look, that of the frames to
    stop by, and PSNR (dB) on held-out frames (NaN where there are none)."""

    step: int
    seconds: float
    loss: float
    stop_loss: float
    psnr: float


@dataclass
class _State:
    """Where a run is; everything but the tensors that resuming needs."""

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    losses: float = 0.0
    looked_at: int = 0


def some_of(frames: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of ``frames``, evenly spread."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


class Loop:
    """The steps of a run."""

    def __init__(
        self,
        network: nn.Module,
        training_sets: list[TrainingSet],
        config: RendererTraining,
        run: Path,
        *,
        objective: Objective,
        resume: bool = False,
        progress: Progress = silent,
        look: Callable[[Look], None] = lambda _: None,
    ) -> None:
        self.network, self.config, self.run = network, config, run
        self.training_sets = training_sets
        self.objective, self._progress, self._tell = objective, progress, look
        self.device = next(network.parameters()).device
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, betas=(config.beta1, 0.99)
        )
        self.state = _State()
        self.both = nn.ModuleDict({"network": self.network, "average": self.average})
        self.spread = {
            m.person: torch.from_numpy(m.coefficients[m.frames(TRAIN)].std(axis=0))
            for m in training_sets
        }
        if resume:
            self.state = _State(**load_training_state(run, self.both, self.optimizer))
        self.kept_step = self.state.best_step
        """Step of the weights that the run directory has."""

    def train(self, started: float) -> str:
        """Steps until the last one, the time's end or no more gain; says which."""
        config, state = self.config, self.state
        if state.step == 0:
            # from here on there is something to resume: no run has a model and no state
            save_training_state(self.run, self.both, self.optimizer, vars(state))
        self._trim_metrics()
        reason = "steps"
        saved = -1
        while state.step < config.steps:
            if state.stale >= config.patience:
                reason = "patience"
                break
            if config.minutes and time.monotonic() - started > 60 * config.minutes:
                reason = "minutes"
                break
            state.losses += self._step(state.step)
            state.step += 1
            self._progress("training", state.step, config.steps)
            if state.step % config.validate_every == 0 or state.step == config.steps:
                self._look(time.monotonic() - started)
                save_training_state(self.run, self.both, self.optimizer, vars(state))
                saved = state.step
        if saved != state.step:
            save_training_state(self.run, self.both, self.optimizer, vars(state))
            self._keep_last()
        return reason

    def _step(self, step: int) -> float:
        """One step, with randomness of its own; its loss."""
        config = self.config
        rate = config.learning_rate * min(1.0, (step + 1) / RAMP)
        rate *= min(1.0, math.sqrt(config.settle_after / (step + 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        training_set = self.training_sets[step % len(self.training_sets)]
        batch = training_set.random_batch(config.batch_size, generator)
        spread = self.spread[training_set.person]
        batch = jittered(batch, config, spread, generator)
        batch = with_moved_camera(batch, config, spread, generator)
        self.network.train()
        terms = self.objective(self.network, batch.to(self.device), edit=step >= config.warp_only)
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        decay = min(config.average, (step + 1) / (step + 20))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for kept, now in pairs:
                kept.lerp_(now, 1 - decay)
        return float(loss.detach())

    def _keep_last(self) -> None:
        """Keep the weights of a run that the time ended between two looks, if they are better. The
        state does not know of it, so that a resumed run goes on as if it had not stopped."""
        stop_loss = self._stop_loss()
        best = self.state.best_loss
        if best is None or math.isnan(stop_loss) or stop_loss < best:
            runs.write_network(self.run, self.average)
            self.kept_step = self.state.step

    def _stop_loss(self) -> float:
        """Mean loss of the frames to stop by; NaN where there are none."""
        losses = [self._loss_of(m, some_of(m.frames(STOP), LOOKED_AT)) for m in self.training_sets]
        return math.nan if np.isnan(losses).all() else float(np.nanmean(losses))

    def _look(self, seconds: float) -> None:
        """Look at frames that are not learned from; keep the best weights; tell."""
        state = self.state
        stop_loss = self._stop_loss()
        sets = self.training_sets
        found = [self._psnr_of(m, some_of(m.frames(HELD_OUT), LOOKED_AT)) for m in sets]
        level = float(np.nanmean(found)) if not np.isnan(found).all() else math.nan
        if math.isnan(stop_loss) or state.best_loss is None or stop_loss < state.best_loss:
            state.best_loss = None if math.isnan(stop_loss) else stop_loss
            state.best_step, state.stale = state.step, 0
            self.kept_step = state.step
            runs.write_network(self.run, self.average)
        else:
            state.stale += 1
        look = Look(
            state.step, seconds, state.losses / (state.step - state.looked_at), stop_loss, level
        )
        state.losses, state.looked_at = 0.0, state.step
        line = {
            "step": look.step,
            "loss": _figure(look.loss),
            "stop_loss": _figure(look.stop_loss),
            "held_out_psnr": _figure(look.psnr),
        }
        with (self.run / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for training_set in self.training_sets:
            if len(held_out := training_set.frames(HELD_OUT)):
                sheet = preview(self.average, training_set, held_out)
                write_preview(sheet, self.run / f"preview-{training_set.person}.jpg")
        self._tell(look)

    def _loss_of(self, training_set: TrainingSet, frames: np.ndarray) -> float:
        """Mean loss of the kept weights on ``frames``; NaN where there are none."""
        losses = []
        self.average.eval()
        with torch.inference_mode():
            for frame in frames:
                batch = training_set.batch(np.array([frame])).to(self.device)
                terms = self.objective(self.average, batch)
                losses.append(float(sum(terms.values(), torch.zeros(()))))
        return float(np.mean(losses)) if losses else math.nan

    def _psnr_of(self, training_set: TrainingSet, frames: np.ndarray) -> float:
        if not len(frames):
            return math.nan
        made = trained(self.average, training_set, frames)
        return float(psnr(made, training_set.pictures(frames)).mean())

    def _trim_metrics(self) -> None:
        """Drop the lines that will be written again."""
        path = self.run / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if line and json.loads(line)["step"] <= self.state.step]
        with atomic_output(path, force=True) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _figure(value: float) -> float | None:
    """Six digits; None for what is not known (JSON has no NaN)."""
    return None if math.isnan(value) else float(f"{value:.6g}")
