from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dimcli.errors import InputError
from dimcli.metrics import (
    Clusters,
    fd,
    frechet_distance,
    mse,
    paired_fd,
    residual_correlation,
    score_motions,
    sid,
    variation,
)
from dimcli.motion import Motion


def draws(frames: int, dims: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(dims).normal(size=(dims, dims))
    return random.normal(size=(frames, dims)) @ mix * scale + shift


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
    assert fd(truth, swapped) > 50
    assert frechet_distance(np.concatenate(truth), np.concatenate(swapped)) < 1e-6


def test_paired_fd_sees_a_broken_pairing_that_fd_does_not() -> None:
    speaker = draws(400, 3, 0)
    truth = speaker + 0.1 * draws(400, 3, 1)
    shuffled = np.random.default_rng(0).permutation(truth)
    assert fd([truth], [shuffled]) < 1e-6
    assert paired_fd([truth], [shuffled], [speaker]) > 1.0


def test_mse_is_the_mean_square_over_clips() -> None:
    truth = [np.zeros((10, 2)), np.zeros((30, 2))]
    prediction = [np.ones((10, 2)), np.zeros((30, 2))]
    assert mse(truth, prediction) == 0.5


def test_variation_is_over_time_and_its_pooled_form_flattens() -> None:
    still = [np.tile([0.0, 2.0], (50, 1))]
    assert variation(still) == 0.0
    assert variation(still, pooled=True) == 1.0


def test_sid_is_the_entropy_within_each_sequence() -> None:
    centres = np.repeat(np.arange(4.0) * 10, 25)[:, None]
    clusters = Clusters.fit([centres + 0.01 * draws(100, 1, 0)], 4)
    assert sid([centres], clusters) == pytest.approx(2.0)
    apart = [np.full((30, 1), value) for value in (0.0, 10.0, 20.0, 30.0)]
    assert sid(apart, clusters) == 0.0
    assert sid(apart, clusters, pooled=True) == pytest.approx(2.0)


def test_clusters_are_the_same_for_the_same_seed() -> None:
    frames = [draws(200, 5, 0)]
    np.testing.assert_array_equal(Clusters.fit(frames, 8).centres, Clusters.fit(frames, 8).centres)


def test_residual_correlation_is_zero_for_the_truth_and_full_for_a_constant() -> None:
    speaker = [draws(100, 3, 0)]
    truth = [speaker[0] * 2.0]
    assert residual_correlation(truth, truth, speaker) == 0.0
    assert residual_correlation(truth, [np.ones((100, 3))], speaker) == pytest.approx(1.0)


def test_score_of_the_truth_is_perfect_in_both_parts() -> None:
    random = np.random.default_rng(0)
    truth = [Motion(random.normal(size=(60, 56)), fps=25.0) for _ in range(3)]
    speaker = [Motion(random.normal(size=(60, 56)), fps=25.0) for _ in range(3)]
    scores = score_motions(truth, truth, speaker)
    assert set(scores) == {"expression", "pose"}
    for part in scores.values():
        assert part.fd == pytest.approx(0.0, abs=1e-8)
        assert part.p_fd == pytest.approx(0.0, abs=1e-8)
        assert part.mse == part.rpcc == 0.0


def test_clips_that_do_not_match_are_refused() -> None:
    with pytest.raises(InputError, match="clip 0"):
        fd([np.zeros((10, 3))], [np.zeros((9, 3))])
    with pytest.raises(InputError, match="1 clips against 2"):
        mse([np.zeros((10, 3))], [np.zeros((10, 3))] * 2)
