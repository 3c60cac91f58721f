"""Learning2Listen's features agree with librosa's, stretched by Pillow as its authors do."""

import numpy as np

from dimcli.audio import L2L_MEL, SAMPLE_RATE, encode
from dimcli.audio.l2l_mel import BANDS, ROWS_A_FRAME

# librosa 0.11.0: melspectrogram(y, sr=16000, hop_length=160, win_length=400, n_fft=512) of the
# sound below, its picture resized to 240 rows with LANCZOS (Pillow 13); by row and band
LIBROSA = {
    (21, 22): 21.8148, (21, 24): 0.366491, (40, 31): 0.00138224, (40, 33): -0.000177521,
    (90, 60): 6.38989, (90, 62): 0.213942, (91, 61): 7.24329, (91, 63): 0.00587065,
    (150, 79): 3.82538, (150, 81): 0.00539259, (200, 91): 0.000705446, (201, 92): 0.000147936,
}  # fmt: skip


def rising_tone(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) * np.sin(3 * np.pi * time) ** 2
    return tone.astype(np.float32)


def test_the_bands_are_those_that_librosa_makes() -> None:
    features = encode(L2L_MEL.name, rising_tone(2.0), SAMPLE_RATE, 30.0, 60)
    assert features.shape == (60, L2L_MEL.dim)
    rows = features.reshape(60 * ROWS_A_FRAME, BANDS)
    for place, value in LIBROSA.items():
        assert np.isclose(rows[place], value, rtol=1e-5), place


def test_a_sound_that_ends_early_goes_on_as_silence_and_past_the_last_frame_nothing_is_heard() -> (
    None
):
    sound = rising_tone(2.0)
    whole = encode(L2L_MEL.name, sound, SAMPLE_RATE, 25.0, 75)
    padded = np.concatenate([sound, np.zeros(SAMPLE_RATE, np.float32)])
    np.testing.assert_array_equal(whole, encode(L2L_MEL.name, padded, SAMPLE_RATE, 25.0, 75))
    assert not whole[52:].any()
    longer = np.concatenate([padded, rising_tone(1.0)])
    np.testing.assert_array_equal(whole, encode(L2L_MEL.name, longer, SAMPLE_RATE, 25.0, 75))
