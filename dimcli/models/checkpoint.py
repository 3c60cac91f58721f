"""Run directories: what a training command writes and every other command accepts.

``config.yaml``, ``model.safetensors`` (the best weights by validation), ``metrics.jsonl``, and,
only to resume, ``training_state.safetensors``. Nothing is pickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.tensors import read_note, read_tensors, save_tensors
from dimcli.models.config import RunConfig, find_run
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.vqvae import VQVAE
from dimcli.models.registry import Run, bounded_parameters, build_model, method_of_kind, read_config

CONFIG = "config.yaml"
MODEL = "model.safetensors"
METRICS = "metrics.jsonl"
STATE = "training_state.safetensors"
_INFO = "info"
_INFO_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("step", "best_step", "stale", "logged_from"), (int,)),
    "best_loss": (float, int, type(None)),
    "sums": (dict,),
}


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` from a safetensors file; names and shapes must all agree."""
    tensors = read_tensors(path)
    expected = model.state_dict()
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    if missing or extra:
        detail = f"lacks {missing[0]}" if missing else f"has the unknown {extra[0]}"
        raise InputError(
            f"{path}: not the weights that {CONFIG} beside it describes ({detail}; "
            f"{len(missing)} missing, {len(extra)} unknown)"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"{path}: {name} has shape {list(tensor.shape)}; "
                f"expected {list(expected[name].shape)}"
            )
    model.load_state_dict(tensors)


def load_run(
    directory: Path, device: torch.device | None = None, config: RunConfig | None = None
) -> Run:
    """Load a run: a directory, or a bundled name. Raises InputError that says what is missing or
    wrong.

    ``config`` is what its ``config.yaml`` says, where that was read before.
    """
    directory = find_run(directory)
    config = config or read_config(directory / CONFIG)
    found = method_of_kind(config.kind)
    with bounded_parameters():
        if found.load is not None:
            model = found.load(config, directory / MODEL)
        else:
            model = build_model(config)
            load_weights(model, directory / MODEL)
    return Run(config, model.to(device or torch.device("cpu")).eval())


def load_vq(directory: Path, role: str) -> tuple[DIMRun, VQVAE]:
    """A VQ-VAE run of ``role``; InputError when the run is something else."""
    return as_vq(load_run(directory), directory, role)


def as_vq(run: Run, directory: Path, role: str) -> tuple[DIMRun, VQVAE]:
    """``run``, of ``directory``, as a VQ-VAE of ``role``; InputError when it is something else."""
    if not isinstance(run.model, VQVAE) or run.config.role != role:
        what = f"a {run.config.role} {run.config.kind} run"
        raise InputError(f"{directory}: {what}; expected a {role} VQ-VAE run (dim train-vq)")
    assert isinstance(run.config, DIMRun)
    return run.config, run.model


def load_dim(directory: Path, device: torch.device | None = None) -> tuple[DIMRun, DIM]:
    """A dyadic run (pre-trained or fine-tuned); InputError when the run is something else."""
    return as_dim(load_run(directory, device), directory)


def as_dim(run: Run, directory: Path) -> tuple[DIMRun, DIM]:
    """``run``, of ``directory``, as a dyadic one; InputError when it is something else."""
    if not isinstance(run.model, DIM):
        what = f"a {run.config.role} VQ-VAE" if run.config.kind == "vq" else f"an {run.config.kind}"
        raise InputError(
            f"{directory}: {what} run; expected a run of `dim pretrain` or `dim finetune`"
        )
    assert isinstance(run.config, DIMRun)
    return run.config, run.model


def save_training_state(
    directory: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    info: dict[str, Any],
) -> None:
    """Write what resuming needs, in one file: weights, optimiser moments, and ``info`` as JSON."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    save_tensors(tensors, directory / STATE, notes={_INFO: json.dumps(info)})


def training_info(directory: Path) -> dict[str, Any]:
    """The ``info`` that :func:`save_training_state` wrote last."""
    info = read_note(directory / STATE, _INFO)
    if not isinstance(info, dict) or set(info) != _INFO_KINDS.keys():
        raise InputError(
            f"{directory / STATE}: not the state of a training; train without --resume"
        )
    for name, kinds in _INFO_KINDS.items():
        if type(info[name]) not in kinds:
            raise InputError(f"{directory / STATE}: its {name} is a {type(info[name]).__name__}")
    return info


def is_finished(directory: Path) -> bool:
    """Whether the training in ``directory`` has come to its end (or needed none)."""
    if not (directory / STATE).is_file():
        return (directory / MODEL).is_file()
    info = training_info(directory)
    training = read_config(directory / CONFIG).training
    stale = bool(training.patience) and info["stale"] >= training.patience
    return stale or info["step"] >= training.steps


def load_training_state(
    directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore what :func:`save_training_state` wrote, and give its ``info`` back."""
    path = directory / STATE
    if not path.is_file():
        raise InputError(f"{directory}: nothing to resume (no {STATE}); train without --resume")
    tensors, info = read_tensors(path, finite=False), training_info(directory)
    weights = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    state: dict[int, dict[str, Tensor]] = {}
    groups = optimizer.state_dict()["param_groups"]
    try:
        model.load_state_dict(weights)
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: does not fit the run ({reason}); train it again") from None
    return info
