"""``dim train-renderer``: clips of a person in, a run directory with their renderer out.

Everything random in step n comes from the seed and n alone, so a run that was stopped and resumed
ends with the same weights as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dimcli.checkpoint import METRICS, STATE, load_training_state, save_training_state
from dimcli.device import choose_device
from dimcli.errors import InputError
from dimcli.progress import Progress, silent
from dimcli.renderer_card import Figures, judge, preview, psnr, trained, write_card, write_preview
from dimcli.takes import Region, read_takes
from renderers.pirenderer import run as runs
from renderers.pirenderer.backbones import Lite0, choose_backbone
from renderers.pirenderer.likeness import CLIPS_APART, apart, likeness
from renderers.pirenderer.lite import LiteConfig, LiteNet
from renderers.pirenderer.material import HELD_OUT, STOP, TRAIN, Material, as_tensor
from renderers.pirenderer.objective import (
    PRESETS,
    Objective,
    RendererTraining,
    jittered,
)
from renderers.pirenderer.published import published_config, start_from_published

LOOKED_AT = 24
"""Frames of each part that are looked at while training."""

JUDGED = 40
"""Held-out frames that the card's figures are of."""

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


@dataclass(frozen=True)
class RendererOptions:
    """What ``dim train-renderer`` takes; None for what the preset says."""

    preset: str = "lite"
    minutes: float | None = None
    steps: int | None = None
    seed: int | None = None
    held_out: float = 0.25
    region: Region | None = None
    init: str | None = None
    resume: bool = False
    force: bool = False
    device: str = "auto"
    progress: Progress = silent
    look: Callable[[Look], None] = lambda _: None
    remark: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class RendererResult:
    """How a run ended: ``reason`` is ``steps``, ``minutes`` or ``patience``; figures by person."""

    step: int
    best_step: int
    reason: str
    figures: dict[str, Figures]
    taken_s: float


@dataclass
class _State:
    """Where a run is; everything but the tensors that resuming needs."""

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    losses: float = 0.0
    looked_at: int = 0


def named_sources(clips: list[Path] | None, identities: list[str] | None) -> dict[str, list[Path]]:
    """Who is trained on what: ``clips`` of one person, or ``NAME=clip`` for several."""
    if bool(clips) == bool(identities):
        raise InputError("give the clips of one person, or --identity NAME=clip.mp4 for several")
    if clips:
        return {"person": list(clips)}
    people: dict[str, list[Path]] = {}
    for text in identities or []:
        name, equals, path = text.partition("=")
        if not equals or not path or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise InputError(
                f"--identity {text}: expected NAME=clip.mp4, the name of letters, digits, - and _"
            )
        people.setdefault(name, []).append(Path(path))
    return people


def train_renderer(
    people: dict[str, list[Path]], run: Path, options: RendererOptions
) -> RendererResult:
    """Train a renderer of ``people`` (clips, or folders of pictures, by name) into ``run``.

    Raises InputError for what is wrong with the clips, the options or the run directory.
    """
    started = time.monotonic()
    network_config, config = _configured(options)
    device = choose_device(options.device)
    _check_run(run, options)
    backbone = choose_backbone().to(device)
    with _materials(people, run, network_config, options) as materials:
        torch.manual_seed(config.seed)
        network = _started(network_config, materials, options)
        looks = {name: _likeness(material) for name, material in materials.items()}
        known = {
            name: runs.Person(material.reference, looks[name])
            for name, material in materials.items()
        }
        runs.write_people(run, known)
        description = {"preset": options.preset, **asdict(config), "sources": _names(people)}
        description = json.loads(json.dumps(description))
        if options.resume:
            _check_same(run, description)
        runs.write_config(run, network_config, list(materials), description)
        loop = _Loop(network.to(device), list(materials.values()), config, run, backbone, options)
        reason = loop.train(started)
        runs.load_network(network, run / runs.MODEL)
        figures = {}
        for name, material in materials.items():
            held_out = _some(material.frames(HELD_OUT), JUDGED)
            if len(held_out):
                options.progress("judging", len(figures) + 1, len(materials))
                figures[name] = judge(network, material, held_out, backbone)
                write_preview(preview(network, material, held_out), run / f"preview-{name}.jpg")
    taken = time.monotonic() - started
    state = loop.state
    write_card(
        run,
        options.preset,
        [
            f"from {', '.join(str(path) for paths in people.values() for path in paths)}",
            f"{state.step} steps, {taken / 60:.1f} minutes; the weights of step {state.best_step}",
        ],
        figures,
    )
    return RendererResult(state.step, state.best_step, reason, figures, taken)


def _configured(options: RendererOptions) -> tuple[Any, RendererTraining]:
    """The preset's network and training with the options in them."""
    if options.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"--preset {options.preset}: unknown; known: {known}")
    if not 0 <= options.held_out <= 0.5:
        raise InputError(f"--held-out {options.held_out}: expected 0 to 0.5")
    preset = PRESETS[options.preset]
    asked = {"minutes": options.minutes, "steps": options.steps, "seed": options.seed}
    given = {name: value for name, value in asked.items() if value is not None}
    network = preset.network
    if _published(options) is not None:
        network = published_config(adapted=True)
    return network, replace(preset.training, **given)


def _check_run(run: Path, options: RendererOptions) -> None:
    """Check that the run directory can be made, or resumed."""
    if options.resume:
        if not (run / STATE).is_file():
            raise InputError(f"{run}: nothing to resume; train without --resume first")
        return
    if run.exists() and not options.force:
        raise InputError(f"{run}: exists; give another --output, --resume or --force")
    if not run.parent.is_dir():
        raise InputError(f"{run.parent}: no such folder; make it first")


def _check_same(run: Path, description: dict[str, Any]) -> None:
    """Raise where a run that resumes was begun with other settings; its length may change."""
    stored = runs.read_config(run)["training"]
    for key, value in description.items():
        if key not in ("steps", "minutes") and stored.get(key) != value:
            raise InputError(
                f"{run}: --resume with another {key} than in {runs.CONFIG}; give the same ones"
            )


def _names(people: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {name: [str(path) for path in paths] for name, paths in people.items()}


@contextmanager
def _materials(
    people: dict[str, list[Path]], run: Path, network: Any, options: RendererOptions
) -> Iterator[dict[str, Material]]:
    """Everybody's material, in files that go with the block."""
    size = network.size if isinstance(network, LiteConfig) else 256
    taken = {}
    for name, paths in people.items():
        several = []
        for path in paths:
            found = read_takes(
                path,
                size=size,
                held_out=options.held_out,
                region=options.region,
                progress=options.progress,
            )
            for remark in found.remarks:
                options.remark(remark)
            several.append((path, found.takes))
        taken[name] = several
    _warn_of_strangers(taken, options)
    run.mkdir(exist_ok=True)
    if not options.resume:
        (run / STATE).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=run, prefix=".material-") as folder:
        yield {
            name: Material(
                name,
                [take for _, takes in several for take in takes],
                Path(folder),
                any_source=not isinstance(network, LiteConfig),
                progress=options.progress,
            )
            for name, several in taken.items()
        }


def _warn_of_strangers(taken: dict[str, list[Any]], options: RendererOptions) -> None:
    """Tell where a take shows somebody else than the first one of the same name."""
    backbone = Lite0.installed()
    for name, several in taken.items():
        first = None
        for path, takes in several:
            for take in takes:
                valid = np.flatnonzero(take.valid)
                look = likeness(take.frames[valid], take.landmarks[valid], backbone)
                if first is None:
                    first = look
                elif (how_far := apart(first, look)) > CLIPS_APART:
                    options.remark(
                        f"{path} may show somebody else than the first clip of {name} "
                        f"(distance {how_far:.2f}, {CLIPS_APART} expected at most)"
                    )


def _likeness(material: Material) -> np.ndarray:
    train = material.frames(TRAIN)
    return likeness(material.pictures(train), material.landmarks[train], Lite0.installed())


def _started(network: Any, materials: dict[str, Material], options: RendererOptions) -> nn.Module:
    """The network before its first step."""
    made = runs.build(network, list(materials))
    if isinstance(made, LiteNet):
        for name, material in materials.items():
            train = torch.from_numpy(material.coefficients[material.frames(TRAIN)])
            made.memory(name).fit(train, as_tensor(material.room()[None])[0])
        return made.to(memory_format=torch.channels_last)
    published = _published(options)
    if published is not None:
        start_from_published(made, published, options.seed or 0)
    return made


def _published(options: RendererOptions) -> dict[str, Tensor] | None:
    """The weights of PIRenderer that the paper's network starts from, if any."""
    if options.preset != "paper" or options.init == "none":
        return None
    from dimcli.importing import find_imported, imported

    if options.init not in (None, "pirender"):
        raise InputError(f"--init {options.init}: unknown; expected pirender or none")
    asked = options.init == "pirender"
    path = imported("pirender", "--init pirender") if asked else find_imported("pirender")
    return load_file(path) if path else None


def _some(frames: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of ``frames``, evenly spread."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


class _Loop:
    """The steps of a run."""

    def __init__(
        self,
        network: nn.Module,
        materials: list[Material],
        config: RendererTraining,
        run: Path,
        backbone: nn.Module,
        options: RendererOptions,
    ) -> None:
        self.network, self.materials, self.config, self.run = network, materials, config, run
        self.options = options
        self.device = next(network.parameters()).device
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.objective = Objective(config, backbone)
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, betas=(config.beta1, 0.99)
        )
        self.state = _State()
        self.both = nn.ModuleDict({"network": self.network, "average": self.average})
        self.spread = {
            m.person: torch.from_numpy(m.coefficients[m.frames(TRAIN)].std(axis=0))
            for m in materials
        }
        if options.resume:
            self.state = _State(**load_training_state(run, self.both, self.optimizer))

    def train(self, started: float) -> str:
        """Steps until the last one, the time's end or no more gain; says which."""
        config, state = self.config, self.state
        self._trim_metrics()
        reason = "steps"
        saved = -1
        while state.step < config.steps:
            if config.minutes and time.monotonic() - started > 60 * config.minutes:
                reason = "minutes"
                break
            state.losses += self._step(state.step)
            state.step += 1
            self.options.progress("training", state.step, config.steps)
            if state.step % config.validate_every == 0 or state.step == config.steps:
                self._look(time.monotonic() - started)
                save_training_state(self.run, self.both, self.optimizer, vars(state))
                saved = state.step
                if state.stale >= config.patience:
                    reason = "patience"
                    break
        if saved != state.step:
            save_training_state(self.run, self.both, self.optimizer, vars(state))
        if not state.best_step:  # the time was up before the first look
            runs.write_network(self.run, self.average)
        return reason

    def _step(self, step: int) -> float:
        """One step, with randomness of its own; its loss."""
        config = self.config
        rate = config.learning_rate * min(1.0, (step + 1) / RAMP)
        rate *= min(1.0, math.sqrt(config.settle_after / (step + 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        material = self.materials[step % len(self.materials)]
        batch = material.random_batch(config.batch_size, generator)
        batch = jittered(batch, config.jitter, self.spread[material.person], generator)
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

    def _look(self, seconds: float) -> None:
        """Look at frames that are not learned from; keep the best weights; tell."""
        state = self.state
        stop = [self._loss_of(m, _some(m.frames(STOP), LOOKED_AT)) for m in self.materials]
        stop_loss = float(np.nanmean(stop)) if not np.isnan(stop).all() else math.nan
        found = [self._psnr_of(m, _some(m.frames(HELD_OUT), LOOKED_AT)) for m in self.materials]
        level = float(np.nanmean(found)) if not np.isnan(found).all() else math.nan
        if math.isnan(stop_loss) or state.best_loss is None or stop_loss < state.best_loss:
            state.best_loss = None if math.isnan(stop_loss) else stop_loss
            state.best_step, state.stale = state.step, 0
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
        for material in self.materials:
            if len(held_out := material.frames(HELD_OUT)):
                sheet = preview(self.average, material, held_out)
                write_preview(sheet, self.run / f"preview-{material.person}.jpg")
        self.options.look(look)

    def _loss_of(self, material: Material, frames: np.ndarray) -> float:
        """Mean loss of the kept weights on ``frames``; NaN where there are none."""
        losses = []
        self.average.eval()
        with torch.inference_mode():
            for frame in frames:
                batch = material.batch(np.array([frame])).to(self.device)
                terms = self.objective(self.average, batch)
                losses.append(float(sum(terms.values(), torch.zeros(()))))
        return float(np.mean(losses)) if losses else math.nan

    def _psnr_of(self, material: Material, frames: np.ndarray) -> float:
        if not len(frames):
            return math.nan
        made = trained(self.average, material, frames)
        return float(psnr(made, material.pictures(frames)).mean())

    def _trim_metrics(self) -> None:
        """Drop the lines that will be written again."""
        path = self.run / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if line and json.loads(line)["step"] <= self.state.step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _figure(value: float) -> float | None:
    """Six digits; None for what is not known (JSON has no NaN)."""
    return None if math.isnan(value) else float(f"{value:.6g}")
