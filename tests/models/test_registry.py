from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dimcli.core.errors import InputError
from dimcli.core.tensors import read_tensors, save_tensors
from dimcli.data.store import ClipStore
from dimcli.models.answers import load_predictor
from dimcli.models.registry import method_of_kind, methods
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import train_vq
from tests.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return make_store(tmp_path_factory.mktemp("made") / "data")


@pytest.mark.parametrize("name", sorted({*methods("listener", untrained=True)} - {"oracle"}))
def test_untrained_methods_answer_by_name(store: ClipStore, name: str) -> None:
    clip = store.load(store.clips("test")[0])
    answer = load_predictor(name, store).predict(clip.stimulus(), 0)
    assert (len(answer), answer.fps, answer.space) == (len(clip), 25.0, "arkit")


def test_an_unknown_name_lists_the_known_ones(store: ClipStore) -> None:
    with pytest.raises(InputError, match=r"listener-small.*without training: mean, random"):
        load_predictor("nobody", store)


def test_weights_trained_on_other_data_are_refused_by_name(store: ClipStore) -> None:
    with pytest.raises(InputError, match=r"5 wide.*listener-small as 'mel' .32 wide"):
        load_predictor("listener-small", store)


def test_a_run_without_its_training_data_is_refused_by_name(
    store: ClipStore, tmp_path: Path
) -> None:
    options = MethodOptions(preset="tiny", device="cpu")
    train_method(store.root, tmp_path / "run", "nearest-audio", options)
    path = tmp_path / "run" / "model.safetensors"
    tensors = read_tensors(path)
    del tensors["features"]
    save_tensors(tensors, path)
    with pytest.raises(InputError, match=r"model\.safetensors: lacks features"):
        load_predictor(tmp_path / "run", store)


def test_a_run_s_method_is_found_without_importing_the_others() -> None:
    code = (
        "import sys; from dimcli.models.registry import method_of_kind as of;"
        "print(of('vq') is of('dim'), 'dimcli.models.codetalker' in sys.modules,"
        "of('nearest').kind)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "nearest"]


def test_a_kind_that_is_none_lists_every_kind() -> None:
    with pytest.raises(InputError, match=r"^kind is 'mean'; .*codetalker.*nearest.*vq"):
        method_of_kind("mean")


def test_a_run_that_makes_no_listeners_is_refused(store: ClipStore, tmp_path: Path) -> None:
    options = MethodOptions(preset="tiny", device="cpu", steps=2)
    train_vq(store.root, tmp_path / "vq", "listener", options)
    with pytest.raises(InputError, match="a listener VQ-VAE run; expected a run of `dim pretrain`"):
        load_predictor(tmp_path / "vq", store)
