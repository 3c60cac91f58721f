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
from functools import partial

import numpy as np

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD
from dimcli.data.synthetic.faces import add_lids, add_looks, add_smile, clip_to_range
from dimcli.data.synthetic.laughter import add_laughs, answering_laughs, laughing
from dimcli.data.synthetic.listener_head import Nod, add_head, draw_nods, nod_tracks
from dimcli.data.synthetic.listener_traits import Traits, draw_traits
from dimcli.data.synthetic.reactions import ALONE, LED, SHARED, Answers, Dyad
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
    add,
    add_blink,
    add_episode,
    empty_motion,
    lognormal,
    lognormals,
    poisson_times,
    renewal_times,
    smooth_noise,
)
from dimcli.data.synthetic.speaker_events import SpeakerEvents


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
    add_head(values, events, random, rule, traits, pitch)
    laughs, smiled_at = answering_laughs(random, events.laughs, events.attitude, rule)
    smile = _smile(events, smiled_at, random, rule, traits, envelope)
    smile = _soft_smile(smile + rule.laugh_smile * laughing(laughs, frames, fps))
    add_smile(values, smile, random.normal(0.0, LISTENER.smile_tilt))
    _brows(values, events, random, rule, envelope)
    _mouth(values, events, random, rule, traits)
    add_laughs(values, laughs, fps, random.uniform(*rule.laugh_jaw))
    _eyes(values, events, random, rule, traits, nods, answers)
    clip_to_range(values)
    return values


def _smile(
    events: SpeakerEvents,
    laughs: Floats,
    random: Random,
    rule: ListenerRule,
    traits: Traits,
    envelope: Floats,
) -> Floats:
    """Own level and wander, answers to the speaker's smiles and ``laughs`` [L, 3], more on nods:
    [T]."""
    fps = events.fps
    frames = len(envelope)
    level = rule.smile_own[events.attitude] + traits.smile
    wander = rule.smile_drift * smooth_noise(random, frames, fps, LISTENER.smile_drift_hz)[:, 0]
    copied = np.zeros(frames, np.float32)
    kinds = None
    if events.reactions:
        share = events.reactions.own_smiles
        kinds = events.reactions.dyad.draw_smile_kinds(random, events.smiles, share)
    as_smiles = np.insert(laughs[:, :2], 2, LAUGH.smile_peak, axis=1)
    for index, (start, length, peak) in enumerate(np.concatenate([events.smiles, as_smiles])):
        if kinds is not None and index < len(kinds):
            kind = int(kinds[index])
        else:
            answered = random.random() <= rule.smile_mimicry_chance[events.attitude]
            kind = SHARED if answered else ALONE
        if kind == ALONE:
            continue
        gain = random.uniform(*rule.smile_mimicry_gain)
        delay = lognormal(random, rule.smile_delay_s_lognormal)
        begin = float(start) + (-delay if kind == LED else delay)
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
