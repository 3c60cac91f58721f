"""Stand-ins for the tensors and storages of a ``torch.save`` file; see :mod:`dimcli.pickles.stubs`.

A tensor is a window (offset, size, stride) on a storage, whose bytes lie elsewhere in the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from dimcli.pickles.stubs import Global, RefusedError, Settle

STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}

_MOST_AXES = 32

LARGEST_EXPANDED = 2**27
"""Elements of a tensor that is larger than its storage: one that was repeated without copying."""


class StorageStub:
    """``numel`` numbers of type ``dtype``, whose bytes come from ``fill``, now or later."""

    def __init__(self, dtype: torch.dtype, numel: int) -> None:
        self.dtype = dtype
        self.numel = numel
        self.content: bytearray | None = None

    @property
    def nbytes(self) -> int:
        """Length of its content."""
        return self.numel * self.dtype.itemsize

    def fill(self, content: bytearray) -> None:
        """Take the bytes."""
        if len(content) != self.nbytes:
            raise RefusedError(
                f"has a tensor storage of {len(content)} bytes; expected {self.nbytes}"
            )
        self.content = content

    def settle(self, settle: Settle) -> Any:
        """All numbers, as a flat tensor."""
        if self.content is None:
            raise RefusedError("has a tensor without data")
        if not self.numel:
            return torch.empty(0, dtype=self.dtype)
        return torch.frombuffer(self.content, dtype=self.dtype)


class TensorStub:
    """``torch._utils._rebuild_tensor*``."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any) -> None:
        if (
            not isinstance(storage, StorageStub)
            or not len(size) == len(stride) <= _MOST_AXES
            or not all(isinstance(each, int) and each >= 0 for each in (offset, *size, *stride))
        ):
            raise RefusedError("has a tensor with a malformed storage, size or stride")
        self.storage, self.offset = storage, offset
        self.size, self.stride = tuple(size), tuple(stride)
        self.dtype = storage.dtype

    def settle(self, settle: Settle) -> Any:
        """The tensor, on the CPU; tensors that shared a storage share it again."""
        flat = settle(self.storage).view(self.dtype)
        count = math.prod(self.size)
        last = self.offset + sum(
            (length - 1) * step for length, step in zip(self.size, self.stride, strict=True)
        )
        if count and (last >= len(flat) or count > max(len(flat), LARGEST_EXPANDED)):
            raise RefusedError(f"has a tensor of size {list(self.size)} in {len(flat)} numbers")
        if not count:
            return torch.empty(self.size, dtype=self.dtype)
        return torch.as_strided(flat, self.size, self.stride, self.offset)


def storage_of_id(pid: Any) -> tuple[str, StorageStub]:
    """Key and empty storage that a persistent id of a torch file stands for."""
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise RefusedError("asks for an object from outside of it (a persistent id)")
    _, storage_type, key, _location, numel, *view = pid
    if not isinstance(storage_type, Global) or not isinstance(key, str | int):
        raise RefusedError("has a tensor storage without a type")
    if not isinstance(storage_type.value, torch.dtype) or not isinstance(numel, int) or numel < 0:
        raise RefusedError(f"has a tensor storage of type '{storage_type.name}'")
    if view and view[0] is not None:
        raise RefusedError("has a view of a storage, as torch before 0.4 wrote it")
    return str(key), StorageStub(storage_type.value, numel)


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorStub:
    """``_rebuild_tensor`` and ``_rebuild_tensor_v2`` (gradient flag, hooks, metadata follow)."""
    if len(rest) > 2 and rest[2]:
        raise RefusedError("has a conjugated or negated tensor view")
    return TensorStub(storage, offset, size, stride)


def tensor_of_bytes(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> TensorStub:
    """``_rebuild_tensor_v3``: the storage is untyped, the type comes along."""
    made = TensorStub(storage, offset, size, stride)
    if not isinstance(dtype, Global) or not isinstance(dtype.value, torch.dtype):
        raise RefusedError("has a tensor of unknown type")
    made.dtype = dtype.value
    return made


def parameter(data: Any, *_: Any) -> Any:
    """``_rebuild_parameter``: its data."""
    return data


def _torch_globals() -> dict[tuple[str, str], Global]:
    found: dict[tuple[str, str], Global] = {}
    for name, dtype in STORAGE_TYPES.items():
        for module in ("torch", "torch.cuda", "torch.storage"):
            found[module, name] = Global(f"{module}.{name}", value=dtype)
    for name in dir(torch):
        value = getattr(torch, name)
        if isinstance(value, torch.dtype):
            found["torch", name] = Global(f"torch.{name}", value=value)
    makers: dict[str, Callable[..., Any]] = {
        "_rebuild_tensor": tensor,
        "_rebuild_tensor_v2": tensor,
        "_rebuild_tensor_v3": tensor_of_bytes,
        "_rebuild_parameter": parameter,
        "_rebuild_parameter_with_state": parameter,
    }
    for name, make in makers.items():
        found["torch._utils", name] = Global(f"torch._utils.{name}", make)
    found["torch", "Size"] = Global("torch.Size", lambda sizes=(): tuple(sizes))
    found["torch", "device"] = Global("torch.device", lambda *_: "cpu")
    return found


TORCH_GLOBALS = _torch_globals()
"""What a ``torch.save`` file may name besides."""
