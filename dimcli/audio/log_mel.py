"""The built-in encoder, ``mel``: 28 log-mel bands, level, speech activity, voicing and pitch, made
with numpy alone. It is built so that speech from any microphone looks the same: levels are
relative to the clip's own speech, steady noise is subtracted, each band is centred on its mean
over the clip's speech (which removes the microphone's and the codec's colour), and the range is
clamped. A pause is therefore the same few numbers in a studio recording, in a compressed stream
and in synthetic speech.
"""

from __future__ import annotations

import numpy as np

from dimcli.audio.sound import checked_sound
from dimcli.core.motion import Floats

NUM_MELS = 28
LEVEL, ACTIVITY, VOICING, PITCH = range(NUM_MELS, NUM_MELS + 4)
MEL_DIM = NUM_MELS + 4
"""Width of the ``mel`` features: 28 bands, then level, activity, voicing, pitch."""

SAMPLE_RATE = 16000
WINDOW = 512
HOP = 160
"""10 ms between analysis windows of 32 ms."""

SPEECH_BAND_HZ = (150.0, 4000.0)
RANGE_DB = 30.0
"""Levels are clamped this far below the clip's speech level and scaled to -1..~0.5."""
SILENCE_DBFS = -75.0
"""A clip whose loudest speech is under this counts as silent."""
PITCH_RANGE_HZ = (70.0, 400.0)
BLOCK_HOPS = 3000
"""Windows analysed at a time, so that memory does not grow with the sound's length."""


def mel(samples: Floats, rate: int, fps: float, frames: int) -> Floats:
    """The ``mel`` features of a mono sound: float32 [frames, 32].

    ``samples`` float [N] at ``rate`` Hz; row t describes the 1/fps seconds around t / fps. Sound
    that ends early counts as silence; sound past the last frame is ignored.
    Raises InputError on NaN or a wrong shape.
    """
    samples = checked_sound(samples, rate, SAMPLE_RATE)
    hops = max(int(np.ceil(frames / fps * SAMPLE_RATE / HOP)) + 4, 1)
    power, energy, voicing, pitch = analyse(samples, hops)
    fine = normalise(power, energy, voicing, pitch)
    return _to_frames(fine, fps, frames)


def mel_rows(samples: Floats, rate: int, fps: float, frames: int, rows: int) -> Floats:
    """``rows`` rows of :func:`mel` a frame, one after the other: float32 [frames, rows * 32].

    Row r of frame t describes the 1/(rows fps) seconds around t / fps + (r - rows // 2) / (rows
    fps). Raises InputError as :func:`mel` does.
    """
    fine = mel(samples, rate, fps * rows, frames * rows)
    return grouped(fine, rows)


def grouped(fine: Floats, rows: int) -> Floats:
    """Rows [frames * rows, D] at the finer rate as :func:`mel_rows` lays them out."""
    before = rows // 2
    shifted = np.concatenate([np.repeat(fine[:1], before, axis=0), fine])[: len(fine)]
    return shifted.reshape(-1, rows * fine.shape[1])


def silence(frames: int) -> Floats:
    """The ``mel`` features of no sound at all: float32 [frames, 32]."""
    features = np.full((frames, MEL_DIM), -1.0, dtype=np.float32)
    features[:, ACTIVITY:] = 0.0
    return features


def _mel_filters() -> Floats:
    """Triangular mel filters between 80 and 7600 Hz: [WINDOW // 2 + 1, NUM_MELS]."""
    edges_mel = np.linspace(_hz_to_mel(80.0), _hz_to_mel(7600.0), NUM_MELS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rise, fall), 0.0, None)
    return (filters / filters.sum(axis=0, keepdims=True)).astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def analyse(samples: Floats, hops: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mel power [H, 28], speech-band power [H], voicing [H] in 0..1 and pitch [H] in Hz.

    Window h is centred at sample h * HOP. Voicing is the height of the normalised autocorrelation
    peak in the pitch range; it comes from the same spectra (their inverse transform).
    """
    filters = _mel_filters()
    window = np.hanning(WINDOW).astype(np.float32)
    frequency = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    in_band = ((frequency > SPEECH_BAND_HZ[0]) & (frequency < SPEECH_BAND_HZ[1])).astype(np.float32)
    taper = (frequency < 1500.0).astype(np.float32)
    window_spectrum = np.abs(np.fft.rfft(window, 2 * WINDOW)) ** 2
    window_lag = np.fft.irfft(window_spectrum)[:WINDOW]
    window_lag = (window_lag / window_lag[0]).astype(np.float32)
    low, high = (round(SAMPLE_RATE / hz) for hz in reversed(PITCH_RANGE_HZ))
    power = np.zeros((hops, NUM_MELS), dtype=np.float32)
    energy, voicing, pitch = (np.zeros(hops, dtype=np.float32) for _ in range(3))
    for first in range(0, hops, BLOCK_HOPS):
        last = min(first + BLOCK_HOPS, hops)
        begin, end = first * HOP - WINDOW // 2, (last - 1) * HOP + WINDOW // 2
        block = np.zeros(end - begin, dtype=np.float32)
        inside = samples[max(begin, 0) : max(end, 0)]
        block[max(-begin, 0) : max(-begin, 0) + len(inside)] = inside
        pieces = np.lib.stride_tricks.sliding_window_view(block, WINDOW)[::HOP] * window
        spectrum = np.abs(np.fft.rfft(pieces, axis=1)).astype(np.float32) ** 2
        power[first:last] = spectrum @ filters
        energy[first:last] = spectrum @ in_band
        lags = np.fft.irfft(spectrum * in_band * taper, axis=1)[:, : WINDOW // 2].astype(np.float32)
        shape = lags[:, low:high] / (lags[:, :1] + 1e-12) / np.maximum(window_lag[low:high], 0.1)
        best = shape.argmax(axis=1)
        voicing[first:last] = np.clip(shape[np.arange(len(shape)), best], 0.0, 1.0)
        pitch[first:last] = SAMPLE_RATE / (best + low)
    return power, energy, voicing, pitch


def normalise(power: Floats, energy: Floats, voicing: Floats, pitch: Floats) -> Floats:
    """Features at the 10 ms rate, made relative to the clip's own speech: [H, 32]."""
    scale = 4.0 / (WINDOW * WINDOW)
    level_db = 10.0 * np.log10(energy * scale + 1e-12)
    smooth_db = _smooth(level_db, 3)
    speech_db = float(np.quantile(smooth_db, 0.95))
    if speech_db < SILENCE_DBFS:
        return silence(len(energy))
    floor_db = float(np.quantile(smooth_db, 0.05))
    # The threshold keeps to the same place between noise and speech, whatever their distance is.
    threshold = max(speech_db - 22.0, floor_db + 0.45 * (speech_db - floor_db), SILENCE_DBFS)
    width = max(0.08 * (speech_db - floor_db), 1.0)
    activity = 1.0 / (1.0 + np.exp(-np.clip((smooth_db - threshold) / width, -30, 30)))
    active = activity > 0.5
    if not active.any():
        return silence(len(energy))

    noise = np.quantile(power, 0.05, axis=0)
    clean = np.maximum(power - 2.0 * noise, 1e-12)
    bands_db = 10.0 * np.log10(clean)
    # A band's mean is over its upper part, so that gaps inside words do not move it.
    centre = np.quantile(bands_db[active], 0.7, axis=0)
    bands = np.clip((bands_db - centre) / RANGE_DB, -1.0, 0.6)

    voiced = activity * np.clip((voicing - 0.35) / 0.4, 0.0, 1.0)
    sure = voiced > 0.6
    middle = np.median(pitch[sure]) if sure.sum() > 10 else 150.0
    octaves = np.clip(np.log2(pitch / middle), -1.0, 1.0)
    features = np.empty((len(energy), MEL_DIM), dtype=np.float32)
    features[:, :NUM_MELS] = bands
    features[:, LEVEL] = np.clip((level_db - speech_db) / RANGE_DB, -1.0, 0.5)
    features[:, ACTIVITY] = activity
    features[:, VOICING] = voiced
    features[:, PITCH] = octaves * (voiced > 0.5)
    # The gate gives a pause one look, whatever noise is left in it.
    gate = np.clip(_smooth(activity, 5) * 3.0, 0.0, 1.0)[:, None]
    features[:, : LEVEL + 1] = gate * features[:, : LEVEL + 1] - (1.0 - gate)
    return features


def _smooth(signal: Floats, width: int) -> Floats:
    """Moving average over ``width`` values with held ends: [H]."""
    padded = np.pad(signal, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid").astype(np.float32)


def _to_frames(fine: Floats, fps: float, frames: int) -> Floats:
    """Means of the 10 ms rows over the 1/fps seconds around each t / fps: [frames, D]."""
    per_second = SAMPLE_RATE / HOP
    total = np.concatenate([np.zeros((1, fine.shape[1])), np.cumsum(fine, axis=0, dtype=float)])
    # Row h stands for the time [h - 1/2, h + 1/2) in hops; integrate that step function exactly.
    edges = (np.arange(frames + 1) - 0.5) / fps * per_second + 0.5
    edges = np.clip(edges, 0.0, len(fine))
    low = np.minimum(edges.astype(int), len(fine) - 1)
    integral = total[low] + (edges - low)[:, None] * fine[low]
    return (np.diff(integral, axis=0) / np.diff(edges)[:, None]).astype(np.float32)
