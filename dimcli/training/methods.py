"""Training a whole method with one call: DIM's three stages, or another method's one or two.

Stages that a method needs first lie as runs inside its run. With ``resume`` a training goes on
with whatever is there, also with nothing: the same call, made again after a kill, ends in the same
bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dimcli.core import distributed
from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.tensors import stream_tensors
from dimcli.data import folds
from dimcli.data.clip import ROLES
from dimcli.data.store import ClipStore, data_config, has_listeners
from dimcli.data.windows import statistics
from dimcli.models.baseline import Baseline
from dimcli.models.chain import as_heard, is_silent_for, require_fit
from dimcli.models.checkpoint import CONFIG, MODEL, is_finished, load_run, load_vq
from dimcli.models.coded import CodedRun
from dimcli.models.config import PRIOR, RunConfig, find_run, read_data_config
from dimcli.models.dim.config import preset
from dimcli.models.registry import build_model, method, methods
from dimcli.training.ablations import Ablation, ablation
from dimcli.training.loop import Progress, TrainingResult
from dimcli.training.run_folder import begin, check_new
from dimcli.training.stages import (
    StageOptions,
    finetune,
    finished_result,
    prepare_run,
    pretrain,
    together,
    train_run,
    train_vq,
    windows_of,
    with_steps,
    without_sound,
)


def train_own_vq(data: Path, run: Path, name: str, options: StageOptions) -> TrainingResult:
    """The listener's VQ-VAE of a method's preset, which may be another than DIM's."""
    settings = {
        key: value
        for key, value in (options.overrides or {}).items()
        if key.partition(".")[0] not in (name, "inputs")
    }
    config = method(name).preset(options.preset)
    assert isinstance(config, CodedRun)
    if config.vq != preset(options.preset, "train-vq").vq:
        settings = {f"vq.{key}": value for key, value in asdict(config.vq).items()} | settings
    return train_vq(data, run, "listener", replace(options, overrides=settings))


def prior_preset(preset_name: str, name: str) -> RunConfig:
    """The configuration of a method's own first stage, which trains for as long as DIM's VQ-VAE
    where the paper's sizes are not asked for."""
    config = replace(method(name).preset(preset_name), stage=PRIOR)
    if preset_name in ("paper", "released-sizes"):
        return config
    steps = preset(preset_name, "train-vq").training.steps
    return replace(config, training=replace(config.training, steps=steps))


def train_prior(data: Path, run: Path, name: str, options: StageOptions) -> TrainingResult:
    """The first stage of a two-stage method."""
    config = with_overrides(prior_preset(options.preset, name), options.settings())
    config = replace(config, data=data_config(ClipStore(data)))
    return _train(data, config, run, None, None, options)


def train_own(
    data: Path,
    run: Path,
    name: str,
    before: Path | None,
    init: Path | None,
    options: StageOptions,
) -> TrainingResult:
    """A method's own stage, which needs the run ``before`` where it has one: the listener's VQ-VAE,
    or its own first stage.

    ``init`` is a run of the same method to go on from.
    """
    store, found = ClipStore(data), method(name)
    config = found.preset(options.preset)
    settings = options.settings()
    first: nn.Module | None = None
    source: RunConfig | None = None
    if found.coded and before is not None:
        vq, first = load_vq(before, "listener")
        source = vq
        assert isinstance(config, CodedRun)
        config = replace(config, vq=vq.vq)
        # those of the VQ-VAE were its own stage's
        settings = {key: value for key, value in settings.items() if not key.startswith("vq.")}
    config = replace(with_overrides(config, settings), data=data_config(store))
    if found.prior is not None and before is not None:
        source, first = _load_prior(before)
    if source is not None and before is not None:
        require_fit(source.data, before, config.data, data, hears=source.kind != "vq")
    if found.fit is not None:
        config = prepare_run(config, run, replace(options, resume=False))
        return _take_in(found.fit(store, config), run)
    return _train(data, config, run, first, init, options)


def _load_prior(run: Path) -> tuple[RunConfig, nn.Module]:
    loaded = load_run(run)
    if loaded.config.stage != PRIOR:
        raise InputError(f"{run}: no first stage of a two-stage method; train it again (--force)")
    return loaded.config, loaded.model


def _train(
    data: Path,
    config: RunConfig,
    run: Path,
    first: nn.Module | None,
    init: Path | None,
    options: StageOptions,
) -> TrainingResult:
    goes_on = None if init is None else load_run(init)
    if goes_on is not None and init is not None:
        if goes_on.config.kind != config.kind:
            kinds = f"a run of {goes_on.config.kind}, not of {config.kind}"
            raise InputError(f"--init {init}: {kinds}")
        wanted = goes_on.config.data
        require_fit(wanted, init, config.data, data, hears=True)
        if is_silent_for(wanted, config.data):
            config = replace(config, data=as_heard(wanted, config.data))
            options.remark(without_sound(data, config.data))
    config = prepare_run(with_steps(config, ClipStore(data)), run, options)
    if options.resume and is_finished(run):
        return finished_result(run)
    windows = windows_of(ClipStore(data), config)
    torch.manual_seed(config.training.seed)
    model = build_model(config)
    assert isinstance(model, Baseline)
    model.fit_statistics(statistics(windows["train"]))
    if first is not None:
        model.adopt(first)
    if goes_on is not None:
        model.load_state_dict(goes_on.model.state_dict())
    return train_run(model, model.objective, windows, config, run=run, options=options)


def _take_in(model: nn.Module, run: Path) -> TrainingResult:
    """A method that has nothing to learn: the data it keeps is its weights."""
    distributed.on_first(lambda: stream_tensors(model.state_dict(), run / MODEL))
    return TrainingResult(step=0, best_step=0, best_loss=0.0, reason="steps")


Stage = Callable[[StageOptions], TrainingResult]


@dataclass(frozen=True)
class MethodOptions(StageOptions):
    """What every method takes: a stage's options, which hold for each of its stages.

    ``vq_speaker`` and ``vq_listener`` are trained VQ-VAE runs to use instead of training them (the
    listener's also for ``l2l`` and ``elp``). For ``dim``: ``task`` is whom it generates (None: the
    listener), ``ablation`` names what to leave out (:mod:`dimcli.training.ablations`),
    ``pretrained`` is a run of ``pretrain`` to start from. ``init`` is a run of a baseline, on other
    data, to go on from (the paper's L2L that was pre-trained too). ``pretrain_data`` is what
    VQ-VAEs and pre-training learn from, where not from the data itself; ``training.conversations``
    does not limit it.
    """

    task: str | None = None
    vq_speaker: Path | None = None
    vq_listener: Path | None = None
    ablation: str | None = None
    pretrained: Path | None = None
    pretrain_data: Path | None = None
    init: Path | None = None


def train_method(data: Path, run: Path, name: str, options: MethodOptions) -> TrainingResult:
    """Train the method ``name`` on the data set ``data`` into the run ``run``.

    The result is the last stage's, or that of the stage in which the time ran out. Raises
    InputError for unknown methods and settings.
    """
    found = method(name)
    task = options.task or ("listener" if "listener" in found.roles else "speaker")
    if task not in found.roles:
        raise InputError(f"--task {task}: {name} generates {found.roles[0]}s")
    if name != "dim" and (options.ablation or options.pretrained):
        flag = "--ablation" if options.ablation else "--pretrained"
        raise InputError(f"{flag}: is of --method dim; {name} has none")
    chosen = ablation(options.ablation, task)
    _check_chain(data, options, chosen)
    if options.init is not None and not found.resumes_from:
        able = [each for each in methods(trained=True) if method(each).resumes_from]
        other = "`dim finetune --init` goes on from" if name == "dim" else "it cannot go on from"
        raise InputError(f"--init: is of {', '.join(able)}; for {name}, {other} a run")
    if name == "dim":
        with_overrides(preset(options.preset, "finetune"), options.settings())  # fails early
        if chosen.pretraining and not options.pretrained:
            _require_listeners(options.pretrain_data or data)
        return _in_order(_dim_stages(data, run, chosen, task, options), run, options)
    with_overrides(found.preset(options.preset), options.settings())
    stages: dict[str, Stage] = {}
    before = options.vq_listener if found.coded else None
    if found.coded and before is None:
        before = run / "vq_listener"
        stages["vq_listener"] = partial(train_own_vq, data, before, name)
    elif found.prior is not None:
        with_overrides(prior_preset(options.preset, name), options.settings())
        before = run / PRIOR
        stages[PRIOR] = partial(train_prior, data, before, name)
    stages[""] = partial(train_own, data, run, name, before, options.init)
    return _in_order(stages, run, options)


def _check_chain(data: Path, options: MethodOptions, chosen: Ablation) -> None:
    """Raise InputError where a data set or a run that is given does not go with the others."""
    source = options.pretrain_data or data
    found, learnt = data_config(ClipStore(data)), data_config(ClipStore(source))
    require_fit(learnt, source, found, data, hears=chosen.pretraining)
    for run in (options.vq_speaker, options.vq_listener):
        if run is not None:
            require_fit(read_data_config(find_run(run)), run, learnt, source, hears=False)
    for run in (options.pretrained, options.init):
        if run is not None:
            require_fit(read_data_config(find_run(run)), run, found, data, hears=True)


def finetune_folds(
    data: Path, run: Path, init: Path, task: str, options: StageOptions, count: int
) -> list[TrainingResult]:
    """Fine-tune into ``run``, and once more for each of ``count`` folds into folders of it, so that
    every clip can be tested by a model that has not seen it (:mod:`dimcli.data.folds`).

    The time that ``options`` allow is shared evenly. The results are that of ``run`` itself
    and the folds'.
    """
    drawn = folds.Folds.draw(ClipStore(data), count)
    places = {0: run} | {fold: folds.folder(run, fold) for fold in range(1, count + 1)}
    with together(options, run):
        names = [str(place.relative_to(run)) for place in places.values()]
        distributed.on_first(lambda: _make_folder(run, ["", *names[1:]], options))
        distributed.on_first(lambda: drawn.write(run))
        results = []
        for fold, place in places.items():
            name = f"fold {fold} of {count}" if fold else "all clips"
            now = replace(
                options,
                resume=options.resume and (place / CONFIG).is_file(),
                force=True,
                max_minutes=options.max_minutes / len(places),
                splits=drawn.splits(fold) if fold else None,
                progress=_named(options, stage=name, part=fold, parts=len(places)),
            )
            results.append(finetune(data, place, init, task, now))
    return results


def _named(options: StageOptions, **facts: Any) -> Callable[[Progress], None] | None:
    """The progress of ``options``, which is told which stage or part it is of."""
    told = options.progress
    return None if told is None else lambda now: told(replace(now, **facts))


def _require_listeners(data: Path) -> None:
    """Raise InputError where ``data`` is of scanned speakers, who have nobody that listens."""
    if not has_listeners(ClipStore(data)):
        raise InputError(
            f"--pretrain-data: is missing; {data} has speakers only, and pre-training needs dyads "
            "(dim prepare candor); or leave it out: --ablation no-pretraining"
        )


def _dim_stages(
    data: Path, run: Path, chosen: Ablation, task: str, options: MethodOptions
) -> dict[str, Stage]:
    """The stages of DIM, or of an ablation of it, that are not given as trained runs."""
    source = options.pretrain_data or data
    whole = {"training.conversations": 0} if options.pretrain_data else {}
    stages: dict[str, Stage] = {}
    before = options.pretrained
    if chosen.own_pretraining or not chosen.pretraining:
        before = None  # the whole method's is of no use
    if before is None:
        given = {"speaker": options.vq_speaker, "listener": options.vq_listener}
        if chosen.vq:
            given = dict.fromkeys(ROLES)  # the whole method's are of no use
        needed = ROLES if chosen.pretraining else (task,)
        vq = {role: given[role] or run / f"vq_{role}" for role in needed if chosen.codes}
        for role, path in vq.items():
            if given[role] is None:
                stage = partial(train_vq, source, path, role)
                stages[f"vq_{role}"] = _with_settings(chosen.vq, stage, whole)
        if chosen.pretraining:
            before = run / "pretrain"
            stage = partial(pretrain, source, before, vq.get("speaker"), vq.get("listener"))
            stages["pretrain"] = _with_settings(chosen.model, stage, whole)
        else:
            before = vq[task]
    last = partial(finetune, data, run, before, task)
    stages[""] = _with_settings({**chosen.model, **chosen.finetuning}, last)
    return stages


def _with_settings(
    settings: Mapping[str, Any], stage: Stage, fixed: Mapping[str, Any] | None = None
) -> Stage:
    """``stage`` with ``settings`` beneath those that its options give, and ``fixed`` above."""

    def started(options: StageOptions) -> TrainingResult:
        given = options.overrides or {}
        return stage(replace(options, overrides={**settings, **given, **(fixed or {})}))

    return started


def _in_order(stages: dict[str, Stage], run: Path, options: MethodOptions) -> TrainingResult:
    """Run ``stages``, each into its folder of ``run`` (the last into ``run`` itself)."""
    started = time.monotonic()
    with together(options, run):
        distributed.on_first(lambda: _make_folder(run, list(stages), options))
        for name, stage in stages.items():
            left = options.max_minutes - (time.monotonic() - started) / 60
            now = replace(
                options,
                resume=options.resume and (run / name / CONFIG).is_file(),
                force=True,
                max_minutes=max(left, 1e-6) if options.max_minutes else 0.0,
                progress=_named(options, stage=name or "generation")
                if len(stages) > 1
                else options.progress,
            )
            result = stage(now)
            if result.reason == "minutes":
                break
    return result


def _make_folder(run: Path, stages: list[str], options: StageOptions) -> None:
    check_new(run, force=options.resume or options.force)
    if options.resume:
        run.mkdir(parents=True, exist_ok=True)
    else:  # nothing of the run that --force replaces may be gone on with
        begin(run, stages)
