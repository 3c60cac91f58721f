"""Lip opening on the head, and what compares lips with sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import JAW, JAW_OPEN_RAD, MOTION_DIM, Motion, expression_index
from dimcli.evaluation.lips import CLOSED, closure_hits, lip_agreement, lip_opening
from renderers.heads.open_head import OpenHead
from tests.bench.bench_speaker import loudness, mouth_at_rest


def motion_of(values: np.ndarray, space: str = "arkit") -> Motion:
    return Motion(values.astype(np.float32), fps=25.0, space=space)


def test_the_opening_is_that_of_the_heads_own_landmarks_however_the_head_turns() -> None:
    random = np.random.default_rng(0)
    values = np.zeros((6, MOTION_DIM), np.float32)
    values[:, :3] = random.normal(0, 0.3, (6, 3))
    values[:, JAW.start] = np.linspace(0.05, 0.4, 6)
    values[:, 6:] = random.uniform(0, 0.3, (6, 50))
    head = OpenHead.bundled()
    still = values.copy()
    still[:, :3] = 0
    points = head.landmarks(head.vertices(torch.from_numpy(still))).numpy()
    wanted = (points[:, 13, 1] - points[:, 14, 1]) / head.interocular
    found = lip_opening(motion_of(values))
    assert wanted.max() > 0.1
    np.testing.assert_allclose(found, np.maximum(wanted, 0), atol=1e-5)


def test_a_resting_mouth_is_closed_and_closed_lips_over_an_open_jaw_are_too() -> None:
    values = np.zeros((3, MOTION_DIM), np.float32)
    values[1:, JAW.start] = 0.3 * JAW_OPEN_RAD
    values[2, expression_index("mouthClose")] = 0.3
    opening = lip_opening(motion_of(values))
    assert opening[0] < CLOSED
    assert opening[1] > 0.08
    assert opening[2] < 0.25 * opening[1]


def test_lips_of_another_space_are_refused() -> None:
    with pytest.raises(InputError, match="expected arkit"):
        lip_opening(motion_of(np.zeros((2, MOTION_DIM)), space="flame"))


def test_closures_are_hit_within_one_frame_and_no_more() -> None:
    opening = np.full(50, 0.1, np.float32)
    opening[10] = 0.0
    at = [(0.40, 0.40), (0.44, 0.44), (0.36, 0.36), (0.52, 0.52)]
    assert [closure_hits(opening, np.array([each]), 25.0) for each in at] == [1, 1, 1, 0]
    assert closure_hits(opening, np.array(at), 25.0) == 0.75
    assert np.isnan(closure_hits(opening, np.zeros((0, 2)), 25.0))


@pytest.mark.parametrize("lag", [-2, -1, 0, 1, 2])
def test_the_lag_that_was_put_in_comes_out(lag: int) -> None:
    truth = np.random.default_rng(1).normal(size=200).astype(np.float32)
    found = lip_agreement(2 * np.roll(truth, lag) + 3, truth)
    assert found.lag == lag
    assert found.correlation > 0.99
    assert lag == 0 or found.at_zero < 0.5


def test_lags_beyond_the_window_are_not_looked_at_and_still_lips_agree_with_nothing() -> None:
    truth = np.random.default_rng(2).normal(size=200).astype(np.float32)
    assert lip_agreement(np.roll(truth, 5), truth).correlation < 0.3
    assert lip_agreement(np.zeros(200, np.float32), truth).correlation == 0.0
    rounding = np.random.default_rng(3).normal(0.2, 1e-7, 200).astype(np.float32)
    assert lip_agreement(rounding, truth, max_lag=10).correlation == 0.0
    with pytest.raises(InputError, match="3 and 4 frames"):
        lip_agreement(np.zeros(3, np.float32), np.zeros(4, np.float32))


def test_loudness_follows_the_sound_at_its_own_time() -> None:
    sound = np.zeros(16000, np.float32)
    sound[8000:12000] = 0.5
    level = loudness(sound, 16000, 25.0, 25)
    assert level[:11].max() == 0.0
    assert level[14] == pytest.approx(60 + 20 * np.log10(0.5), abs=0.1)
    assert level[21:].max() == 0.0


def test_rest_is_measured_inside_pauses_only() -> None:
    opening = np.full(100, 0.2, np.float32)
    opening[30:50] = 0.01
    assert mouth_at_rest(opening, [(1.1, 2.1)], 25.0) == pytest.approx(0.01)
    assert np.isnan(mouth_at_rest(opening, [], 25.0))
