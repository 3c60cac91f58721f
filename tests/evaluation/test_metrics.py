from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dimcli.core.errors import InputError
from dimcli.evaluation.metrics import ClipTruth, Clusters, Gaussian, Tally, draw_clips
from tests.evaluation.plain_metrics import Clips, computed, plain_figures


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    return Gaussian.fit(first).distance(Gaussian.fit(second))


def draws(frames: int, dims: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(dims).normal(size=(dims, dims))
    return random.normal(size=(frames, dims)) @ mix * scale + shift


def one_cluster(dims: int) -> Clusters:
    return Clusters(np.zeros((1, dims)))


@pytest.mark.parametrize(("frames", "dims"), [(200, 6), (500, 50)])
def test_frechet_distance_matches_the_matrix_square_root(frames: int, dims: int) -> None:
    first, second = draws(frames, dims, 0), draws(frames, dims, 1, 1.3, 0.2)
    root = sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    mean = first.mean(axis=0) - second.mean(axis=0)
    expected = mean @ mean + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_exact_where_frames_are_fewer_than_dimensions() -> None:
    few = draws(20, 50, 0)
    assert frechet_distance(few, few) == pytest.approx(0.0, abs=1e-8)
    # A rotation of the frames' order changes nothing, a shift changes it by its square.
    assert frechet_distance(few, few[::-1] + 2.0) == pytest.approx(50 * 4.0)


def test_frechet_distance_to_a_constant_is_the_spread_and_the_offset() -> None:
    motion = draws(300, 6, 3)
    still = np.tile(motion.mean(axis=0), (300, 1))
    assert frechet_distance(motion, still) == pytest.approx(np.trace(np.cov(motion.T)))


def test_fd_is_the_mean_over_clips_and_not_of_the_pool() -> None:
    truth = [draws(100, 4, 0), draws(100, 4, 1, shift=5.0)]
    swapped = truth[::-1]
    assert computed(truth, swapped, truth, one_cluster(4))["fd"] > 50
    assert frechet_distance(np.concatenate(truth), np.concatenate(swapped)) < 1e-6


def test_paired_fd_sees_a_broken_pairing_that_fd_does_not() -> None:
    speaker = draws(400, 3, 0)
    truth = speaker + 0.1 * draws(400, 3, 1)
    shuffled = np.random.default_rng(0).permutation(truth)
    found = computed([truth], [shuffled], [speaker], one_cluster(3))
    assert found["fd"] < 1e-6
    assert found["p_fd"] > 1.0


def test_mse_is_the_mean_square_over_clips() -> None:
    truth = [np.zeros((10, 2)), np.zeros((30, 2))]
    prediction = [np.ones((10, 2)), np.zeros((30, 2))]
    assert computed(truth, prediction, truth, one_cluster(2))["mse"] == 0.5


def test_variation_is_over_time_and_its_pooled_form_flattens() -> None:
    still = [np.tile([0.0, 2.0], (50, 1))]
    found = computed(still, still, still, one_cluster(2))
    assert found["var"] == 0.0
    assert found["var_pooled"] == 1.0


def test_sid_is_the_entropy_within_each_sequence() -> None:
    centres = np.repeat(np.arange(4.0) * 10, 25)[:, None]
    clusters = Clusters.fit([centres + 0.01 * draws(100, 1, 0)], 4)
    assert computed([centres], [centres], [centres], clusters)["sid"] == pytest.approx(2.0)
    apart = [np.full((30, 1), value) for value in (0.0, 10.0, 20.0, 30.0)]
    found = computed(apart, apart, apart, clusters)
    assert found["sid"] == 0.0
    assert found["sid_pooled"] == pytest.approx(2.0)


def test_clusters_are_the_same_for_the_same_seed() -> None:
    frames = [draws(200, 5, 0)]
    np.testing.assert_array_equal(Clusters.fit(frames, 8).centres, Clusters.fit(frames, 8).centres)


def test_residual_correlation_is_zero_for_the_truth_and_full_for_a_constant() -> None:
    speaker = [draws(100, 3, 0)]
    truth = [speaker[0] * 2.0]
    assert computed(truth, truth, speaker, one_cluster(3))["rpcc"] == 0.0
    constant = computed(truth, [np.ones((100, 3))], speaker, one_cluster(3))
    assert constant["rpcc"] == pytest.approx(1.0)


def test_the_truth_itself_is_perfect() -> None:
    truth, speaker = ([draws(60, 50, seed + i) for i in range(3)] for seed in (0, 10))
    found = computed(truth, truth, speaker, one_cluster(50))
    assert found["fd"] == pytest.approx(0.0, abs=1e-8)
    assert found["p_fd"] == pytest.approx(0.0, abs=1e-8)
    assert found["mse"] == found["rpcc"] == 0.0


def test_every_figure_agrees_with_a_plain_implementation() -> None:
    truth = [draws(120 + 10 * i, 5, i, shift=0.3 * i) for i in range(4)]
    prediction = [draws(120 + 10 * i, 5, 10 + i, 0.8) + 0.3 * truth[i] for i in range(4)]
    speaker = [draws(120 + 10 * i, 5, 20 + i) + 0.2 * truth[i] for i in range(4)]
    clusters = Clusters.fit(truth, 7)
    found = computed(truth, prediction, speaker, clusters)
    expected = plain_figures(truth, prediction, speaker, clusters.centres)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_correlation_over_time_is_blind_to_how_far_means_lie_apart() -> None:
    truth, speaker = [draws(200, 3, 0)], [draws(200, 3, 1)]
    offset = np.array([5.0, -3.0, 1.0])
    found = computed(truth, [truth[0] + offset], speaker, one_cluster(3))
    assert found["rpcc_temporal"] == pytest.approx(0.0, abs=1e-12)
    found = computed(truth, [truth[0] + offset], [speaker[0] + offset], one_cluster(3))
    assert found["rpcc"] > 0.5


def test_clips_that_do_not_match_are_refused() -> None:
    truth = ClipTruth(np.zeros((10, 3)), np.zeros((10, 3)), one_cluster(3))
    with pytest.raises(InputError, match=r"shapes \(10, 3\) and \(9, 3\) differ"):
        truth.share(np.zeros((9, 3)))


# What all clips add, drawn again


def motions(seed: int, clips: int = 6) -> list[np.ndarray]:
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


def test_a_tally_gives_the_figures_of_the_lists() -> None:
    truth, prediction, speaker = motions(0), motions(1), motions(2)
    clusters = Clusters.fit(truth, 8)
    found = tally(truth, [prediction], speaker, clusters).figures()
    expected = plain_figures(truth, prediction, speaker, clusters.centres)
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
            expected = plain_figures(
                *([clips[i] for i in picked] for clips in (truth, prediction, speaker)),
                clusters.centres,
            )
            for name, value in expected.items():
                assert found[name][sample, number] == pytest.approx(value, rel=1e-9), name


def test_a_still_prediction_counts_as_uncorrelated() -> None:
    truth, speaker = motions(0), motions(2)
    still = [np.full_like(t, 0.3) for t in truth]
    clusters = Clusters.fit(truth, 8)
    found = computed(truth, still, speaker, clusters)
    expected = plain_figures(truth, still, speaker, clusters.centres)
    for name in ("rpcc", "rpcc_temporal"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9)


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
