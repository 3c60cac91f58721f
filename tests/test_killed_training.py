"""A training that is killed at any moment ends, by the same call again, as if it never had been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores import make_store

KILLS = 10


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killing_training_at_random_moments_and_repeating_it_changes_no_byte(
    tmp_path: Path,
) -> None:
    make_store(tmp_path / "data")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kill_training", str(tmp_path), str(KILLS), "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[-1]) >= KILLS
    whole = contents(tmp_path / "whole")
    assert {name.split("/")[0] for name in whole} >= {"vq_speaker", "pretrain", "config.yaml"}
    runs = sorted(tmp_path.glob("run-*"))
    assert runs
    for run in runs:
        found = contents(run)
        assert found.keys() == whole.keys(), run.name
        changed = [name for name in whole if found[name] != whole[name]]
        assert not changed, (run.name, changed)
