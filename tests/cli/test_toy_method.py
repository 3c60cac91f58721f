"""A new method is one file: it is trained, evaluated and listed, and nothing else names it."""

import json
from pathlib import Path

import pytest

import dimcli.models
from dimcli.models import registry
from tests.cli.conftest import Dim
from tests.stores import make_store

TOY = '''
"""Toy: the listener's mean, moved by the speaker's loudness."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from dimcli.models.baseline import TINY_TRAINING, BaselineRun, ListenerBaseline, motion_loss
from dimcli.models.registry import Method, register


@dataclass(frozen=True)
class ToyConfig:
    gain: float = 1.0
    """How much of the audio is heard."""


@dataclass(frozen=True)
class ToyRun(BaselineRun):
    kind: str = "toy"
    toy: ToyConfig = field(default_factory=ToyConfig)


class Toy(ListenerBaseline):
    config: ToyRun

    def __init__(self, config):
        super().__init__(config)
        self.linear = nn.Linear(config.data.audio_dim, 56)

    def forward(self, audio):
        return self.linear(self.config.toy.gain * audio)

    def objective(self, batch, step, generator, training):
        motion, audio = self.speaker_inputs(batch.motion["speaker"], batch.audio)
        target = self.standardise(batch.motion["listener"])
        error, loss = motion_loss(target, self(audio), batch.mask, 0.0)
        return loss, {"loss": loss, "error": error}

    def respond(self, motion, audio, attitude, generator, temperature):
        return self.unstandardise(self(audio))


PRESETS = {name: ToyRun(training=TINY_TRAINING) for name in ("paper", "small", "table", "tiny")}
register(Method("toy", ("listener",), presets=PRESETS, build=Toy, resumes_from=True))
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The toy method's file in a folder of its own, beside the others'."""
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "toy_method.py").write_text(TOY)
    monkeypatch.setattr(dimcli.models, "__path__", [*dimcli.models.__path__, str(folder)])
    yield
    registry._METHODS.pop("toy", None)


def test_a_method_in_one_file_is_trained_evaluated_and_listed(
    toy, dim: Dim, tmp_path: Path
) -> None:
    make_store(tmp_path / "data")
    assert "toy" in registry.methods("listener", trained=True)
    ended = dim("train", "data", "--method", "nobody", "-o", "run")
    assert ended.code == 2
    assert "rlhg" in ended.err and "toy" in ended.err
    settings = ("--preset", "tiny", "--steps", 4, "--set", "toy.gain=0.5", "--device", "cpu")
    ended = dim("train", "data", "--method", "toy", "-o", "run", *settings)
    assert ended.code == 0, ended.err
    assert "gain: 0.5" in (tmp_path / "run" / "config.yaml").read_text()
    more = ("--init", "run", "-o", "more", *settings)
    assert dim("train", "data", "--method", "toy", *more).code == 0
    ended = dim("eval", "--data", "data", "--weights", "run", "--baseline", "mean", "--json")
    assert ended.code == 0, ended.err
    scores = json.loads(ended.out)
    assert [found["name"] for found in scores["methods"]] == ["run", "mean"]
