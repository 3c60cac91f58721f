"""Whole methods trained with one call, tiny, on made data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.store import ClipStore
from dimcli.models.answers import load_predictor
from dimcli.training.loop import Progress
from dimcli.training.methods import MethodOptions, train_method
from tests.stores import make_store
from tests.training.runs import InterruptedRunError, files_of, options, train_and_kill

pytestmark = pytest.mark.slow

TRAINED = ("rlhg", "l2l", "elp", "dim")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a run of every method."""
    folder = tmp_path_factory.mktemp("methods")
    make_store(folder / "data")
    for method in (*TRAINED, "nearest-audio", "nearest-motion"):
        train_method(folder / "data", folder / method, method, options())
    return folder


@pytest.mark.parametrize("method", [*TRAINED, "nearest-audio", "nearest-motion"])
def test_a_trained_methods_run_answers_a_stimulus(folder: Path, method: str) -> None:
    store = ClipStore(folder / "data")
    clip = store.load(store.clips("test")[0])
    predictor = load_predictor(folder / method, store)
    answer = predictor.predict(clip.stimulus(), 3)
    assert (len(answer), answer.fps, answer.space) == (len(clip), clip.speaker.fps, "arkit")
    assert bool(np.isfinite(answer.values).all())
    np.testing.assert_array_equal(answer.values, predictor.predict(clip.stimulus(), 3).values)


@pytest.mark.parametrize(
    ("method", "steps_before_the_kill"), [("rlhg", 3), ("l2l", 3), ("elp", 7), ("dim", 11)]
)
def test_the_same_command_after_a_kill_ends_in_the_bytes_of_an_uninterrupted_run(
    folder: Path, tmp_path: Path, method: str, steps_before_the_kill: int
) -> None:
    run = tmp_path / "run"
    train_and_kill(folder / "data", run, method, steps_before_the_kill)
    assert files_of(run) != files_of(folder / method)
    train_method(folder / "data", run, method, options(resume=True))
    assert files_of(run) == files_of(folder / method)
    train_method(folder / "data", run, method, options(resume=True))
    assert files_of(run) == files_of(folder / method)


def test_a_forced_run_takes_nothing_over_from_the_one_it_replaces(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_method(folder / "data", run, "l2l", options(seed=5))

    def kill(progress: Progress) -> None:
        if (run / "vq_listener" / "model.safetensors").exists():
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train_method(folder / "data", run, "l2l", options(force=True, progress=kill))
    assert not (run / "model.safetensors").exists()
    train_method(folder / "data", run, "l2l", options(resume=True))
    assert files_of(run) == files_of(folder / "l2l")


def test_a_forced_run_that_fails_before_its_first_weights_leaves_the_old_one(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_method(folder / "data", run, "l2l", options(seed=5))
    (run / "notes.txt").write_text("mine")
    before = files_of(run)

    def fail(progress: Progress) -> None:
        assert not (run / "model.safetensors").exists()
        raise InterruptedRunError

    for method in ("l2l", "elp"):  # elp has another first stage
        with pytest.raises(InterruptedRunError):
            train_method(folder / "data", run, method, options(force=True, progress=fail))
        assert files_of(run) == before
        assert sorted(path.name for path in run.iterdir()) == sorted(
            {*(Path(name).parts[0] for name in before), "notes.txt"}
        )


@pytest.mark.parametrize("method", ["l2l", "elp"])
def test_a_trained_vq_vae_can_be_shared(folder: Path, tmp_path: Path, method: str) -> None:
    shared = options(vq_listener=folder / "dim" / "vq_listener")
    train_method(folder / "data", tmp_path / "run", method, shared)
    assert not (tmp_path / "run" / "vq_listener").exists()
    own = folder / method / "model.safetensors"
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == own.read_bytes()


def test_time_that_runs_out_in_an_early_stage_leaves_the_rest_for_later(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = train_method(folder / "data", run, "elp", options(max_minutes=1e-5))
    assert result.reason == "minutes"
    assert not (run / "config.yaml").exists()
    assert train_method(folder / "data", run, "elp", options(resume=True)).reason == "steps"
    assert files_of(run) == files_of(folder / "elp")


def test_settings_reach_the_stage_they_are_for(folder: Path, tmp_path: Path) -> None:
    settings = {"training.validate_every": 2, "l2l.layers": 2, "vq.codebook_size": 12}
    chosen = MethodOptions(preset="tiny", device="cpu", steps=2, overrides=settings)
    train_method(folder / "data", tmp_path / "run", "l2l", chosen)
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "layers: 2" in text
    assert "codebook_size: 12" in text
    assert "elp:" not in text
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 2]


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("l3l", {}, "--method is 'l3l'; expected one of codetalker, dim, "),
        ("rlhg", {"preset": "huge"}, "preset is 'huge'; expected one of paper"),
        ("rlhg", {"overrides": {"elp.width": 3}}, "no section 'elp'"),
        ("elp", {"overrides": {"elp.width": 15}}, "elp.heads is 2; it must divide elp.width 15"),
    ],
)
def test_what_is_wrong_is_said_before_a_folder_is_made(
    folder: Path, tmp_path: Path, method: str, change: dict[str, object], message: str
) -> None:
    wrong = MethodOptions(**{"preset": "tiny", "device": "cpu", **change})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        train_method(folder / "data", tmp_path / "run", method, wrong)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="exists; give another"):
        train_method(folder / "data", folder / "rlhg", "rlhg", options())
