from __future__ import annotations

import numpy as np
import pytest

from dimcli.evaluation.clusters import Clusters
from dimcli.evaluation.metrics import (
    fd,
    mse,
    paired_fd,
    residual_correlation,
    residual_temporal_correlation,
    sid,
    variation,
)
from dimcli.evaluation.tally import ClipTruth, Tally, draw_clips

Clips = list[np.ndarray]


def motions(seed: int, clips: int = 6) -> Clips:
    random = np.random.default_rng(seed)
    return [
        random.normal(size=4) + 0.2 * np.cumsum(random.normal(size=(50 + 7 * i, 4)), axis=0)
        for i in range(clips)
    ]


def tally(truth: Clips, samples: list[Clips], speaker: Clips, clusters: Clusters) -> Tally:
    truths = [ClipTruth(t, s, clusters) for t, s in zip(truth, speaker, strict=True)]
    return Tally.of(
        [[one.share(p) for one, p in zip(truths, sample, strict=True)] for sample in samples]
    )


def from_lists(truth: Clips, prediction: Clips, speaker: Clips, clusters: Clusters) -> dict:
    return {
        "fd": fd(truth, prediction),
        "p_fd": paired_fd(truth, prediction, speaker),
        "mse": mse(truth, prediction),
        "sid": sid(prediction, clusters),
        "sid_pooled": sid(prediction, clusters, pooled=True),
        "var": variation(prediction),
        "var_pooled": variation(prediction, pooled=True),
        "rpcc": residual_correlation(truth, prediction, speaker),
        "rpcc_temporal": residual_temporal_correlation(truth, prediction, speaker),
    }


def test_a_tally_gives_the_figures_of_the_lists() -> None:
    truth, prediction, speaker = motions(0), motions(1), motions(2)
    clusters = Clusters.fit(truth, 8)
    found = tally(truth, [prediction], speaker, clusters).figures()
    expected = from_lists(truth, prediction, speaker, clusters)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(np.array([[value]]), rel=1e-9), name


def test_a_bootstrap_draw_is_as_if_clips_were_repeated() -> None:
    truth, speaker = motions(0), motions(2)
    samples = [motions(1), motions(3)]
    clusters = Clusters.fit(truth, 8)
    draws = draw_clips([str(i) for i in range(6)], 5, seed=0)
    found = tally(truth, samples, speaker, clusters).figures(draws)
    for number, draw in enumerate(draws):
        picked = np.repeat(np.arange(6), draw.astype(int))
        for sample, prediction in enumerate(samples):
            expected = from_lists(
                *([clips[i] for i in picked] for clips in (truth, prediction, speaker)), clusters
            )
            for name, value in expected.items():
                assert found[name][sample, number] == pytest.approx(value, rel=1e-9), name


def test_a_still_prediction_counts_as_uncorrelated() -> None:
    truth, speaker = motions(0), motions(2)
    still = [np.full_like(t, 0.3) for t in truth]
    clusters = Clusters.fit(truth, 8)
    found = tally(truth, [still], speaker, clusters).figures()
    expected = residual_correlation(truth, still, speaker)
    assert found["rpcc"][0, 0] == pytest.approx(expected, rel=1e-9)
    own = [abs(ClipTruth(t, s, clusters)._correlation) for t, s in zip(truth, speaker, strict=True)]
    assert found["rpcc_temporal"][0, 0] == pytest.approx(np.mean(own))


def test_draws_are_as_many_clips_as_there_are_and_the_same_for_a_seed() -> None:
    draws = draw_clips(list("abcdef"), 200, seed=4)
    assert (draws.sum(axis=1) == 6).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(6), abs=0.25)
    np.testing.assert_array_equal(draws, draw_clips(list("abcdef"), 200, seed=4))
    assert not np.array_equal(draws, draw_clips(list("abcdef"), 200, seed=5))


def test_clips_of_one_group_are_drawn_together() -> None:
    draws = draw_clips(["a", "b", "a", "c", "b"], 100, seed=0)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
    np.testing.assert_array_equal(draws[:, 1], draws[:, 4])
    assert draws[:, [0, 1, 3]].sum(axis=1).tolist() == [3.0] * 100
