"""What the settings of the training section do to a step, and what they refuse."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from dimcli.core import distributed
from dimcli.core.errors import InputError
from dimcli.models.config import TrainingConfig
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.motion import in_precision
from dimcli.training.stages import train_vq
from tests.stores import make_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine") / "data"
    make_store(folder)
    return folder


def losses(data: Path, run: Path, **settings: object) -> list[float]:
    """Every loss that a VQ-VAE's training of 8 steps writes down."""
    chosen = {"training.validate_every": 4, "training.batch_size": 4} | {
        f"training.{name}": value for name, value in settings.items()
    }
    train_vq(
        data,
        run,
        "listener",
        MethodOptions(preset="tiny", device="cpu", steps=8, overrides=chosen),
    )
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").open()]


@pytest.fixture(scope="module")
def plain(data: Path) -> list[float]:
    return losses(data, data.parent / "plain")


def test_whole_clips_train(data: Path, tmp_path: Path) -> None:
    found = losses(data, tmp_path / "run", bucketing=True, window_s=50)
    assert found[-1] < found[0] * 1.05
    assert all(map(math.isfinite, found))


def test_checkpointed_layers_train_alike(data: Path, tmp_path: Path, plain: list[float]) -> None:
    found = losses(data, tmp_path / "run", gradient_checkpointing=True)
    assert found == pytest.approx(plain, rel=1e-4)


def test_bf16_trains_nearly_alike_and_keeps_float32_weights(
    data: Path, tmp_path: Path, plain: list[float]
) -> None:
    from dimcli.core.tensors import read_tensors

    found = losses(data, tmp_path / "run", precision="bf16")
    assert found != plain
    assert found == pytest.approx(plain, rel=0.03)
    tensors = read_tensors(tmp_path / "run" / "model.safetensors").values()
    assert torch.bfloat16 not in {tensor.dtype for tensor in tensors}


@pytest.mark.parametrize(
    ("method", "settings", "fault"),
    [
        ("rlhg", {"compile": True}, "no transformer layers"),
        ("rlhg", {"gradient_checkpointing": True}, "no transformer layers"),
        ("rlhg", {"precision": "tf32"}, "Ampere"),
        ("rlhg", {"accumulation": 3}, "a multiple of training.accumulation 3"),
        ("meshtalk", {"accumulation": 2}, "compares rows of a whole batch"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    data: Path, tmp_path: Path, method: str, settings: dict[str, object], fault: str
) -> None:
    chosen = {f"training.{name}": value for name, value in settings.items()}
    options = MethodOptions(preset="tiny", device="cpu", steps=2, overrides=chosen)
    with pytest.raises(InputError, match=fault) as refused:
        train_method(data, tmp_path / "run", method, options)
    assert len(str(refused.value)) <= 300
    assert not (tmp_path / "run").exists()


def test_the_precision_of_products_is_what_it_was_after_training() -> None:
    before = torch.get_float32_matmul_precision()
    with in_precision(TrainingConfig(), torch.device("cpu")):
        pass
    assert torch.get_float32_matmul_precision() == before


def test_parts_know_of_each_other_what_a_whole_batch_would() -> None:
    whole = torch.arange(6.0)
    changed: list[torch.Tensor] = []
    drawn, sums, batches, gradients = [], [], [], []
    for part in distributed.in_parts(3):
        rows = whole[part.rows(6)].clone().requires_grad_()
        generator = torch.Generator().manual_seed(0)
        uniform = distributed.uniform(2, generator=generator)
        count, batch = distributed.total(rows.sum()), distributed.gather_batch(rows)
        distributed.once_a_step(changed.append, rows.detach())
        if part.learns:
            drawn.append(uniform)
            sums.append(float(count))
            batches.append(batch.detach())
            (gradient,) = torch.autograd.grad(batch.square().sum() / 3, rows)
            gradients.append(gradient)
    assert torch.cat(drawn).equal(torch.rand(6, generator=torch.Generator().manual_seed(0)))
    assert sums == [15.0] * 3
    assert all(batch.equal(whole) for batch in batches)
    assert torch.cat(gradients).allclose(2 * whole)
    assert [rows.tolist() for rows in changed] == [whole.tolist()]
    assert distributed.part().count == 1
