"""How a face behaves over time, in figures that can be set beside real listeners'.

Everything is measured on motion in the ``arkit`` space, whoever made it: a tracker on a real
video, a generator, or the synthetic rule. Angles are degrees, times seconds, rates a minute.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from dimcli.core.motion import HEAD, JAW_OPEN_RAD, Motion

Floats = NDArray[np.floating[Any]]

BLINK_RISE = 0.2
"""A blink lifts eyeBlink at least this far over its surroundings."""
BLINK_LONGEST_S = 0.5
"""Longer closures are looks down or closed eyes, not blinks."""
NOD_BAND_HZ = (0.7, 4.0)
JITTER_BAND_HZ = (5.0, 12.0)
NOD_SMALLEST = 1.2
"""Degrees peak to peak; smaller swings of pitch are not called nods."""
NOD_LONGEST_SWING_S = 0.75
"""A half cycle that takes longer is a change of posture."""
SHAKE_SMALLEST = 2.0
SPEED_LOWPASS_HZ = 6.0
"""Speeds are of low-passed motion, so that a tracker's noise does not count as movement."""
MOUTH_OPEN = 0.05
"""jawOpen above which a mouth counts as open."""
SMILE_RISE = 0.2
"""A smile begins where the next seconds' mean lies this far above the last second's."""
PAUSE_WINDOW_S = (0.0, 1.7)
"""Nods that start this long after speech stops count as nods at that pause."""


@dataclass(frozen=True)
class Behaviour:
    """One clip's figures; NaN where there was nothing to measure (no blink, no nod)."""

    seconds: float
    blinks_a_minute: float
    blink_width_s: float
    nods_a_minute: float
    nod_degrees: float
    nod_hz: float
    shakes_a_minute: float
    pitch_nod_band_degrees: float
    yaw_std_degrees: float
    pitch_std_degrees: float
    roll_std_degrees: float
    head_speed_mean: float
    head_speed_p95: float
    pitch_jitter_degrees: float
    smile_mean: float
    smile_std: float
    mouth_open_share: float
    expression_speed: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Coupling:
    """How a listener goes with a speaker; rates a minute, NaN where there was no occasion.

    ``nods_at_pauses`` and ``nods_elsewhere``: nod starts a minute of the time shortly after speech
    stops, and of the rest. ``smile_after_smile``: mean rise of the listener's smile from before to
    after the start of a speaker's smile; ``smile_by_chance``: the same at other times.
    """

    nods_at_pauses: float
    nods_elsewhere: float
    smile_after_smile: float
    smile_by_chance: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def measure(motion: Motion) -> Behaviour:
    """The figures of one motion in the ``arkit`` space; at least 2 s of it make sense."""
    motion.require_space("arkit")
    fps = motion.fps
    degrees = np.degrees(motion.values[:, HEAD]).astype(float)
    minutes = motion.duration_s / 60.0
    blinks, widths = find_blinks(motion)
    nods = find_nods(degrees[:, 0], fps)
    shakes = find_swings(degrees[:, 1], fps, smallest=SHAKE_SMALLEST, swings=3)
    speed = np.linalg.norm(np.diff(low_passed(degrees, fps, SPEED_LOWPASS_HZ), axis=0), axis=1)
    speed = speed * fps if len(speed) else np.zeros(1)
    smile = _smile(motion)
    faces = np.concatenate([motion.expression, motion.jaw[:, :1] / JAW_OPEN_RAD], axis=1)
    change = np.diff(low_passed(faces, fps, SPEED_LOWPASS_HZ), axis=0)
    expression = np.sqrt(np.mean(change**2, axis=1)) * fps if len(change) else np.zeros(1)
    return Behaviour(
        seconds=motion.duration_s,
        blinks_a_minute=len(blinks) / minutes,
        blink_width_s=_median(widths),
        nods_a_minute=len(nods) / minutes,
        nod_degrees=_median([nod.degrees for nod in nods]),
        nod_hz=_median([nod.hz for nod in nods]),
        shakes_a_minute=len(shakes) / minutes,
        pitch_nod_band_degrees=float(band_passed(degrees[:, 0], fps, NOD_BAND_HZ).std()),
        yaw_std_degrees=float(degrees[:, 1].std()),
        pitch_std_degrees=float(degrees[:, 0].std()),
        roll_std_degrees=float(degrees[:, 2].std()),
        head_speed_mean=float(speed.mean()),
        head_speed_p95=float(np.quantile(speed, 0.95)),
        pitch_jitter_degrees=float(band_passed(degrees[:, 0], fps, JITTER_BAND_HZ).std()),
        smile_mean=float(smile.mean()),
        smile_std=float(smile.std()),
        mouth_open_share=float((motion.column("jawOpen") > MOUTH_OPEN).mean()),
        expression_speed=float(expression.mean()),
    )


def medians(measured: list[Behaviour]) -> Behaviour:
    """The median of each figure over clips, NaNs left out."""
    names = [field.name for field in fields(Behaviour)]
    return Behaviour(**{name: _median([getattr(one, name) for one in measured]) for name in names})


@dataclass(frozen=True)
class Swings:
    """A run of swings of one angle: start and end (s), largest peak to peak, rate."""

    start: float
    end: float
    degrees: float
    hz: float


def find_nods(pitch_degrees: Floats, fps: float) -> list[Swings]:
    """Nods in a pitch track [T]: down and up again, quickly, in the nod band."""
    return find_swings(pitch_degrees, fps, smallest=NOD_SMALLEST, swings=2)


def find_swings(angle: Floats, fps: float, *, smallest: float, swings: int) -> list[Swings]:
    """Runs of at least ``swings`` alternating half cycles of at least ``smallest`` degrees."""
    band = band_passed(angle, fps, NOD_BAND_HZ)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(band))) != 0) + 1
    if len(turns) < 2:
        return []
    sizes = np.abs(np.diff(band[turns]))
    lengths = np.diff(turns) / fps
    good = (sizes >= smallest) & (lengths <= NOD_LONGEST_SWING_S)
    found = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    for first, last in zip(edges[0::2], edges[1::2], strict=True):
        if last - first >= swings:
            start, end = turns[first] / fps, turns[last] / fps
            found.append(
                Swings(
                    start=float(start),
                    end=float(end),
                    degrees=float(np.median(sizes[first:last])),
                    hz=float((last - first) / 2.0 / (end - start)),
                )
            )
    return found


def find_blinks(motion: Motion) -> tuple[Floats, Floats]:
    """Times (s) of blinks and their widths at half height (s)."""
    lids = (motion.column("eyeBlinkLeft") + motion.column("eyeBlinkRight")) / 2.0
    peaks, shape = find_peaks(
        np.pad(lids, 1), prominence=BLINK_RISE, width=(0, BLINK_LONGEST_S * motion.fps)
    )
    return (peaks - 1) / motion.fps, shape["widths"] / motion.fps


def couple(listener: Motion, speaker: Motion, active: Floats) -> Coupling:
    """How ``listener`` goes with ``speaker``; ``active`` [T] is 1 where the speaker is heard.

    All three have one length and rate.
    """
    fps = listener.fps
    seconds = len(listener) / fps
    starts = np.array([nod.start for nod in find_nods(np.degrees(listener.head[:, 0]), fps)])
    near = np.zeros(len(listener), bool)
    for pause in find_pauses(active, fps):
        first = round((pause + PAUSE_WINDOW_S[0]) * fps)
        near[first : round((pause + PAUSE_WINDOW_S[1]) * fps)] = True
    at = near[np.minimum((starts * fps).astype(int), len(near) - 1)] if len(starts) else near[:0]
    minutes_near = near.mean() * seconds / 60.0
    minutes_far = (1.0 - near.mean()) * seconds / 60.0
    smile = _smile(listener)
    rises = smile_starts(speaker)
    change = _change_after(smile, fps)
    index = np.minimum((rises * fps).astype(int), len(change) - 1)
    return Coupling(
        nods_at_pauses=at.sum() / minutes_near if minutes_near else float("nan"),
        nods_elsewhere=(~at).sum() / minutes_far if minutes_far else float("nan"),
        smile_after_smile=float(change[index].mean()) if len(rises) else float("nan"),
        smile_by_chance=float(change.mean()) if len(change) else float("nan"),
    )


def find_pauses(active: Floats, fps: float, shortest_s: float = 0.28) -> Floats:
    """Times (s) at which speech stops for at least ``shortest_s``: [P]."""
    quiet = np.concatenate([[0], (np.asarray(active) < 0.5).astype(int), [0]])
    edges = np.flatnonzero(np.diff(quiet))
    starts, ends = edges[0::2], edges[1::2]
    keep = ((ends - starts) >= shortest_s * fps) & (starts > 0)
    return starts[keep] / fps


def smile_starts(motion: Motion) -> Floats:
    """Times (s) of lasting rises of the smile by :data:`SMILE_RISE` or more: where each peaks.

    Talking flickers through the smile columns, so single frames say nothing.
    """
    rise = _change_after(_smile(motion), motion.fps)
    peaks, _ = find_peaks(rise, height=SMILE_RISE, distance=max(1, round(2.0 * motion.fps)))
    return peaks / motion.fps


def low_passed(track: Floats, fps: float, hz: float) -> Floats:
    """``track`` [T, ...] under ``hz``, without delay."""
    if hz >= 0.95 * fps / 2.0:
        return np.asarray(track, float)
    return _filtered(track, butter(2, hz, "low", fs=fps, output="sos"))


def band_passed(track: Floats, fps: float, band_hz: tuple[float, float]) -> Floats:
    """``track`` [T, ...] inside ``band_hz``, without delay."""
    high = min(band_hz[1], 0.95 * fps / 2.0)
    return _filtered(track, butter(2, [band_hz[0], high], "band", fs=fps, output="sos"))


def _filtered(track: Floats, sections: Floats) -> Floats:
    track = np.asarray(track, float)
    padding = min(3 * (2 * len(sections) + 1), len(track) - 1)
    return sosfiltfilt(sections, track, axis=0, padlen=max(padding, 0))


def _smile(motion: Motion) -> Floats:
    return (motion.column("mouthSmileLeft") + motion.column("mouthSmileRight")) / 2.0


def _change_after(track: Floats, fps: float) -> Floats:
    """Mean of the 2 s that begin half a second later, less the 1.5 s before: [T]."""
    before, lag, after = round(1.5 * fps), round(0.5 * fps), round(2.0 * fps)
    total = np.concatenate([[0.0], np.cumsum(track, dtype=float)])
    index = np.arange(len(track))
    early, late = np.maximum(index - before, 0), np.minimum(index + lag + after, len(track))
    middle = np.minimum(index + lag, len(track) - 1)
    mean_before = (total[index + 1] - total[early]) / (index + 1 - early)
    mean_after = (total[late] - total[middle]) / np.maximum(late - middle, 1)
    return mean_after - mean_before


def _median(values: Any) -> float:
    array = np.asarray(values, float)
    array = array[np.isfinite(array)]
    return float(np.median(array)) if len(array) else float("nan")
