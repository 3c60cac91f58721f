"""The three training stages, each one library call: VQ-VAE, dyadic pre-training, fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dimcli.checkpoint import CONFIG, STATE, load_dim, load_vq
from dimcli.config import ROLES, DataConfig, RunConfig
from dimcli.config_file import read_config, with_overrides, write_config
from dimcli.data.store import ClipStore
from dimcli.data.windows import Batch, WindowSampler, statistics
from dimcli.device import choose_device
from dimcli.errors import InputError
from dimcli.models.dim import DIM
from dimcli.models.vqvae import STD_FLOOR_EXPRESSION, STD_FLOOR_RAD, VQVAE
from dimcli.objectives import finetune_objective, pretrain_objective, vq_objective
from dimcli.presets import preset
from dimcli.training import Objective, Progress, TrainingResult, train


@dataclass(frozen=True)
class StageOptions:
    """What every stage takes.

    ``overrides`` are dotted configuration keys; ``steps`` and ``seed`` shorthands of
    ``training.steps`` and ``training.seed``; ``max_minutes`` 0 for no limit.
    """

    preset: str = "small"
    overrides: dict[str, Any] | None = None
    steps: int | None = None
    seed: int | None = None
    max_minutes: float = 0.0
    resume: bool = False
    force: bool = False
    device: str = "auto"
    tensorboard: bool = False
    progress: Callable[[Progress], None] | None = None

    def settings(self) -> dict[str, Any]:
        """The overrides with the shorthands in them."""
        settings = dict(self.overrides or {})
        if self.steps is not None:
            settings["training.steps"] = self.steps
        if self.seed is not None:
            settings["training.seed"] = self.seed
        return settings


def train_vq(data: Path, run: Path, role: str, options: StageOptions) -> TrainingResult:
    """Train the VQ-VAE of ``role`` on the data set ``data`` into the run directory ``run``."""
    store = ClipStore(data)
    config = with_overrides(preset(options.preset, "train-vq", role), options.settings())
    config = _prepare_run(replace(config, data=_data_config(store)), run, options)
    samplers = _samplers(store, config)
    torch.manual_seed(config.training.seed)
    model = VQVAE(config.vq, config.data.space)
    figures = statistics(samplers["train"])
    model.fit_statistics(figures.mean[role], figures.std[role])

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        quantize = step >= config.vq.warmup_steps
        loss, logged, latents = vq_objective(model, batch, role, quantize)
        if training:
            for part, latent in zip(model.part_modules, latents, strict=True):
                if step + 1 == config.vq.warmup_steps:
                    part.quantizer.initialise(latent)
                elif quantize and config.vq.revive_after:
                    part.quantizer.revive(latent, config.vq.revive_after)
        return loss, logged

    return _run(model, objective, samplers, config, run=run, options=options)


def pretrain(
    data: Path, run: Path, vq_speaker: Path, vq_listener: Path, options: StageOptions
) -> TrainingResult:
    """Dyadic pre-training (equation 10) from two trained VQ-VAEs."""
    store = ClipStore(data)
    sources = {"speaker": vq_speaker, "listener": vq_listener}
    trained = {role: load_vq(path, role) for role, path in sources.items()}
    if trained["speaker"][0].vq != trained["listener"][0].vq:
        raise InputError(
            f"{vq_listener}: its vq settings differ from those of {vq_speaker}; train both alike"
        )
    vq_config = trained["listener"][0]
    base = preset(options.preset, "pretrain")
    config = with_overrides(replace(base, vq=vq_config.vq), options.settings())
    config = replace(config, data=_data_config(store), dim=replace(config.dim, outputs="both"))
    _require_same_data(config, vq_config, vq_listener)
    config = _prepare_run(config, run, options)
    samplers = _samplers(store, config)
    torch.manual_seed(config.training.seed)
    model = DIM(config)
    for role in ROLES:
        model.vqvae(role).load_state_dict(trained[role][1].state_dict())
    _fit_statistics(model, samplers["train"])

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return pretrain_objective(model, batch, generator, augment=training)

    return _run(model, objective, samplers, config, run=run, options=options)


def finetune(data: Path, run: Path, init: Path, task: str, options: StageOptions) -> TrainingResult:
    """Fine-tune the pre-trained run ``init`` for ``task`` (``listener`` or ``speaker``).

    The result keeps only what the task needs: the other role's VQ-VAE and head are left behind.
    """
    if task not in ROLES:
        raise InputError(f"--task is '{task}'; expected one of {', '.join(ROLES)}")
    store = ClipStore(data)
    source_config, source = load_dim(init)
    if task not in source_config.dim.output_roles:
        raise InputError(f"{init}: was made for the {source_config.role} task, not for {task}")
    base = preset(options.preset, "finetune", task)
    config = replace(base, vq=source_config.vq, dim=source_config.dim)
    config = with_overrides(config, options.settings())
    config = replace(config, data=_data_config(store), dim=replace(config.dim, outputs=task))
    _require_same_data(config, source_config, init)
    config = _prepare_run(config, run, options)
    samplers = _samplers(store, config)
    torch.manual_seed(config.training.seed)
    model = DIM(config)
    tensors = source.state_dict()
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return finetune_objective(model, batch, task, generator, augment=training)

    return _run(model, objective, samplers, config, run=run, options=options)


def _run(
    model: VQVAE | DIM,
    objective: Objective,
    samplers: dict[str, WindowSampler],
    config: RunConfig,
    *,
    run: Path,
    options: StageOptions,
) -> TrainingResult:
    return train(
        model,
        objective,
        samplers["train"].batch,
        samplers["val"].batch,
        config=config.training,
        directory=run,
        device=choose_device(options.device),
        resume=options.resume,
        max_minutes=options.max_minutes,
        progress=options.progress,
        tensorboard=options.tensorboard,
    )


def _data_config(store: ClipStore) -> DataConfig:
    info = store.info
    return DataConfig(info.fps, info.space, info.audio_encoder, info.audio_dim)


def _require_same_data(config: RunConfig, source: RunConfig, path: Path) -> None:
    for name in ("fps", "space"):
        wanted, found = getattr(source.data, name), getattr(config.data, name)
        if wanted != found:
            raise InputError(f"{path}: trained at {name} {wanted}, the data set has {found}")


def _prepare_run(config: RunConfig, run: Path, options: StageOptions) -> RunConfig:
    """Make the run directory, or check that it is the same run that resumes."""
    if options.resume:
        if not (run / STATE).is_file():
            raise InputError(f"{run}: nothing to resume; train without --resume first")
        stored = read_config(run / CONFIG)
        if stored != config:
            raise InputError(
                f"{run}: --resume with other settings or data than in {CONFIG}; give the same ones"
            )
        return stored
    if run.exists() and not options.force:
        raise InputError(f"{run}: exists; give another --output, --resume or --force")
    if not run.parent.is_dir():
        raise InputError(f"{run.parent}: no such folder; make it first")
    run.mkdir(exist_ok=True)
    (run / STATE).unlink(missing_ok=True)  # of the run that --force replaces
    write_config(config, run / CONFIG)
    return config


def _samplers(store: ClipStore, config: RunConfig) -> dict[str, WindowSampler]:
    return {
        split: WindowSampler(
            store,
            split,
            frames=round(config.training.window_s * config.data.fps),
            batch_size=config.training.batch_size,
            stride=config.stride,
            centre_speaker=config.centred,
            seed=config.training.seed,
        )
        for split in ("train", "val")
    }


def _fit_statistics(model: DIM, sampler: WindowSampler) -> None:
    figures = statistics(sampler)
    if not model.config.vq.standardise:
        return
    floor = torch.full_like(figures.std["speaker"], STD_FLOOR_EXPRESSION)
    floor[:6] = STD_FLOOR_RAD
    for index, role in enumerate(ROLES):
        model.motion_mean[index] = figures.mean[role]
        model.motion_std[index] = figures.std[role].maximum(floor)
    model.audio_mean.copy_(figures.audio_mean)
    model.audio_std.copy_(figures.audio_std)
