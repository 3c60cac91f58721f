"""Training a whole method with one call: DIM's three stages, or a baseline's one or two.

Stages that a method needs first lie as runs inside its run. With ``resume`` a training goes on
with whatever is there, also with nothing: the same call, made again after a kill, ends in the same
bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dimcli.core import distributed
from dimcli.core.config import require_choice, with_overrides
from dimcli.core.errors import InputError
from dimcli.data.clip import ROLES
from dimcli.data.store import ClipStore
from dimcli.models.baseline_presets import METHODS, baseline_preset, prior_preset
from dimcli.models.checkpoint import CONFIG, MODEL, STATE
from dimcli.models.kinds import PRIOR, TWO_STAGE
from dimcli.models.presets import preset
from dimcli.training.ablations import ablation
from dimcli.training.baseline_stages import CODED, train_baseline, train_own_vq, train_prior
from dimcli.training.loop import TrainingResult
from dimcli.training.stages import (
    StageOptions,
    finetune,
    pretrain,
    together,
    train_vq,
)

Stage = Callable[[StageOptions], TrainingResult]


@dataclass(frozen=True)
class MethodOptions(StageOptions):
    """What every method takes: a stage's options, which hold for each of its stages.

    ``vq_speaker`` and ``vq_listener`` are trained VQ-VAE runs to use instead of training them (the
    listener's also for ``l2l`` and ``elp``).
    For ``dim``: ``ablation`` names what to leave out (:mod:`dimcli.training.ablations`),
    ``pretrained`` is a run of ``pretrain`` to start from. ``init`` is a run of a baseline, on other
    data, to go on from (the paper's L2L that was pre-trained too). ``pretrain_data`` is what
    VQ-VAEs and pre-training learn from, where not from the data itself; ``training.conversations``
    does not limit it.
    """

    vq_speaker: Path | None = None
    vq_listener: Path | None = None
    ablation: str | None = None
    pretrained: Path | None = None
    pretrain_data: Path | None = None
    init: Path | None = None


def train_method(data: Path, run: Path, method: str, options: MethodOptions) -> TrainingResult:
    """Train ``method`` (one of ``METHODS``) on the data set ``data`` into the run ``run``.

    The result is the last stage's, or that of the stage in which the time ran out. Raises
    InputError for unknown methods and settings.
    """
    require_choice("--method", method, METHODS)
    ClipStore(data)  # what is wrong with it is told before a folder is made
    if method != "dim" and (options.ablation or options.pretrained):
        flag = "--ablation" if options.ablation else "--pretrained"
        raise InputError(f"{flag}: is of --method dim; {method} has none")
    if options.init is not None and method not in ("rlhg", "l2l", "elp"):
        raise InputError(f"--init: is of rlhg, l2l and elp; {method} has none (see --pretrained)")
    if method == "dim":
        with_overrides(preset(options.preset, "finetune"), options.settings())  # fails early
        ablation(options.ablation)
        return _in_order(_dim_stages(data, run, options), run, options)
    with_overrides(baseline_preset(options.preset, method), options.settings())
    stages: dict[str, Stage] = {}
    before = options.vq_listener if method in CODED else None
    if method in CODED and before is None:
        before = run / "vq_listener"
        stages["vq_listener"] = partial(train_own_vq, data, before, method)
    elif method in TWO_STAGE:
        with_overrides(prior_preset(options.preset, method), options.settings())
        before = run / PRIOR
        stages[PRIOR] = partial(train_prior, data, before, method)
    stages[""] = partial(train_baseline, data, run, method, before, options.init)
    return _in_order(stages, run, options)


def _dim_stages(data: Path, run: Path, options: MethodOptions) -> dict[str, Stage]:
    """The stages of DIM, or of an ablation of it, that are not given as trained runs."""
    chosen = ablation(options.ablation)
    source = options.pretrain_data or data
    whole = {"training.conversations": 0} if options.pretrain_data else {}
    stages: dict[str, Stage] = {}
    before = options.pretrained
    if chosen.own_pretraining or not chosen.pretraining:
        before = None  # the whole method's is of no use
    if before is None:
        given = {"speaker": options.vq_speaker, "listener": options.vq_listener}
        needed = ROLES if chosen.pretraining else ("listener",)
        vq = {role: given[role] or run / f"vq_{role}" for role in needed if chosen.codes}
        for role, path in vq.items():
            if given[role] is None:
                stage = partial(train_vq, source, path, role)
                stages[f"vq_{role}"] = _with_settings({}, stage, whole)
        if chosen.pretraining:
            before = run / "pretrain"
            stage = partial(pretrain, source, before, vq.get("speaker"), vq.get("listener"))
            stages["pretrain"] = _with_settings(chosen.model, stage, whole)
        else:
            before = vq["listener"]
    last = partial(finetune, data, run, before, "listener")
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
