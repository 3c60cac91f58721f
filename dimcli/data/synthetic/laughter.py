"""Laughter, of speakers as their phrases end and of listeners who join in: what is seen of it.

A laugh is a row of start (s), length (s) and notes a second; the sound has the same notes
(:func:`dimcli.data.synthetic.speech.synthesise`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD
from dimcli.data.synthetic.rule import LAUGH, ListenerRule, Pair
from dimcli.data.synthetic.signals import Floats, Random, add, add_episode, lognormal


def laugh_notes(laughs: Floats, times_s: NDArray[np.floating[Any]]) -> Floats:
    """The notes of ``laughs`` [L, 3] at ``times_s`` [T]: float32 [T], 1 where a note is loudest.

    Each note is weaker than the one before (P93).
    """
    track = np.zeros(len(times_s), np.float32)
    for start, length, hz in laughs:
        since = times_s - start
        note = 0.5 - 0.5 * np.cos(2.0 * np.pi * hz * since)
        weaker = 1.0 - LAUGH.fading * since / length
        track += np.where((since >= 0) & (since < length), note * weaker, 0.0).astype(np.float32)
    return track


def laughing(laughs: Floats, frames: int, fps: float) -> Floats:
    """How much of a laughing face there is, about and after ``laughs`` [L, 3]: [T] in 0..1."""
    about = laughs[:, :2] + [-LAUGH.smile_lead_s, LAUGH.smile_extra_s]
    return _during(about, frames, fps, LAUGH.smile_flanks_s)


def _during(spans: NDArray[np.floating[Any]], frames: int, fps: float, flanks_s: Pair) -> Floats:
    """1 through ``spans`` [L, 2] (start and length, s) but for their flanks, 0 elsewhere: [T]."""
    track = np.zeros(frames, np.float32)
    for start, length in spans.tolist():
        add_episode(track, fps, start, length_s=length, size=1.0, flanks_s=flanks_s)
    return np.minimum(track, 1.0)


def add_laughs(values: Floats, laughs: Floats, fps: float, jaw: float) -> None:
    """Add to ``values`` [T, 56], in place, what ``laughs`` [L, 3] move beside the smile: a jaw that
    is open by ``jaw`` (of jawOpen) and trembles with the notes, the lips about it, narrow eyes and
    a head that shakes along."""
    notes = laugh_notes(laughs, np.arange(len(values)) / fps)
    opened = _during(laughs[:, :2], len(values), fps, LAUGH.jaw_flanks_s)
    opened = jaw * opened * (1.0 - LAUGH.shaking * (1.0 - notes))
    values[:, JAW.start] += JAW_OPEN_RAD * opened
    add(values, "mouthLowerDown", LAUGH.lower_down * opened)
    add(values, "mouthUpperUp", LAUGH.upper_up * opened)
    add(values, "eyeSquint", LAUGH.squint * laughing(laughs, len(values), fps))
    values[:, HEAD.start] += np.radians(LAUGH.bob_degrees) * notes


def answering_laughs(
    random: Random, laughs: Floats, attitude: int, rule: ListenerRule
) -> tuple[Floats, Floats]:
    """The laughs [M, 3] of a listener of ``attitude`` (an index) who hears ``laughs`` [L, 3], and
    those of the speaker's without the listener's joining in, [L - M, 3]."""
    joins = random.random(len(laughs)) < rule.laugh_chance[attitude]
    own = [
        (
            start + lognormal(random, rule.laugh_delay_s_lognormal),
            random.uniform(*rule.laugh_s),
            random.uniform(*LAUGH.hz),
        )
        for start in laughs[joins, 0].tolist()
    ]
    return np.array(own, np.float32).reshape(-1, 3), laughs[~joins]
