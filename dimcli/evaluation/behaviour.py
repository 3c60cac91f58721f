"""How a face behaves over time, in figures that can be set beside real listeners'.

Everything is measured on motion in the ``arkit`` space, whoever made it: a tracker on a real
video, a generator, or the synthetic rule. Angles are degrees, times seconds, rates a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from dimcli.core.masks import runs
from dimcli.core.motion import EXPRESSION, HEAD, JAW_OPEN_RAD, Bools, Motion, Reals
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation.scores import CONFIDENCE, TRUTH

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
STILL_SPEED = 1.5
"""Degrees a second under which a head counts as still."""
OPENING = 0.03
"""A mouth opens where its lip gap is so far over the clip's own low,"""
OPENING_SHORTEST_S = 0.1
"""for at least this long."""
EYE_DEGREES = (25.0, 18.0, 22.0)
"""How far an eye turns where eyeLookOut or In, Up and Down are 1: what the open head's do."""
GAZE_AWAY = 5.0
"""Degrees from a clip's usual direction of gaze (head and eyes) from which it is averted,"""
GAZE_SHORTEST_S = 0.2
"""for at least this long; closed eyes do not count."""
EYES_CLOSED = 0.4
PAUSE_SHORTEST_S = 0.28
PAUSE_WINDOW_S = (-0.4, 1.0)
"""Nods that start this long after speech stops count as nods at that pause."""
ANSWER_WINDOW_S = (0.0, 2.0)
"""A nod that starts this long after one of the speaker's may answer it."""


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
    expression_speed: float
    still_share: float
    lip_gap_mean: float
    lip_gap_p95: float
    lip_gap_std: float
    openings_a_minute: float
    opening_s: float
    opening_height: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def measure(motion: Motion, lip_gap: Reals | None = None) -> Behaviour:
    """The figures of one motion in the ``arkit`` space; at least 2 s of it make sense.

    ``lip_gap`` [T] (:func:`dimcli.tracking.geometry.lip_gaps`) is what a video shows of the lips;
    without it those are NaN.
    """
    motion.require_space("arkit")
    fps = motion.fps
    degrees = np.degrees(motion.values[:, HEAD]).astype(float)
    minutes = motion.duration_s / 60.0
    blinks, widths = find_blinks(motion)
    nods = find_nods(degrees[:, 0], fps)
    shakes = find_swings(degrees[:, 1], fps, smallest=SHAKE_SMALLEST, swings=3)
    speed = np.linalg.norm(np.diff(low_passed(degrees, fps, SPEED_LOWPASS_HZ), axis=0), axis=1)
    speed = speed * fps if len(speed) else np.zeros(1)
    smile = smile_of(motion)
    faces = np.concatenate([motion.expression, motion.jaw[:, :1] / JAW_OPEN_RAD], axis=1)
    change = np.diff(low_passed(faces, fps, SPEED_LOWPASS_HZ), axis=0)
    expression = np.sqrt(np.mean(change**2, axis=1)) * fps if len(change) else np.zeros(1)
    return Behaviour(
        seconds=motion.duration_s,
        blinks_a_minute=len(blinks) / minutes,
        blink_width_s=finite_median(widths),
        nods_a_minute=len(nods) / minutes,
        nod_degrees=finite_median([nod.degrees for nod in nods]),
        nod_hz=finite_median([nod.hz for nod in nods]),
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
        expression_speed=float(expression.mean()),
        still_share=float((speed < STILL_SPEED).mean()),
        **_of_lips(np.full(1, np.nan) if lip_gap is None else lip_gap, fps),
    )


def _of_lips(gap: Reals, fps: float) -> dict[str, float]:
    height = gap - np.percentile(gap, 10)
    found = [(a, b) for a, b in runs(height > OPENING) if b - a >= OPENING_SHORTEST_S * fps]
    nothing = float("nan")
    return {
        "lip_gap_mean": float(gap.mean()),
        "lip_gap_p95": float(np.percentile(gap, 95)),
        "lip_gap_std": float(gap.std()),
        "openings_a_minute": len(found) / (len(gap) / fps / 60) if np.isfinite(gap[0]) else nothing,
        "opening_s": finite_median([(b - a) / fps for a, b in found]),
        "opening_height": finite_median([height[a:b].max() for a, b in found]),
    }


def gaze_figures(motion: Motion) -> dict[str, float]:
    """Gaze aversion of a motion in the ``arkit`` space: share of the time, times a minute, and
    seconds of each (median)."""
    look = {
        f"{way}{side}": motion.column(f"eyeLook{way}{side}").astype(float)
        for way in ("In", "Out", "Up", "Down")
        for side in ("Left", "Right")
    }
    aside, up, down = EYE_DEGREES
    left = look["OutLeft"] - look["InLeft"]
    right = look["InRight"] - look["OutRight"]
    yaw = np.degrees(motion.head[:, 1]) + aside * (left + right) / 2
    lowered = down * (look["DownLeft"] + look["DownRight"]) / 2
    pitch = np.degrees(motion.head[:, 0]) + lowered - up * (look["UpLeft"] + look["UpRight"]) / 2
    lids = (motion.column("eyeBlinkLeft") + motion.column("eyeBlinkRight")) / 2
    away = np.hypot(yaw - np.median(yaw), pitch - np.median(pitch)) > GAZE_AWAY
    away &= lids < EYES_CLOSED
    shortest = GAZE_SHORTEST_S * motion.fps
    found = [stop - start for start, stop in runs(away) if stop - start >= shortest]
    return {
        "gaze_away_share": sum(found) / len(motion),
        "gaze_aversions_a_minute": len(found) / (motion.duration_s / 60),
        "gaze_away_s": finite_median(found) / motion.fps,
    }


def answer_figures(
    listener: Motion, speaker: Motion | None, active: Reals | None
) -> dict[str, float]:
    """When ``listener`` nods: nod starts a minute at the speaker's pauses and elsewhere, and the
    median seconds from a pause, and from one of the speaker's nods, to the next nod.

    ``active`` [T] is 1 where the speaker is heard; NaN without it, and where there is no occasion.
    Without the ``speaker``'s motion its nods are left out.
    """
    fps, nothing = listener.fps, float("nan")
    starts = nod_starts(listener)
    found = {}
    if speaker is not None:
        after = latencies(starts, nod_starts(speaker), ANSWER_WINDOW_S)
        found["nod_after_nod_s"] = finite_median(after)
    if active is None:
        return found | dict.fromkeys(
            ("nods_at_pauses_a_minute", "nods_elsewhere_a_minute", "nod_after_pause_s"), nothing
        )
    pauses, near = find_pauses(active, fps), near_pauses(active, fps)
    at = near[np.minimum((starts * fps).astype(int), len(near) - 1)]
    minutes = [frames / fps / 60 for frames in (near.sum(), (~near).sum())]
    rates = [
        count / length if length else nothing
        for count, length in zip((at.sum(), (~at).sum()), minutes, strict=True)
    ]
    return found | {
        "nods_at_pauses_a_minute": rates[0],
        "nods_elsewhere_a_minute": rates[1],
        "nod_after_pause_s": finite_median(latencies(starts, pauses, PAUSE_WINDOW_S)),
    }


def nod_starts(motion: Motion) -> Reals:
    """Times (s) at which nods start."""
    return np.array([nod.start for nod in find_nods(np.degrees(motion.head[:, 0]), motion.fps)])


def latencies(starts: Reals, occasions: Reals, window_s: tuple[float, float]) -> Reals:
    """Seconds from each occasion to the first of ``starts`` that lies in its window."""
    apart = np.asarray(starts)[None] - np.asarray(occasions)[:, None]
    inside = np.where((apart >= window_s[0]) & (apart <= window_s[1]), apart, np.inf)
    first = inside.min(axis=1, initial=np.inf)
    return first[np.isfinite(first)]


def find_pauses(active: Reals, fps: float, shortest_s: float = PAUSE_SHORTEST_S) -> Reals:
    """Times (s) at which speech stops for at least ``shortest_s``: [P]."""
    quiet = np.concatenate([[0], (np.asarray(active) < 0.5).astype(int), [0]])
    edges = np.flatnonzero(np.diff(quiet))
    starts, ends = edges[0::2], edges[1::2]
    keep = ((ends - starts) >= shortest_s * fps) & (starts > 0)
    return starts[keep] / fps


def near_pauses(active: Reals, fps: float, window_s: tuple[float, float] = PAUSE_WINDOW_S) -> Bools:
    """Which frames lie in ``window_s`` from the start of a pause: [T]."""
    near = np.zeros(len(active), bool)
    for pause in find_pauses(active, fps):
        first, last = (max(round((pause + edge) * fps), 0) for edge in window_s)
        near[first:last] = True
    return near


@dataclass(frozen=True)
class Swings:
    """A run of swings of one angle: start and end (s), largest peak to peak, rate."""

    start: float
    end: float
    degrees: float
    hz: float


def find_nods(pitch_degrees: Reals, fps: float) -> list[Swings]:
    """Nods in a pitch track [T]: down and up again, quickly, in the nod band."""
    return find_swings(pitch_degrees, fps, smallest=NOD_SMALLEST, swings=2)


def find_swings(angle: Reals, fps: float, *, smallest: float, swings: int) -> list[Swings]:
    """Runs of at least ``swings`` alternating half cycles of at least ``smallest`` degrees."""
    band = band_passed(angle, fps, NOD_BAND_HZ)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(band))) != 0) + 1
    if len(turns) < 2:
        return []
    sizes = np.abs(np.diff(band[turns]))
    lengths = np.diff(turns) / fps
    good = (sizes >= smallest) & (lengths <= NOD_LONGEST_SWING_S)
    found = []
    for first, last in runs(good):
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


def find_blinks(motion: Motion) -> tuple[Reals, Reals]:
    """Times (s) of blinks and their widths at half height (s)."""
    lids = (motion.column("eyeBlinkLeft") + motion.column("eyeBlinkRight")) / 2.0
    peaks, shape = find_peaks(
        np.pad(lids, 1), prominence=BLINK_RISE, width=(0, BLINK_LONGEST_S * motion.fps)
    )
    return (peaks - 1) / motion.fps, shape["widths"] / motion.fps


def low_passed(track: Reals, fps: float, hz: float) -> Reals:
    """``track`` [T, ...] under ``hz``, without delay."""
    if hz >= 0.95 * fps / 2.0:
        return np.asarray(track, float)
    return _filtered(track, butter(2, hz, "low", fs=fps, output="sos"))


def band_passed(track: Reals, fps: float, band_hz: tuple[float, float]) -> Reals:
    """``track`` [T, ...] inside ``band_hz``, without delay; NaN where frames are too few a second
    to hold any of the band."""
    high = min(band_hz[1], 0.95 * fps / 2.0)
    if high <= band_hz[0]:
        return np.full(np.shape(track), np.nan)
    return _filtered(track, butter(2, [band_hz[0], high], "band", fs=fps, output="sos"))


def _filtered(track: Reals, sections: Reals) -> Reals:
    track = np.asarray(track, float)
    padding = min(3 * (2 * len(sections) + 1), len(track) - 1)
    return sosfiltfilt(sections, track, axis=0, padlen=max(padding, 0))


def smile_of(motion: Motion) -> Reals:
    """How much both mouth corners smile: [T]."""
    return (motion.column("mouthSmileLeft") + motion.column("mouthSmileRight")) / 2.0


def finite_median(values: Any) -> float:
    """The median without NaNs; NaN of nothing."""
    array = np.asarray(values, float)
    array = array[np.isfinite(array)]
    return float(np.median(array)) if len(array) else float("nan")


MOVEMENT_FIGURES = {
    "head speed, degrees a second": 1,
    "pitch jitter 5-12 Hz, degrees": 3,
    "expression speed, 1/s": 3,
    "nods a minute": 1,
    "blinks a minute": 1,
}
"""What is measured of a clip, and the decimals that it is written with."""


@dataclass(frozen=True)
class Movement:
    """A method's figures: means over clips [5] and their bootstrap intervals [5]."""

    name: str
    mean: Reals
    low: Reals
    high: Reals


def movements(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    seed: int,
    resamples: int = 1000,
) -> list[Movement]:
    """The truth's and every predictor's movement over the clips of ``split``, one sample each.

    FD, P-FD, MSE, SID and Var do not change when a clip's frames are shuffled (together with the
    truth's), so a listener who trembles can score as well as one who nods. These figures are of
    motion over time, and therefore in the ``arkit`` space only.
    """
    by_name: dict[str, list[Reals]] = {name: [] for name in (TRUTH, *predictors)}
    for record in store.clips(split):
        clip = store.load(record)
        by_name[TRUTH].append(_describe(clip.listener))
        for name, predictor in predictors.items():
            by_name[name].append(_describe(predictor.predict(clip.stimulus("listener"), seed)))
    random = np.random.default_rng(seed)
    count = len(by_name[TRUTH])
    draws = random.integers(count, size=(resamples, count))
    edges = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    result = []
    for name, rows in by_name.items():
        values = np.stack(rows)
        low, high = np.quantile(values[draws].mean(axis=1), edges, axis=0)
        result.append(Movement(name, values.mean(axis=0), low, high))
    return result


def movement_markdown(rows: list[Movement]) -> str:
    """The table as Markdown: a line a method, intervals behind the figures."""
    lines = [
        "### How they move",
        "",
        "| | " + " | ".join(MOVEMENT_FIGURES) + " |",
        "| --- |" + " ---: |" * len(MOVEMENT_FIGURES),
    ]
    for row in rows:
        cells = [
            f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
            for digits, mean, low, high in zip(
                MOVEMENT_FIGURES.values(), row.mean, row.low, row.high, strict=True
            )
        ]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    note = (
        "The nearer to the ground truth's the better. Means over clips, one sample each; FD and "
        "its like do not see the order of frames."
    )
    return "\n".join([*lines, "", note, ""])


def _describe(motion: Motion) -> Reals:
    values = motion.values.astype(float)
    speed = np.abs(np.diff(values, axis=0)) * motion.fps
    behaviour = measure(motion)
    return np.array(
        [
            np.degrees(speed[:, HEAD].mean()),
            behaviour.pitch_jitter_degrees,
            speed[:, EXPRESSION].mean(),
            behaviour.nods_a_minute,
            behaviour.blinks_a_minute,
        ]
    )
