"""A batch in shares: training on several processes, started by torchrun for real, and in parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from dimcli.core import distributed
from dimcli.core.tensors import read_tensors
from dimcli.models.checkpoint import training_info
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import StageOptions, train_vq
from tests.stores import make_store

STEPS = 4
OPTIONS = MethodOptions(
    preset="tiny",
    device="cpu",
    steps=STEPS,
    seed=3,
    overrides={"training.validate_every": STEPS // 2, "training.batch_size": 8},
)
SETTINGS = (
    *("--preset", "tiny", "--device", "cpu", "--steps", str(STEPS), "--seed", "3"),
    *("--set", f"training.validate_every={STEPS // 2}", "--set", "training.batch_size=8"),
)
IN_TWO_PARTS = ("--set", "training.accumulation=2")
COMMANDS = (
    ("train", "data", "--method", "dim", *SETTINGS, "-o", "two"),
    ("train", "data", "--method", "dim", *SETTINGS, *IN_TWO_PARTS, "-o", "both"),
    ("train-vq", "data", "--role", "listener", *SETTINGS, "-o", "cut", "--minutes", "0.00001"),
)
PROGRAM = """
import json, sys
from dimcli.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as ended:
        if ended.code:
            raise
"""
"""All commands in each of the processes, which take longer to start than to train."""
STAGES = ("vq_speaker", "vq_listener", "pretrain", "")


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which two processes have done COMMANDS, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    make_store(folder / "data")
    (folder / "program.py").write_text(PROGRAM)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    found = subprocess.run(
        [sys.executable, *torchrun, "program.py", json.dumps(COMMANDS)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return folder, found.stderr


@pytest.fixture(scope="module")
def on_one(on_two: tuple[Path, str]) -> Path:
    """The same folder, in which one process has trained as well."""
    train_method(on_two[0] / "data", on_two[0] / "one", "dim", OPTIONS)
    return on_two[0]


def trained_alike(one: Path, other: Path) -> None:
    """Every stage's figures and weights agree."""
    for stage in STAGES:
        rows, others = (
            [json.loads(line) for line in (run / stage / "metrics.jsonl").open()]
            for run in (one, other)
        )
        assert [(row["step"], row["split"]) for row in rows] == [
            (row["step"], row["split"]) for row in others
        ]
        for row, found in zip(rows, others, strict=True):
            for name in row.keys() - {"split"}:
                assert row[name] == pytest.approx(found[name], rel=1e-4, abs=1e-5), (stage, name)
        weights = [read_tensors(run / stage / "model.safetensors") for run in (one, other)]
        for name, tensor in weights[0].items():
            assert torch.allclose(tensor.float(), weights[1][name].float(), atol=5e-3), (
                stage,
                name,
            )


@pytest.mark.slow
def test_two_processes_train_as_one_does_with_the_same_whole_batch(
    on_two: tuple[Path, str], on_one: Path
) -> None:
    assert on_two[1].count("wrote two") == 1, "only the first process speaks"
    trained_alike(on_one / "one", on_one / "two")


@pytest.mark.slow
def test_two_processes_with_their_batches_in_parts_train_as_one_does(on_one: Path) -> None:
    trained_alike(on_one / "one", on_one / "both")


@pytest.mark.slow
def test_a_batch_in_parts_trains_as_a_whole_one(on_one: Path) -> None:
    overrides = {**(OPTIONS.overrides or {}), "training.accumulation": 4}
    train_method(on_one / "data", on_one / "parts", "dim", replace(OPTIONS, overrides=overrides))
    trained_alike(on_one / "one", on_one / "parts")


@pytest.mark.slow
def test_a_run_of_two_processes_resumes_in_one(on_two: tuple[Path, str]) -> None:
    folder, _ = on_two
    assert training_info(folder / "cut")["step"] < STEPS
    settings = {field.name: getattr(OPTIONS, field.name) for field in fields(StageOptions)}
    stage = StageOptions(**{**settings, "resume": True})
    train_vq(folder / "data", folder / "cut", "listener", stage)
    assert training_info(folder / "cut")["step"] == STEPS


def test_one_process_has_the_whole_batch_and_all_of_the_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
    assert distributed.uniform(6, 2, generator=generator).equal(plain)
    assert distributed.process_rows(6) == slice(0, 6)
    assert distributed.total(torch.tensor(3)) == 3
    assert distributed.on_first(lambda: "done") == "done"


def test_an_even_share_of_a_batch_is_spread_over_it() -> None:
    assert distributed.spread_rows(16, 0.25).tolist() == [3, 7, 11, 15]
    assert distributed.spread_rows(4, 0.1).tolist() == [3]
    assert distributed.spread_rows(3, 1.0).tolist() == [0, 1, 2]
