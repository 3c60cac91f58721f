"""Building blocks of synthetic motion: smooth noise, blinks, nods, episodes. Vectorised numpy.

Legend: T frames. Times in seconds; every function takes the frame rate. All randomness comes from
the generator that is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import ARKIT_EXPRESSIONS, MOTION_DIM, Doubles, Floats, expression_index
from dimcli.data.synthetic.rule import FACE, Pair

Track = NDArray[np.floating[Any]]
Random = np.random.Generator


def lognormal(random: Random, pair: Pair) -> float:
    """A draw of a log-normal given as (median, sigma of the log)."""
    return pair[0] * float(np.exp(random.normal(0.0, pair[1])))


def lognormals(random: Random, pair: Pair, size: int) -> Doubles:
    """As :func:`lognormal`, ``size`` of them."""
    return pair[0] * np.exp(random.normal(0.0, pair[1], size))


def smooth_noise(
    random: Random, frames: int, fps: float, band_hz: Pair, columns: int = 1
) -> Floats:
    """Gaussian noise of unit expected variance in a soft band: float32 [T, columns].

    Its spectrum is flat over ``band_hz``, from a lower end (0 for none) to an upper one, and falls
    at 24 dB an octave above, so that it has no frame-to-frame jitter.
    """
    low_hz, high_hz = band_hz
    # Twice the length, so that the ends of what is kept do not meet.
    size = 2 * max(frames, 8)
    hz = np.fft.rfftfreq(size, 1.0 / fps)
    gain = 1.0 / (1.0 + (hz / high_hz) ** 4)
    gain[0] = 0.0
    if low_hz > 0:
        gain[1:] *= 1.0 / (1.0 + (low_hz / hz[1:]) ** 4)
    white = np.fft.rfft(random.standard_normal((size, columns)), axis=0)
    signal = np.fft.irfft(white * gain[:, None], n=size, axis=0)
    # Variance of filtered white noise: the mean of the squared gain over the two-sided spectrum.
    variance = (2.0 * np.sum(gain**2) - gain[-1] ** 2) / size
    return (signal[:frames] / np.sqrt(variance)).astype(np.float32)


def renewal_times(
    random: Random, duration_s: float, a_minute: float, shortest_s: float, shape: float = 2.0
) -> Floats:
    """Event times of a renewal process: gaps are ``shortest_s`` plus a gamma of that shape."""
    if a_minute <= 0:
        return np.zeros(0, np.float32)
    mean_gap = max(60.0 / a_minute - shortest_s, 0.05)
    count = int(2.0 * duration_s / (mean_gap + shortest_s)) + 8
    gaps = shortest_s + random.gamma(shape, mean_gap / shape, count)
    times = np.cumsum(gaps) - random.uniform(0.0, mean_gap + shortest_s)
    return times[(times > 0) & (times < duration_s)].astype(np.float32)


def poisson_times(random: Random, duration_s: float, a_minute: float) -> Floats:
    """Event times of a Poisson process at ``a_minute`` events a minute, sorted."""
    count = random.poisson(max(a_minute, 0.0) * duration_s / 60.0)
    return np.sort(random.uniform(0.0, duration_s, count)).astype(np.float32)


def add_blink(
    track: Track,
    fps: float,
    time: float,
    *,
    peak: float,
    close_s: float,
    open_s: float,
    hold_s: float = FACE.blink_hold_s,
) -> None:
    """Raise ``track`` [T] to a blink in place: it closes in ``close_s``, stays for ``hold_s`` and
    opens in ``open_s``."""
    first = max(int(np.ceil((time - close_s) * fps)), 0)
    last = min(int(np.floor((time + hold_s + open_s) * fps)) + 1, len(track))
    if first >= last:
        return
    offset = np.arange(first, last) / fps - time
    phase = np.where(
        offset < 0, 1.0 + offset / close_s, 1.0 - np.maximum(offset - hold_s, 0) / open_s
    )
    lid = peak * (0.5 - 0.5 * np.cos(np.pi * np.clip(phase, 0.0, 1.0)))
    track[first:last] = np.maximum(track[first:last], lid)


def add_nod(
    track: Track, fps: float, time: float, *, size: float, hz: float, cycles: int, decay: float
) -> None:
    """Add a nod to pitch ``track`` [T] in place: ``cycles`` downward bows of falling size."""
    first = max(int(np.ceil(time * fps)), 0)
    last = min(int(np.floor((time + cycles / hz) * fps)) + 1, len(track))
    if first >= last:
        return
    cycle = (np.arange(first, last) / fps - time) * hz
    bow = 0.5 - 0.5 * np.cos(2.0 * np.pi * cycle)
    track[first:last] += size * decay ** np.floor(cycle) * bow


def add_episode(
    track: Track,
    fps: float,
    time: float,
    *,
    length_s: float,
    size: float,
    flanks_s: Pair,
) -> None:
    """Add a plateau to ``track`` [T], with a cosine onset and offset of ``flanks_s``."""
    rise_s, fall_s = flanks_s
    first = max(int(np.ceil(time * fps)), 0)
    last = min(int(np.floor((time + length_s) * fps)) + 1, len(track))
    if first >= last:
        return
    offset = np.arange(first, last) / fps - time
    phase = np.minimum(np.minimum(offset / rise_s, (length_s - offset) / fall_s), 1.0)
    track[first:last] += size * (0.5 - 0.5 * np.cos(np.pi * np.clip(phase, 0.0, 1.0)))


def smoothed(track: Track, taps: Track) -> Track:
    """``track`` [T] filtered by an odd number of ``taps``, with nothing beyond its ends: [T]."""
    first = len(taps) // 2
    return np.convolve(track, taps)[first : first + len(track)]


def delayed(track: Track, fps: float, delay_s: float) -> Track:
    """``track`` [T, ...] moved later by ``delay_s``; its first value is held."""
    shift = min(round(delay_s * fps), len(track))
    return np.concatenate([np.repeat(track[:1], shift, axis=0), track[: len(track) - shift]])


def add_gaze(values: Floats, right: Track, down: Track) -> None:
    """Add a look to ``values`` [T, 56]: ``right`` (image right) and ``down`` [T], 1 is extreme."""
    sides = np.maximum(right, 0), np.maximum(-right, 0)
    add(values, "eyeLookOutLeft", sides[0])
    add(values, "eyeLookInRight", sides[0])
    add(values, "eyeLookInLeft", sides[1])
    add(values, "eyeLookOutRight", sides[1])
    add(values, "eyeLookDown", down)
    add(values, "eyeLookUp", -FACE.gaze_look_up * down)


def add(values: Floats, name: str, track: Track | float) -> None:
    """Add ``track`` to the expression ``name``, or to both its sides if it names no side."""
    for full in sides_of(name):
        values[:, expression_index(full)] += track


def sides_of(name: str) -> tuple[str, ...]:
    """The expressions that ``name`` stands for: itself, or its left and right."""
    return (name,) if name in ARKIT_EXPRESSIONS else (f"{name}Left", f"{name}Right")


def empty_motion(frames: int) -> Floats:
    """A still, neutral motion: float32 [T, 56] of zeros."""
    return np.zeros((frames, MOTION_DIM), dtype=np.float32)
