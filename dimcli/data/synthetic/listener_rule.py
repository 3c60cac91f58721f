"""The synthetic listener: a stochastic rule from a speaker's hidden events to listener motion.

Nods follow pauses, smiles follow smiles, laughs follow laughs, heads follow heads, each with a
latency; blinks, gaze and drift are the listener's own. :func:`listener_motion` with the true events
and a new seed is the oracle: a draw from the exact conditional distribution, which no predictor can
beat by more than chance on distribution metrics (:class:`dimcli.models.simple.Oracle`).

Where the speaker reacts to the listener (:mod:`dimcli.data.synthetic.reactions`), that is the
distribution given the reactions too: a pause that ended soon was one with a nod, most likely. The
listener of the data is itself such a draw, so it and the oracle's differ by the seed only; with the
speaker they are distributed as a dyad that is drawn in time order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD
from dimcli.data.synthetic.faces import add_lids, add_looks, add_smile, clip_to_range
from dimcli.data.synthetic.laughter import add_laughs, answering_laughs, laughing
from dimcli.data.synthetic.reactions import ALONE, LED, Answers, Dyad
from dimcli.data.synthetic.rule import (
    FACE,
    LAUGH,
    LISTENER,
    LISTENER_ATTITUDES,
    LISTENER_REST,
    ListenerRule,
)
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    Track,
    add,
    add_blink,
    add_episode,
    add_nod,
    delayed,
    empty_motion,
    lognormal,
    lognormals,
    poisson_times,
    renewal_times,
    smooth_noise,
    smoothed,
)
from dimcli.data.synthetic.speaker_events import SpeakerEvents

STILL = 1e-6
"""A head that moves less than this share of a movement stands still."""


@dataclass(frozen=True)
class Traits:
    """What is one listener's own: factors on how much they nod, blink and move the head, how much
    more they smile than others (a weight of mouthSmile), and the log of how slowly they nod."""

    nods: float = 1.0
    blinks: float = 1.0
    head: float = 1.0
    smile: float = 0.0
    tempo: float = 0.0


def draw_traits(random: Random, rule: ListenerRule, dyad: Dyad | None = None) -> Traits:
    """Somebody, or somebody of a pair."""
    sigmas = rule.nods_sigma, rule.blinks_sigma, rule.head_sigma
    logs = random.normal(0.0, sigmas)
    smile = float(random.normal(0.0, rule.smile_sigma))
    tempo = 0.0
    if dyad:
        logs[0] = np.log(dyad.nods)
        logs[2] = dyad.person(rule.head_sigma * dyad.liveliness, logs[2])
        smile = dyad.person(rule.smile_sigma * dyad.warmth, smile)
        tempo = random.normal(0.0, dyad.rule.listener_tempo_sigma)
    nods, blinks, head = np.exp(logs).tolist()
    return Traits(nods, blinks, head, smile, tempo)


@dataclass(frozen=True)
class Nod:
    """One nod: when it starts (s), peak to peak size (degrees), rate (Hz), cycles and decay."""

    time: float
    degrees: float
    hz: float
    cycles: int
    decay: float


def listener_motion(events: SpeakerEvents, random: Random, rule: ListenerRule) -> Floats:
    """A draw of the listener's motion given the speaker's events: float32 [T, 56]."""
    traits = draw_traits(random, rule, events.dyad)
    answers = None
    if events.reactions:
        answers = Answers.draw(random, events.reactions, events.thinking, events.pauses)
    fps = events.fps
    frames = len(events.drift)
    values = empty_motion(frames)
    for name, rest in LISTENER_REST.items():
        add(values, name, rest * float(np.exp(random.normal(0.0, LISTENER.rest_sigma))))
    nods = draw_nods(events, random, rule, traits, answers)
    pitch, envelope = nod_tracks(nods, frames, fps)
    _head(values, events, random, rule, traits, pitch)
    laughs = answering_laughs(random, events.laughs, events.attitude, rule)
    smile = _smile(events, random, rule, traits, envelope)
    smile = _soft_smile(smile + rule.laugh_smile * laughing(laughs, frames, fps))
    add_smile(values, smile, random.normal(0.0, LISTENER.smile_tilt))
    _brows(values, events, random, rule, envelope)
    _mouth(values, events, random, rule, traits)
    add_laughs(values, laughs, fps, random.uniform(*rule.laugh_jaw))
    _eyes(values, events, random, rule, traits, nods, answers)
    clip_to_range(values)
    return values


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


def _head(
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


def _smile(
    events: SpeakerEvents, random: Random, rule: ListenerRule, traits: Traits, envelope: Floats
) -> Floats:
    """Own level and wander, answers to the speaker's smiles and laughs, more on nods: [T]."""
    fps = events.fps
    frames = len(envelope)
    level = rule.smile_own[events.attitude] + traits.smile
    wander = rule.smile_drift * smooth_noise(random, frames, fps, LISTENER.smile_drift_hz)[:, 0]
    copied = np.zeros(frames, np.float32)
    kinds = None
    if events.reactions:
        share = events.reactions.own_smiles
        kinds = events.reactions.dyad.draw_smile_kinds(random, events.smiles, share)
    peaks = np.full(len(events.laughs), LAUGH.smile_peak)
    laughs = np.concatenate([events.laughs[:, :2], peaks[:, None]], axis=1)
    for index, (start, length, peak) in enumerate(np.concatenate([events.smiles, laughs])):
        if kinds is None or index >= len(kinds):
            alone = random.random() > rule.smile_mimicry_chance[events.attitude]
            led = False
        else:
            alone, led = kinds[index] == ALONE, kinds[index] == LED
        if alone:
            continue
        gain = random.uniform(*rule.smile_mimicry_gain)
        delay = lognormal(random, rule.smile_delay_s_lognormal)
        begin = float(start) + (-delay if led else delay)
        lasts = float(length) + random.uniform(*LISTENER.smile_extra_s)
        flanks = LISTENER.smile_rise_s, min(LISTENER.smile_fall_s, lasts / 2)
        size = gain * float(peak)
        add_episode(copied, fps, begin, length_s=lasts, size=size, flanks_s=flanks)
    if events.dyad:
        copied += _unanswered_smiles(events.dyad, random, frames, fps)
    return (level + wander + copied + rule.smile_nod * envelope).astype(np.float32)


def _soft_smile(smile: Floats) -> Floats:
    """``smile`` [T] from 0 on, and saturating as trackers' smiles do."""
    high, soft = LISTENER.smile_soft_from, LISTENER.smile_soft_range
    return np.where(
        smile > high, high + soft * np.tanh((smile - high) / soft), np.maximum(smile, 0.0)
    ).astype(np.float32)


def _unanswered_smiles(dyad: Dyad, random: Random, frames: int, fps: float) -> Floats:
    """Smiles that the listener begins and the speaker leaves alone: float32 [T]."""
    rule, track = dyad.rule, np.zeros(frames, np.float32)
    rate = dyad.listener_smiles_a_minute() * (1.0 - rule.listener_smile_answered)
    for time in poisson_times(random, frames / fps, rate):
        length = lognormal(random, rule.lone_smile_s_lognormal)
        size = random.uniform(*rule.listener_smile_peak)
        flanks = LISTENER.smile_rise_s, min(LISTENER.smile_fall_s, length / 2)
        add_episode(track, fps, float(time), length_s=length, size=size, flanks_s=flanks)
    return track


def _brows(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, envelope: Floats
) -> None:
    fps = events.fps
    frames = len(values)
    up = np.zeros(frames, np.float32)
    for time in events.brow_raises:
        if random.random() < rule.brow_at_emphasis:
            begin = float(time) + random.uniform(*LISTENER.brow_delay_s)
            length, size = random.uniform(*LISTENER.brow_s), random.uniform(*LISTENER.brow_size)
            flanks = LISTENER.brow_flanks_s
            add_episode(up, fps, begin, length_s=length, size=size, flanks_s=flanks)
    add(values, "browInnerUp", LISTENER.brow_inner * up)
    add(values, "browOuterUp", up)
    wander = smooth_noise(random, frames, fps, LISTENER.brow_wander_hz)[:, 0]
    wander = LISTENER.brow_wander * wander
    frown = rule.negative_brow_down * (LISTENER_ATTITUDES[events.attitude] == "negative")
    nodding = LISTENER.brow_down_nod * envelope
    add(values, "browDown", wander + frown + nodding - LISTENER.brow_down * up)
    squint = smooth_noise(random, frames, fps, LISTENER.squint_wander_hz)[:, 0]
    add(values, "eyeSquint", LISTENER.squint_wander * squint)


def _mouth(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, traits: Traits
) -> None:
    """A quiet mouth: lips part now and then, and for a short "mm" or "yeah" as a phrase ends."""
    fps = events.fps
    jaw = np.zeros(len(values), np.float32)
    ends = events.pauses[:, 0]
    for end in ends[random.random(len(ends)) < rule.vocal_at_pause * traits.nods]:
        begin = float(end) + max(random.normal(*rule.vocal_latency_s), rule.earliest_s)
        length, size = random.uniform(*LISTENER.vocal_s), random.uniform(*rule.vocal_jaw)
        flanks = LISTENER.vocal_flanks_s
        add_episode(jaw, fps, begin, length_s=length, size=size, flanks_s=flanks)
    for time in poisson_times(random, events.duration_s, rule.parted_lips_a_minute):
        length, size = random.uniform(*rule.parted_lips_s), random.uniform(*rule.parted_jaw)
        flanks = LISTENER.parted_flanks_s
        add_episode(jaw, fps, float(time), length_s=length, size=size, flanks_s=flanks)
    values[:, JAW.start] += JAW_OPEN_RAD * jaw
    add(values, "mouthLowerDown", LISTENER.lower_down * jaw)
    add(values, "mouthUpperUp", LISTENER.upper_up * jaw)
    wander = smooth_noise(random, len(values), fps, LISTENER.mouth_wander_hz, columns=2)
    press = LISTENER.press_wander * wander[:, 0] - LISTENER.press_open * jaw
    add(values, "mouthPress", press)
    add(values, "mouthShrugLower", LISTENER.shrug_wander * wander[:, 1])


def _eyes(
    values: Floats,
    events: SpeakerEvents,
    random: Random,
    rule: ListenerRule,
    traits: Traits,
    nods: list[Nod],
    answers: Answers | None,
) -> None:
    """Gaze on the speaker with short looks away, held while the head moves; blinks.

    A listener whom the speaker reacts to breaks no mutual gaze but at pauses, as ``answers`` say.
    """
    fps = events.fps
    every, shortest = random.uniform(*rule.gaze_shifts_a_minute), LISTENER.gaze_shortest_s
    shifts = renewal_times(random, events.duration_s, every, shortest)
    away_s: Callable[[], float] = partial(lognormal, random, rule.gaze_away_s_lognormal)
    if events.reactions and answers:
        own = shifts[events.reactions.looks_away_at(shifts)]
        lengths = lognormals(random, rule.gaze_away_s_lognormal, len(own))
        shifts = np.append(own, answers.looks[:, 0])
        away_s = iter([*lengths.tolist(), *answers.looks[:, 1].tolist()]).__next__
    add_looks(
        values,
        np.degrees(values[:, HEAD]),
        random,
        fps,
        shifts,
        away_s=away_s,
        right=LISTENER.gaze_right,
        down=LISTENER.gaze_down,
    )
    lid = np.zeros(len(values), np.float32)
    for time, with_nod in draw_blinks(events, random, rule, traits, nods, shifts):
        peak = random.uniform(*rule.blink_peak)
        close, open_ = random.uniform(*rule.blink_close_s), random.uniform(*rule.blink_open_s)
        hold = FACE.blink_hold_s
        if with_nod and random.random() < rule.long_blink:
            hold += random.uniform(*rule.long_blink_hold_s)
        add_blink(lid, fps, time, peak=peak, close_s=close, open_s=open_, hold_s=hold)
    add_lids(values, lid, squint=rule.blink_squint, look_down=rule.blink_look_down)


def draw_blinks(
    events: SpeakerEvents,
    random: Random,
    rule: ListenerRule,
    traits: Traits,
    nods: list[Nod],
    shifts: Floats,
) -> list[tuple[float, bool]]:
    """Times of blinks (s), in order, and whether each goes with a nod.

    They come with nods, looks away and the starts of the speaker's pauses; a renewal process of
    their own fills the listener's rate.
    """
    rate = rule.blinks_a_minute * traits.blinks
    delay_s = LISTENER.blink_nod_delay_s
    with_nods = [nod.time + delay_s for nod in nods if random.random() < rule.blink_at_nod]
    with_shifts = shifts[random.random(len(shifts)) < rule.blink_at_gaze]
    paused = events.pauses[:, 0][random.random(len(events.pauses)) < rule.blink_at_pause]
    at_pauses = paused + random.uniform(*rule.blink_pause_delay_s, len(paused))
    bound_rate = (len(with_nods) + len(with_shifts) + len(at_pauses)) * 60.0
    bound_rate /= max(events.duration_s, 1e-6)
    own_rate = max(rate - bound_rate, LISTENER.blinks_own_a_minute)
    own = renewal_times(random, events.duration_s, own_rate, rule.blink_shortest_s)
    drawn = [(time, True) for time in with_nods]
    drawn += [(float(time), False) for time in (*with_shifts, *at_pauses, *own)]
    kept: list[tuple[float, bool]] = []
    for time, with_nod in sorted(drawn):
        if not kept or time - kept[-1][0] > rule.blink_shortest_s:
            kept.append((time, with_nod))
    return kept
