"""The jaw that the tracker reads off the lips, and the lips that a portrait draws of it."""

import numpy as np
import pytest

from dimcli.core.motion import ARKIT_EXPRESSIONS, JAW_OPEN_RAD, JAW_PITCH, MOTION_DIM, Motion
from dimcli.evaluation.lips import lip_opening
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import motion_values
from dimcli.tracking.networks import BLENDSHAPES
from renderers.portrait.expression import CLOSED_GAP, jaw_open_of_lips
from tests.renderers.faces import drawn_gaps

GAPS = np.linspace(0, 0.2, 21, dtype=np.float32)


@pytest.mark.parametrize(
    "shown", [{}, {"mouthSmile": 0.8}, {"mouthUpperUp": 0.3}, {"mouthPress": 0.4}]
)
def test_lips_are_drawn_as_far_apart_as_they_were_tracked(shown):
    blendshapes = np.zeros((len(GAPS), len(BLENDSHAPES)), np.float32)
    for name, share in shown.items():
        blendshapes[:, [BLENDSHAPES.index(name + side) for side in ("Left", "Right")]] = share
    values = motion_values(np.zeros((len(GAPS), 3), np.float32), blendshapes, GAPS)
    lips = drawn_gaps(values)
    wide = GAPS > 0.03
    assert lips[wide] == pytest.approx(GAPS[wide] - CLOSED_GAP, abs=0.005)
    assert (lips[GAPS <= CLOSED_GAP] < 0.02).all()


def test_a_closed_mouth_on_an_open_jaw_stays_closed():
    expression = np.zeros((1, len(ARKIT_EXPRESSIONS)), np.float32)
    expression[:, ARKIT_EXPRESSIONS.index("mouthClose")] = 0.3
    values = np.zeros((1, MOTION_DIM), np.float32)
    values[:, JAW_PITCH] = jaw_open_of_lips(GAPS[:1], expression) * JAW_OPEN_RAD
    values[:, 6:] = expression
    assert values[0, JAW_PITCH] > 0
    assert drawn_gaps(values) == pytest.approx(0, abs=0.01)


def test_the_jaw_of_the_lips_is_between_shut_and_wide_open():
    nothing = np.zeros((4, len(ARKIT_EXPRESSIONS)), np.float32)
    jaw_open = jaw_open_of_lips(np.array([0, CLOSED_GAP, 0.1, 5], np.float32), nothing)
    assert jaw_open[:2] == pytest.approx(0) and 0.05 < jaw_open[2] < 0.3 and jaw_open[3] == 1


def test_the_jaw_is_in_proportion_to_the_gap_and_the_open_head_agrees():
    gaps = np.array([0.05, 0.1, 0.2], np.float32)
    nothing = np.zeros((len(gaps), len(ARKIT_EXPRESSIONS)), np.float32)
    jaw_open = jaw_open_of_lips(CLOSED_GAP + gaps, nothing)
    np.testing.assert_allclose(jaw_open / jaw_open[0], [1, 2, 4], rtol=1e-3)
    values = np.zeros((len(gaps), MOTION_DIM), np.float32)
    values[:, JAW_PITCH] = jaw_open * JAW_OPEN_RAD
    opening = lip_opening(Motion(values, fps=25.0, space="arkit"))
    assert drawn_gaps(values) == pytest.approx(gaps, abs=0.005)
    assert opening == pytest.approx(gaps, abs=0.02)


def test_the_lip_gap_does_not_depend_on_size_or_turning():
    rng = np.random.default_rng(0)
    landmarks = rng.normal(size=(3, 478, 3)).astype(np.float32)
    axis = rng.normal(size=(3, 3))
    turn, _ = np.linalg.qr(axis)
    assert lip_gaps(3 * landmarks @ turn.T + 40) == pytest.approx(lip_gaps(landmarks), rel=1e-4)
