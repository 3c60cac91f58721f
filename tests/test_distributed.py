"""Training on several processes, started by torchrun for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dimcli import distributed
from dimcli.checkpoint import read_tensors
from tests.stores import make_store

SETTINGS = (
    *("--preset", "tiny", "--device", "cpu", "--steps", "12", "--seed", "3"),
    *("--set", "training.validate_every=4", "--set", "training.batch_size=8"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")
STAGES = ("vq_speaker", "vq_listener", "pretrain", "")


def dim(folder: Path, *arguments: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    launcher = (*TORCHRUN, str(processes)) if processes > 1 else ()
    found = subprocess.run(
        [sys.executable, *launcher, "-m", "dimcli", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found


@pytest.mark.slow
def test_two_processes_train_as_one_does_with_the_same_whole_batch(tmp_path: Path) -> None:
    make_store(tmp_path / "data")
    train = ("train", "data", "--method", "dim", *SETTINGS)
    dim(tmp_path, *train, "-o", "one")
    ended = dim(tmp_path, *train, "-o", "two", processes=2)
    assert ended.stderr.count("wrote two") == 1, "only the first process speaks"
    for stage in STAGES:
        one, two = (
            [json.loads(line) for line in (tmp_path / run / stage / "metrics.jsonl").open()]
            for run in ("one", "two")
        )
        assert [(row["step"], row["split"]) for row in one] == [
            (row["step"], row["split"]) for row in two
        ]
        for row, other in zip(one, two, strict=True):
            for name in row.keys() - {"split"}:
                assert row[name] == pytest.approx(other[name], rel=2e-3, abs=2e-4), (stage, name)
        weights = [
            read_tensors(tmp_path / run / stage / "model.safetensors") for run in ("one", "two")
        ]
        for name, tensor in weights[0].items():
            assert torch.allclose(tensor.float(), weights[1][name].float(), atol=5e-3), (
                stage,
                name,
            )


@pytest.mark.slow
def test_a_run_of_two_processes_resumes_in_one(tmp_path: Path) -> None:
    make_store(tmp_path / "data")
    train = ("train-vq", "data", "--role", "listener", *SETTINGS, "-o", "run")
    dim(tmp_path, *train, "--minutes", "0.00001", processes=2)
    ended = dim(tmp_path, *train, "--resume", "--json")
    assert json.loads(ended.stdout)["step"] == 12


def test_one_process_has_the_whole_batch_and_all_of_the_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
    assert distributed.uniform(6, 2, generator=generator).equal(plain)
    assert distributed.own_rows(6) == slice(0, 6)
    assert distributed.total(torch.tensor(3)) == 3
    assert distributed.on_first(lambda: "done") == "done"


def test_an_even_share_of_a_batch_is_spread_over_it() -> None:
    assert distributed.spread_rows(16, 0.25).tolist() == [3, 7, 11, 15]
    assert distributed.spread_rows(4, 0.1).tolist() == [3]
    assert distributed.spread_rows(3, 1.0).tolist() == [0, 1, 2]
