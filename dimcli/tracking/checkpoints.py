"""Published checkpoints of face encoders: found, read safely, fitted exactly to our networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOSS = re.compile(r"=(-?\d+(?:\.\d+)?)(?:-v\d+)?$")

_MARKS = {
    "emoca": ("E_expression.",),
    "deca": ("E_flame.", "E_detail."),
    "smirk": ("pose_encoder.", "expression_encoder."),
}
"""What the names of each kind's tensors begin with, the more telling kinds first."""


def find_checkpoint(path: Path, tracker: str) -> Path:
    """The checkpoint file that ``path`` means: itself, or in EMOCA's model folder the best of the
    ``detail`` stage, else of ``coarse`` (the lowest number after the last ``=`` of the name).

    Raises InputError where there is none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for stage in ("detail", "coarse", "."):
        found = sorted((path / stage).rglob("*.ckpt"))
        if found:
            # without a number in its name, a file is taken only where there is no other
            return min(found, key=lambda file: (_loss(file), file.name))
    raise InputError(
        f"{path}: has no *.ckpt; expected {tracker}'s checkpoint file, or EMOCA's model folder "
        "with detail/checkpoints/*.ckpt"
    )


def _loss(file: Path) -> float:
    number = _LOSS.search(file.stem)
    return float(number[1]) if number else float("inf")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name, of whatever layout: ``state_dict`` of a Lightning checkpoint, DECA's nested
    dictionaries joined by dots, plain ones; the prefixes ``deca.`` and ``smirk_encoder.`` are cut.

    Pickles go through :mod:`dimcli.pickles`. Raises InputError.
    """
    if path.suffix == ".safetensors":
        from dimcli.core import tensors as files

        content: Any = files.read_tensors(existing_file(path, "checkpoint"))
    else:
        from dimcli.pickles import read_torch

        content = read_torch(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensors = _flattened(content)
    if not tensors:
        raise InputError(f"{path}: holds no tensors by name; expected an encoder's checkpoint")
    cut = re.compile(r"^(module\.)?(deca\.|smirk_encoder\.)?")
    return {cut.sub("", name): tensor for name, tensor in tensors.items()}


def _flattened(content: Any, prefix: str = "") -> dict[str, Tensor]:
    import torch

    if not isinstance(content, Mapping):
        return {}
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            tensors[f"{prefix}{name}"] = value
        elif prefix.count(".") < 2:
            tensors |= _flattened(value, f"{prefix}{name}.")
    return tensors


def kind_of(tensors: Mapping[str, Tensor]) -> str | None:
    """Which tracker a checkpoint is for, judged by its tensors' names."""
    for kind, marks in _MARKS.items():
        if all(any(name.startswith(mark) for name in tensors) for mark in marks):
            return kind
    return None


def load_exactly(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    prefixes: tuple[str, ...],
    path: Path,
    kind: str,
) -> None:
    """Give ``module`` the tensors whose names begin with one of ``prefixes``: all of its own, no
    more, each of its shape. Batch norms' counters may be missing.

    Raises InputError of one line that names what is missing, unexpected or of another shape, and
    the tracker that the file is for where that is another.
    """
    seen = kind_of(tensors)
    tensors = {name: value for name, value in tensors.items() if name.startswith(prefixes)}
    own = module.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - tensors.keys() - counters)
    unexpected = sorted(tensors.keys() - own.keys())
    shapes = sorted(
        f"{name} {list(tensors[name].shape)} for {list(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if tensors[name].shape != own[name].shape
    )
    faults = [
        f"{len(names)} {what} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if names
    ]
    if not faults:
        known = {name: tensors.get(name, own[name]) for name in own}
        module.load_state_dict(known)
        return
    hint = f"; it is for --tracker {seen}" if seen not in (None, kind) else ""
    raise InputError(f"{path}: not {kind}'s checkpoint: of its tensors {', '.join(faults)}{hint}")
