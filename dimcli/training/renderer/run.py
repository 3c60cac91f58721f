"""``dim train-renderer``: clips of a person in, a run directory with their renderer out."""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dimcli.core.config import from_dict
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.progress import Progress, silent
from dimcli.core.tensors import read_tensors
from dimcli.models.checkpoint import STATE
from dimcli.tracking.trackers import BUILT_IN, check_no_checkpoint, loaded_encoder, space_of
from dimcli.training.loop import Progress as TrainingProgress
from dimcli.training.loop import train
from dimcli.training.renderer.card import preview, write_card, write_preview
from dimcli.training.renderer.footage import Region, read_shots
from dimcli.training.renderer.judging import Figures, judge
from dimcli.training.renderer.loop import Look, RendererTrainable, some_of
from dimcli.training.renderer.objective import PRESETS, LossConfig, Objective, RendererTraining
from dimcli.training.renderer.training_set import HELD_OUT, TRAIN, TrainingSet
from dimcli.training.run_folder import (
    LEFTOVERS,
    REPLACED,
    begin,
    check_new,
    check_resumable,
    remove_leftovers,
    run_folder,
)
from renderers.trained import run as runs
from renderers.trained.backbones import Lite0, choose_backbone
from renderers.trained.likeness import CLIPS_APART, apart, likeness
from renderers.trained.lite import LiteConfig, LiteNet, pose_of
from renderers.trained.pirenderer.networks import PIRenderer
from renderers.trained.pirenderer.published import published_config, start_from_published
from renderers.trained.start import as_tensor

if TYPE_CHECKING:
    from dimcli.tracking.flame_encoders import FlameEncoder

JUDGED = 40
"""Held-out frames that the card's figures are of."""


@dataclass(frozen=True)
class RendererOptions:
    """What ``dim train-renderer`` takes; None for what the preset says. The ``tracker`` (its
    published ``checkpoint``, by default the imported one) measures the motion that drives the
    renderer, and so says its space."""

    preset: str = "lite"
    tracker: str = BUILT_IN
    checkpoint: Path | None = None
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
    """How a run ended, at which of how many steps: ``reason`` is ``steps``, ``minutes`` or
    ``patience``; figures by person."""

    step: int
    steps: int
    best_step: int
    reason: str
    figures: dict[str, Figures]
    taken_s: float


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
    space = space_of(options.tracker)
    encoder = None
    if space == "flame":
        encoder = loaded_encoder(options.tracker, options.checkpoint, options.device)
    begun = options.resume and (run / STATE).is_file()
    if begun:
        config = replace(config, loss=_loss_of(run))
    backbone = choose_backbone().to(device)
    with (
        run_folder(run),
        _training_sets(people, run, network_config, encoder, options) as training_sets,
    ):
        torch.manual_seed(config.seed)
        network = _started(network_config, training_sets, options)
        looks = {name: _likeness(training_set) for name, training_set in training_sets.items()}
        known = {
            name: runs.Person(training_set.reference, looks[name])
            for name, training_set in training_sets.items()
        }
        runs.write_people(run, known)
        description = {
            "preset": options.preset,
            "tracker": options.tracker,
            "checkpoint": encoder and encoder.digest(),
            **asdict(config),
            "sources": _names(people),
        }
        description = json.loads(json.dumps(description))
        if begun:
            _check_same(run, description)
        runs.write_config(run, network_config, list(training_sets), description, space)
        trainable = RendererTrainable(
            network.to(device),
            list(training_sets.values()),
            config,
            run,
            Objective(config, backbone),
        )
        result = train(
            trainable,
            config,
            run,
            device=device,
            resume=begun,
            max_minutes=config.minutes,
            started=started,
            progress=_told(options),
            report_every=1,
        )
        runs.load_network(network, run / runs.MODEL)
        figures: dict[str, Figures] = {}
        for name, training_set in training_sets.items():
            held_out = some_of(training_set.frames(HELD_OUT), JUDGED)
            if len(held_out):
                options.progress("judging", len(figures) + 1, len(training_sets))
                figures[name] = judge(network, training_set, held_out, backbone)
                write_preview(preview(network, training_set, held_out), run / f"preview-{name}.jpg")
    taken = time.monotonic() - started
    kept_step = result.step if trainable.kept_between else result.best_step
    write_card(
        run,
        options.preset,
        [
            f"from {', '.join(str(path) for paths in people.values() for path in paths)}",
            f"driven by motion in the `{space}` space, measured by `{options.tracker}`",
            f"{result.step} of {config.steps} steps, {taken / 60:.1f} minutes; the weights of step "
            f"{kept_step}",
        ],
        figures,
    )
    return RendererResult(result.step, config.steps, kept_step, result.reason, figures, taken)


def _told(options: RendererOptions) -> Callable[[TrainingProgress], None]:
    """What passes on the loop's progress."""
    loss = math.nan

    def progress(now: TrainingProgress) -> None:
        nonlocal loss
        if now.split == "val":
            stop_loss, level = (now.figures.get(name, math.nan) for name in ("loss", "psnr"))
            options.look(Look(now.step, now.seconds, loss, stop_loss, level))
            return
        options.progress(*now.amount("training"))
        loss = now.figures["loss"]

    return progress


def _configured(options: RendererOptions) -> tuple[Any, RendererTraining]:
    """The preset's network and training with the options in them."""
    if options.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"--preset {options.preset}: unknown; known: {known}")
    if not 0 <= options.held_out <= 0.5:
        raise InputError(f"--held-out {options.held_out}: expected 0 to 0.5")
    preset = PRESETS[options.preset]
    check_no_checkpoint(options.tracker, options.checkpoint)
    if space_of(options.tracker) != "arkit" and isinstance(preset.network, LiteConfig):
        raise InputError(
            f"--tracker {options.tracker}: --preset {options.preset} starts from the portrait, "
            f"which the built-in tracker's motion moves; expected --preset paper"
        )
    training = preset.training
    training = replace(
        training,
        minutes=training.minutes if options.minutes is None else options.minutes,
        steps=options.steps or training.steps,
        seed=training.seed if options.seed is None else options.seed,
    )
    network = preset.network
    if _published(options) is not None:
        network = published_config(adapted=True)
    return network, training


def _check_run(run: Path, options: RendererOptions) -> None:
    """Check that the run directory can be made, or resumed."""
    if options.resume:
        check_resumable(run, (run / STATE).is_file() or _barely_begun(run))
    else:
        check_new(run, force=options.force)


def _barely_begun(run: Path) -> bool:
    """Whether ``run`` is one that was killed before its first step: nothing is in it yet but what
    training begins with."""
    begun = (runs.CONFIG, runs.PEOPLE, REPLACED, *LEFTOVERS)
    return run.is_dir() and all(
        any(path.match(pattern) for pattern in begun) for path in run.iterdir()
    )


def _loss_of(run: Path) -> LossConfig:
    """The loss that a run was begun with, which it keeps; terms that did not exist weigh nothing.
    Raises InputError."""
    stored = runs.read_config(run).get("training")
    loss = stored.get("loss") if isinstance(stored, dict) else None
    return from_dict(LossConfig, loss, f"{run / runs.CONFIG}: loss")


def _check_same(run: Path, description: dict[str, Any]) -> None:
    """Raise where a run that resumes was begun with other settings; its length may change."""
    before = {"tracker": BUILT_IN, "checkpoint": None}  # of runs from before others could be named
    stored = before | runs.read_config(run)["training"]
    for key, value in description.items():
        if key not in ("steps", "minutes", "loss") and stored.get(key) != value:
            raise InputError(
                f"{run}: --resume with another {key} than in {runs.CONFIG}; give the same ones"
            )


def _names(people: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {name: [str(path) for path in paths] for name, paths in people.items()}


@contextmanager
def _training_sets(
    people: dict[str, list[Path]],
    run: Path,
    network: Any,
    encoder: FlameEncoder | None,
    options: RendererOptions,
) -> Iterator[dict[str, TrainingSet]]:
    """Everybody's training set, in files that go with the block."""
    size = network.size if isinstance(network, LiteConfig) else 256
    taken = {}
    for name, paths in people.items():
        several = []
        for path in paths:
            found = read_shots(
                path,
                size=size,
                held_out=options.held_out,
                region=options.region,
                encoder=encoder,
                progress=options.progress,
            )
            for remark in found.remarks:
                options.remark(remark)
            several.append((path, found.shots))
        taken[name] = several
    _warn_of_strangers(taken, options)
    if options.resume:
        remove_leftovers(run)
    else:
        begin(run, others=[runs.PEOPLE])
    with tempfile.TemporaryDirectory(dir=run, prefix=".material-") as folder:
        yield {
            name: TrainingSet(
                name,
                [shot for _, shots in several for shot in shots],
                Path(folder),
                any_source=not isinstance(network, LiteConfig),
                progress=options.progress,
            )
            for name, several in taken.items()
        }


def _warn_of_strangers(taken: dict[str, list[Any]], options: RendererOptions) -> None:
    """Tell where a shot shows somebody else than the first one of the same name."""
    backbone = Lite0.installed()
    for name, several in taken.items():
        first = None
        for path, shots in several:
            for shot in shots:
                valid = np.flatnonzero(shot.valid)
                look = likeness(shot.frames[valid], shot.landmarks[valid], backbone)
                if first is None:
                    first = look
                elif (how_far := apart(first, look)) > CLIPS_APART:
                    options.remark(
                        f"{path} may show somebody else than the first clip of {name} "
                        f"(distance {how_far:.2f}, {CLIPS_APART} expected at most)"
                    )


def _likeness(training_set: TrainingSet) -> np.ndarray:
    train = training_set.frames(TRAIN)
    return likeness(training_set.pictures(train), training_set.landmarks[train], Lite0.installed())


def _started(
    network: Any, training_sets: dict[str, TrainingSet], options: RendererOptions
) -> nn.Module:
    """The network before its first step."""
    made = runs.build(network, list(training_sets))
    if isinstance(made, LiteNet):
        for name, training_set in training_sets.items():
            seen = training_set.coefficients[training_set.frames(TRAIN), None]
            poses = pose_of(torch.from_numpy(seen))
            room = as_tensor(training_set.room()[None])[0]
            made.memory(name).fit(poses, room, torch.from_numpy(training_set.reference.landmarks))
        return made
    published = _published(options)
    if published is not None and isinstance(made, PIRenderer):
        start_from_published(made, published, options.seed or 0)
    return made


def _published(options: RendererOptions) -> dict[str, Tensor] | None:
    """The weights of PIRenderer that the paper's network starts from, if any."""
    if options.preset != "paper" or options.init == "none":
        return None
    from weights.importing import find_imported, imported

    if options.init not in (None, "pirender"):
        raise InputError(f"--init {options.init}: unknown; expected pirender or none")
    asked = options.init == "pirender"
    path = imported("pirender", "--init pirender") if asked else find_imported("pirender")
    return read_tensors(path) if path else None
