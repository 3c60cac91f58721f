"""Tiny runs of whole methods, and one that is killed on its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from dimcli.training.loop import Progress
from dimcli.training.methods import MethodOptions, train_method

FILES = ("model.safetensors", "metrics.jsonl", "config.yaml", "training_state.safetensors")


class InterruptedRunError(Exception):
    """Stands for a kill."""


def options(**settings: object) -> MethodOptions:
    """Four steps a stage."""
    often = {"training.validate_every": 2, "training.batch_size": 2}
    return MethodOptions(preset="tiny", device="cpu", steps=4, overrides=often, **settings)  # type: ignore[arg-type]


def files_of(run: Path) -> dict[str, bytes]:
    """Everything a run and the runs inside it leave behind, by path."""
    found = [path for path in sorted(run.rglob("*")) if path.name in FILES]
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def train_and_kill(data: Path, run: Path, method: str, steps: int) -> None:
    """Train ``method`` into ``run``; it dies at the first report after ``steps`` steps in all."""
    left = steps

    def kill(progress: Progress) -> None:
        nonlocal left
        if progress.split == "train":
            left -= 2
            if left < 0:
                raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train_method(data, run, method, options(resume=True, progress=kill))
