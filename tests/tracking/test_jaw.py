"""When the lips speak for the jaw."""

import numpy as np
import pytest

from dimcli.tracking.postprocessing import (
    CLOSED_GAP,
    JAW_OPEN_PER_GAP,
    ignores_lips,
    jaw_open_of_lips,
    lip_gap,
)

FPS = 25


@pytest.fixture
def gaps():
    """Lip gaps of ten seconds of speech: open and closed about four times a second."""
    seconds = np.arange(10 * FPS) / FPS
    return (0.01 + 0.1 * np.abs(np.sin(4 * np.pi * seconds))).astype(np.float32)


def said_by(gaps):
    return (gaps - CLOSED_GAP) * JAW_OPEN_PER_GAP


def test_a_jaw_that_stays_shut_while_the_lips_move_is_not_believed(gaps):
    assert ignores_lips(0.03 * said_by(gaps), gaps, FPS)


@pytest.mark.parametrize("share", [0.5, 1.0, 1.5])
def test_a_jaw_that_moves_with_the_lips_is_believed(gaps, share):
    assert not ignores_lips(share * said_by(gaps), gaps, FPS)


def test_a_jaw_that_follows_in_some_of_the_open_frames_is_believed(gaps):
    jaw_open = np.zeros_like(gaps)
    jaw_open[:60] = said_by(gaps)[:60]
    assert not ignores_lips(jaw_open, gaps, FPS)


def test_closed_lips_are_no_evidence():
    gaps = np.full(250, 0.012, np.float32)
    assert not ignores_lips(np.zeros(250, np.float32), gaps, FPS)


def test_a_still_smile_that_shows_the_teeth_is_no_evidence():
    gaps = np.full(250, 0.09, np.float32)
    assert not ignores_lips(np.full(250, 0.01, np.float32), gaps, FPS)


def test_a_single_open_frame_is_no_evidence():
    gaps = np.full(250, 0.012, np.float32)
    gaps[100] = 0.2
    assert not ignores_lips(np.zeros(250, np.float32), gaps, FPS)


def test_the_lips_say_between_shut_and_wide_open():
    jaw_open = jaw_open_of_lips(np.array([0, CLOSED_GAP, 0.11, 5], np.float32))
    assert jaw_open == pytest.approx([0, 0, 0.125, 1], abs=1e-6)


def test_the_lip_gap_does_not_depend_on_size_or_turning():
    rng = np.random.default_rng(0)
    landmarks = rng.normal(size=(3, 478, 3)).astype(np.float32)
    turned = landmarks.copy()
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned[..., :2] = 3 * landmarks[..., :2] @ turn.T + (40, -20)
    assert lip_gap(turned) == pytest.approx(lip_gap(landmarks), rel=1e-4)
