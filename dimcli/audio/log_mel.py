"""The built-in encoder, ``mel``: 28 log-mel bands, level, speech activity, voicing and pitch, made
with numpy alone. It is built so that speech from any microphone looks the same: levels are
relative to the clip's own speech, steady noise is subtracted, each band is centred on its mean
over the clip's speech (which removes the microphone's and the codec's colour), and the range is
clamped. A pause is therefore the same few numbers in a studio recording, in a compressed stream
and in synthetic speech.

A stream knows nothing of its clip beforehand, so for :class:`OnlineMel` everything is relative to
the last 30 seconds heard, without long pauses: who has been silent for minutes is heard at once.
The first half second counts as silence. After a few seconds of speech its features are close to the
whole clip's; a model takes either (their name and width are the same). A frame's features depend on
the sound up to the frame's end and on nothing later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from dimcli.audio.sound import SAMPLE_RATE, checked_sound
from dimcli.core.masks import widened
from dimcli.core.motion import Floats

NUM_MELS = 28
LEVEL, ACTIVITY, VOICING, PITCH = range(NUM_MELS, NUM_MELS + 4)
MEL_DIM = NUM_MELS + 4
"""Width of the ``mel`` features: 28 bands, then level, activity, voicing, pitch."""

WINDOW = 512
HOP = 160
"""10 ms between analysis windows of 32 ms."""
HOPS_A_SECOND = SAMPLE_RATE / HOP

SPEECH_BAND_HZ = (150.0, 4000.0)
RANGE_DB = 30.0
"""Levels are clamped this far below the clip's speech level and scaled to -1..~0.5."""
SILENCE_DBFS = -75.0
"""A clip whose loudest speech is under this counts as silent."""
PITCH_RANGE_HZ = (70.0, 400.0)
BLOCK_HOPS = 3000
"""Windows analysed at a time, so that memory does not grow with the sound's length."""

HISTORY_S = 30.0
"""How far back a stream's levels, noise and pitch are looked up."""
SETTLING_S = 0.5
PAUSE_S = 1.5
"""What is further than this from speech is forgotten, but for the last of it, twice as long."""
LOOK_UP_S = 0.16
"""How often they are looked up."""


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


@cache
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


@dataclass(frozen=True)
class Levels:
    """What a sound's features are relative to: the level of its speech and of its pauses, the
    ``noise`` [28] in each band's power, the ``centre`` [28] of its speech there (dB), and the
    middle of its pitch (Hz)."""

    speech_db: float
    floor_db: float
    noise: Floats
    centre: Floats
    pitch: float

    @classmethod
    def of(cls, power: Floats, energy: Floats, voicing: Floats, pitch: Floats) -> Levels | None:
        """Those of an analysed sound (:func:`analyse`); None where it is silent."""
        smooth_db = smooth(level_db(energy), 3)
        speech_db = float(np.quantile(smooth_db, 0.95))
        if speech_db < SILENCE_DBFS:
            return None
        floor_db = float(np.quantile(smooth_db, 0.05))
        activity = _activity(smooth_db, speech_db, floor_db)
        active = activity > 0.5
        if not active.any():
            return None
        noise = np.quantile(power, 0.05, axis=0)
        # A band's mean is over its upper part, so that gaps inside words do not move it.
        centre = np.quantile(_bands_db(power, noise)[active], 0.7, axis=0)
        sure = _voiced(activity, voicing) > 0.6
        middle = float(np.median(pitch[sure])) if sure.sum() > 10 else 150.0
        return cls(speech_db, floor_db, noise, centre, middle)

    def activity(self, energy: Floats) -> Floats:
        """Whether somebody speaks, 0..1, in windows of speech-band power [H]: [H]."""
        return _activity(smooth(level_db(energy), 3), self.speech_db, self.floor_db)


def level_db(energy: Floats) -> Floats:
    """Levels in dBFS of windows' speech-band power [H]."""
    return np.asarray(10.0 * np.log10(energy * (4.0 / (WINDOW * WINDOW)) + 1e-12))


def _activity(smooth_db: Floats, speech_db: float, floor_db: float) -> Floats:
    # The threshold keeps to the same place between noise and speech, whatever their distance is.
    threshold = max(speech_db - 22.0, floor_db + 0.45 * (speech_db - floor_db), SILENCE_DBFS)
    width = max(0.08 * (speech_db - floor_db), 1.0)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip((smooth_db - threshold) / width, -30, 30))))


def _bands_db(power: Floats, noise: Floats) -> Floats:
    return np.asarray(10.0 * np.log10(np.maximum(power - 2.0 * noise, 1e-12)))


def _voiced(activity: Floats, voicing: Floats) -> Floats:
    return np.asarray(activity * np.clip((voicing - 0.35) / 0.4, 0.0, 1.0))


def normalise(
    power: Floats,
    energy: Floats,
    voicing: Floats,
    pitch: Floats,
    levels: Levels | None = None,
) -> Floats:
    """Features at the 10 ms rate, made relative to ``levels``, by default the sound's own:
    [H, 32]."""
    levels = levels or Levels.of(power, energy, voicing, pitch)
    if levels is None:
        return silence(len(energy))
    activity = levels.activity(energy)
    voiced = _voiced(activity, voicing)
    octaves = np.clip(np.log2(pitch / levels.pitch), -1.0, 1.0)
    features = np.empty((len(energy), MEL_DIM), dtype=np.float32)
    bands_db = _bands_db(power, levels.noise)
    features[:, :NUM_MELS] = np.clip((bands_db - levels.centre) / RANGE_DB, -1.0, 0.6)
    features[:, LEVEL] = np.clip((level_db(energy) - levels.speech_db) / RANGE_DB, -1.0, 0.5)
    features[:, ACTIVITY] = activity
    features[:, VOICING] = voiced
    features[:, PITCH] = octaves * (voiced > 0.5)
    # The gate gives a pause one look, whatever noise is left in it.
    gate = np.clip(smooth(activity, 5) * 3.0, 0.0, 1.0)[:, None]
    features[:, : LEVEL + 1] = gate * features[:, : LEVEL + 1] - (1.0 - gate)
    return features


def smooth(signal: Floats, width: int) -> Floats:
    """Moving average over ``width`` values with held ends: [H]."""
    padded = np.pad(signal, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid").astype(np.float32)


def _to_frames(fine: Floats, fps: float, frames: int) -> Floats:
    """Means of the 10 ms rows over the 1/fps seconds around each t / fps: [frames, D]."""
    total = np.concatenate([np.zeros((1, fine.shape[1])), np.cumsum(fine, axis=0, dtype=float)])
    # Row h stands for the time [h - 1/2, h + 1/2) in hops; integrate that step function exactly.
    edges = (np.arange(frames + 1) - 0.5) / fps * HOPS_A_SECOND + 0.5
    edges = np.clip(edges, 0.0, len(fine))
    low = np.minimum(edges.astype(int), len(fine) - 1)
    integral = total[low] + (edges - low)[:, None] * fine[low]
    return (np.diff(integral, axis=0) / np.diff(edges)[:, None]).astype(np.float32)


class OnlineMel:
    """Takes samples as they come and gives features frame by frame.

    ``feed`` may be called with any number of samples; how they are cut makes no difference.
    """

    def __init__(self, fps: float, rows: int = 1) -> None:
        """``fps`` frames a second; samples are at ``SAMPLE_RATE``; ``rows`` rows of ``mel`` a frame
        as :func:`mel_rows` lays them out (4: ``mel4``)."""
        self._fps = fps
        self._rows = rows
        self._frame = 0
        self._heard = 0
        self._first = 0  # number of the first sample in the buffer
        self._samples = np.zeros(0, np.float32)
        self._hop = 0  # the next to analyse
        # power, energy, voicing and pitch of the windows looked back on, the last of them whole
        self._past: tuple[Floats, ...] = ()
        self._levels: Levels | None = None

    def feed(self, samples: Floats) -> Floats:
        """Features float32 [n, rows * 32] of the n frames that end within what was heard with
        ``samples``.

        Raises InputError on NaN or a wrong shape.
        """
        samples = checked_sound(samples, SAMPLE_RATE, SAMPLE_RATE)
        self._samples = np.concatenate([self._samples, samples])
        self._heard += len(samples)
        rows = []
        while self._end(self._frame) <= self._heard:
            rows.append(self._describe(self._frame))
            self._frame += 1
        return np.stack(rows) if rows else np.zeros((0, self._rows * MEL_DIM), np.float32)

    def _end(self, frame: int) -> int:
        """The number of samples up to the end of ``frame``."""
        return int(np.ceil((frame + 1) / self._fps * SAMPLE_RATE))

    def _describe(self, frame: int) -> Floats:
        self._analyse_until(self._end(frame))
        if self._levels is None or frame % max(1, round(LOOK_UP_S * self._fps)) == 0:
            self._look_up()
        if frame / self._fps < SETTLING_S or self._levels is None:
            return np.tile(silence(1)[0], self._rows)
        # the frame's windows, and as many before as smoothing reaches
        last = int(np.ceil(2 * HOPS_A_SECOND / self._fps)) + 10
        power, energy, voicing, pitch = (part[-last:] for part in self._past)
        fine = normalise(power, energy, voicing, pitch, self._levels)
        places = frame + (np.arange(self._rows) - self._rows // 2) / self._rows
        return np.concatenate([self._row(fine, place) for place in places])

    def _look_up(self) -> None:
        """Find the levels of what is looked back on, and forget long pauses in it."""
        if not self._past or len(self._past[0]) < 2:
            return
        self._levels = Levels.of(*self._past)
        reach = round(PAUSE_S * HOPS_A_SECOND)
        kept = np.zeros(len(self._past[1]), bool)
        if self._levels is not None:
            kept = widened(self._levels.activity(self._past[1]) > 0.5, reach, reach)
        kept[-2 * reach :] = True
        if not kept.all():
            self._past = tuple(part[kept] for part in self._past)

    def _row(self, fine: Floats, place: float) -> Floats:
        """The row about ``place``, in frames, from the rows every 10 ms so far: [32]."""
        # Rows of the 1 / fps seconds around the frame. What has not been heard to the end yet is
        # left out.
        first = self._hop - len(fine)
        half = 0.5 / self._rows
        low, high = ((place + side) / self._fps * HOPS_A_SECOND for side in (-half, half))
        rows = np.arange(max(int(np.floor(low + 0.5)), first), self._hop)
        rows = rows[rows <= np.ceil(high - 0.5)]
        if not len(rows):
            rows = np.array([self._hop - 1])
        weight = np.minimum(rows + 0.5, high) - np.maximum(rows - 0.5, low)
        weight = np.maximum(weight, 1e-6)
        described = (fine[rows - first] * (weight / weight.sum())[:, None]).sum(axis=0)
        return described.astype(np.float32)

    def _analyse_until(self, end: int) -> None:
        """Analyse the windows that lie within the first ``end`` samples, and forget old ones."""
        last = (end - WINDOW // 2) // HOP
        count = last + 1 - self._hop
        if count <= 0:
            return
        # hops whose samples a window reaches back to
        before = min(self._hop, 1 + WINDOW // 2 // HOP)
        start = (self._hop - before) * HOP
        local = self._samples[start - self._first : last * HOP + WINDOW // 2 - self._first]
        found = [part[before:] for part in analyse(local, before + count)]
        kept = round(HISTORY_S * HOPS_A_SECOND)
        past = self._past or tuple(part[:0] for part in found)
        self._past = tuple(
            np.concatenate([old, new])[-kept:] for old, new in zip(past, found, strict=True)
        )
        self._hop = last + 1
        needed = max(0, self._hop - 1 - WINDOW // 2 // HOP) * HOP
        self._samples = self._samples[max(0, needed - self._first) :]
        self._first = max(needed, self._first)


def online_mel(samples: Floats, fps: float, frames: int, rows: int = 1) -> Floats:
    """The features of a whole sound [N] at ``SAMPLE_RATE`` as a stream would have had them:
    float32 [frames, rows * 32]. Sound that ends early counts as silence."""
    needed = int(np.ceil(frames / fps * SAMPLE_RATE)) + 1
    padded = np.zeros(max(needed, 0), np.float32)
    padded[: min(len(samples), needed)] = samples[:needed]
    return OnlineMel(fps, rows).feed(padded)[:frames]
