from pathlib import Path

import pytest
import torch

from dimcli.checkpoint import build_model
from dimcli.config import PRESETS, preset, read_config, with_overrides, write_config
from dimcli.errors import InputError

PARAMETERS = {
    ("paper", "vq"): 20_000_000,
    ("official", "vq"): 21_600_000,
    ("small", "vq"): 816_000,
    ("tiny", "vq"): 50_000,
}
"""Stated sizes of the VQ-VAE of one role; the dyadic models are checked below."""


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("stage", ["train-vq", "pretrain", "finetune"])
def test_every_preset_builds_in_every_stage(name: str, stage: str) -> None:
    config = with_overrides(preset(name, stage), {"data.audio_dim": 32})
    with torch.device("meta"):
        model = build_model(config)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count > 0
    print(name, stage, count)


def test_a_configuration_survives_yaml(tmp_path: Path) -> None:
    config = with_overrides(preset("official", "pretrain"), {"training.learning_rate": "1e-5"})
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config


def test_an_unknown_key_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    write_config(preset("tiny", "finetune"), tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text().replace("mask_ratio:", "mask_ration:")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mask_ration.*known: .*mask_ratio"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dim.mask_ratio", 1.5, "dim.mask_ratio is 1.5; expected between 0 and 1"),
        ("dim.joint", "sideways", "expected one of feature, time"),
        ("vq.heads", 7, "must divide"),
        ("training.steps", "many", "expected int"),
        ("dim.colour", 1, "known: .*width"),
        ("paint.colour", 1, "no section 'paint'"),
    ],
)
def test_a_bad_setting_is_named(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_overrides(preset("tiny", "finetune"), {key: value})


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(InputError, match="expected one of paper, official, small, tiny"):
        preset("large", "finetune")
