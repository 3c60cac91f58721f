"""A training that is killed at any moment ends, by the same call again, as if it never had been."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.renderer_clips import talker, write_clip
from tests.stores import make_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def killed(what: str, folder: Path, kills: int) -> tuple[dict[str, bytes], list[Path]]:
    """The contents of the run that was left alone, and the runs that were not."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.training.kill_training", what, str(folder), str(kills), "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "DIM_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[-1]) >= kills
    runs = sorted(folder.glob("run-*"))
    assert runs
    return contents(folder / "whole"), runs


def test_killing_training_at_random_moments_and_repeating_it_changes_no_byte(
    tmp_path: Path,
) -> None:
    make_store(tmp_path / "data")
    whole, runs = killed("dim", tmp_path, 6)
    assert {name.split("/")[0] for name in whole} >= {"vq_speaker", "pretrain", "config.yaml"}
    for run in runs:
        found = contents(run)
        assert found.keys() == whole.keys(), run.name
        changed = [name for name in whole if found[name] != whole[name]]
        assert not changed, (run.name, changed)


def test_killing_train_renderer_at_random_moments_and_resuming_changes_no_byte(
    tmp_path: Path,
) -> None:
    write_clip(tmp_path / "talk.mp4", talker(32))
    whole, runs = killed("renderer", tmp_path, 3)
    assert {"model.safetensors", "training_state.safetensors", "preview-person.jpg"} <= set(whole)
    for run in runs:
        found = contents(run)
        assert set(map(str, run.iterdir())) == {str(run / name) for name in whole}, run.name
        changed = [name for name in whole if _timeless(found[name]) != _timeless(whole[name])]
        assert not changed, (run.name, changed)


def _timeless(content: bytes) -> bytes:
    """What a file says, but the minutes taken and the run's own name in its card."""
    return re.sub(rb"[\d.]+ minutes|whole|run-\d+", b"", content)
