"""How a listener goes with a speaker: nods at pauses; smiles after smiles, laughs after laughs and
heads after heads; and medians over clips.

Only tests and benchmarks measure this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from dimcli.core.motion import Motion
from dimcli.evaluation.behaviour import (
    Behaviour,
    answer_figures,
    find_nods,
    finite_median,
    near_pauses,
    smile_of,
)

Floats = NDArray[np.floating[Any]]

SMILE_RISE = 0.2
"""A smile begins where the next seconds' mean lies this far above the last second's."""
LAGS_S = np.round(np.arange(-0.4, 2.01, 0.2), 1)
MIMICRY_HZ = (0.2, 1.1)
"""Where Hale and others (2020) found heads to follow heads."""
POSTURE_HZ = (0.0, 0.2)
MIRRORED = np.array([1.0, -1.0, -1.0])
"""Who mirrors a lean to one side of the picture leans to the other side of their own: yaw and roll
change sign."""
TREMBLING_FROM_HZ = 2.0
LAUGH_JAW = 0.17
"""jawOpen, its trembling filtered away, from which it is a laugh,"""
LAUGH_S = 0.5
"""if it lasts as long as this."""
AFTER_PAUSE_S = (0.25, 1.25)
"""The middle of a nod so long after a pause begins is a nod after it."""


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


def couple(listener: Motion, speaker: Motion, active: Floats) -> Coupling:
    """How ``listener`` goes with ``speaker``; ``active`` [T] is 1 where the speaker is heard.

    All three have one length and rate.
    """
    fps, nods = listener.fps, answer_figures(listener, None, active)
    smile = smile_of(listener)
    rises = smile_starts(speaker)
    change = _change_after(smile, fps)
    index = np.minimum((rises * fps).astype(int), len(change) - 1)
    return Coupling(
        nods_at_pauses=nods["nods_at_pauses_a_minute"],
        nods_elsewhere=nods["nods_elsewhere_a_minute"],
        smile_after_smile=float(change[index].mean()) if len(rises) else float("nan"),
        smile_by_chance=float(change.mean()) if len(change) else float("nan"),
    )


@dataclass
class PauseNods:
    """Nods counted by their middle, within AFTER_PAUSE_S of a pause and elsewhere, pooled."""

    counts: Floats = field(default_factory=lambda: np.zeros(2))
    minutes: Floats = field(default_factory=lambda: np.zeros(2))

    def add(self, listener: Motion, active: Floats) -> None:
        """Count one video's nods; ``active`` [T] says whether the speaker speaks."""
        near = near_pauses(active, listener.fps, AFTER_PAUSE_S)
        for nod in find_nods(np.degrees(listener.head[:, 0]), listener.fps):
            middle = min(int((nod.start + nod.end) / 2 * listener.fps), len(near) - 1)
            self.counts[0 if near[middle] else 1] += 1
        self.minutes += np.array([near.sum(), (~near).sum()]) / listener.fps / 60

    def __str__(self) -> str:
        rates = self.counts / np.maximum(self.minutes, 1e-9)
        return (
            f"{rates[0]:.1f} a minute after pauses ({self.counts[0]:.0f} nods), "
            f"{rates[1]:.1f} elsewhere ({self.counts[1]:.0f})"
        )


def smile_starts(motion: Motion) -> Floats:
    """Times (s) of lasting rises of the smile by :data:`SMILE_RISE` or more: where each peaks.

    Talking flickers through the smile columns, so single frames say nothing.
    """
    rise = _change_after(smile_of(motion), motion.fps)
    peaks, _ = find_peaks(rise, height=SMILE_RISE, distance=max(1, round(2.0 * motion.fps)))
    return peaks / motion.fps


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


def medians(measured: list[Behaviour]) -> Behaviour:
    """The median of each figure over clips, NaNs left out."""
    names = [each.name for each in fields(Behaviour)]
    return Behaviour(
        **{name: finite_median([getattr(one, name) for one in measured]) for name in names}
    )


def follows(
    listener: Motion,
    speaker: Motion,
    band_hz: tuple[float, float] = MIMICRY_HZ,
    part: slice = slice(None),
) -> Floats:
    """Correlation of the listener's head with the speaker's earlier one in the mirror, at LAGS_S:
    mean of pitch, yaw and roll in the band, over a ``part`` of the frames."""
    low, high = band_hz
    kind, corners = ("bandpass", band_hz) if low else ("lowpass", high)
    band = butter(2, corners, kind, fs=listener.fps, output="sos")
    own, other = (sosfiltfilt(band, motion.head, axis=0)[part] for motion in (listener, speaker))
    other = other * MIRRORED
    found = []
    for lag in np.round(LAGS_S * listener.fps).astype(int):
        if lag >= 0:
            late, early = own[lag:], other[: len(other) - lag]
        else:
            late, early = own[:lag], other[-lag:]
        with np.errstate(invalid="ignore"):  # an axis may be held still for a whole clip
            found.append(np.nanmean([np.corrcoef(late[:, a], early[:, a])[0, 1] for a in range(3)]))
    return np.array(found)


def find_laughs(motion: Motion) -> Floats:
    """Starts (s) of a listener's laughs: where the mouth is further and longer open than for
    nearly anything else that listeners do."""
    low = butter(2, TREMBLING_FROM_HZ, "lowpass", fs=motion.fps, output="sos")
    wide = sosfiltfilt(low, motion.column("jawOpen")) > LAUGH_JAW
    edges = np.diff(wide.astype(int), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return starts[ends - starts >= LAUGH_S * motion.fps] / motion.fps
