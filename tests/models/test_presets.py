from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dimcli.core.config import with_overrides, write_config
from dimcli.models.config import RunConfig
from dimcli.models.dim.config import preset
from dimcli.models.names import PRESETS
from dimcli.models.registry import build_model, methods, read_config
from dimcli.models.registry import method as method_named
from dimcli.training.methods import prior_preset

TWO_STAGE = ("codetalker", "meshtalk")
METHODS = [name for name in methods(trained=True) if name != "dim"]
TRAINED = ("rlhg", "l2l", "elp", "faceformer", "codetalker", "meshtalk")


def baseline_preset(preset_name: str, name: str) -> RunConfig:
    return method_named(name).preset(preset_name)


def size(config: RunConfig) -> tuple[int, int]:
    """Parameters that train, and all."""
    with torch.device("meta"):
        model = build_model(with_overrides(config, {"data.audio_dim": 32}))
    counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(count for count, trains in counts if trains), sum(count for count, _ in counts)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("method", TRAINED)
def test_every_preset_of_dim_is_one_of_every_baseline(name: str, method: str) -> None:
    trains, whole = size(baseline_preset(name, method))
    assert 0 < trains <= whole


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        rlhg = build_model(with_overrides(baseline_preset("paper", "rlhg"), {"data.audio_dim": 45}))
        l2l = build_model(with_overrides(baseline_preset("paper", "l2l"), {"data.audio_dim": 512}))
    shapes = {name: tuple(p.shape) for name, p in [*rlhg.named_parameters()]}
    assert shapes["recurrent.weight_ih_l0"] == (4 * 96, 192)
    assert shapes["recurrent.weight_hh_l1"] == (4 * 96, 96)
    assert shapes["fuse.1.weight"] == (192, 45 + 56)
    shapes = {name: tuple(p.shape) for name, p in l2l.named_parameters()}
    assert shapes["vq.parts.whole.quantizer.codebook"] == (200, 256)
    assert shapes["head.weight"] == (200, 200)
    assert not any(name.startswith("predictor.5") for name in shapes)


def test_the_published_sizes_of_speakers() -> None:
    with torch.device("meta"):
        codetalker, meshtalk = (
            build_model(with_overrides(baseline_preset("paper", method), {"data.audio_dim": 128}))
            for method in ("codetalker", "meshtalk")
        )
    shapes = {name: tuple(p.shape) for name, p in codetalker.named_parameters()}
    assert shapes["prior.quantizer.codebook"] == (256, 128)
    assert shapes["prior.to_codes.weight"] == (8 * 128, 1024)
    assert "layers.11.aligned.weight" in shapes and "layers.12.aligned.weight" not in shapes
    shapes = {name: tuple(p.shape) for name, p in meshtalk.named_parameters()}
    assert shapes["prior.to_logits.weight"] == (64 * 128, 256)
    assert shapes["context.0.own.weight"] == (64 * 64, 64 * 128)


@pytest.mark.parametrize("method", TWO_STAGE)
def test_a_first_stage_has_the_sizes_of_its_second(method: str) -> None:
    first, whole = prior_preset("small", method), baseline_preset("small", method)
    assert (
        first.stage == "prior"
        and first.training.steps == preset("small", "train-vq").training.steps
    )
    assert replace(first, stage="train", training=whole.training) == whole
    assert prior_preset("paper", method).training == baseline_preset("paper", method).training


@pytest.mark.parametrize("method", ["l2l", "elp"])
@pytest.mark.parametrize("name", ["small", "table", "tiny"])
def test_outside_the_papers_sizes_codes_are_those_of_dims_own_vq_vae(
    name: str, method: str
) -> None:
    assert baseline_preset(name, method).vq == preset(name, "train-vq").vq


@pytest.mark.parametrize("method", METHODS)
def test_a_runs_file_has_the_methods_settings_and_no_others(method: str, tmp_path: Path) -> None:
    config = baseline_preset("small", method)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config
    text = (tmp_path / "config.yaml").read_text()
    kind = method.partition("-")[0]
    assert f"kind: {kind}\n" in text
    sections = {line[:-1] for line in text.splitlines() if line.endswith(":")}
    assert kind in sections
    assert not sections & ({"dim", "rlhg", "l2l", "elp", "nearest"} - {kind})
