from pathlib import Path

import pytest
import torch

from dimcli.core.config import with_overrides, write_config
from dimcli.core.errors import InputError
from dimcli.models.config import PRESETS
from dimcli.models.dim.config import preset
from dimcli.models.registry import build_model, read_config

PARAMETERS = {
    "paper": (19_151_288, 114_842_096, 95_297_080),
    "official": (21_502_904, 101_143_664, 79_050_424),
    "small": (563_048, 3_138_620, 2_296_174),
    "speaker": (632_128, 2_765_470, 2_471_959),
    "table": (157_432, 823_772, 572_542),
    "tiny": (41_088, 116_812, 70_734),
}
"""Parameters of one role's VQ-VAE, of the pre-trained and of the fine-tuned model (both with the
VQ-VAEs they need), for audio features of width 32."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_with_the_stated_number_of_parameters(name: str) -> None:
    found = []
    for stage, outputs in (("train-vq", "both"), ("pretrain", "both"), ("finetune", "listener")):
        settings = {"data.audio_dim": 32, "dim.outputs": outputs}
        config = with_overrides(preset(name, stage), settings)
        with torch.device("meta"):
            model = build_model(config)
        found.append(sum(parameter.numel() for parameter in model.parameters()))
    assert tuple(found) == PARAMETERS[name]


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
    with pytest.raises(
        InputError, match="expected one of paper, official, small, speaker, table, tiny"
    ):
        preset("large", "finetune")
