from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Stimulus
from dimcli.data.store import ClipStore
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.scores import Figure
from tests.evaluation.plain_metrics import fit_clusters, plain_scores
from tests.stores import make_split


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return make_split(tmp_path_factory.mktemp("split") / "data", clips=8)


@dataclass(frozen=True)
class Near:
    """The truth with noise: a predictor that cheats, as only a test can."""

    store: ClipStore
    noise: float

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        record = next(one for one in self.store.records if one.id == stimulus.id)
        values = self.store.load(record).listener.values
        random = np.random.default_rng([seed, record.start])
        return stimulus.motion(values + random.normal(0, self.noise, values.shape))


class Spy:
    """Remembers all it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[Stimulus, int]] = []

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        self.seen.append((stimulus, seed))
        return stimulus.speaker


def test_figures_are_those_of_the_metrics_on_the_same_clips(store: ClipStore) -> None:
    found = evaluate(store, "test", {"near": Near(store, 0.1)}, seed=3).methods[0].figures
    clips = [store.load(record) for record in store.clips("test")]
    answers = [Near(store, 0.1).predict(clip.stimulus(), 3) for clip in clips]
    truth = [clip.listener for clip in clips]
    expected = plain_scores(truth, answers, [clip.speaker for clip in clips], fit_clusters(truth))
    for part, scores in expected.items():
        for name, value in scores.items():
            assert found[part][name].value == pytest.approx(value, rel=1e-9), (part, name)


def test_a_method_sees_every_stimulus_once_a_sample_and_never_a_listener(store: ClipStore) -> None:
    spy = Spy()
    evaluate(store, "test", {"spy": spy}, samples=3, seed=5)
    ids = [record.id for record in store.clips("test")]
    assert [(one.id, seed) for one, seed in spy.seen] == [(i, s) for i in ids for s in (5, 6, 7)]
    listeners = [store.load(record).listener.values for record in store.clips("test")]
    for stimulus, _ in spy.seen:
        held = [v for v in vars(stimulus).values() if isinstance(v, np.ndarray | Motion)]
        for one in held:
            values = one.values if isinstance(one, Motion) else one
            assert not any(np.array_equal(values, truth) for truth in listeners)


def test_samples_give_a_mean_and_a_standard_deviation(store: ClipStore) -> None:
    near = {"near": Near(store, 0.1)}
    alone = [evaluate(store, "test", near, seed=s).methods[0].figures["pose"] for s in (0, 1, 2)]
    mean = evaluate(store, "test", near, samples=3).methods[0].figures["pose"]["mse"]
    values = [figures["mse"].value for figures in alone]
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.std == pytest.approx(np.std(values, ddof=1))
    assert alone[0]["mse"].std is None


def test_intervals_over_trainings_cover_what_another_training_would_give(store: ClipStore) -> None:
    @dataclass(frozen=True)
    class Trained:
        """Three trainings that differ, two samples of each; within one, samples are alike."""

        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            values = np.zeros((len(stimulus), 56), np.float32)
            return stimulus.motion(values + (0.2, 0.5, 0.9)[seed // 2])

    def mse(trainings: int) -> Figure:
        found = evaluate(store, "test", {"it": Trained()}, samples=6, trainings=trainings)
        assert found.trainings == trainings
        return found.methods[0].figures["pose"]["mse"]

    alone = [
        evaluate(store, "test", {"it": Trained()}, seed=seed).methods[0].figures["pose"]["mse"]
        for seed in (0, 2, 4)
    ]
    one, three = mse(1), mse(3)
    assert one.value == three.value == pytest.approx(np.mean([each.value for each in alone]))
    assert None not in (one.low, one.high, three.low, three.high)
    assert alone[0].value < one.low and one.high < alone[2].value
    # of three trainings drawn with replacement, one in 27 draws has the first only
    assert three.low < alone[0].high and three.high > alone[2].low


def test_an_interval_of_a_mean_is_as_wide_as_theory_says(store: ClipStore) -> None:
    figure = evaluate(store, "test", {"spy": Spy()}, bootstrap=4000).methods[0].figures["pose"]
    own = []
    for record in store.clips("test"):
        clip = store.load(record)
        own.append(np.mean((clip.speaker.values - clip.listener.values)[:, :6] ** 2))
    half = 1.96 * np.std(own) / math.sqrt(len(own))
    mse = figure["mse"]
    assert mse.low is not None and mse.high is not None
    assert (mse.high - mse.low) / 2 == pytest.approx(half, rel=0.1)
    assert mse.low < mse.value < mse.high


def test_paired_differences_find_what_intervals_alone_do_not(store: ClipStore) -> None:
    # Two methods a little apart, on clips that differ far more from each other.
    better, worse = Near(store, 0.10), Near(store, 0.11)
    found = evaluate(store, "test", {"a": better, "b": worse, "c": better}, reference="a")
    differences = {method.name: method.differences for method in found.methods}
    assert differences["a"] is None
    assert differences["b"] is not None and differences["c"] is not None
    mse = differences["b"]["expression"]["mse"]
    assert mse.value == pytest.approx(0.11**2 - 0.10**2, rel=0.2)
    assert mse.excludes_zero
    assert differences["c"]["expression"]["mse"].value == 0.0
    assert not differences["c"]["expression"]["mse"].excludes_zero


def test_a_difference_in_diversity_is_of_the_gaps_to_the_truth(store: ClipStore) -> None:
    still = Spy()
    still.predict = lambda stimulus, seed: stimulus.motion(  # type: ignore[method-assign]
        np.zeros((len(stimulus), 56), np.float32)
    )
    found = evaluate(store, "test", {"near": Near(store, 0.01), "still": still}, reference="near")
    truth, near, worse = found.truth["pose"], *(m.figures["pose"] for m in found.methods)
    expected = abs(worse["var"].value - truth["var"].value) - abs(
        near["var"].value - truth["var"].value
    )
    differences = found.methods[1].differences
    assert differences is not None
    assert differences["pose"]["var"].value == pytest.approx(expected)
    assert worse["var"].value < near["var"].value and expected > 0


def test_the_same_seed_gives_the_same_evaluation(store: ClipStore) -> None:
    def run(seed: int) -> str:
        near = {"near": Near(store, 0.1)}
        return json.dumps(evaluate(store, "test", near, seed=seed, samples=2).as_dict())

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_the_official_protocol_takes_the_best_of_ten_by_the_truth(store: ClipStore) -> None:
    @dataclass(frozen=True)
    class Lucky:
        """Right with one seed only."""

        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            return Near(store, 0.001 if seed == 6 else 1.0).predict(stimulus, seed)

    found = evaluate(store, "test", {"lucky": Lucky()}, protocol="official")
    assert found.samples == 10 and found.resamples == 0
    figures = found.methods[0].figures["pose"]
    assert figures["mse"].value < 1e-5
    assert figures["mse"].low is None
    assert {"sid_pooled", "var_pooled", "sts"} < set(figures)
    honest = evaluate(store, "test", {"lucky": Lucky()}).methods[0].figures["pose"]
    assert honest["mse"].value > 0.5


def test_conversations_can_be_drawn_instead_of_clips(tmp_path: Path) -> None:
    store = make_split(tmp_path / "data", clips=8, clips_a_conversation=4)
    spread = {}
    for unit in ("clip", "conversation"):
        found = evaluate(store, "test", {"spy": Spy()}, unit=unit, bootstrap=500)
        assert (found.clips, found.conversations) == (8, 2)
        figure = found.methods[0].figures["pose"]["mse"]
        assert figure.low is not None and figure.high is not None
        spread[unit] = (figure.low, figure.high)
    assert spread["clip"] != spread["conversation"]


def test_one_clip_has_no_interval(tmp_path: Path) -> None:
    store = make_split(tmp_path / "data", clips=1)
    found = evaluate(store, "test", {"spy": Spy()})
    assert found.resamples == 0
    assert found.methods[0].figures["pose"]["fd"].low is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "val"}, "the val split is empty"),
        ({"predictors": {}}, "nothing to evaluate"),
        ({"protocol": "best"}, "protocol 'best' is unknown; known: paper, official"),
        ({"unit": "frame"}, "known: clip, conversation"),
        ({"reference": "DIM"}, "reference 'DIM' is not evaluated; there are spy"),
        ({"protocol": "official", "reference": "spy"}, "has no intervals"),
    ],
)
def test_what_cannot_be_evaluated_is_said(store: ClipStore, change: dict, message: str) -> None:
    arguments = {"split": "test", "predictors": {"spy": Spy()}} | change
    with pytest.raises(InputError, match=message):
        evaluate(store, arguments.pop("split"), arguments.pop("predictors"), **arguments)


def test_an_answer_of_another_length_or_rate_is_refused(store: ClipStore) -> None:
    class Short:
        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            return Motion(stimulus.seen.values[:-1], fps=25.0, space="arkit")

    class Fast:
        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            return replace(stimulus.speaker, fps=30.0)

    with pytest.raises(InputError, match=r"short: answered clip .* with 59 frames"):
        evaluate(store, "test", {"short": Short()})
    with pytest.raises(InputError, match=r"fast: answered clip .* at 30 fps"):
        evaluate(store, "test", {"fast": Fast()})
