"""The one place that chooses a device, what multiplies on it, and how many of its threads work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from dimcli.core.errors import InputError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA when there is one. Raises InputError when CUDA is asked for in vain."""
    if name not in DEVICES:
        raise InputError(f"--device is '{name}'; expected one of {', '.join(DEVICES)}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("--device cuda: no CUDA device is available here; use --device cpu")
    if not available or name == "cpu":
        return torch.device("cpu")
    place = os.environ.get("LOCAL_RANK")  # torchrun's: one device a process, as far as they go
    if place is None:
        return torch.device("cuda")
    return torch.device("cuda", int(place) % torch.cuda.device_count())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for what happens inside.

    Steps of a few milliseconds lose more to threads that wait for each other than they win by them:
    a little other work on the machine makes two threads twenty times slower than one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def large_products(device: torch.device) -> Iterator[None]:
    """Products of large float32 matrices, inside, by whoever is fastest at them on a CPU.

    torch asks MKL, which uses half the width (AVX2) of the AVX-512 of processors that are not
    Intel's; oneDNN uses all of it. torch asks oneDNN where it may round to bf16, which oneDNN only
    does on processors that multiply matrices themselves (AMX): there everything stays as it is.
    Small products, and attention, are slower by oneDNN. The setting is of the whole process.
    """
    chosen = torch.get_float32_matmul_precision() != "highest"
    if chosen or device.type != "cpu" or not _onednn_keeps_float32():
        yield
        return
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@lru_cache(maxsize=1)
def _onednn_keeps_float32() -> bool:
    """Whether oneDNN multiplies in float32 where it may round to bf16."""
    finer = torch.full((64, 256), 1 + 2.0**-12)  # bf16 makes 1 of it
    torch.set_float32_matmul_precision("medium")
    try:
        return bool((finer @ torch.eye(256)).equal(finer))
    finally:
        torch.set_float32_matmul_precision("highest")
