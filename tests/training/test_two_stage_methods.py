"""CodeTalker and MeshTalk, whole: two stages in one command, tiny, on made data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.store import ClipStore
from dimcli.models.answers import load_predictor
from dimcli.models.checkpoint import load_run
from dimcli.models.registry import read_config
from dimcli.models.speaker_baseline import TwoStageSpeaker
from dimcli.training.methods import MethodOptions, train_method
from tests.stores import make_store
from tests.training.runs import files_of, options, train_and_kill

pytestmark = pytest.mark.slow

TWO_STAGE = ("codetalker", "meshtalk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-stage")
    make_store(folder / "data")
    for method in TWO_STAGE:
        train_method(folder / "data", folder / method, method, options())
    return folder


@pytest.mark.parametrize("method", TWO_STAGE)
def test_one_command_trains_both_stages_and_the_run_says_speech(folder: Path, method: str) -> None:
    store = ClipStore(folder / "data")
    clip = store.load(store.clips("test")[0])
    predictor = load_predictor(folder / method, store, "speaker", "cpu")
    one, other = (predictor.predict(clip.stimulus("speaker"), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)
    assert (len(one), one.fps, one.space) == (len(clip), 25.0, "arkit")
    whole, prior = (load_run(run).model for run in (folder / method, folder / method / "prior"))
    assert isinstance(whole, TwoStageSpeaker)
    for name, tensor in whole.prior.state_dict().items():
        assert bool((tensor == prior.state_dict()[name]).all()), name
    lines = (folder / method / "prior" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 2, 4, 4]


@pytest.mark.parametrize("method", TWO_STAGE)
def test_neither_stage_listens_and_the_first_says_nothing(folder: Path, method: str) -> None:
    store = ClipStore(folder / "data")
    for run in (folder / method, folder / method / "prior"):
        with pytest.raises(InputError, match="generates speakers, not listeners"):
            load_predictor(run, store, "listener", "cpu")
    with pytest.raises(InputError, match=f"the first stage of {method}; give the run"):
        load_predictor(folder / method / "prior", store, "speaker", "cpu")


@pytest.mark.parametrize(
    ("method", "steps_before_the_kill"), [("codetalker", 3), ("meshtalk", 3), ("meshtalk", 7)]
)
def test_the_same_command_after_a_kill_ends_in_the_bytes_of_an_uninterrupted_run(
    folder: Path, tmp_path: Path, method: str, steps_before_the_kill: int
) -> None:
    run = tmp_path / "run"
    train_and_kill(folder / "data", run, method, steps_before_the_kill)
    assert files_of(run) != files_of(folder / method)
    train_method(folder / "data", run, method, options(resume=True))
    assert files_of(run) == files_of(folder / method)


@pytest.mark.parametrize(
    ("method", "setting", "message"),
    [
        ("codetalker", {"codetalker.components": 0}, "codetalker.components is 0; expected betw"),
        ("codetalker", {"codetalker.heads": 3}, "heads is 3; it and 2 must divide codetalker.wid"),
        ("codetalker", {"meshtalk.heads": 3}, "no section 'meshtalk'"),
        ("meshtalk", {"meshtalk.categories": 1}, "meshtalk.categories is 1; expected between 2"),
        ("meshtalk", {"training.batch_size": 1}, "training.batch_size is 1; expected between 2"),
        ("meshtalk", {"meshtalk.depth": 1}, "'meshtalk.depth' is unknown; known: categories, "),
    ],
)
def test_what_is_wrong_is_said_before_a_folder_is_made(
    folder: Path, tmp_path: Path, method: str, setting: dict[str, object], message: str
) -> None:
    wrong = MethodOptions(preset="tiny", device="cpu", overrides=setting)
    with pytest.raises(InputError, match=message):
        train_method(folder / "data", tmp_path / "run", method, wrong)
    assert not (tmp_path / "run").exists()


def test_a_first_stage_is_only_of_methods_that_have_two(folder: Path, tmp_path: Path) -> None:
    text = (folder / "codetalker" / "prior" / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("kind: codetalker", "kind: faceformer"))
    with pytest.raises(InputError, match=r"kind \(of stage prior\) is 'faceformer'; expected"):
        read_config(tmp_path / "config.yaml")
