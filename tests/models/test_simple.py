from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from dimcli.core.errors import InputError
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.models.simple import MeanPredictor, MirrorPredictor, Oracle, RandomPredictor
from tests.evaluation.plain_metrics import fit_clusters, plain_scores

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    root = tmp_path_factory.mktemp("synthetic") / "data"
    write_synthetic(root, conversations=8, recipe=Recipe(seed=5))
    return ClipStore(root)


def predictors(store: ClipStore) -> dict[str, Predictor]:
    return {
        "mean": MeanPredictor.fit(store, "listener"),
        "random": RandomPredictor.fit(store, "listener"),
        "mirror": MirrorPredictor(),
        "oracle": Oracle.fit(store),
    }


@pytest.fixture(scope="module")
def scores(store: ClipStore) -> dict[str, dict[str, dict[str, float]]]:
    clips = [store.load(record) for record in store.clips("val") + store.clips("test")]
    truth = [clip.listener for clip in clips]
    speaker = [clip.speaker for clip in clips]
    clusters = fit_clusters(truth)
    return {
        name: plain_scores(
            truth, [one.predict(clip.stimulus(), 0) for clip in clips], speaker, clusters
        )
        for name, one in predictors(store).items()
    }


@pytest.mark.parametrize("part", ["expression", "pose"])
@pytest.mark.parametrize("figure", ["fd", "p_fd"])
@pytest.mark.parametrize("other", ["mean", "random", "mirror"])
def test_the_oracle_beats_every_predictor_that_ignores_the_rule(
    scores: dict[str, dict[str, dict[str, float]]], part: str, figure: str, other: str
) -> None:
    assert scores["oracle"][part][figure] < 0.9 * scores[other][part][figure]


def test_predictions_have_the_clips_length_rate_and_space(store: ClipStore) -> None:
    record = store.clips("test")[0]
    clip = store.load(record, 30, 91)
    for predictor in predictors(store).values():
        motion = predictor.predict(clip.stimulus(), 0)
        assert (len(motion), motion.fps, motion.space) == (61, clip.listener.fps, "arkit")


def test_random_and_oracle_draw_anew_by_seed_and_again_by_the_same(store: ClipStore) -> None:
    clip = store.load(store.clips("test")[0])
    for name in ("random", "oracle"):
        predictor = predictors(store)[name]
        first = predictor.predict(clip.stimulus(), 0).values
        np.testing.assert_array_equal(first, predictor.predict(clip.stimulus(), 0).values)
        assert np.abs(first - predictor.predict(clip.stimulus(), 1).values).max() > 0.05


def test_the_oracle_does_not_repeat_the_truth(store: ClipStore) -> None:
    clip = store.load(store.clips("test")[0])
    predicted = Oracle.fit(store).predict(clip.stimulus(), 0)
    assert np.abs(predicted.values - clip.listener.values).max() > 0.1


def test_a_part_of_a_clip_gets_that_part_of_the_oracles_answer(store: ClipStore) -> None:
    record = store.clips("test")[1]
    whole = Oracle.fit(store).predict(store.load(record).stimulus(), 0).values
    part = Oracle.fit(store).predict(store.load(record, 40, 80).stimulus(), 0).values
    np.testing.assert_array_equal(part, whole[40:80])


def test_the_oracle_refuses_data_it_does_not_know(store: ClipStore, tmp_path: Path) -> None:
    write_synthetic(
        tmp_path / "data", conversations=1, recipe=Recipe(seed=1, conversation_s=3, clip_s=3)
    )
    header = tmp_path / "data" / "dataset.yaml"
    content = yaml.safe_load(header.read_text())
    content["made_by"]["recipe"] = "0123"
    header.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="another version"):
        Oracle.fit(ClipStore(tmp_path / "data"))
    content["made_by"] = {"prepare": "vico"}
    header.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="not synthetic"):
        Oracle.fit(ClipStore(tmp_path / "data"))
