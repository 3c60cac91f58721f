from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.evaluation.metrics import (
    Clusters,
    fd,
    frechet_distance,
    mse,
    paired_fd,
    residual_correlation,
    residual_temporal_correlation,
    score,
    score_motions,
    sid,
    variation,
)


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


def plain_figures(
    truth: list[np.ndarray],
    prediction: list[np.ndarray],
    speaker: list[np.ndarray],
    centres: np.ndarray,
) -> dict[str, float]:
    """Every figure by the words of its definition, clip by clip and frame by frame."""

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        first, second = np.cov(one.T), np.cov(other.T)
        gap = one.mean(axis=0) - other.mean(axis=0)
        return gap @ gap + np.trace(first + second - 2 * sqrtm(first @ second).real)

    def entropy(labels: list[int]) -> float:
        share = np.array([labels.count(k) for k in set(labels)]) / len(labels)
        return -sum(one * np.log2(one) for one in share)

    def labelled(clip: np.ndarray) -> list[int]:
        return [int(np.argmin([np.linalg.norm(f - c) for c in centres])) for f in clip]

    def over_time(one: np.ndarray, other: np.ndarray) -> float:
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)])

    triples = list(zip(truth, prediction, speaker, strict=True))
    flat = [np.concatenate([m.ravel() for m in clips]) for clips in (truth, prediction, speaker)]
    return {
        "fd": np.mean([distance(t, p) for t, p, _ in triples]),
        "p_fd": np.mean([distance(np.hstack([s, t]), np.hstack([s, p])) for t, p, s in triples]),
        "mse": np.mean([((t - p) ** 2).sum() / t.size for t, p, _ in triples]),
        "sid": np.mean([entropy(labelled(p)) for p in prediction]),
        "sid_pooled": entropy([label for p in prediction for label in labelled(p)]),
        "var": np.mean([np.mean([np.var(column) for column in p.T]) for p in prediction]),
        "var_pooled": np.var(flat[1]),
        "rpcc": abs(np.corrcoef(flat[0], flat[2])[0, 1] - np.corrcoef(flat[1], flat[2])[0, 1]),
        "rpcc_temporal": np.mean([abs(over_time(t, s) - over_time(p, s)) for t, p, s in triples]),
    }


def test_every_figure_agrees_with_a_plain_implementation() -> None:
    truth = [draws(120 + 10 * i, 5, i, shift=0.3 * i) for i in range(4)]
    prediction = [draws(120 + 10 * i, 5, 10 + i, 0.8) + 0.3 * truth[i] for i in range(4)]
    speaker = [draws(120 + 10 * i, 5, 20 + i) + 0.2 * truth[i] for i in range(4)]
    clusters = Clusters.fit(truth, 7)
    found = score(truth, prediction, speaker, clusters).as_dict()
    expected = plain_figures(truth, prediction, speaker, clusters.centres)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_correlation_over_time_is_blind_to_how_far_means_lie_apart() -> None:
    truth, speaker = [draws(200, 3, 0)], [draws(200, 3, 1)]
    offset = np.array([5.0, -3.0, 1.0])
    moved = [truth[0] + offset]
    assert residual_temporal_correlation(truth, moved, speaker) == pytest.approx(0.0, abs=1e-12)
    assert residual_correlation(truth, moved, [speaker[0] + offset]) > 0.5


def test_clips_that_do_not_match_are_refused() -> None:
    with pytest.raises(InputError, match="clip 0"):
        fd([np.zeros((10, 3))], [np.zeros((9, 3))])
    with pytest.raises(InputError, match="1 clips against 2"):
        mse([np.zeros((10, 3))], [np.zeros((10, 3))] * 2)
