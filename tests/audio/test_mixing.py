"""Sounds that are put together."""

import tracemalloc

import numpy as np
from scipy.io import wavfile

from dimcli.audio.mixing import Mix


def test_sounds_add_up_in_their_places_and_clip(tmp_path):
    mix = Mix()
    mix.add(np.full(1600, 0.5, np.float32), 0.1)
    mix.add(np.full(3200, 0.25, np.float32), 0.15)
    mix.add(np.full(1600, 0.9, np.float32), 0.0)
    mix.add(np.full(800, 0.9, np.float32), -0.025)  # half of it is before the beginning
    mix.write(tmp_path / "a.wav", 0.5)
    mix.close()
    mix.add(np.ones(10, np.float32), 0.0)  # too late
    rate, samples = wavfile.read(tmp_path / "a.wav")
    found = np.abs(samples.astype(float) / 32767)
    expected = np.zeros(8000)
    expected[:1600] += 0.9
    expected[:400] += 0.9
    expected[1600:3200] += 0.5
    expected[2400:5600] += 0.25
    assert rate == 16000
    assert np.abs(found - expected.clip(0, 1)).max() < 1e-3


def test_a_long_sound_is_written_in_pieces_and_followed_by_silence(tmp_path):
    mix, second = Mix(), np.random.default_rng(0).uniform(-1, 1, 16000).astype(np.float32)
    for time_s in range(0, 300, 5):
        mix.add(second, time_s)
    tracemalloc.start()
    mix.write(tmp_path / "a.wav", 400)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    mix.close()
    assert most < 4_000_000  # of 13 MB
    rate, samples = wavfile.read(tmp_path / "a.wav")
    assert (rate, samples.shape, samples.dtype) == (16000, (400 * 16000,), np.int16)
    seconds = samples.reshape(400, 16000)
    assert (seconds[0:300:5] == (second * 32767).astype(np.int16)).all()
    assert not np.delete(seconds, np.arange(0, 300, 5), axis=0).any()
