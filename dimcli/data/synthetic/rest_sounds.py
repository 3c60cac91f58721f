"""Sounds that nobody says: what a speaker must stay silent on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.data.synthetic.sound_changes import RATE, Changes, changed

Floats = NDArray[np.float32]
Random = np.random.Generator

KINDS = ("nothing", "noise", "music", "knocks")


def rest_sound(random: Random, duration_s: float) -> Floats:
    """A drawn sound without speech, float32 [duration_s * 16000]: digital silence, steady or
    swelling noise, chords with a beat, or knocks and clicks.
    """
    samples = round(duration_s * RATE)
    kind = str(random.choice(KINDS))
    if kind == "nothing":
        return np.zeros(samples, np.float32)
    sound = {"noise": _noise, "music": _music, "knocks": _knocks}[kind](random, samples)
    changes = Changes.draw(random)
    # nothing moves here, so times need not be kept: what is cut off is made up with the start
    return np.resize(changed(sound, changes, random), samples).astype(np.float32)


def _noise(random: Random, samples: int) -> Floats:
    spectrum = np.fft.rfft(random.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1.0 / RATE)
    spectrum *= 10.0 ** (random.uniform(-8, 1) * np.log2(np.maximum(hz, 60) / 60) / 20.0)
    noise = np.fft.irfft(spectrum, n=samples)
    swell = np.interp(np.arange(samples), np.linspace(0, samples, 8), random.uniform(0.1, 1.0, 8))
    return (0.3 * noise / np.abs(noise).max() * swell).astype(np.float32)


def _music(random: Random, samples: int) -> Floats:
    """Chords of struck or held tones with harmonics, a new one every beat."""
    out = np.zeros(samples, np.float32)
    beat = round(random.uniform(0.25, 0.9) * RATE)
    root = random.uniform(80, 260)
    held = random.random() < 0.4
    for start in range(0, samples, beat):
        length = min(round(beat * random.uniform(0.8, 1.6)), samples - start)
        time = np.arange(length) / RATE
        steps = random.choice([0, 2, 3, 4, 5, 7, 9, 10, 12, 16], random.integers(1, 4))
        swing = np.minimum(time / 0.01, 1.0) * (1.0 if held else np.exp(-time / 0.3))
        for step in steps:
            hz = root * 2.0 ** (float(step) / 12.0)
            for harmonic in range(1, 6):
                tone = np.sin(2 * np.pi * hz * harmonic * time) / harmonic ** random.uniform(1, 2)
                out[start : start + length] += (0.05 * swing * tone).astype(np.float32)
    return out


def _knocks(random: Random, samples: int) -> Floats:
    out = 0.002 * random.standard_normal(samples)
    for start in random.integers(0, samples, int(samples / RATE * random.uniform(0.3, 4))):
        length = min(round(random.uniform(0.005, 0.12) * RATE), samples - start)
        time = np.arange(length) / RATE
        ring = np.sin(2 * np.pi * random.uniform(80, 2500) * time) * 0.5
        burst = ring + 0.5 * random.standard_normal(length)
        out[start : start + length] += burst * np.exp(-time / random.uniform(0.003, 0.04))
    return (0.5 * out / np.abs(out).max()).astype(np.float32)
