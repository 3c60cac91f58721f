"""When listeners do what they do, beside the rule that they learned from, on synthetic dyads.

``python -m tests.bench timing``, with DIM_DATA=<synthetic data set>; without, a small held-out one.
Histograms, in events a minute, of nods, long blinks and openings of the mouth about the ends of the
speaker's speech; the lags of the head's posture and movement after the speaker's; smiles after
smiles and laughs after laughs; glances away.
DIM_WEIGHTS says whose, DIM_ONLINE=1 lets them answer as a stream; those that can are also given the
voice alone. DIM_DRAWN=<n> draws the answers to the first n clips on the picture of a made-up person
and counts the nods that the tracker sees there, too (about 6 s a clip and listener).
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.signal import find_peaks

from dimcli.audio import ACTIVITY
from dimcli.core.motion import Motion
from dimcli.data.clip import Clip, Stimulus
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.synthetic import Recipe, conversation_events, conversation_index
from dimcli.evaluation.behaviour import find_nods, find_pauses, smile_of
from dimcli.jobs.evaluate import open_store
from dimcli.models.answers import load_predictor
from dimcli.models.config import find_run
from dimcli.models.registry import read_config
from dimcli.models.simple import Oracle
from tests.bench.bench_lips import drawn_and_tracked
from tests.bench.bench_pictures import REPOSITORY
from tests.coupling import (
    LAGS_S,
    MIMICRY_HZ,
    POSTURE_HZ,
    PauseNods,
    find_laughs,
    follows,
    smile_starts,
)
from weights import DEFAULT_LISTENER

WEIGHTS = os.environ.get("DIM_WEIGHTS", DEFAULT_LISTENER)
ONLINE = os.environ.get("DIM_ONLINE") == "1"
CLIPS = int(os.environ.get("DIM_TIMING_CLIPS", "60"))
DRAWN = int(os.environ.get("DIM_DRAWN", "0"))
PICTURE = REPOSITORY / "examples" / "listener.png"
EDGES = np.round(np.arange(-1.2, 1.81, 0.3), 1)
"""Bins of latencies in seconds from the end of speech."""
LAUGH_ANSWER_S = 2.5
"""A listener's laugh that begins this long after the start of a speaker's answers it."""
LONG_BLINK_S = 0.3
OPENED, AWAY = 0.05, 0.08
"""jawOpen, and a side look or a look down over the clip's median, from which the mouth is open and
eyes are away."""

Floats = NDArray[np.floating]


def latencies(times: Floats, ends: Floats) -> Floats:
    """Of each event that is within the histogram of an end of speech: its latency from the
    nearest."""
    apart = np.asarray(times)[:, None] - np.asarray(ends)[None]
    if not apart.size:
        return np.zeros(0)
    nearest = apart[np.arange(len(apart)), np.abs(apart).argmin(1)]
    return nearest[(nearest >= EDGES[0]) & (nearest < EDGES[-1])]


def long_blinks(motion: Motion) -> Floats:
    """Middles (s) of the blinks that are long."""
    lids = (motion.column("eyeBlinkLeft") + motion.column("eyeBlinkRight")) / 2
    peaks, _ = find_peaks(lids, height=0.4, width=LONG_BLINK_S * motion.fps, rel_height=0.5)
    return peaks / motion.fps


def episodes(track: Floats, level: float, fps: float) -> tuple[Floats, Floats]:
    """Starts and lengths (s) of the stretches in which ``track`` [T] is above ``level``."""
    edges = np.diff((track > level).astype(int), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    inside = starts > 0
    return starts[inside] / fps, (ends - starts)[inside] / fps


def looking_away(motion: Motion) -> Floats:
    """How far the eyes are from where they mostly look: [T]; in a blink, as before and after it."""
    names = ("eyeLookInLeft", "eyeLookOutLeft", "eyeLookDownLeft")
    tracks = np.stack([motion.column(name) for name in names])
    away: Floats = (tracks - np.median(tracks, axis=1, keepdims=True)).max(axis=0)
    lids = motion.column("eyeBlinkLeft")
    blinking = binary_dilation(lids > np.median(lids) + 0.05, iterations=2)
    frames = np.arange(len(away))
    seen: Floats = np.interp(frames, frames[~blinking], away[~blinking])
    return seen


def smiles_answered(listener: Motion, speaker: Motion) -> Floats:
    """Seconds from each start of a speaker's smile to the listener's steepest rise within 3 s."""
    rise = np.diff(smile_of(listener), prepend=smile_of(listener)[0])
    fps, found = listener.fps, []
    for start in (smile_starts(speaker) * fps).astype(int):
        after = rise[start : start + round(3 * fps)]
        if len(after) == round(3 * fps) and after.max() > 0.01:
            found.append(after.argmax() / fps)
    return np.array(found)


@dataclass
class Seen:
    """What was seen of one listener, clip after clip."""

    nods: list[Floats] = field(default_factory=list)
    blinks: list[Floats] = field(default_factory=list)
    openings: list[Floats] = field(default_factory=list)
    lags: list[Floats] = field(default_factory=list)
    posture_lags: list[Floats] = field(default_factory=list)
    laughs_answered: list[float] = field(default_factory=list)
    laughs: int = 0
    own_laughs: int = 0
    smiles: list[Floats] = field(default_factory=list)
    away: list[Floats] = field(default_factory=list)
    nods_in_speech: list[bool] = field(default_factory=list)
    openings_in_speech: list[bool] = field(default_factory=list)
    at_pauses: PauseNods = field(default_factory=PauseNods)
    at_pauses_on_video: PauseNods = field(default_factory=PauseNods)
    ends: int = 0
    minutes: float = 0.0

    def add(self, listener: Motion, clip: Clip, laughs: Floats) -> None:
        """One clip, and when the speaker laughs (s from its start)."""
        fps, active = listener.fps, clip.speaker_audio[:, ACTIVITY]
        ends = find_pauses(active, fps)
        starts = np.array([nod.start for nod in find_nods(np.degrees(listener.head[:, 0]), fps)])
        opened, _ = episodes(listener.column("jawOpen"), OPENED, fps)
        self.nods.append(latencies(starts, ends))
        self.blinks.append(latencies(long_blinks(listener), ends))
        self.openings.append(latencies(opened, ends))
        for times, kept in ((starts, self.nods_in_speech), (opened, self.openings_in_speech)):
            frames = np.minimum((np.asarray(times) * fps).astype(int), len(active) - 1)
            kept.extend((active[frames] >= 0.5).tolist() if len(times) else [])
        self.at_pauses.add(listener, active)
        self.lags.append(follows(listener, clip.speaker, MIMICRY_HZ))
        self.posture_lags.append(follows(listener, clip.speaker, POSTURE_HZ))
        self._add_laughs(find_laughs(listener), laughs, len(listener) / fps)
        self.smiles.append(smiles_answered(listener, clip.speaker))
        self.away.append(episodes(looking_away(listener), AWAY, fps)[1])
        self.ends += len(ends)
        self.minutes += len(listener) / fps / 60.0

    def draw(self, listener: Motion, clip: Clip) -> None:
        """Count the nods of a clip's listener in a video."""
        with tempfile.TemporaryDirectory() as folder:
            video = drawn_and_tracked(listener, PICTURE, Path(folder) / "drawn.mp4").motion
        self.at_pauses_on_video.add(video, clip.speaker_audio[:, ACTIVITY])

    def _add_laughs(self, own: Floats, laughs: Floats, seconds: float) -> None:
        """Starts of the listener's ``own`` laughs, as answers to the speaker's or without one."""
        after = own[:, None] - laughs[None]
        after[(after < 0) | (after > LAUGH_ANSWER_S)] = np.inf
        self.own_laughs += int(np.isinf(after).all(axis=1).sum())
        whole = (laughs >= 0) & (laughs < seconds - LAUGH_ANSWER_S)
        first = after[:, whole].min(axis=0, initial=np.inf)
        self.laughs += len(first)
        self.laughs_answered.extend(first[np.isfinite(first)])

    def cells(self) -> list[str]:
        """One column of the table."""
        per_end = 60 / (self.ends * (EDGES[1] - EDGES[0]))
        rows = [
            " ".join(f"{n * per_end:.1f}" for n in np.histogram(np.concatenate(part), EDGES)[0])
            for part in (self.nods, self.blinks, self.openings)
        ]
        smiles, away = np.concatenate(self.smiles), np.concatenate(self.away)
        return [
            *rows,
            str(self.at_pauses),
            str(self.at_pauses_on_video) if DRAWN else "not drawn",
            *(
                f"{100 * sum(part) / max(len(part), 1):.0f} % of {len(part)}"
                for part in (self.nods_in_speech, self.openings_in_speech)
            ),
            *(
                f"{LAGS_S[lag.argmax()]:.1f} s (r {lag.max():.2f})"
                for lag in (np.nanmean(part, 0) for part in (self.posture_lags, self.lags))
            ),
            f"{np.median(smiles):.1f} s of {len(smiles)}" if len(smiles) else "none",
            f"{100 * len(self.laughs_answered) / max(self.laughs, 1):.0f} % of {self.laughs}"
            + (f", after {np.median(self.laughs_answered):.1f} s" if self.laughs_answered else ""),
            f"{self.own_laughs / self.minutes:.2f}",
            f"{len(away) / self.minutes:.1f}, of {np.median(away) if len(away) else 0:.1f} s",
        ]


def measure(store: ClipStore, recipe: Recipe, answer: Callable[[Stimulus], Motion] | None) -> Seen:
    """What is seen of a listener; of the true one without ``answer``."""
    seen = Seen()
    for index, record in enumerate(store.clips("test")[:CLIPS]):
        clip = store.load(record)
        laughs = conversation_events(recipe, conversation_index(record.conversation)).laughs[:, 0]
        laughs = laughs - record.start / store.info.fps
        listener = clip.listener if answer is None else answer(clip.stimulus())
        seen.add(listener, clip, laughs)
        if index < DRAWN:
            seen.draw(listener, clip)
    return seen


NAMES = (
    f"nods a minute from {-EDGES[0]} s before the end of speech to {EDGES[-1]} s after it",
    "long blinks a minute, the same",
    "openings of the mouth a minute, the same",
    "nods",
    f"nods in videos of the first {DRAWN}",
    "nods that start while the speaker speaks",
    "openings of the mouth that do",
    "lag of the head's posture (under 0.2 Hz)",
    "lag of its movement (0.2 to 1.1 Hz)",
    "rise of the smile after a smile begins, median",
    "laughs answered, and when",
    "laughs without a speaker's, a minute",
    "glances away a minute",
)


def main() -> None:
    data = os.environ.get("DIM_DATA")
    store = open_store("synthetic", Path(data) if data else None)
    trained = load_predictor(WEIGHTS, store, online=ONLINE)
    oracle = Oracle.fit(store)

    def seen(answer: Callable[[Stimulus], Motion] | None) -> list[str]:
        return measure(store, oracle.recipe, answer).cells()

    columns = {
        "truth": seen(None),
        "oracle": seen(lambda stimulus: oracle.predict(stimulus, 0)),
        Path(WEIGHTS).name: seen(lambda stimulus: trained.predict(stimulus, 0)),
    }
    if read_config(find_run(WEIGHTS) / "config.yaml").face_optional:
        columns["voice alone"] = seen(
            lambda stimulus: trained.predict(replace(stimulus, speaker=None), 0)
        )
    print(f"{store.root.name}: the first {CLIPS} test clips; histograms in bins of 0.3 s\n")
    lines = [["", *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *row] for name, *row in zip(NAMES, *columns.values(), strict=True)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
