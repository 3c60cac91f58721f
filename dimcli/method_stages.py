"""Training a whole method with one call: DIM's three stages, or a baseline's one or two.

Stages that a method needs first lie as runs inside its run. With ``resume`` a training goes on
with whatever is there, also with nothing: the same call, made again after a kill, ends in the same
bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dimcli import distributed
from dimcli.baseline_presets import METHODS, baseline_preset
from dimcli.checkpoint import CONFIG, MODEL, STATE, build_model, load_vq, save_tensors
from dimcli.config import RunConfig
from dimcli.config_file import with_overrides
from dimcli.data.store import ClipStore
from dimcli.data.windows import statistics
from dimcli.errors import InputError
from dimcli.models.baselines.base import Baseline
from dimcli.models.baselines.l2l import L2L
from dimcli.models.baselines.nearest import Nearest
from dimcli.presets import preset
from dimcli.ranges import require_choice
from dimcli.stages import (
    StageOptions,
    data_config,
    finetune,
    prepare_run,
    pretrain,
    require_same_data,
    together,
    train_run,
    train_vq,
    windows_of,
)
from dimcli.training import TrainingResult

Stage = Callable[[StageOptions], TrainingResult]


@dataclass(frozen=True)
class MethodOptions(StageOptions):
    """What every method takes: a stage's options, which hold for each of its stages.

    ``vq_speaker`` and ``vq_listener`` are trained VQ-VAE runs to use instead of training them.
    """

    vq_speaker: Path | None = None
    vq_listener: Path | None = None


def train_method(data: Path, run: Path, method: str, options: MethodOptions) -> TrainingResult:
    """Train ``method`` (one of ``METHODS``) on the data set ``data`` into the run ``run``.

    The result is the last stage's, or that of the stage in which the time ran out. Raises
    InputError for unknown methods and settings.
    """
    require_choice("--method", method, METHODS)
    ClipStore(data)  # what is wrong with it is told before a folder is made
    if method == "dim":
        with_overrides(preset(options.preset, "finetune"), options.settings())  # fails early
        return _in_order(_dim_stages(data, run, options), run, options)
    with_overrides(baseline_preset(options.preset, method), options.settings())
    stages: dict[str, Stage] = {}
    vq = options.vq_listener
    if method == "l2l" and vq is None:
        vq = run / "vq_listener"
        stages["vq_listener"] = partial(_train_l2l_vq, data, vq)
    stages[""] = partial(_train_baseline, data, run, method, vq if method == "l2l" else None)
    return _in_order(stages, run, options)


def _dim_stages(data: Path, run: Path, options: MethodOptions) -> dict[str, Stage]:
    given = {"speaker": options.vq_speaker, "listener": options.vq_listener}
    vq = {role: path or run / f"vq_{role}" for role, path in given.items()}
    stages: dict[str, Stage] = {
        f"vq_{role}": partial(train_vq, data, vq[role], role)
        for role, path in given.items()
        if path is None
    }
    before = run / "pretrain"
    stages["pretrain"] = partial(pretrain, data, before, vq["speaker"], vq["listener"])
    stages[""] = partial(finetune, data, run, before, "listener")
    return stages


def _train_l2l_vq(data: Path, run: Path, options: StageOptions) -> TrainingResult:
    """The listener's VQ-VAE of L2L's preset, which may be another than DIM's."""
    settings = {
        key: value
        for key, value in (options.overrides or {}).items()
        if key.partition(".")[0] not in ("l2l", "inputs")
    }
    own = baseline_preset(options.preset, "l2l").vq
    if own != preset(options.preset, "train-vq").vq:
        settings = {f"vq.{key}": value for key, value in asdict(own).items()} | settings
    return train_vq(data, run, "listener", replace(options, overrides=settings))


def _in_order(stages: dict[str, Stage], run: Path, options: MethodOptions) -> TrainingResult:
    """Run ``stages``, each into its folder of ``run`` (the last into ``run`` itself)."""
    started = time.monotonic()
    with together(options):
        distributed.on_first(lambda: _make_folder(run, list(stages), options))
        for name, stage in stages.items():
            left = options.max_minutes - (time.monotonic() - started) / 60
            now = replace(
                options,
                resume=options.resume and (run / name / CONFIG).is_file(),
                force=True,
                max_minutes=max(left, 1e-6) if options.max_minutes else 0.0,
            )
            result = stage(now)
            if result.reason == "minutes":
                break
    return result


def _make_folder(run: Path, stages: list[str], options: MethodOptions) -> None:
    if run.exists() and not (options.resume or options.force):
        raise InputError(f"{run}: exists; give another --output, --resume or --force")
    if not run.parent.is_dir():
        raise InputError(f"{run.parent}: no such folder; make it first")
    run.mkdir(exist_ok=True)
    if not options.resume:  # nothing of the run that --force replaces may be gone on with
        for stage in stages:
            for name in (CONFIG, STATE, MODEL):
                (run / stage / name).unlink(missing_ok=True)


def _train_baseline(
    data: Path, run: Path, method: str, vq_listener: Path | None, options: StageOptions
) -> TrainingResult:
    """A baseline's own stage; L2L's needs the listener's VQ-VAE run ``vq_listener``."""
    store = ClipStore(data)
    config = baseline_preset(options.preset, method)
    vq = None
    if vq_listener is not None:
        source, vq = load_vq(vq_listener, "listener")
        config = replace(config, vq=source.vq)
    config = with_overrides(config, _settings(config, options))
    config = replace(config, data=data_config(store))
    if vq_listener is not None:
        require_same_data(config, source, vq_listener)
    if config.kind == "nearest":
        return _take_in(store, prepare_run(config, run, replace(options, resume=False)), run)
    config = prepare_run(config, run, options)
    windows = windows_of(store, config)
    torch.manual_seed(config.training.seed)
    model = build_model(config)
    assert isinstance(model, Baseline)
    model.fit_statistics(statistics(windows["train"]))
    if isinstance(model, L2L) and vq is not None:
        model.vq.load_state_dict(vq.state_dict())
    return train_run(model, model.objective, windows, config, run=run, options=options)


def _settings(config: RunConfig, options: StageOptions) -> dict[str, Any]:
    """The options' settings; those of the VQ-VAE were its own stage's."""
    settings = options.settings()
    if config.kind == "l2l":
        return {key: value for key, value in settings.items() if not key.startswith("vq.")}
    return settings


def _take_in(store: ClipStore, config: RunConfig, run: Path) -> TrainingResult:
    """Nearest neighbours have nothing to learn: the training data is kept as it is."""

    def keep() -> None:
        save_tensors(dict(Nearest.fit(store, config).state_dict()), run / MODEL)

    distributed.on_first(keep)
    return TrainingResult(step=0, best_step=0, best_loss=0.0, reason="steps")
