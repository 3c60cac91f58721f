"""Tensors in safetensors files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output


def save_tensors(
    tensors: dict[str, Tensor],
    path: Path,
    half: bool = False,
    notes: dict[str, str] | None = None,
) -> None:
    """Write tensors as safetensors, whole or not at all; ``half`` stores floats in 16 bits.

    ``notes`` are texts kept in the same file.
    """
    prepared = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in tensors.items()
    }
    with atomic_output(path, force=True) as temporary:
        save_file(prepared, temporary, metadata=notes)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors. Raises InputError that names the file when it is missing or broken."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; a run directory has {path.name}")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
