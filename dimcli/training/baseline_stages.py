"""A baseline's stages: the listener's VQ-VAE, a first stage of its own, and the method itself."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dimcli.core import distributed
from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.data.store import ClipStore, data_config
from dimcli.data.windows import statistics
from dimcli.models.base import Baseline
from dimcli.models.baseline_presets import baseline_preset, prior_preset
from dimcli.models.checkpoint import (
    MODEL,
    build_model,
    is_finished,
    load_run,
    load_vq,
    save_tensors,
)
from dimcli.models.coded import CodedBaseline
from dimcli.models.config import RunConfig
from dimcli.models.dim.vqvae import VQVAE
from dimcli.models.kinds import PRIOR
from dimcli.models.nearest import Nearest
from dimcli.models.presets import preset
from dimcli.models.speech_model import SpeechModel, TwoStageSpeaker
from dimcli.training.loop import TrainingResult
from dimcli.training.stages import (
    StageOptions,
    finished_result,
    prepare_run,
    require_same_data,
    train_run,
    train_vq,
    windows_of,
)

CODED = ("l2l", "elp")
"""Baselines that need the listener's VQ-VAE."""


def train_own_vq(data: Path, run: Path, method: str, options: StageOptions) -> TrainingResult:
    """The listener's VQ-VAE of a baseline's preset, which may be another than DIM's."""
    settings = {
        key: value
        for key, value in (options.overrides or {}).items()
        if key.partition(".")[0] not in (method, "inputs")
    }
    own = baseline_preset(options.preset, method).vq
    if own != preset(options.preset, "train-vq").vq:
        settings = {f"vq.{key}": value for key, value in asdict(own).items()} | settings
    return train_vq(data, run, "listener", replace(options, overrides=settings))


def train_prior(data: Path, run: Path, method: str, options: StageOptions) -> TrainingResult:
    """The first stage of a two-stage method."""
    config = with_overrides(prior_preset(options.preset, method), options.settings())
    config = replace(config, data=data_config(ClipStore(data)))
    return _train(data, config, run, None, None, options)


def train_baseline(
    data: Path,
    run: Path,
    method: str,
    before: Path | None,
    init: Path | None,
    options: StageOptions,
) -> TrainingResult:
    """A baseline's own stage, which needs the run ``before``: that of L2L and ELP the listener's
    VQ-VAE, that of two-stage methods their first stage.

    ``init`` is a run of the same method to go on from.
    """
    store = ClipStore(data)
    config = baseline_preset(options.preset, method)
    first: VQVAE | SpeechModel | None = None
    if before is not None and method in CODED:
        source, first = load_vq(before, "listener")
        config = replace(config, vq=source.vq)
    config = with_overrides(config, _settings(config, options))
    config = replace(config, data=data_config(store))
    if before is not None and method not in CODED:
        source, first = _load_prior(before)
    if before is not None:
        require_same_data(config, source, before)
    if config.kind == "nearest":
        return _take_in(store, prepare_run(config, run, replace(options, resume=False)), run)
    return _train(data, config, run, first, init, options)


def _load_prior(run: Path) -> tuple[RunConfig, SpeechModel]:
    loaded = load_run(run)
    if loaded.config.stage != PRIOR or not isinstance(loaded.model, SpeechModel):
        raise InputError(f"{run}: no first stage of a two-stage method; train it again (--force)")
    return loaded.config, loaded.model


def _train(
    data: Path,
    config: RunConfig,
    run: Path,
    first: VQVAE | SpeechModel | None,
    init: Path | None,
    options: StageOptions,
) -> TrainingResult:
    config = prepare_run(config, run, options)
    if options.resume and is_finished(run):
        return finished_result(run)
    windows = windows_of(ClipStore(data), config)
    torch.manual_seed(config.training.seed)
    model = build_model(config)
    assert isinstance(model, Baseline)
    model.fit_statistics(statistics(windows["train"]))
    if isinstance(model, CodedBaseline) and isinstance(first, VQVAE):
        model.vq.load_state_dict(first.state_dict())
    elif isinstance(model, TwoStageSpeaker) and isinstance(first, SpeechModel):
        model.adopt(first)
    if init is not None:
        before = load_run(init)
        require_same_data(config, before.config, init)
        if before.config.kind != config.kind:
            raise InputError(f"--init {init}: a run of {before.config.kind}, not of {config.kind}")
        model.load_state_dict(before.model.state_dict())
    return train_run(model, model.objective, windows, config, run=run, options=options)


def _settings(config: RunConfig, options: StageOptions) -> dict[str, Any]:
    """The options' settings; those of the VQ-VAE were its own stage's."""
    settings = options.settings()
    if config.kind in CODED:
        return {key: value for key, value in settings.items() if not key.startswith("vq.")}
    return settings


def _take_in(store: ClipStore, config: RunConfig, run: Path) -> TrainingResult:
    """Nearest neighbours have nothing to learn: the training data is kept as it is."""

    def keep() -> None:
        save_tensors(dict(Nearest.fit(store, config).state_dict()), run / MODEL)

    distributed.on_first(keep)
    return TrainingResult(step=0, best_step=0, best_loss=0.0, reason="steps")
