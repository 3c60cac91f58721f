"""What stages, data sets and runs must have in common is compared before anything trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation
from dimcli.jobs.generate import Listener
from dimcli.jobs.paper_tables import run_table
from dimcli.jobs.table_plan import TableOptions
from dimcli.models.answers import load_predictor
from dimcli.models.checkpoint import load_dim
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import finetune, pretrain, train_vq
from tests.stores import FPS, make_store
from tests.training import runs


def options(**settings: object) -> MethodOptions:
    """A step a stage."""
    return replace(runs.options(**settings), steps=1)


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"fps": 5.0}, "5 frames a second, .* 25; prepare .* with --fps 5, or .* at 25"),
    "space": ({"space": "flame"}, "'flame' space, .* of 'arkit'; prepare .* --tracker landmarks"),
    "encoder": ({"encoder": "hubert"}, r"'hubert' \(5 wide\), .* as 'mel' \(5 wide\); .*mel"),
    "width": ({"audio_dim": 7}, r"'mel' \(7 wide\), .* as 'mel' \(5 wide\); prepare"),
}  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of each kind, and a pre-trained run on the first of them."""
    folder = tmp_path_factory.mktemp("chain")
    make_store(folder / "data")
    for name, (facts, _) in DIFFERENT.items():
        make_store(folder / name, **facts)
    make_store(folder / "silent", encoder="none", audio_dim=1)
    for role in ("speaker", "listener"):
        train_vq(folder / "data", folder / role, role, options())
    pretrain(folder / "data", folder / "pre", folder / "speaker", folder / "listener", options())
    return folder


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_differs_is_told_by_every_command_that_chains_before_a_folder_is_made(
    chain: Path, tmp_path: Path, kind: str
) -> None:
    other, said, run = chain / kind, DIFFERENT[kind][1], tmp_path / "run"

    def refused(command: Callable[[], Any]) -> None:
        with pytest.raises(InputError, match=said) as raised:
            command()
        assert len(str(raised.value)) - 2 * len(str(chain)) < 240
        assert not run.exists()

    refused(lambda: finetune(other, run, chain / "pre", "listener", options()))
    refused(lambda: train_method(other, run, "dim", options(pretrain_data=chain / "data")))
    refused(lambda: train_method(other, run, "dim", options(pretrained=chain / "pre")))
    table = TableOptions(
        table="1", dataset=None, output=run, data=other, pretrain_data=chain / "data"
    )
    refused(lambda: run_table(table))
    if kind in ("rate", "space"):
        vq = chain / "speaker", chain / "listener"
        refused(lambda: pretrain(other, run, *vq, options()))
        refused(lambda: train_method(other, run, "l2l", options(vq_listener=vq[1])))


def test_a_model_that_hears_goes_on_without_sound_and_says_so(chain: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = tmp_path / "run"
    finetune(chain / "silent", run, chain / "pre", "listener", options(remark=said.append))
    assert len(said) == 1 and "has no sound: the model gets zeros, 5 wide as 'mel'" in said[0]
    config, _ = load_dim(run)
    assert (config.data.audio_encoder, config.data.audio_dim) == ("mel", 5)
    assert not config.hears

    # it answers the same whatever is heard, on data with sound and without
    store = make_store(tmp_path / "data")
    clip = store.load(store.clips("test")[0])
    silent = make_store(tmp_path / "mute", encoder="none", audio_dim=1)
    seen = [
        load_predictor(run, each).predict(each.load(each.clips("test")[0]).stimulus(), 3).values
        for each in (store, silent)
    ]
    assert clip.speaker.values.shape == seen[0].shape
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    answers = [
        Listener.load(run).listen(clip.speaker, sound, seed=1).values
        for sound in (noise, 0 * noise)
    ]
    np.testing.assert_array_equal(*answers)
    result = run_evaluation(EvaluationOptions(data=silent.root, weights=[str(run)], bootstrap=0))
    assert any("has no sound" in note for note in result.tables[0].notes)
    # and the other way round nobody guesses what to hear
    train_vq(silent.root, tmp_path / "vq", "listener", options())
    pretrain_mute = tmp_path / "pre"
    train_vq(silent.root, tmp_path / "vqs", "speaker", options())
    pretrain(silent.root, pretrain_mute, tmp_path / "vqs", tmp_path / "vq", options())
    with pytest.raises(InputError, match=r"prepare .* with --audio none"):
        finetune(chain / "data", tmp_path / "no", pretrain_mute, "listener", options())


def test_a_baseline_that_was_first_trained_with_sound_goes_on_without(
    chain: Path, tmp_path: Path
) -> None:
    train_method(chain / "data", tmp_path / "before", "rlhg", options())
    said: list[str] = []
    last = options(init=tmp_path / "before", remark=said.append)
    train_method(chain / "silent", tmp_path / "run", "rlhg", last)
    assert "has no sound" in said[0]
    silent = make_store(tmp_path / "mute", encoder="none", audio_dim=1)
    clip = silent.load(silent.clips("test")[0])
    answer = load_predictor(tmp_path / "run", silent).predict(clip.stimulus(), 0)
    assert len(answer) == len(clip)


def test_an_evaluation_without_weights_leaves_out_the_bundled_ones_where_they_do_not_fit(
    tmp_path: Path,
) -> None:
    make_store(tmp_path / "data", fps=30.0, space="flame")
    result = run_evaluation(EvaluationOptions(data=tmp_path / "data", bootstrap=0))
    names = [method.name for method in result.evaluation.methods]
    assert names[0] == "mean" and "listener-small" not in names
    note = result.tables[0].notes[0]
    assert note.startswith("Left out listener-small: ") and "frames a second" in note
    assert FPS != 30.0
