"""Features at 50 Hz as rows of a motion."""

import numpy as np
import pytest

from dimcli.audio import AudioFeatures
from dimcli.audio.sound import checked_sound, to_frames
from dimcli.core.errors import InputError

FIRST_S, STEP_S = 0.0125, 0.02


def mean_by_sampling(features, fps, frames):
    """The definition, plainly: each frame's mean of the held, linear curve at 400 moments."""
    times = FIRST_S + STEP_S * np.arange(len(features))
    rows = []
    for frame in range(frames):
        moments = (frame - 0.5 + (np.arange(400) + 0.5) / 400) / fps
        rows.append([np.interp(moments, times, column).mean() for column in features.T])
    return np.array(rows)


@pytest.mark.parametrize("fps", [5.0, 25.0, 29.97, 30.0, 60.0])
def test_a_frame_is_the_mean_over_its_own_time(fps):
    features = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    frames = round(2.2 * fps)
    made = to_frames(features, fps, frames, first_s=FIRST_S, step_s=STEP_S)
    assert made.shape == (frames, 3)
    np.testing.assert_allclose(made, mean_by_sampling(features, fps, frames), atol=2e-3)


def test_frequencies_above_the_motions_rate_fade_and_slow_ones_stay():
    times = FIRST_S + STEP_S * np.arange(500)
    fast, slow = np.sin(2 * np.pi * 22 * times), np.sin(2 * np.pi * 1 * times)
    features = np.stack([fast, slow], axis=1).astype(np.float32)
    made = to_frames(features, 25.0, 250, first_s=FIRST_S, step_s=STEP_S)[5:-5]
    assert np.abs(made[:, 0]).max() < 0.2  # sampling alone would leave its full height
    wanted = np.sin(2 * np.pi * np.arange(250) / 25)[5:-5]
    np.testing.assert_allclose(made[:, 1], wanted, atol=0.01)


def test_blocks_join_without_a_trace(monkeypatch):
    features = np.random.default_rng(1).normal(size=(700, 4)).astype(np.float32)
    whole = to_frames(features, 30.0, 430, first_s=FIRST_S, step_s=STEP_S)
    monkeypatch.setattr("dimcli.audio.sound._BLOCK", 17)
    pieces = to_frames(features, 30.0, 430, first_s=FIRST_S, step_s=STEP_S)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_features_that_end_early_are_held_and_one_row_is_enough():
    made = to_frames(np.array([[1.0, 2.0]], np.float32), 25.0, 9, first_s=FIRST_S, step_s=STEP_S)
    np.testing.assert_allclose(made, np.tile([1.0, 2.0], (9, 1)))
    with pytest.raises(InputError, match=r"shape \(0, 2\)"):
        to_frames(np.zeros((0, 2), np.float32), 25.0, 9, first_s=FIRST_S, step_s=STEP_S)


def test_sound_that_is_no_sound_is_refused():
    with pytest.raises(InputError, match="mono"):
        checked_sound(np.zeros((2, 100), np.float32), 16000, 16000)
    with pytest.raises(InputError, match="NaN"):
        checked_sound(np.array([0, np.nan], np.float32), 16000, 16000)


def test_a_file_of_features_reads_back_and_others_are_named(tmp_path):
    made = AudioFeatures(np.ones((5, 3), np.float32), 25.0, "mel")
    made.save(tmp_path / "a.npz")
    again = AudioFeatures.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.values, made.values)
    assert (again.fps, again.encoder) == (25.0, "mel")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "other.npz", values=np.ones(3))
    for name in ("half.npz", "other.npz"):
        with pytest.raises(InputError, match=f"{name}: not a file of audio features"):
            AudioFeatures.load(tmp_path / name)
