"""Sounds to train on: what happens to a voice on its way into a recording, and sounds without one.

Training sound comes from a few synthesisers; the changes keep a model from learning their timbre:
playing faster or slower (pitch, formants and rate together), stretching (rate alone), room,
equaliser, noise, band limits, a codec's losses, compression and level. Only the first two move
phones; they say by how much. :func:`rest_sound` draws what a speaker must stay silent on.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import fftconvolve, resample_poly

from dimcli.core.motion import Floats

Random = np.random.Generator

RATE = 16000
"""Samples a second of everything here."""


@dataclass(frozen=True)
class Changes:
    """A drawn set of changes; :meth:`draw` has the ranges, :meth:`none` leaves the sound alone.

    ``speed`` plays the sound that much faster; ``stretch`` then makes it that much longer at the
    same pitch. Levels in dB, times in seconds.
    """

    speed: float = 1.0
    stretch: float = 1.0
    equaliser_db: tuple[float, ...] = ()
    room_s: float = 0.0
    room_db: float = -60.0
    noise_db: float = -90.0
    noise_tilt_db: float = 0.0
    hum_db: float = -90.0
    low_cut_hz: float = 0.0
    high_cut_hz: float = 8000.0
    codec: float = 0.0
    compression: float = 0.0
    level_db: float = -20.0

    @classmethod
    def none(cls) -> Changes:
        """No change but the level."""
        return cls()

    @classmethod
    def draw(cls, random: Random) -> Changes:
        """Changes as real recordings have them: from a studio to a video call."""
        clean = random.random() < 0.25
        return cls(
            speed=float(np.exp(random.uniform(np.log(0.78), np.log(1.15)))),
            stretch=float(np.exp(random.uniform(np.log(0.8), np.log(1.2)))),
            equaliser_db=tuple(random.normal(0.0, 1.5 if clean else 4.0, 8).tolist()),
            room_s=float(random.uniform(0.05, 0.25) if clean else random.uniform(0.1, 0.7)),
            room_db=float(random.uniform(-30, -14) if clean else random.uniform(-16, -2)),
            noise_db=float(random.uniform(-70, -45) if clean else random.uniform(-45, -12)),
            noise_tilt_db=float(random.uniform(-7.0, 1.0)),
            hum_db=float(random.uniform(-45, -25)) if random.random() < 0.15 else -90.0,
            low_cut_hz=float(random.choice([0.0, 50.0, 80.0, 150.0, 300.0])),
            high_cut_hz=float(random.choice([3400.0, 4000.0, 5500.0, 7000.0, 8000.0, 8000.0])),
            codec=float(random.uniform(0.2, 1.0)) if random.random() < 0.4 else 0.0,
            compression=float(random.uniform(0.0, 0.6)) if random.random() < 0.5 else 0.0,
            level_db=float(random.uniform(-38.0, -10.0)),
        )

    @property
    def time_scale(self) -> float:
        """New times are old ones times this."""
        return self.stretch / self.speed


def changed(sound: Floats, changes: Changes, random: Random) -> Floats:
    """``sound`` float [N] at 16 kHz with ``changes``: float32 [about N * time_scale]."""
    wanted = round(len(sound) * changes.time_scale)
    sound = _played_faster(sound, changes.speed)
    if abs(changes.stretch - 1.0) > 0.01:
        sound = stretched(sound, changes.stretch)
    sound = np.pad(sound, (0, max(0, wanted - len(sound))))[:wanted]
    speech = sound[np.abs(sound) > 0.02 * np.abs(sound).max(initial=1e-9)]
    rms = float(np.sqrt(np.mean(np.square(speech)))) if len(speech) else 1e-3
    if changes.compression:
        sound = _compressed(sound, changes.compression)
    sound = _in_room(sound, changes, random)
    sound = sound + rms * _noise(len(sound), changes, random)
    sound = _filtered(sound, changes)
    if changes.codec:
        sound = _coded(sound, changes.codec)
    level = float(np.sqrt(np.mean(np.square(sound)))) + 1e-9
    return np.tanh(sound * 10.0 ** (changes.level_db / 20.0) / level).astype(np.float32)


def _played_faster(sound: Floats, speed: float) -> Floats:
    ratio = Fraction(1.0 / speed).limit_denominator(60)
    if ratio == 1:
        return sound
    return resample_poly(sound, ratio.numerator, ratio.denominator).astype(np.float32)


def stretched(sound: Floats, factor: float) -> Floats:
    """``sound`` [N] made ``factor`` times longer at the same pitch (WSOLA: Verhelst and Roelands
    1993): windows of 30 ms, each taken from within 7 ms of its place where it continues the one
    before best.
    """
    hop, reach = 240, 112
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    count = int(len(sound) * factor / hop) + 1
    padded = np.pad(sound, (reach, reach + 6 * hop)).astype(np.float32)
    out = np.zeros((count + 1) * hop, np.float32)
    at = reach
    for index in range(count):
        target = min(int(index * hop / factor), len(sound)) + reach
        if index:
            following = padded[at + hop : at + 3 * hop]
            region = padded[target - reach : target + reach + 2 * hop]
            score = np.correlate(region, following, mode="valid")
            at = target - reach + int(score.argmax())
        else:
            at = target
        out[index * hop : (index + 2) * hop] += window * padded[at : at + 2 * hop]
    return out[: round(len(sound) * factor)]


def _compressed(sound: Floats, amount: float) -> Floats:
    """A level that follows itself slowly: loud parts down, soft parts up."""
    hop = 160
    count = len(sound) // hop
    if count < 4:
        return sound
    level = np.sqrt(np.square(sound[: count * hop].reshape(-1, hop)).mean(axis=1)) + 1e-4
    smooth = np.convolve(np.pad(level, 10, mode="edge"), np.full(21, 1 / 21), mode="valid")
    gain = (np.maximum(smooth, 0.05 * smooth.max()) / smooth.max()) ** -amount
    return (sound * np.interp(np.arange(len(sound)), np.arange(count) * hop, gain)).astype(
        np.float32
    )


def _in_room(sound: Floats, changes: Changes, random: Random) -> Floats:
    tail = round(changes.room_s * RATE)
    if tail < 32 or changes.room_db < -40:
        return sound
    decay = random.standard_normal(tail) * np.exp(-6.9 * np.arange(tail) / tail)
    decay *= 10.0 ** (changes.room_db / 20.0) / np.sqrt(np.sum(decay**2))
    delay = int(random.integers(20, 160))
    response = np.concatenate([[1.0], np.zeros(delay), decay]).astype(np.float32)
    return fftconvolve(sound, response)[: len(sound)].astype(np.float32)


def _noise(samples: int, changes: Changes, random: Random) -> Floats:
    """Coloured, slowly changing noise and hum, relative to a speech level of 1: [samples]."""
    size = next_fast_len(samples, real=True)
    spectrum = rfft(random.standard_normal(size, dtype=np.float32))
    hz = rfftfreq(size, 1.0 / RATE).astype(np.float32)
    spectrum *= 10.0 ** (changes.noise_tilt_db * np.log2(np.maximum(hz, 60.0) / 60.0) / 20.0)
    noise = irfft(spectrum, n=size)[:samples]
    noise *= 10.0 ** (changes.noise_db / 20.0) / (np.sqrt(np.mean(noise**2)) + 1e-9)
    knots = random.normal(0.0, 0.25, max(samples // RATE, 1) + 2)
    noise *= np.exp(np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, len(knots)), knots))
    if changes.hum_db > -80:
        base = random.choice([50.0, 60.0])
        time = np.arange(samples) / RATE
        hum = sum(np.sin(2 * np.pi * base * k * time + k) / k for k in (1, 2, 3, 5))
        noise = noise + 10.0 ** (changes.hum_db / 20.0) * hum
    return np.asarray(noise, np.float32)


def _filtered(sound: Floats, changes: Changes) -> Floats:
    """Equaliser (gains at octaves from 80 Hz), low cut and high cut, in one pass."""
    size = next_fast_len(len(sound), real=True)
    spectrum = rfft(np.asarray(sound, np.float32), size)
    hz = rfftfreq(size, 1.0 / RATE).astype(np.float32)
    gain = 1.0 / (1.0 + (changes.low_cut_hz / np.maximum(hz, 1.0)) ** 6)
    if changes.high_cut_hz < 8000.0:
        gain /= 1.0 + (hz / changes.high_cut_hz) ** 20
    if changes.equaliser_db:
        octave = np.log2(np.maximum(hz, 80.0) / 80.0)
        gain *= 10.0 ** (np.interp(octave, range(8), changes.equaliser_db) / 20.0)
    return np.asarray(irfft(spectrum * gain, n=size)[: len(sound)], np.float32)


def _coded(sound: Floats, amount: float) -> Floats:
    """What a low bit rate does: windows lose the parts that are far under their loudest."""
    window, hop = 512, 256
    padded = np.pad(sound, (window, 2 * window))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = np.sqrt(np.hanning(window + 1)[:-1]).astype(np.float32)
    spectrum = np.fft.rfft(pieces * shape)
    size = np.abs(spectrum)
    floor = size.max(axis=1, keepdims=True) * 10.0 ** ((-58.0 + 26.0 * amount) / 20.0)
    kept = np.fft.irfft(spectrum * (size > floor), n=window) * shape
    out = np.zeros(len(padded) + window, np.float32)
    for index, piece in enumerate(kept):
        out[index * hop : index * hop + window] += piece
    return out[window : window + len(sound)]


RESTS = ("nothing", "noise", "music", "knocks")


def rest_sound(random: Random, duration_s: float) -> Floats:
    """A drawn sound without speech, float32 [duration_s * 16000]: digital silence, steady or
    swelling noise, chords with a beat, or knocks and clicks.
    """
    samples = round(duration_s * RATE)
    kind = str(random.choice(RESTS))
    if kind == "nothing":
        return np.zeros(samples, np.float32)
    sound = {"noise": _steady_noise, "music": _music, "knocks": _knocks}[kind](random, samples)
    changes = Changes.draw(random)
    # nothing moves here, so times need not be kept: what is cut off is made up with the start
    return np.resize(changed(sound, changes, random), samples).astype(np.float32)


def _steady_noise(random: Random, samples: int) -> Floats:
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
