"""Tensors and arrays in safetensors files: whole or not at all, and checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from dimcli.core.documents import parse_json
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, existing_file

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(
    tensors: Mapping[str, Tensor | NDArray[Any]], path: Path, notes: dict[str, str] | None = None
) -> None:
    """Write tensors or arrays as safetensors, whole or not at all.

    ``notes`` are texts kept in the same file. Raises InputError where the disk is full.
    """
    from safetensors.numpy import save_file  # theirs for torch takes ten times as long

    prepared = {
        name: np.asarray(each if isinstance(each, np.ndarray) else each.detach().cpu(), order="C")
        for name, each in tensors.items()
    }
    with atomic_output(path, force=True) as temporary:
        save_file(prepared, temporary, metadata=notes)


def stream_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write ``tensors``, some of which may be mapped and larger than the memory, as safetensors,
    whole or not at all. Raises InputError where the disk is full."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64"}
    header: dict[str, Any] = {}
    at = 0
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    for name, array in ordered:  # the widest first, so that each lies at a multiple of its width
        header[name] = {
            "dtype": kinds[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_output(path, force=True) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            array.tofile(file)


def read_tensors(path: Path, hint: str = "", *, finite: bool = True) -> dict[str, Tensor]:
    """Read safetensors. Raises InputError that names the file when it is missing or broken, or
    holds numbers that are not finite; ``hint`` says how to mend it.
    """
    import torch
    from safetensors.torch import load_file

    _require_file(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a safetensors file ({error}){hint}") from None
    for name, tensor in tensors.items() if finite else ():
        if not tensor.is_floating_point():
            continue
        # numpy's test takes one thread: torch's wait for each other at each of hundreds of tensors
        known = tensor.dtype in (torch.float16, torch.float32, torch.float64)
        if not np.isfinite((tensor if known else tensor.float()).numpy()).all():
            raise InputError(f"{path}: {name} has NaN or infinite numbers{hint}")
    return tensors


def read_arrays(path: Path, hint: str = "") -> dict[str, NDArray[Any]]:
    """The same as arrays."""
    from safetensors.numpy import load_file

    _require_file(path)
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}){hint}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{path}: {name} has NaN or infinite numbers{hint}")
    return arrays


def read_note(path: Path, name: str) -> Any:
    """What the JSON note ``name`` of a safetensors file says. Raises InputError."""
    _require_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {})[name]
    except (SafetensorError, OSError, KeyError) as error:
        raise InputError(f"{path}: damaged ({error})") from None
    return parse_json(text, f"{path}: {name}")


def _require_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; a run directory has {path.name}")
    existing_file(path, "safetensors")
