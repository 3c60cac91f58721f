from __future__ import annotations


import pytest

from dimcli.data.store import ClipStore
from dimcli.errors import InputError
from dimcli.methods import UNTRAINED, load_predictor
from tests.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return make_store(tmp_path_factory.mktemp("made") / "data")


@pytest.mark.parametrize("name", [name for name in UNTRAINED if name != "oracle"])
def test_untrained_methods_answer_by_name(store: ClipStore, name: str) -> None:
    clip = store.load(store.clips("test")[0])
    answer = load_predictor(name, store).predict(clip.stimulus(), 0)
    assert (len(answer), answer.fps, answer.space) == (len(clip), 25.0, "arkit")


def test_an_unknown_name_lists_the_known_ones(store: ClipStore) -> None:
    with pytest.raises(InputError, match=r"listener-small.*without training: mean, random"):
        load_predictor("nobody", store)


def test_weights_trained_on_other_data_are_refused_by_name(store: ClipStore) -> None:
    with pytest.raises(InputError, match=r"listener-small: trained at audio_dim 32; .* has 5"):
        load_predictor("listener-small", store)
