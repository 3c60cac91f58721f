"""A disk that fills up, and the permissions of what is written."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.files import write_text
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.core.tensors import save_tensors
from dimcli.training.renderer.training_set import _on_disk
from dimcli.training.stages import StageOptions, train_vq
from tests.stores import make_split

NOISE = np.random.default_rng(0).normal(size=(2000, MOTION_DIM)).astype(np.float32)


@contextmanager
def small_disk(size: int = 100_000) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITERS = {
    "a.npz": lambda path: Motion(NOISE, fps=25).save(path),
    "a.safetensors": lambda path: save_tensors({"a": torch.from_numpy(NOISE)}, path),
    "a.json": lambda path: write_text(path, "x" * 200_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    full = pytest.raises(InputError, match=rf"{name}: cannot be written: the disk is full")
    with full, small_disk():
        WRITERS[name](tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_array_on_a_full_disk_is_no_bus_error(tmp_path: Path) -> None:
    full = pytest.raises(InputError, match=r"the disk is full; training needs 2 MB")
    with full, small_disk():
        _on_disk(tmp_path / "a", (2_000_000,))


@pytest.mark.parametrize("name", WRITERS)
def test_files_follow_the_umask(tmp_path: Path, name: str) -> None:
    before = os.umask(0o027)
    try:
        WRITERS[name](tmp_path / name)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


def test_a_training_that_fails_at_once_leaves_no_folder_that_blocks_the_next(
    tmp_path: Path,
) -> None:
    make_split(tmp_path / "data", 2)  # nothing to validate on
    options = StageOptions(preset="tiny", steps=1)
    for _ in range(2):
        with pytest.raises(InputError, match="val"):
            train_vq(tmp_path / "data", tmp_path / "run", "listener", options)
        assert not (tmp_path / "run").exists()
