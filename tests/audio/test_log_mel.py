from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.audio import ACTIVITY, LEVEL, MEL_DIM, NUM_MELS, VOICING, encoder, mel, silence
from dimcli.core.errors import InputError
from dimcli.data.synthetic.synthetic import Recipe, make_conversation

RATE = 16000


def tone_bursts(times: list[float], seconds: float, length_s: float = 0.4) -> np.ndarray:
    """Bursts of a buzz at given times over faint noise."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) * 0.2
    gate = np.zeros_like(time)
    for start in times:
        gate[round(start * RATE) : round((start + length_s) * RATE)] = 1.0
    return (buzz * gate + random.normal(0, 1e-4, len(time))).astype(np.float32)


@pytest.mark.parametrize("frames", [0, 1, 74, 75, 200])
@pytest.mark.parametrize("fps", [25.0, 29.97])
def test_features_have_exactly_the_length_asked_for(frames: int, fps: float) -> None:
    features = mel(tone_bursts([1.0], 3.0), RATE, fps, frames)
    assert features.shape == (frames, MEL_DIM)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_sound_lies_in_the_frames_at_its_time_whatever_the_sample_rate(rate: int) -> None:
    from scipy.signal import resample_poly

    sound = resample_poly(tone_bursts([2.0, 5.0], 8.0), rate, RATE)
    active = mel(sound, rate, 25.0, 200)[:, ACTIVITY] > 0.5
    starts = np.flatnonzero(np.diff(active.astype(int)) == 1) + 1
    np.testing.assert_allclose(starts / 25.0, [2.0, 5.0], atol=0.05)


def test_features_do_not_change_with_the_recording_level() -> None:
    sound = tone_bursts([0.5, 2.0], 4.0)
    loud, faint = mel(sound, RATE, 25.0, 100), mel(sound * 0.02, RATE, 25.0, 100)
    np.testing.assert_allclose(loud, faint, atol=0.03)


def test_a_pause_looks_the_same_with_and_without_background_noise() -> None:
    conversation = make_conversation(Recipe(seed=4, conversation_s=15, clip_s=15), 0)
    sound = conversation.sound / np.sqrt(np.mean(conversation.sound**2)) * 0.1
    noise = np.random.default_rng(1).normal(0, 0.1 * 10 ** (-20 / 20), len(sound))
    clean = mel(sound, RATE, 25.0, 375)
    noisy = mel((sound + noise).astype(np.float32), RATE, 25.0, 375)
    assert np.corrcoef(clean[:, ACTIVITY], noisy[:, ACTIVITY])[0, 1] > 0.9
    paused = (clean[:, ACTIVITY] < 0.1) & (noisy[:, ACTIVITY] < 0.5)
    assert paused.sum() > 20
    assert np.abs(clean[paused, : LEVEL + 1] - noisy[paused, : LEVEL + 1]).mean() < 0.15


def test_no_sound_gives_the_features_of_silence() -> None:
    np.testing.assert_array_equal(mel(np.zeros(0, np.float32), RATE, 25.0, 50), silence(50))
    hiss = np.random.default_rng(0).normal(0, 1e-6, 3 * RATE).astype(np.float32)
    np.testing.assert_array_equal(mel(hiss, RATE, 25.0, 75), silence(75))


def test_sound_that_ends_early_counts_as_silence() -> None:
    features = mel(tone_bursts([0.2], 1.0), RATE, 25.0, 100)
    assert (features[40:, ACTIVITY] < 0.5).all()
    assert (features[40:, :NUM_MELS] < -0.9).all()


def test_long_sound_in_blocks_matches_analysis_in_one_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = tone_bursts([0.5, 3.0, 7.0], 10.0)
    whole = mel(sound, RATE, 25.0, 250)
    monkeypatch.setattr("dimcli.audio.log_mel.BLOCK_HOPS", 97)
    np.testing.assert_allclose(mel(sound, RATE, 25.0, 250), whole, atol=1e-5)


def test_a_buzz_is_voiced_and_a_hiss_is_not() -> None:
    random = np.random.default_rng(2)
    buzz = tone_bursts([0.5], 2.0, 1.0)
    hiss = np.zeros(2 * RATE, np.float32)
    hiss[RATE // 2 : 3 * RATE // 2] = random.normal(0, 0.1, RATE)
    assert mel(buzz, RATE, 25.0, 50)[16:34, VOICING].mean() > 0.8
    assert mel(hiss, RATE, 25.0, 50)[16:34, VOICING].mean() < 0.2


@pytest.mark.parametrize(
    ("sound", "line"),
    [
        (np.full(100, np.nan, np.float32), "NaN"),
        (np.zeros((2, 100), np.float32), "expected mono"),
    ],
)
def test_bad_sound_is_refused_in_words(sound: np.ndarray, line: str) -> None:
    with pytest.raises(InputError, match=line):
        mel(sound, RATE, 25.0, 10)


def test_an_unknown_encoder_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"whale.*mel"):
        encoder("whale")


@pytest.mark.clips
def test_real_speech_and_pauses_look_like_synthetic_ones(clips: Path) -> None:
    from dimcli.media import read_audio

    def figures(features: np.ndarray) -> list[float]:
        on = features[:, ACTIVITY] > 0.5
        return [
            on.mean(),
            features[on, :NUM_MELS].mean(),
            features[on, :NUM_MELS].std(),
            features[~on, :NUM_MELS].mean(),
            features[on, LEVEL].mean(),
            features[on, VOICING].mean(),
        ]

    real = []
    for path in sorted(clips.glob("*.mp4")):
        sound = read_audio(path, RATE)
        real.append(figures(mel(sound, RATE, 25.0, int(len(sound) / RATE * 25))))
    recipe = Recipe(seed=6, conversation_s=15, clip_s=15)
    made = [figures(make_conversation(recipe, index).audio) for index in range(10)]
    np.testing.assert_allclose(np.median(real, axis=0), np.median(made, axis=0), atol=0.16)
