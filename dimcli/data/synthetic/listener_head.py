"""A synthetic listener's head: nods, postures held and changed, the speaker's movement followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimcli.core.motion import HEAD
from dimcli.data.synthetic.listener_traits import Traits
from dimcli.data.synthetic.reactions import Answers
from dimcli.data.synthetic.rule import LISTENER, ListenerRule
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    Track,
    add_episode,
    add_nod,
    delayed,
    lognormal,
    lognormals,
    poisson_times,
    smooth_noise,
    smoothed,
)
from dimcli.data.synthetic.speaker_events import SpeakerEvents

STILL = 1e-6
"""A head that moves less than this share of a movement stands still."""


@dataclass(frozen=True)
class Nod:
    """One nod: when it starts (s), peak to peak size (degrees), rate (Hz), cycles and decay."""

    time: float
    degrees: float
    hz: float
    cycles: int
    decay: float


def draw_nods(
    events: SpeakerEvents,
    random: Random,
    rule: ListenerRule,
    traits: Traits,
    answers: Answers | None = None,
) -> list[Nod]:
    """Nods in order, none overlapping: about the starts of pauses (those of ``answers``, where the
    speaker reacts), on stressed beats, and a few of no cause."""
    willing = rule.nod_attitude[events.attitude] * traits.nods
    if answers:
        at_pauses = answers.nods
    else:
        lengths = events.pauses[:, 1] - events.pauses[:, 0]
        chance = np.where(events.thinking, rule.nod_thinking_pause, rule.nod_at_pause) * willing
        drawn = (lengths >= rule.pause_for_nod_s) & (random.random(len(lengths)) < chance)
        latency = random.normal(*rule.nod_latency_s, len(lengths)).clip(rule.earliest_s)
        at_pauses = (events.pauses[:, 0] + latency)[drawn]
    answered = random.random(len(events.beats)) < rule.nod_at_stress * willing
    on_beats = events.beats[answered] + LISTENER.nod_beat_delay_s
    free = poisson_times(random, events.duration_s, rule.nods_elsewhere_a_minute * willing)
    nods: list[Nod] = []
    free_from = 0.0
    liveliness = events.animation**rule.nod_animation_power
    for time in np.sort(np.concatenate([at_pauses, on_beats, free])):
        if time < free_from:
            continue
        size, hz, chances = rule.nod_degrees_lognormal, rule.nod_hz_lognormal, rule.nod_cycles
        if random.random() < rule.fast_nod_share:
            size, hz = rule.fast_nod_degrees_lognormal, rule.fast_nod_hz_lognormal
            chances = rule.fast_nod_cycles
        nod = Nod(
            time=float(time),
            degrees=lognormal(random, size) * liveliness,
            hz=lognormal(random, hz) / float(np.exp(_log_tempo(events, traits, time))),
            cycles=1 + int(random.choice(len(chances), p=chances)),
            decay=float(random.uniform(*rule.nod_decay)),
        )
        nods.append(nod)
        free_from = nod.time + nod.cycles / nod.hz + LISTENER.nod_gap_s
    return nods


def _log_tempo(events: SpeakerEvents, traits: Traits, time_s: float) -> float:
    """Log of how slowly the listener nods at ``time_s``; 0 where the two are no pair."""
    if not events.dyad:
        return 0.0
    return events.dyad.log_tempo(events.dyad.rule.listener_tempo_sigma, traits.tempo, time_s)


def nod_tracks(nods: list[Nod], frames: int, fps: float) -> tuple[Floats, Floats]:
    """Pitch in degrees and a 0..1 envelope of nodding: two float32 [T]."""
    pitch, envelope = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    for nod in nods:
        add_nod(
            pitch, fps, nod.time, size=nod.degrees, hz=nod.hz, cycles=nod.cycles, decay=nod.decay
        )
        begin, length = nod.time - LISTENER.nodding_lead_s, nod.cycles / nod.hz
        length, flanks = length + LISTENER.nodding_extra_s, LISTENER.nodding_flanks_s
        add_episode(envelope, fps, begin, length_s=length, size=1.0, flanks_s=flanks)
    return pitch, np.minimum(envelope, 1.0)


def add_head(
    values: Floats,
    events: SpeakerEvents,
    random: Random,
    rule: ListenerRule,
    traits: Traits,
    nod_degrees: Floats,
) -> None:
    """Own posture that is held and changed by turns; the speaker's, followed all the time, and the
    speaker's livelier movement, followed while the head moves; nods that leak into yaw and roll."""
    fps = events.fps
    frames = len(values)
    drift = smooth_noise(random, frames, fps, (LISTENER.drift_low_hz, rule.drift_hz), columns=3)
    drift = drift * np.array(rule.drift_degrees)
    sway = smooth_noise(random, frames, fps, rule.sway_hz, columns=3)
    sway = sway * np.array(rule.sway_degrees)
    # As in a mirror: the speaker's lean to one side of the picture is answered to the other side
    # of the listener's picture, so yaw and roll change sign and pitch does not.
    limit = rule.posture_limit_degrees
    posture = limit * np.tanh(events.drift / limit) * np.array(rule.posture_mimicry_gain)
    livelier = events.sway * np.array(rule.sway_mimicry_gain)
    posture, livelier = (
        delayed(track * np.array([1.0, -1.0, -1.0]), fps, rule.mimicry_delay_s)
        for track in (posture, livelier)
    )
    if events.dyad:
        posture = posture * events.dyad.posture_growth(np.arange(frames) / fps)[:, None]
    lively = events.animation ** (LISTENER.sway_power * rule.nod_animation_power)
    moving = _moving(random, frames, fps, rule)
    moved = _held(drift, moving) * traits.head + posture
    degrees = moved + moving[:, None] * (sway * lively * traits.head + livelier)
    degrees = degrees + random.normal(0.0, rule.rest_degrees, 3)
    degrees[:, 0] += nod_degrees
    degrees[:, 1:] += nod_degrees[:, None] * random.normal(0.0, LISTENER.nod_leak, 2)
    values[:, HEAD] += np.radians(degrees).astype(np.float32)


def _moving(random: Random, frames: int, fps: float, rule: ListenerRule) -> Floats:
    """Where the head moves and where it holds still: float32 [T], from 0 (still) to 1."""
    count = 2 + int(frames / fps / LISTENER.shortest_turn_s)
    hold, move = (
        np.maximum(lognormals(random, pair, count), LISTENER.shortest_turn_s)
        for pair in (rule.hold_s_lognormal, rule.move_s_lognormal)
    )
    # somewhere within the first hold and movement
    ends = np.cumsum(np.stack([hold, move], axis=1).reshape(-1))
    ends -= random.uniform(0.0, ends[1])
    moves = np.searchsorted(ends, np.arange(frames) / fps, side="right") % 2
    taps = np.hanning(2 * round(LISTENER.move_flank_s * fps / 2.0) + 3)[1:-1]
    return smoothed(moves.astype(float), taps / taps.sum()).astype(np.float32)


def _held(track: Track, moving: Floats) -> Track:
    """``track`` [T, C] that stands still while the head does (``moving`` [T]): each movement goes
    to what the track has in the middle of the next hold."""
    still = moving < STILL
    edges = np.flatnonzero(np.diff(still.astype(int), prepend=0, append=0))
    middles = (edges[0::2] + edges[1::2]) // 2
    pace = np.cumsum(np.where(still, 0.0, moving))
    at = np.array([0, *middles.tolist(), len(track) - 1])
    places, first = np.unique(pace[at], return_index=True)
    columns = [np.interp(pace, places, column[at[first]]) for column in track.T]
    return np.stack(columns, axis=1)
