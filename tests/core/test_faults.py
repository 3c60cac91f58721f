"""Files of others that lie about their size, go on for ever, or hold what nobody expects."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from dimcli.core import manifest
from dimcli.core.documents import (
    parse_json,
    parse_yaml,
    read_json,
    read_json_lines,
    read_yaml,
    whole_number,
)
from dimcli.core.errors import InputError
from dimcli.core.tensors import read_tensors
from dimcli.data.store import ClipStore
from dimcli.models.registry import read_config
from tests.stores import make_store

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deep"),
        ("[" * 900 + "]" * 900, "nested deeper than 32"),
        ("[" + "9" * 6000 + "]", "not JSON .an integer of 6000"),
        ("[123456789012345678901234567890]", "an integer of more than 64 bits"),
        ("{oh", "not JSON"),
    ],
)
def test_json_beyond_its_limits_is_an_error_of_the_file(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=f"a.json: {words}"):
        read_json(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deep"),
        ("a: 2020-13-45", "not YAML"),
        ("a: " + "9" * 6000, "an integer of 6000"),
        ("a: !!bool oh", "not YAML"),
        ("a: &a {x: 1}\nb: {<<: *a}", "merged"),
        ("a: &a [*a]", "nested deeper|parts"),
        (BOMB, "more than 5000000 parts"),
        ("a: " + "b" * 2_000_000, "larger than 1 MB"),
    ],
)
def test_yaml_beyond_its_limits_is_an_error_of_the_file(tmp_path, text, words):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"a.yaml: .*({words})") as error:
        read_yaml(path)
    assert len(str(error.value)) < 400


def test_a_whole_number_has_so_many_digits_and_nothing_else():
    assert [whole_number(text) for text in ("0", " 042 ", "9" * 18)] == [0, 42, 10**18 - 1]
    for text in ("", "-1", "+1", "1.0", "1_0", "0x1", "\u00b2", "9" * 19, "9" * 5000):
        assert whole_number(text) is None


def test_bytes_that_are_no_utf8_are_an_error_of_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b'{"a": "\xff"}')
    for reading in (read_json, read_yaml, lambda path: list(read_json_lines(path))):
        with pytest.raises(InputError, match="not UTF-8"):
            reading(tmp_path / "a")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_ordinary_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "a"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    for reading in (read_json, read_yaml, read_tensors, lambda path: list(read_json_lines(path))):
        with pytest.raises(InputError, match=f"is a {kind}"):
            reading(path)


def test_ordinary_documents_are_read(tmp_path):
    content = {"a": [1, -2.5, None, True, "b"], "c": {"d": 2**63}}
    assert parse_json(json.dumps(content), "x") == content
    assert parse_yaml(yaml.safe_dump(content), "x") == content
    assert parse_yaml("a: &a [1]\nb: *a", "x") == {"a": [1], "b": [1]}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("faults") / "data"
    make_store(root)
    return root


def changed(path: Path, **fields: object) -> str:
    before = path.read_text()
    path.write_text(yaml.safe_dump(yaml.safe_load(before) | fields))
    return before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("fps", value) for value in ([25], 1e9, float("nan"), 0, "x" * 5000, None)),
        *(("audio_dim", value) for value in (-1, 0, 10**12, 2.5)),
        ("space", "mars"),
        ("clips", {"train": "many"}),
        ("conversations", -(10**30)),
        ("hours", float("inf")),
    ],
)
def test_each_field_of_a_data_set_has_its_type_and_range(store, field, value):
    path = store / "dataset.yaml"
    before = changed(path, **{field: value})
    try:
        with pytest.raises(InputError, match=r"dataset.yaml: .*") as error:
            ClipStore(store)
        assert len(str(error.value)) < 400
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": -1},
        {"stop": 10**40},
        {"start": "0"},
        {"split": ["train"]},
        {"conversation": "../../other"},
        {"conversation": ""},
        {"attitude": None},
        {"extra": 1},
    ],
)
def test_each_field_of_a_clip_has_its_type_and_range(store, fields):
    path = store / "clips.jsonl"
    before = path.read_text()
    first, *rest = before.splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | fields), *rest]))
    try:
        with pytest.raises(InputError, match=r"clips.jsonl: line 1: "):
            ClipStore(store)
    finally:
        path.write_text(before)


def test_a_conversation_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    store = make_store(tmp_path / "data")
    path = tmp_path / "data/conversations/made-0.safetensors"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="no ordinary file"):
        store.load(store.records[0])


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("vq", "heads", 0),
        ("vq", "width", 10**7),
        ("vq", "layers", 10**6),
        ("dim", "audio_channels", 10**7),
        ("training", "learning_rate", float("nan")),
        ("training", "batch_size", [4]),
        ("data", "fps", float("inf")),
        ("data", "audio_dim", 10**12),
    ],
)
def test_each_field_of_a_run_has_its_type_and_range(tmp_path, section, field, value):
    import weights

    document = yaml.safe_load((weights.resolve("listener-small") / "config.yaml").read_text())
    document[section][field] = value
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=f"config.yaml: .*{field}"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, kind, value):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.tensor([1.0, value], dtype=kind)}, path)
    with pytest.raises(InputError, match=r"a.safetensors: a has NaN"):
        read_tensors(path)
    whole = {"a": torch.tensor([1.0, 2.0], dtype=kind), "b": torch.tensor([1])}
    save_file(whole, path)
    for name, tensor in read_tensors(path).items():
        assert tensor.equal(whole[name])


def test_a_manifest_nested_deep_is_damaged(tmp_path):
    (tmp_path / manifest.MANIFEST).write_text("[" * 100_000)
    with pytest.raises(InputError, match="damaged; delete it"):
        manifest.read(tmp_path)
