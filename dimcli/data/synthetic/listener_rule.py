"""The synthetic listener: a stochastic rule from a speaker's hidden events to listener motion.

Nods follow pauses, smiles follow smiles, posture follows posture, each with a latency; blinks,
gaze and drift are the listener's own. :func:`listener_motion` with the true events and a new seed
is the oracle: a draw from the exact conditional distribution, which no predictor can beat by more
than chance on distribution metrics (:class:`dimcli.models.simple.Oracle`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimcli.core.motion import JAW_OPEN_RAD
from dimcli.data.synthetic.rule import (
    LISTENER_ATTITUDES,
    LISTENER_REST,
    SMILE_WITH,
    ListenerRule,
    Pair,
)
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    add,
    add_blink,
    add_episode,
    add_gaze,
    add_nod,
    delayed,
    empty_motion,
    lognormal,
    lognormals,
    poisson_times,
    renewal_times,
    smooth_noise,
)
from dimcli.data.synthetic.speaker_rule import SpeakerEvents, add_lids


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
    fps = events.fps
    frames = len(events.drift)
    values = empty_motion(frames)
    for name, rest in LISTENER_REST.items():
        add(values, name, rest * float(np.exp(random.normal(0.0, 0.12))))
    nods = draw_nods(events, random, rule)
    pitch, envelope = nod_tracks(nods, frames, fps)
    _head(values, events, random, rule, pitch)
    smile = _smile(events, random, rule, envelope)
    tilt = random.normal(0.0, 0.04)
    add(values, "mouthSmileLeft", smile * (1.0 + tilt))
    add(values, "mouthSmileRight", smile * (1.0 - tilt))
    for name, weight in SMILE_WITH.items():
        add(values, name, weight * smile)
    _brows(values, events, random, rule, envelope)
    _mouth(values, events, random, rule, nods)
    _eyes(values, events, random, rule, nods)
    values[:, 6:] = np.clip(values[:, 6:], 0.0, 1.0)
    values[:, 3] = np.clip(values[:, 3], 0.0, JAW_OPEN_RAD)
    return values


def draw_nods(events: SpeakerEvents, random: Random, rule: ListenerRule) -> list[Nod]:
    """Nods in order, none overlapping: at pauses, on stressed beats, and a few of no cause."""
    willing = rule.nod_attitude[events.attitude]
    lengths = events.pauses[:, 1] - events.pauses[:, 0]
    chance = np.where(events.thinking, rule.nod_thinking_pause, rule.nod_at_pause) * willing
    drawn = (lengths >= rule.pause_for_nod_s) & (random.random(len(lengths)) < chance)
    latency = lognormals(random, rule.nod_latency_s_lognormal, len(lengths))
    at_pauses = (events.pauses[:, 0] + latency)[drawn]
    on_beats = events.beats[random.random(len(events.beats)) < rule.nod_at_stress * willing] + 0.25
    free = poisson_times(random, events.duration_s, rule.nods_elsewhere_a_minute * willing)
    nods: list[Nod] = []
    free_from = 0.0
    liveliness = events.animation**rule.nod_animation_power
    for time in np.sort(np.concatenate([at_pauses, on_beats, free])):
        if time < free_from:
            continue
        nod = Nod(
            time=float(time),
            degrees=lognormal(random, rule.nod_degrees_lognormal) * liveliness,
            hz=lognormal(random, rule.nod_hz_lognormal),
            cycles=1 + int(random.choice(len(rule.nod_cycles), p=rule.nod_cycles)),
            decay=float(random.uniform(*rule.nod_decay)),
        )
        nods.append(nod)
        free_from = nod.time + nod.cycles / nod.hz + 0.25
    return nods


def nod_tracks(nods: list[Nod], frames: int, fps: float) -> tuple[Floats, Floats]:
    """Pitch in degrees and a 0..1 envelope of nodding: two float32 [T]."""
    pitch, envelope = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    for nod in nods:
        add_nod(
            pitch, fps, nod.time, size=nod.degrees, hz=nod.hz, cycles=nod.cycles, decay=nod.decay
        )
        length = nod.cycles / nod.hz + 0.8
        add_episode(
            envelope, fps, nod.time - 0.2, length_s=length, size=1.0, rise_s=0.4, fall_s=0.6
        )
    return pitch, np.minimum(envelope, 1.0)


def _head(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, nod_degrees: Floats
) -> None:
    """Own drift and sway, the speaker's drift followed, and nods that leak into yaw and roll."""
    fps = events.fps
    frames = len(values)
    drift = smooth_noise(
        random, frames, fps, low_hz=0.04, high_hz=rule.drift_hz, columns=3
    ) * np.array(rule.drift_degrees)
    sway = smooth_noise(
        random, frames, fps, low_hz=rule.sway_hz[0], high_hz=rule.sway_hz[1], columns=3
    ) * np.array(rule.sway_degrees)
    # As in a mirror: the speaker's lean to one side of the picture is answered to the other side
    # of the listener's picture, so yaw and roll change sign and pitch does not.
    limit = rule.posture_limit_degrees
    mirrored = limit * np.tanh(events.drift / limit) * np.array([1.0, -1.0, -1.0])
    follow = np.array(rule.posture_mimicry_gain) * delayed(mirrored, fps, rule.posture_delay_s)
    lively = events.animation ** (0.5 * rule.nod_animation_power)
    degrees = drift + sway * lively + follow + random.normal(0.0, rule.rest_degrees, 3)
    degrees[:, 0] += nod_degrees
    degrees[:, 1:] += nod_degrees[:, None] * random.normal(0.0, 0.08, 2)
    values[:, :3] += np.radians(degrees).astype(np.float32)


def _smile(events: SpeakerEvents, random: Random, rule: ListenerRule, envelope: Floats) -> Floats:
    """Own level and wander, the speaker's smiles copied late, a little more on nods: [T]."""
    fps = events.fps
    frames = len(envelope)
    level = rule.smile_own[events.attitude] + random.normal(0.0, 0.03)
    wander = rule.smile_drift * smooth_noise(random, frames, fps, low_hz=0.02, high_hz=0.22)[:, 0]
    copied = np.zeros(frames, np.float32)
    for start, length, peak in events.smiles:
        if random.random() > rule.smile_mimicry_chance[events.attitude]:
            continue
        gain = random.uniform(*rule.smile_mimicry_gain)
        begin = float(start) + lognormal(random, rule.smile_delay_s_lognormal)
        lasts = float(length) + random.uniform(0.3, 1.5)
        add_episode(
            copied,
            fps,
            begin,
            length_s=lasts,
            size=gain * float(peak),
            rise_s=0.5,
            fall_s=min(1.2, lasts / 2),
        )
    smile = level + wander + copied + rule.smile_nod * envelope
    # Smiles saturate softly under 0.95, as trackers' do.
    high = 0.7
    return np.where(
        smile > high, high + 0.25 * np.tanh((smile - high) / 0.25), np.maximum(smile, 0.0)
    ).astype(np.float32)


def _brows(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, envelope: Floats
) -> None:
    fps = events.fps
    frames = len(values)
    up = np.zeros(frames, np.float32)
    for time in events.brow_raises:
        if random.random() < rule.brow_at_emphasis:
            begin = float(time) + random.uniform(0.3, 0.9)
            add_episode(
                up,
                fps,
                begin,
                length_s=random.uniform(0.5, 1.5),
                size=random.uniform(0.1, 0.35),
                rise_s=0.2,
                fall_s=0.4,
            )
    add(values, "browInnerUp", 0.8 * up)
    add(values, "browOuterUp", up)
    wander = 0.04 * smooth_noise(random, frames, fps, low_hz=0.02, high_hz=0.3)[:, 0]
    frown = rule.negative_brow_down * (LISTENER_ATTITUDES[events.attitude] == "negative")
    add(values, "browDown", wander + frown + 0.04 * envelope - 0.3 * up)
    add(
        values,
        "eyeSquint",
        0.06 * smooth_noise(random, frames, fps, low_hz=0.02, high_hz=0.4)[:, 0],
    )


def _mouth(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, nods: list[Nod]
) -> None:
    """A quiet mouth: lips part now and then, and a few nods come with a short "mm" or "yeah"."""
    fps = events.fps
    jaw = np.zeros(len(values), np.float32)
    for nod in nods:
        if random.random() < rule.vocal_at_nod:
            length = random.uniform(0.25, 0.5)
            add_episode(
                jaw,
                fps,
                nod.time,
                length_s=length,
                size=random.uniform(*rule.vocal_jaw),
                rise_s=0.1,
                fall_s=0.15,
            )
    for time in poisson_times(random, events.duration_s, rule.parted_lips_a_minute):
        length = random.uniform(*rule.parted_lips_s)
        add_episode(
            jaw,
            fps,
            float(time),
            length_s=length,
            size=random.uniform(*rule.parted_jaw),
            rise_s=0.3,
            fall_s=0.4,
        )
    values[:, 3] += JAW_OPEN_RAD * jaw
    add(values, "mouthLowerDown", 0.5 * jaw)
    add(values, "mouthUpperUp", 0.25 * jaw)
    wander = smooth_noise(random, len(values), fps, low_hz=0.05, high_hz=0.5, columns=2)
    add(values, "mouthPress", 0.03 * wander[:, 0] - 0.8 * jaw)
    add(values, "mouthShrugLower", 0.02 * wander[:, 1])


def _eyes(
    values: Floats, events: SpeakerEvents, random: Random, rule: ListenerRule, nods: list[Nod]
) -> None:
    """Gaze on the speaker with short looks away, held while the head moves; blinks."""
    fps = events.fps
    frames = len(values)
    degrees = np.degrees(values[:, :3])
    right, down = -0.012 * degrees[:, 1], -0.006 * degrees[:, 0]
    shifts = renewal_times(random, events.duration_s, rule.gaze_shifts_a_minute, 1.0)
    for time in shifts:
        away = random.uniform(*rule.gaze_away_s)
        add_episode(
            right,
            fps,
            float(time),
            length_s=away,
            size=random.normal(0.0, 0.16),
            rise_s=0.08,
            fall_s=0.08,
        )
        add_episode(
            down,
            fps,
            float(time),
            length_s=away,
            size=random.normal(0.04, 0.08),
            rise_s=0.08,
            fall_s=0.08,
        )
    add_gaze(values, right, down)
    lid = np.zeros(frames, np.float32)
    for time in draw_blinks(events, random, rule, nods, shifts):
        peak = random.uniform(*rule.blink_peak)
        close, open_ = _uniform(random, rule.blink_close_s), _uniform(random, rule.blink_open_s)
        add_blink(lid, fps, float(time), peak=peak, close_s=close, open_s=open_)
    add_lids(values, lid, squint=rule.blink_squint, look_down=rule.blink_look_down)


def draw_blinks(
    events: SpeakerEvents, random: Random, rule: ListenerRule, nods: list[Nod], shifts: Floats
) -> Floats:
    """Blink times: a renewal process, thinned so that boundary blinks keep the rate: [B] s."""
    rate = _uniform(random, rule.blinks_a_minute)
    with_nods = [nod.time + 0.1 for nod in nods if random.random() < rule.blink_at_nod]
    with_shifts = shifts[random.random(len(shifts)) < rule.blink_at_gaze]
    bound = np.concatenate([np.array(with_nods), with_shifts])
    bound_rate = len(bound) / max(events.duration_s, 1e-6) * 60.0
    own = renewal_times(
        random, events.duration_s, max(rate - bound_rate, 8.0), rule.blink_shortest_s
    )
    times = np.sort(np.concatenate([own, bound]))
    if not len(times):
        return times
    keep = np.concatenate([[True], np.diff(times) > rule.blink_shortest_s])
    return times[keep]


def _uniform(random: Random, pair: Pair) -> float:
    return float(random.uniform(*pair))
