"""When listeners do what they do, beside the rule that they learned from, on synthetic dyads.

``python -m tests.bench timing``, with DIM_DATA=<synthetic data set>; without, a small held-out one.
Histograms, in events a minute, of nods and long blinks about the ends of the speaker's speech; the
lag of head movement after the speaker's; smiles after smiles. DIM_WEIGHTS says whose, DIM_ONLINE=1
lets them answer as a stream; those that can are also given the voice alone.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from dimcli.audio import ACTIVITY
from dimcli.core.motion import Motion
from dimcli.data.clip import Stimulus
from dimcli.data.store import ClipStore
from dimcli.evaluation.behaviour import find_nods, smile_of
from dimcli.jobs.evaluate import open_store
from dimcli.models.answers import load_predictor
from dimcli.models.config import find_run
from dimcli.models.registry import read_config, untrained
from tests.coupling import find_pauses, smile_starts
from weights import DEFAULT_LISTENER

WEIGHTS = os.environ.get("DIM_WEIGHTS", DEFAULT_LISTENER)
ONLINE = os.environ.get("DIM_ONLINE") == "1"
CLIPS = int(os.environ.get("DIM_TIMING_CLIPS", "60"))
EDGES = np.round(np.arange(-1.2, 1.81, 0.3), 1)
"""Bins of latencies in seconds from the end of speech."""
LAGS_S = np.arange(-0.4, 2.01, 0.2)
MIMICRY_HZ = (0.2, 1.1)
"""Where Hale and others (2020) found heads to follow heads."""
LONG_BLINK_S = 0.3

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


def follows(listener: Motion, speaker: Motion) -> Floats:
    """Correlation of the listener's head with the speaker's earlier one, at LAGS_S: mean of
    pitch and yaw in the band of mimicry."""
    band = butter(2, MIMICRY_HZ, "bandpass", fs=listener.fps, output="sos")
    own, other = (sosfiltfilt(band, motion.head[:, :2], axis=0) for motion in (listener, speaker))
    found = []
    for lag in np.round(LAGS_S * listener.fps).astype(int):
        if lag >= 0:
            late, early = own[lag:], other[: len(other) - lag]
        else:
            late, early = own[:lag], other[-lag:]
        found.append(np.mean([np.corrcoef(late[:, a], early[:, a])[0, 1] for a in (0, 1)]))
    return np.array(found)


def smiles_answered(listener: Motion, speaker: Motion) -> Floats:
    """Seconds from each start of a speaker's smile to the listener's steepest rise within 3 s."""
    rise = np.diff(smile_of(listener), prepend=smile_of(listener)[0])
    fps, found = listener.fps, []
    for start in (smile_starts(speaker) * fps).astype(int):
        after = rise[start : start + round(3 * fps)]
        if len(after) == round(3 * fps) and after.max() > 0.01:
            found.append(after.argmax() / fps)
    return np.array(found)


def measure(store: ClipStore, answer: Callable[[Stimulus], Motion] | None) -> list[str]:
    """One column of the table; the truth without ``answer``."""
    nods, blinks, lags, smiles, overlap = [], [], [], [], []
    ends_in_all = 0
    for record in store.clips("test")[:CLIPS]:
        clip = store.load(record)
        listener = clip.listener if answer is None else answer(clip.stimulus())
        active = clip.speaker_audio[:, ACTIVITY]
        ends = find_pauses(active, listener.fps)
        starts = np.array([nod.start for nod in find_nods(np.degrees(listener.head[:, 0]), 25.0)])
        nods.append(latencies(starts, ends))
        blinks.append(latencies(long_blinks(listener), ends))
        speaking = active[np.minimum((starts * listener.fps).astype(int), len(active) - 1)] >= 0.5
        overlap.extend(speaking if len(starts) else [])
        lags.append(follows(listener, clip.speaker))
        smiles.append(smiles_answered(listener, clip.speaker))
        ends_in_all += len(ends)
    rate = 60 / (ends_in_all * (EDGES[1] - EDGES[0]))
    rows = [
        " ".join(f"{count * rate:5.1f}" for count in np.histogram(np.concatenate(part), EDGES)[0])
        for part in (nods, blinks)
    ]
    lag = np.nanmean(lags, 0)
    answered = np.concatenate(smiles)
    return [
        *rows,
        f"{100 * np.mean(overlap):.0f} %",
        f"{LAGS_S[lag.argmax()]:.1f} s (r {lag.max():.2f})",
        f"{np.median(answered):.1f} s of {len(answered)}" if len(answered) else "none",
    ]


NAMES = (
    f"nods a minute from {EDGES[0]} s before the end of speech to {EDGES[-1]} s after it",
    "long blinks a minute, the same",
    "nods that start while the speaker speaks",
    "lag of head movement",
    "rise of the smile after a smile begins, median",
)


def main() -> None:
    data = os.environ.get("DIM_DATA")
    store = open_store("synthetic", Path(data) if data else None)
    trained = load_predictor(WEIGHTS, store, online=ONLINE)
    oracle = untrained("oracle", "listener")
    assert oracle is not None
    assert oracle.untrained is not None
    rule = oracle.untrained(store, "listener")
    columns = {
        "truth": measure(store, None),
        "oracle": measure(store, lambda stimulus: rule.predict(stimulus, 0)),
        Path(WEIGHTS).name: measure(store, lambda stimulus: trained.predict(stimulus, 0)),
    }
    if read_config(find_run(WEIGHTS) / "config.yaml").face_optional:
        columns["voice alone"] = measure(
            store, lambda stimulus: trained.predict(replace(stimulus, speaker=None), 0)
        )
    print("bins of 0.3 s")
    for index, name in enumerate(NAMES):
        print(name)
        for column, cells in columns.items():
            print(f"  {column:<16}{cells[index]}")


if __name__ == "__main__":
    main()
