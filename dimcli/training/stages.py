"""The three training stages, each one library call: VQ-VAE, dyadic pre-training, fine-tuning."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.core.config import with_overrides, write_config
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.data.clip import ROLES, DataConfig
from dimcli.data.store import ClipStore, data_config
from dimcli.data.windows import Batch, WindowSampler, statistics
from dimcli.models.chain import as_heard, is_silent_for, require_fit
from dimcli.models.checkpoint import (
    CONFIG,
    MODEL,
    STATE,
    as_dim,
    as_vq,
    is_finished,
    load_run,
    load_vq,
    training_info,
)
from dimcli.models.config import ADAPTATION, RunConfig
from dimcli.models.dim.config import DIMRun, preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.layers import causal_kernel
from dimcli.models.dim.objectives import finetune_objective, pretrain_objective, vq_objective
from dimcli.models.dim.traits import fitted as fitted_traits
from dimcli.models.dim.vqvae import VQVAE, floored
from dimcli.models.names import ADAPT
from dimcli.models.registry import bounded_parameters, read_config
from dimcli.training.loop import Progress, TrainingResult, train
from dimcli.training.motion import MotionTraining, Objective, in_precision
from dimcli.training.run_folder import (
    begin,
    check_new,
    check_resumable,
    remove_leftovers,
    run_folder,
)

Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class StageOptions:
    """What every stage takes.

    ``overrides`` are dotted configuration keys; ``steps``, ``epochs`` and ``seed`` shorthands of
    ``training.steps``, ``training.epochs`` and ``training.seed``; ``max_minutes`` 0 for no limit.
    ``remark`` is told what a user should know before the training begins. ``splits`` are what
    fine-tuning takes in place of the data set's own (:class:`dimcli.data.store.ClipStore`).
    """

    preset: str = "small"
    overrides: dict[str, Any] | None = None
    steps: int | None = None
    epochs: float | None = None
    seed: int | None = None
    max_minutes: float = 0.0
    resume: bool = False
    force: bool = False
    device: str = "auto"
    tensorboard: bool = False
    progress: Callable[[Progress], None] | None = None
    remark: Callable[[str], None] = lambda line: None
    splits: Mapping[str, str] | None = None

    def settings(self) -> dict[str, Any]:
        """The overrides with the shorthands in them."""
        settings = dict(self.overrides or {})
        if self.steps is not None:
            settings["training.steps"] = self.steps
        if self.epochs is not None:
            settings["training.epochs"] = self.epochs
        elif "training.steps" in settings:  # the preset's epochs are not asked for
            settings.setdefault("training.epochs", 0.0)
        if self.seed is not None:
            settings["training.seed"] = self.seed
        return settings


@contextmanager
def together(options: StageOptions, run: Path) -> Iterator[None]:
    """Meet the other processes of this training, if ``torchrun`` started some. Where it fails
    before anything is learnt, the folder ``run`` is again what it was; a model that is too large
    for any memory is refused."""
    device = choose_device(options.device)
    with distributed.joined(device), run_folder(run), bounded_parameters():
        yield


def train_vq(data: Path, run: Path, role: str, options: StageOptions) -> TrainingResult:
    """Train the VQ-VAE of ``role`` on the data set ``data`` into the run directory ``run``."""
    with together(options, run):
        return _train_vq(data, run, role, options)


def _train_vq(data: Path, run: Path, role: str, options: StageOptions) -> TrainingResult:
    store = ClipStore(data)
    config = with_overrides(preset(options.preset, "train-vq", role), options.settings())
    config = with_steps(replace(config, data=data_config(store)), store)
    config = prepare_run(config, run, options)
    if options.resume and is_finished(run):
        return finished_result(run)
    samplers = windows_of(store, config)
    torch.manual_seed(config.training.seed)
    model = VQVAE(config.vq, config.data.space)
    figures = statistics(samplers["train"])
    model.fit_statistics(figures.mean[role], figures.std[role])

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        vq = config.vq
        quantize = step >= vq.warmup_steps
        loss, logged, latents = vq_objective(model, batch, role, quantize)
        if training:
            for part, latent in zip(model.part_modules, latents, strict=True):
                part.quantizer.keep_alive(latent, step, vq.warmup_steps, vq.revive_after)
        return loss, logged

    return train_run(model, objective, samplers, config, run=run, options=options)


def pretrain(
    data: Path,
    run: Path,
    vq_speaker: Path | None,
    vq_listener: Path | None,
    options: StageOptions,
) -> TrainingResult:
    """Dyadic pre-training (equation 10) from two trained VQ-VAEs.

    Without VQ-VAEs where ``dim.targets`` is motion; without the speaker's where ``dim.branches`` is
    speaker: then it isn't predicted.
    """
    with together(options, run):
        return _pretrain(data, run, {"speaker": vq_speaker, "listener": vq_listener}, options)


def _pretrain(
    data: Path, run: Path, sources: dict[str, Path | None], options: StageOptions
) -> TrainingResult:
    store = ClipStore(data)
    trained = {role: load_vq(path, role) for role, path in sources.items() if path is not None}
    config = preset(options.preset, "pretrain")
    for role, (vq_config, _) in trained.items():
        if vq_config.vq != next(iter(trained.values()))[0].vq:
            raise InputError(
                f"{sources[role]}: its vq settings differ from those of {sources['speaker']}; "
                "train both alike"
            )
        config = replace(config, vq=vq_config.vq)
    config = with_overrides(config, options.settings())
    outputs = "both" if config.dim.branches == "two" else "listener"
    config = replace(config, data=data_config(store), dim=replace(config.dim, outputs=outputs))
    for role, (vq_config, _) in trained.items():
        require_fit(vq_config.data, sources[role] or "", config.data, data, hears=False)
    needed = DIM(config).vq
    lacking = [role for role in needed if role not in trained]
    if lacking:
        raise InputError(
            f"--vq-{lacking[0]}: missing; expected the {lacking[0]}'s run of dim train-vq"
        )
    config = prepare_run(with_steps(config, store), run, options)
    if options.resume and is_finished(run):
        return finished_result(run)
    samplers = windows_of(store, config)
    torch.manual_seed(config.training.seed)
    model = DIM(config)
    for role in model.vq:
        model.vqvae(role).load_state_dict(trained[role][1].state_dict())
    _fit_statistics(model, samplers["train"])

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return pretrain_objective(model, batch, generator, augment=training)

    return train_run(model, objective, samplers, config, run=run, options=options)


def finetune(data: Path, run: Path, init: Path, task: str, options: StageOptions) -> TrainingResult:
    """Fine-tune the pre-trained run ``init`` for ``task`` (``listener`` or ``speaker``).

    The result keeps only what the task needs: the other role's VQ-VAE and head are left behind.
    ``init`` may be the task's VQ-VAE instead: then there is no pre-training. With ``dim.causal``
    and ``vq.causal`` set here, a model pre-trained without goes on under causal masks.
    """
    with together(options, run):
        return _finetune(data, run, init, task, options)


def _finetune(
    data: Path, run: Path, init: Path, task: str, options: StageOptions
) -> TrainingResult:
    if task not in ROLES:
        raise InputError(f"--task is '{task}'; expected one of {', '.join(ROLES)}")
    store = ClipStore(data, options.splits)
    adapted = options.preset == ADAPT
    base = preset("small" if adapted else options.preset, "finetune", task)
    loaded = load_run(init)
    from_vq = loaded.config.kind == "vq"
    source_config, source = as_vq(loaded, init, task) if from_vq else as_dim(loaded, init)
    if not from_vq and task not in source_config.dim.output_roles:
        raise InputError(f"{init}: was made for the {source_config.role} task, not for {task}")
    if adapted:
        if source_config.stage != "finetune":
            raise InputError(
                f"--preset {ADAPT}: goes on from a fine-tuned run, and {init} is of stage "
                f"{source_config.stage}; expected --init listener-small or a run of dim finetune"
            )
        window_s = source_config.training.window_s
        base = replace(source_config, preset=ADAPT, training=replace(ADAPTATION, window_s=window_s))
    elif source_config.stage == "finetune":
        options.remark(
            f"{init} is fine-tuned already: --preset {ADAPT} goes on from it at a low rate, and "
            "stops early"
        )
    config = replace(base, vq=source_config.vq, dim=base.dim if from_vq else source_config.dim)
    config = with_overrides(config, options.settings())
    found = data_config(store)
    require_fit(source_config.data, init, found, data, hears=not from_vq)
    dim = replace(config.dim, outputs=task)
    if from_vq and task == "speaker":
        # nothing of the listener is shown, so that it needs no VQ-VAE to be read by
        dim = replace(dim, listener_inputs="motion")
    if not from_vq and is_silent_for(source_config.data, found):
        # the paper's audio ablation: nothing of what the model hears is real
        found, dim = as_heard(source_config.data, found), replace(dim, modalities="motion")
        options.remark(without_sound(data, found))
    config = with_steps(replace(config, data=found, dim=dim), store)
    config = prepare_run(config, run, options)
    if options.resume and is_finished(run):
        return finished_result(run)
    samplers = windows_of(store, config)
    torch.manual_seed(config.training.seed)
    model = DIM(config)
    tensors = source.state_dict()
    if from_vq:
        if list(model.vq) != [task]:
            raise InputError(
                f"{init}: fine-tuning without pre-training needs dim.targets codes and inputs of "
                "the other role as motion"
            )
        tensors = {f"vq.{task}.{name}": tensor for name, tensor in tensors.items()}
        _fit_statistics(model, samplers["train"])
        tensors = {**model.state_dict(), **tensors}
    tensors = _as_causal(tensors, source_config, config)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})

    def objective(
        batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return finetune_objective(model, batch, task, generator, augment=training)

    return train_run(model, objective, samplers, config, run=run, options=options)


def _as_causal(tensors: dict[str, Tensor], source: DIMRun, config: DIMRun) -> dict[str, Tensor]:
    """A dyadic model's tensors with their convolutions turned to the past, where ``config`` asks
    for causal masks and ``source`` was trained without."""
    dim = config.dim.causal and not source.dim.causal
    vq = config.vq.causal and not source.vq.causal
    turned = dict(tensors)
    for name, tensor in tensors.items():
        if name.startswith("vq."):
            smooth = ".smooth." in name and name.endswith("weight")
            local = ".decoder." in name and name.endswith("local.convolution.weight")
            turn = vq and (smooth or local)
        else:
            already = name.startswith("decoder.") and source.dim.decoder == "autoregressive"
            turn = dim and name.endswith("local.convolution.weight") and not already
        if turn:
            turned[name] = causal_kernel(tensor)
    return turned


def train_run(
    model: nn.Module,
    objective: Objective,
    samplers: dict[str, WindowSampler],
    config: RunConfig,
    *,
    run: Path,
    options: StageOptions,
) -> TrainingResult:
    """Train ``model`` into the run directory ``run``, which :func:`prepare_run` has made."""
    device, started = choose_device(options.device), time.monotonic()
    with in_precision(config.training, device):
        trainable = MotionTraining(
            model,
            objective,
            samplers["train"].batch,
            samplers["val"].batch,
            config.training,
            directory=run,
            device=device,
        )
        try:
            result = train(
                trainable,
                config.training,
                run,
                device=device,
                resume=options.resume,
                max_minutes=options.max_minutes,
                validate_first=config.training.validate_first,
                progress=options.progress,
                tensorboard=options.tensorboard,
            )
        finally:
            trainable.ahead.close()
    waited = trainable.ahead.waited_s / max(time.monotonic() - started, 1e-9)
    return replace(result, waited=waited)


def finished_result(run: Path) -> TrainingResult:
    """How the finished training in ``run`` had ended."""
    info, training = training_info(run), read_config(run / CONFIG).training
    reason = "steps" if info["step"] >= training.steps else "patience"
    return TrainingResult(info["step"], info["best_step"], info["best_loss"], reason)


def without_sound(data: Path, heard: DataConfig) -> str:
    """The line for who trains on ``data``, which has no sound, a model that hears."""
    return (
        f"{data} has no sound: the model gets zeros, {heard.audio_dim} wide as '"
        f"{heard.audio_encoder}' is (the paper's audio ablation)"
    )


def with_steps(config: Config, store: ClipStore) -> Config:
    """``config`` with as many steps as its epochs take on the train split of ``store``."""
    training = config.training
    if not training.epochs:
        return config
    window = max(1, round(training.window_s * config.data.fps))
    clips = store.clips("train", training.conversations)
    windows = sum(math.ceil(len(clip) / window) for clip in clips)
    steps = max(1, math.ceil(training.epochs * windows / training.batch_size))
    return replace(config, training=replace(training, steps=steps))


def prepare_run(config: Config, run: Path, options: StageOptions) -> Config:
    """Make the run directory, or check that it is the same run that resumes."""
    return distributed.on_first(lambda: _prepared_run(config, run, options))


def _prepared_run(config: Config, run: Path, options: StageOptions) -> Config:
    if options.resume:
        begun = (run / STATE).exists() or not (run / MODEL).exists()
        check_resumable(run, run.is_dir() and begun)
        remove_leftovers(run)
        if (run / CONFIG).is_file():  # else it was killed before it had even begun
            stored = read_config(run / CONFIG)
            if stored != config:
                raise InputError(
                    f"{run}: --resume with other settings or data than in {CONFIG}; "
                    "give the same ones"
                )
            return config
    else:
        check_new(run, force=options.force)
    begin(run)
    write_config(config, run / CONFIG)
    return config


def windows_of(store: ClipStore, config: RunConfig) -> dict[str, WindowSampler]:
    """The windows of ``train`` and ``val`` that a run of ``config`` draws."""
    distributed.require_equal_shares(config.training.batch_size, config.training.accumulation)
    return {
        split: WindowSampler(
            store,
            split,
            frames=round(config.training.window_s * config.data.fps),
            audio_dim=config.data.audio_dim,
            batch_size=config.training.batch_size,
            stride=config.stride,
            centre_speaker=config.centred,
            seed=config.training.seed,
            conversations=config.training.conversations if split == "train" else 0,
            bucketing=config.training.bucketing,
        )
        for split in ("train", "val")
    }


def _fit_statistics(model: DIM, sampler: WindowSampler) -> None:
    if model.config.trait_conditioned:
        if sampler.bucketing:
            raise InputError(
                "training.bucketing is true: dim.traits are of windows of one length; set one false"
            )
        batches = [sampler.batch(index, whole=True) for index in range(40)]
        listeners = torch.cat([batch.motion["listener"] for batch in batches])
        attitudes = torch.cat([batch.attitude for batch in batches])
        people = fitted_traits(listeners, attitudes, model.fps)
        for name, value in vars(people).items():
            getattr(model.people, name).copy_(value)
    figures = statistics(sampler)
    if not model.config.vq.standardise:
        return
    for index, role in enumerate(ROLES):
        model.motion_mean[index] = figures.mean[role]
        model.motion_std[index] = floored(figures.std[role])
    model.audio_mean.copy_(figures.audio_mean)
    model.audio_std.copy_(figures.audio_std)
