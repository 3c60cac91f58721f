"""``dim weights import`` of what the photoreal renderer takes from others."""

from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Dim
from tests.renderers.trained.published_network import random_weights


def test_a_published_checkpoint_is_imported_once(
    dim: Dim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    file = tmp_path / "checkpoint.pt"
    torch.save({"net_G_ema": random_weights(), "current_epoch": 190}, file)
    ended = dim("weights", "import", "pirender", file)
    assert ended.code == 0, ended.err
    assert (tmp_path / "home" / "pirender.safetensors").stat().st_size > 70e6
    again = dim("weights", "import", "pirender", file)
    assert again.code == 2 and "--force" in again.err


def test_a_file_of_another_kind_is_refused_in_one_line(
    dim: Dim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    file = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(2)}, file)
    for kind, fault in (("pirender", "not PIRenderer's published weights"), ("vgg19", "VGG-19")):
        ended = dim("weights", "import", kind, file)
        assert ended.code == 2
        assert "other.pt" in ended.err and fault in ended.err
        assert len(ended.err.strip().splitlines()) == 1
