"""A small speech synthesiser: syllables with known timing to sound, in numpy.

Source and filter: a glottal pulse train along a falling pitch contour and noise, shaped in short
overlapping windows by four formants and a fricative band. It says nothing, but it has what a
listener reacts to: syllables, stress, phrase ends, pauses, voices, rooms and microphones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats
from dimcli.data.synthetic.laughter import laugh_notes
from dimcli.data.synthetic.rule import LAUGH

RATE = 16000
"""Samples a second of everything this module makes."""
HOP = 160
WINDOW = 320

VOWELS_HZ = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
        [490, 1350, 1690],
        [660, 1720, 2410],
        [440, 1020, 2240],
    ],
    dtype=np.float32,
)
"""Formants 1-3 of American English vowels (Peterson and Barney 1952, men)."""

MOUTH_OPENING = np.array([1.0, 0.7, 0.35, 0.75, 0.3, 0.5, 0.9, 0.5], dtype=np.float32)
"""How far the jaw opens on each of :data:`VOWELS_HZ`."""
ROUNDING = np.array([0.0, 0.0, 0.0, 0.6, 1.0, 0.4, 0.0, 0.7], dtype=np.float32)
"""How far the lips round on each of :data:`VOWELS_HZ`."""
CONSONANTS = ("stop", "fricative", "nasal", "none")


@dataclass(frozen=True)
class Syllables:
    """Syllables of one speaker, S of them in order; times in seconds.

    ``start`` and ``end`` [S]; ``vowel`` int [S]; ``consonant`` int [S] into :data:`CONSONANTS`;
    ``stress`` [S] in 0..1; ``pitch`` [S] semitones above the voice's floor; ``lips_close`` bool
    [S], whether the onset is labial.
    """

    start: Floats
    end: Floats
    vowel: NDArray[np.int64]
    consonant: NDArray[np.int64]
    stress: Floats
    pitch: Floats
    lips_close: NDArray[np.bool_]


@dataclass(frozen=True)
class Voice:
    """A voice and its recording: pitch floor in Hz, formant scale, spectral tilt, noise, room."""

    pitch_hz: float
    formant_scale: float
    tilt_db: float
    breath: float
    gain: float
    noise_db: float
    noise_tilt: float
    reverb_s: float
    reverb_gain: float
    low_cut_hz: float
    high_cut_hz: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> Voice:
        """A random voice: men about 110 Hz and women about 200 Hz (Baken and Orlikoff 2000)."""
        woman = random.random() < 0.5
        return cls(
            pitch_hz=float((165.0 if woman else 90.0) * np.exp(random.normal(0.0, 0.12))),
            formant_scale=float((1.16 if woman else 1.0) * random.uniform(0.94, 1.06)),
            tilt_db=float(random.uniform(-9.0, -4.0)),
            breath=float(random.uniform(0.02, 0.12)),
            gain=float(10.0 ** (random.uniform(-30.0, -8.0) / 20.0)),
            noise_db=float(random.uniform(-62.0, -22.0)),
            noise_tilt=float(random.uniform(-6.0, 0.0)),
            reverb_s=float(random.uniform(0.02, 0.25)),
            reverb_gain=float(random.uniform(0.0, 0.35)),
            low_cut_hz=float(random.choice([50.0, 100.0, 200.0, 300.0])),
            high_cut_hz=float(random.choice([3600.0, 5500.0, 7900.0, 7900.0])),
        )


def synthesise(
    syllables: Syllables,
    voice: Voice,
    breaths: Floats,
    laughs: Floats,
    duration_s: float,
    random: np.random.Generator,
) -> Floats:
    """The sound of ``syllables``: float32 [duration_s * 16000], peak under 1.

    ``breaths`` [B] are times of audible breaths, in seconds; ``laughs`` [L, 3] start, length and
    notes a second of laughs.
    """
    samples = round(duration_s * RATE)
    hops = samples // HOP + 3
    tracks = _control_tracks(syllables, voice, breaths, hops, random)
    tracks = _with_laughs(tracks, laughs, voice, random)
    source = _voiced_source(tracks.pitch_hz, samples + WINDOW, random)
    noise = random.standard_normal(samples + WINDOW, dtype=np.float32)
    voiced_shape, noise_shape = _spectral_shapes(tracks, voice)
    sound = _overlap_add(source, voiced_shape, hops) + _overlap_add(noise, noise_shape, hops)
    return _record(sound[HOP : HOP + samples], voice, random)


@dataclass(frozen=True)
class _Tracks:
    pitch_hz: Floats  # [H]
    voiced: Floats  # [H] amplitude
    aspirated: Floats  # [H] amplitude
    fricative: Floats  # [H] amplitude
    fricative_hz: Floats  # [H]
    formants_hz: Floats  # [H, 3]


def _control_tracks(
    syllables: Syllables,
    voice: Voice,
    breaths: Floats,
    hops: int,
    random: np.random.Generator,
) -> _Tracks:
    """The synthesiser's controls every 10 ms."""
    count = len(syllables.start)
    voiced, aspirated, fricative = (np.zeros(hops, dtype=np.float32) for _ in range(3))
    fricative_hz = np.full(hops, 4500.0, dtype=np.float32)
    loud = 10.0 ** ((-7.0 + 8.0 * syllables.stress + random.normal(0, 3.5, count)) / 20.0)
    closure = random.integers(4, 14, count)  # silence of a stop in hops; long ones end words
    fricative_of = random.uniform(2500.0, 6500.0, count)
    knots, pitch_knots = [], []
    first = np.round(syllables.start * RATE / HOP).astype(int)
    last = np.maximum(np.round(syllables.end * RATE / HOP).astype(int), first + 4)
    for index in range(count):
        begin, end = first[index], min(last[index], hops)
        if begin >= hops - 2:
            break
        kind = CONSONANTS[syllables.consonant[index]]
        onset = min(begin + _onset_hops(kind, closure[index]), end - 3)
        if kind == "fricative":
            fricative[begin:onset] = 0.35 * loud[index]
            fricative_hz[begin:onset] = fricative_of[index]
        elif kind == "stop":
            fricative[max(onset - 1, 0) : onset + 1] = 0.4 * loud[index]
            fricative_hz[max(onset - 1, 0) : onset + 1] = fricative_of[index]
        elif kind == "nasal":
            voiced[begin:onset] = 0.3 * loud[index]
        length = max(end - onset, 1)
        ramp = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] * 0.5 + 0.5)
        voiced[onset:end] = loud[index] * np.minimum(ramp[: end - onset] / 3.0, 1.0)
        knots += [begin, (onset + end) / 2]
        pitch_knots += [syllables.pitch[index], syllables.pitch[index]]
    for time in breaths:
        begin = int(time * RATE / HOP)
        aspirated[begin : begin + 30] += 0.05 * np.hanning(30)[: max(hops - begin, 0)]
    grid = np.arange(hops)
    middle = (first + last) / 2.0
    if count:
        semitones = np.interp(grid, knots, pitch_knots)
        formants = np.stack(
            [np.interp(grid, middle, VOWELS_HZ[syllables.vowel, k]) for k in range(3)], axis=1
        )
    else:
        semitones, formants = np.zeros(hops), np.tile(VOWELS_HZ[5], (hops, 1))
    wobble = np.interp(grid, np.arange(0, hops + 8, 8), random.normal(0, 0.25, hops // 8 + 2))
    aspirated += voice.breath * voiced
    return _Tracks(
        pitch_hz=(voice.pitch_hz * 2.0 ** ((semitones + wobble) / 12.0)).astype(np.float32),
        voiced=_soften(voiced),
        aspirated=_soften(aspirated),
        fricative=_soften(fricative),
        fricative_hz=fricative_hz,
        formants_hz=(formants * voice.formant_scale).astype(np.float32),
    )


def _with_laughs(
    tracks: _Tracks, laughs: Floats, voice: Voice, random: np.random.Generator
) -> _Tracks:
    """``tracks`` with ``laughs`` [L, 3] in them: breathy notes of an open, high voice."""
    times = np.arange(len(tracks.voiced)) * HOP / RATE
    pitch, formants = tracks.pitch_hz.copy(), tracks.formants_hz.copy()
    voiced, aspirated = tracks.voiced.copy(), tracks.aspirated.copy()
    notes = laugh_notes(laughs, times)
    for start, length, _ in laughs:
        within = (times >= start) & (times < start + length)
        loud = 10.0 ** (random.uniform(*LAUGH.loud_db) / 20.0)
        fall = LAUGH.fall_semitones * (times[within] - start) / length
        pitch[within] = voice.pitch_hz * 2.0 ** ((random.uniform(*LAUGH.semitones) - fall) / 12.0)
        formants[within] = VOWELS_HZ[0] * voice.formant_scale
        voiced[within] = loud * notes[within]
        aspirated[within] = LAUGH.breath * loud
    return replace(tracks, pitch_hz=pitch, voiced=voiced, aspirated=aspirated, formants_hz=formants)


def _onset_hops(kind: str, closure: int) -> int:
    return {"stop": int(closure), "fricative": 8, "nasal": 5, "none": 0}[kind]


def _soften(track: Floats) -> Floats:
    return np.convolve(track, [0.25, 0.5, 0.25], mode="same").astype(np.float32)


def _voiced_source(pitch_hz: Floats, samples: int, random: np.random.Generator) -> Floats:
    """Pulses along the pitch contour: a smooth bump once a period, jittered. [samples]."""
    jitter = 1.0 + random.normal(0.0, 0.01, len(pitch_hz))
    grid = np.arange(samples, dtype=np.float32) / HOP
    cycles = np.cumsum(np.interp(grid, np.arange(len(pitch_hz)), pitch_hz * jitter) / RATE)
    whole = np.floor(cycles)
    pulse = np.zeros(samples, dtype=np.float32)
    pulse[1:] = np.diff(whole).astype(np.float32)
    # A differentiated pulse has no offset and the right lack of bass.
    shaped = np.convolve(pulse, np.array([0.2, 1.0, 0.2, -0.5, -0.6, -0.3]), mode="same")
    return (shaped * np.sqrt(RATE / 130.0) * 0.6).astype(np.float32)


def _spectral_shapes(tracks: _Tracks, voice: Voice) -> tuple[Floats, Floats]:
    """Gains of the voiced source and of the noise: two arrays [H, WINDOW // 2 + 1]."""
    hz = np.arange(WINDOW // 2 + 1, dtype=np.float32) * RATE / WINDOW
    octaves = np.log2(np.maximum(hz, 100.0) / 100.0)
    tilt = 10.0 ** (voice.tilt_db * octaves / 20.0)
    envelope = np.full((len(tracks.voiced), len(hz)), 0.03, dtype=np.float32)
    for formant, width, gain in ((0, 90.0, 1.0), (1, 120.0, 0.8), (2, 180.0, 0.6)):
        distance = (hz - tracks.formants_hz[:, formant, None]) / width
        envelope += gain / (1.0 + distance * distance)
    envelope += 0.4 / (1.0 + ((hz - 3600.0 * voice.formant_scale) / 300.0) ** 2)
    lift = 10.0 ** (3.0 * octaves / 20.0)
    voiced = (envelope * (tilt * lift * tracks.voiced[:, None])).astype(np.float32)
    distance = (hz - tracks.fricative_hz[:, None]) / 1300.0
    hiss = np.exp(-0.5 * np.minimum(distance * distance, 50.0)) * tracks.fricative[:, None]
    noise = hiss + 0.5 * envelope * tracks.aspirated[:, None]
    return voiced, noise.astype(np.float32)


def _overlap_add(source: Floats, gains: Floats, hops: int) -> Floats:
    """Filter ``source`` with gains that change every hop: [(hops + 1) * HOP]."""
    source = np.pad(source, (0, max(0, (hops + 1) * HOP - len(source))))
    pieces = np.lib.stride_tricks.sliding_window_view(source, WINDOW)[: hops * HOP : HOP]
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    filtered = np.fft.irfft(np.fft.rfft(pieces * window) * gains[: len(pieces)], n=WINDOW)
    out = np.zeros((len(pieces) + 1, HOP), dtype=np.float32)
    out[:-1] += filtered[:, :HOP]
    out[1:] += filtered[:, HOP:]
    return out.reshape(-1)


def _record(sound: Floats, voice: Voice, random: np.random.Generator) -> Floats:
    """Room, microphone, background noise and gain, in one pass over the spectrum."""
    size = len(sound)
    speech_rms = float(np.sqrt(np.mean(sound**2))) + 1e-6
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(size, 1.0 / RATE)
    tail = round(voice.reverb_s * RATE)
    response = np.zeros(size, dtype=np.float32)
    response[0] = 1.0
    decay = np.exp(-6.9 * np.arange(tail) / max(tail, 1)) * random.standard_normal(tail)
    decay *= voice.reverb_gain / (np.sqrt(np.sum(decay**2)) + 1e-6)
    keep = min(tail, size - 200)
    response[200 : 200 + keep] = decay[:keep]
    spectrum = spectrum * np.fft.rfft(response)
    noise = np.fft.rfft(random.standard_normal(size, dtype=np.float32))
    noise *= 10.0 ** (voice.noise_tilt * np.log2(np.maximum(hz, 60.0) / 60.0) / 20.0)
    noise_rms = np.sqrt(np.mean(np.abs(noise) ** 2) / size) + 1e-9
    spectrum = spectrum + noise * (speech_rms / noise_rms * 10.0 ** (voice.noise_db / 20.0))
    band = 1.0 / (1.0 + (voice.low_cut_hz / np.maximum(hz, 1.0)) ** 4)
    band /= 1.0 + (hz / voice.high_cut_hz) ** 16
    out = np.fft.irfft(spectrum * band, n=size)
    out *= voice.gain / (np.sqrt(np.mean(out**2)) + 1e-9)
    return np.tanh(out).astype(np.float32)
