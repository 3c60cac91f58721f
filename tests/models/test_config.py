from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dimcli.core.config import from_dict, to_dict, with_overrides, write_config
from dimcli.core.errors import InputError
from dimcli.models.dim.config import preset
from dimcli.models.names import PRESETS
from dimcli.models.registry import build_model, method, methods, read_config

PARAMETERS = {
    "live": (563_048, 3_123_740, 2_296_974),
    "paper": (19_151_288, 114_842_096, 95_297_080),
    "released-sizes": (21_502_904, 101_143_664, 79_050_424),
    "small": (563_048, 3_139_420, 2_296_974),
    "speaker": (632_128, 2_765_470, 2_471_959),
    "table": (157_432, 823_772, 572_542),
    "tiny": (41_088, 116_972, 70_894),
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
    config = with_overrides(
        preset("released-sizes", "pretrain"), {"training.learning_rate": "1e-5"}
    )
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config


def test_an_unknown_key_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    write_config(preset("tiny", "finetune"), tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text().replace("mask_ratio:", "mask_ration:")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mask_ration.*known: .*mask_ratio"):
        read_config(tmp_path / "config.yaml")


def test_a_run_of_an_older_version_is_read_unless_it_used_what_is_gone(tmp_path: Path) -> None:
    config = preset("tiny", "finetune")
    document = to_dict(config)
    path = tmp_path / "config.yaml"
    document["dim"]["look_back"] = 0
    path.write_text(yaml.safe_dump(document))
    assert read_config(path) == config
    document["dim"]["look_back"] = 20
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match="unknown key look_back"):
        read_config(path)


def numbers(config: Any, *place: str) -> list[tuple[str, ...]]:
    """The places of every integer and float of a configuration."""
    found = []
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            found += numbers(value, *place, field.name)
        elif type(value) in (int, float):
            found.append((*place, field.name))
    return found


@pytest.mark.parametrize("name", methods(trained=True))
def test_every_number_of_a_run_has_a_range(name: str) -> None:
    config = method(name).preset("small")
    for *sections, field in numbers(config):
        for value in (float("nan"), float("inf"), -(10**12), 10**12, "many", None, [1], True):
            document = to_dict(config)
            section = document
            for part in sections:
                section = section[part]
            section[field] = value
            with pytest.raises(InputError, match=rf"{field} is ") as error:
                from_dict(type(config), document, "config.yaml")
            assert "\n" not in str(error.value)


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
        InputError, match="expected one of paper, released-sizes, small, live, speaker, table, tiny"
    ):
        preset("large", "finetune")
