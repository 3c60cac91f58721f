"""The one place that chooses a device."""

from __future__ import annotations

import os

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
