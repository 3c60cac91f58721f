"""Smoothing takes jitter, not motion."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from dimcli.core.motion import JAW_PITCH, MOTION_DIM, Motion, expression_index
from dimcli.tracking.postprocessing import parabolas, smooth_motion


def motion_of(column, track, fps, space="arkit"):
    values = np.zeros((len(track), MOTION_DIM), np.float32)
    values[:, column] = track
    return Motion(values, fps=fps, space=space)


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_a_blink_keeps_its_depth_and_its_place(fps):
    seconds = np.arange(4 * fps) / fps
    blink = np.exp(-0.5 * ((seconds - 2) / 0.055) ** 2)  # 0.13 s wide at half its height
    column = expression_index("eyeBlinkLeft")
    smooth = smooth_motion(motion_of(column, blink, fps)).values[:, column]
    assert smooth.max() > 0.9 * blink.max()
    assert smooth.argmax() == blink.argmax()


def test_jitter_of_the_head_is_halved_at_least_and_a_nod_is_kept():
    fps = 25
    seconds = np.arange(10 * fps) / fps
    nod = 0.1 * np.sin(2 * np.pi * 2 * seconds)
    jitter = np.random.default_rng(0).normal(0, 0.01, len(nod))
    smooth = smooth_motion(motion_of(0, nod + jitter, fps)).values[:, 0]
    assert np.diff(smooth - nod).std() < 0.5 * np.diff(jitter).std()
    assert smooth[20:-20].std() > 0.9 * nod.std()


def test_expressions_stay_between_0_and_1():
    steps = np.repeat([0.0, 1.0, 0.0], 20)
    column = expression_index("mouthSmileLeft")
    smooth = smooth_motion(motion_of(column, steps, 25)).values
    assert smooth.min() >= 0
    assert smooth.max() <= 1


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_clips_shorter_than_the_filter_are_left_alone(frames):
    motion = motion_of(0, np.arange(frames), 25)
    assert (smooth_motion(motion).values == motion.values).all()


def test_motion_in_the_flame_space_is_smoothed_too():
    jitter = np.random.default_rng(0).normal(0, 1, 100)
    smooth = smooth_motion(motion_of(10, jitter, 25, space="flame"))
    assert smooth.space == "flame"
    assert smooth.values[:, 10].std() < 0.8


@pytest.mark.parametrize("length", [5, 7, 9])
@pytest.mark.parametrize("frames", [9, 40])
def test_the_filter_is_scipy_s_to_its_ends(length, frames):
    values = np.random.default_rng(0).normal(size=(frames, 4)).astype(np.float32)
    expected = savgol_filter(values, length, 2, axis=0)
    assert np.allclose(parabolas(values, length), expected, atol=1e-5)


def test_the_jaw_that_the_lips_say_keeps_every_closure_and_an_encoder_s_is_smoothed():
    jaw = np.where(np.arange(50) % 10 < 2, 0, 0.1)
    lips, encoder = (motion_of(JAW_PITCH, jaw, 25, space=space) for space in ("arkit", "flame"))
    assert np.array_equal(smooth_motion(lips).values, lips.values)
    assert smooth_motion(encoder).values[20:22, JAW_PITCH].min() > 0.01
