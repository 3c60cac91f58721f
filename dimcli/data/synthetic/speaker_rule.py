"""The synthetic speaker: what it does and when, and what a camera and a microphone make of it.

:func:`draw_events` draws the hidden events of one conversation; the listener's rule
(:mod:`dimcli.data.synthetic.listener_rule`) sees only those. :func:`speaker_motion` and
:func:`speaker_sound` make motion and sound of them: mouth, smiles, brows, head and eyes each add to
an empty motion, over a random face at rest and with the imperfections of a tracker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import ARKIT_EXPRESSIONS, EXPRESSION, JAW_OPEN_RAD
from dimcli.data.synthetic.rule import (
    ATTITUDE_SHARES,
    SMILE_WITH,
    SPEAKER_REST_SPREAD,
    SPEAKER_WANDER,
    SpeakerRule,
)
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    add,
    add_blink,
    add_episode,
    add_gaze,
    add_nod,
    empty_motion,
    lognormal,
    lognormals,
    poisson_times,
    renewal_times,
    smooth_noise,
)
from dimcli.data.synthetic.speech import (
    MOUTH_OPENING,
    RATE,
    ROUNDING,
    Syllables,
    Voice,
    synthesise,
)

LABIAL_SHARE = 0.22
"""Syllables that begin with closed lips (about the share of p, b, m in English onsets)."""
CONSONANT_SHARES = (0.35, 0.25, 0.22, 0.18)
"""Shares of stops, fricatives, nasals and none."""


@dataclass(frozen=True)
class SpeakerEvents:
    """What a speaker does, hidden behind motion and sound. Times in seconds, angles in degrees.

    ``pauses`` [P, 2] start and end of silences; ``thinking`` bool [P], pauses inside a thought;
    ``syllables``; ``beats`` [B] times of head beats; ``smiles`` [S, 3] start, length, peak;
    ``brow_raises`` [R]; ``breaths`` [K]; ``drift`` [T, 3] slow pitch, yaw, roll about the rest;
    ``animation`` liveliness about 1; ``attitude`` index into LISTENER_ATTITUDES; ``fps`` is that of
    ``drift``.
    """

    duration_s: float
    fps: float
    attitude: int
    animation: float
    pauses: Floats
    thinking: NDArray[np.bool_]
    syllables: Syllables
    beats: Floats
    smiles: Floats
    brow_raises: Floats
    breaths: Floats
    drift: Floats


def draw_events(random: Random, duration_s: float, fps: float, rule: SpeakerRule) -> SpeakerEvents:
    """Draw the events of one speaker over ``duration_s`` seconds."""
    attitude = int(random.choice(3, p=ATTITUDE_SHARES))
    animation = float(np.exp(random.normal(0.0, rule.animation_sigma)))
    syllables, pauses, thinking = _draw_turns(random, duration_s, rule)
    stressed = syllables.start[syllables.stress > 0.5]
    beat_rate = np.clip(random.uniform(*rule.beats_a_minute) * np.sqrt(animation), 6.0, 60.0)
    share = min(beat_rate * duration_s / 60.0 / max(len(stressed), 1), 1.0)
    beats = stressed[random.random(len(stressed)) < share]
    happy = (1.0, 1.6, 0.35)[attitude]
    smile_at = poisson_times(
        random, duration_s, happy * random.uniform(*rule.smile_episodes_a_minute)
    )
    smiles = np.stack(
        [
            smile_at,
            random.uniform(*rule.smile_s, len(smile_at)),
            random.uniform(*rule.smile_peak, len(smile_at)),
        ],
        axis=1,
    )
    raises = poisson_times(random, duration_s, random.uniform(*rule.brow_raises_a_minute))
    breaths = pauses[:, 1][random.random(len(pauses)) < 0.3] - 0.3
    frames = round(duration_s * fps)
    drift = smooth_noise(random, frames, fps, low_hz=0.03, high_hz=0.14, columns=3) * np.array(
        rule.drift_degrees
    )
    return SpeakerEvents(
        duration_s=duration_s,
        fps=fps,
        attitude=attitude,
        animation=animation,
        pauses=pauses,
        thinking=thinking,
        syllables=syllables,
        beats=beats.astype(np.float32),
        smiles=smiles.astype(np.float32),
        brow_raises=raises,
        breaths=np.maximum(breaths, 0.0).astype(np.float32),
        drift=(drift * np.sqrt(animation)).astype(np.float32),
    )


def _draw_turns(
    random: Random, duration_s: float, rule: SpeakerRule
) -> tuple[Syllables, Floats, NDArray[np.bool_]]:
    """Phrases of syllables and the pauses between them."""
    count = int(duration_s / 1.0) + 4
    speech = np.clip(
        lognormals(random, rule.utterance_s_lognormal, count), *rule.utterance_limits_s
    )
    # Some speakers run long, some stop often.
    speech = speech * np.exp(random.normal(0.0, rule.utterance_spread))
    silence = np.clip(lognormals(random, rule.pause_s_lognormal, count), *rule.pause_limits_s)
    edges = np.cumsum(np.stack([speech, silence], axis=1).reshape(-1)) - random.uniform(
        0, speech[0]
    )
    ends, starts = edges[0::2], edges[1::2]
    inside = ends < duration_s - 0.2
    thinking = random.random(count) < rule.thinking_pause_share
    phrase_starts = np.concatenate([[0.0], starts])[: inside.sum() + 1]
    phrase_ends = np.minimum(ends, duration_s)[: inside.sum() + 1]
    parts: list[NDArray[np.bool_]] = []
    tempo = rule.syllable_s_lognormal[0] * np.exp(random.normal(0.0, 0.12))
    for begin, end, unfinished in zip(phrase_starts, phrase_ends, thinking, strict=False):
        if end - begin < 0.15:
            continue
        number = max(1, round((end - begin) / tempo))
        lengths = np.exp(random.normal(0.0, rule.syllable_s_lognormal[1], number))
        lengths[-1] *= 1.5  # phrases end slowly
        lengths *= (end - begin) / lengths.sum()
        at = begin + np.concatenate([[0.0], np.cumsum(lengths)])
        stress = random.uniform(0.05, 0.4, number)
        stress[random.integers(0, 3) :: max(2, round(random.uniform(*rule.stressed_every)))] += 0.5
        fall = random.uniform(*rule.pitch_start_semitones) * np.linspace(1.0, 0.05, number)
        if unfinished:
            fall = np.maximum(fall, 4.0)
        elif random.random() < rule.rising_end_share:
            fall[-2:] += 6.0
        else:
            stress[-1] *= 0.5
        pitch = fall + 2.5 * stress
        parts.append(np.stack([at[:-1], at[1:], stress, pitch], axis=1))
    table = np.concatenate(parts) if parts else np.zeros((0, 4))
    number = len(table)
    consonant = random.choice(4, number, p=CONSONANT_SHARES)
    closes = (random.random(number) < LABIAL_SHARE) & (consonant != 3)
    syllables = Syllables(
        start=table[:, 0].astype(np.float32),
        end=table[:, 1].astype(np.float32),
        vowel=random.integers(0, len(MOUTH_OPENING), number),
        consonant=consonant,
        stress=table[:, 2].astype(np.float32),
        pitch=table[:, 3].astype(np.float32),
        lips_close=closes,
    )
    pauses = np.stack([ends[inside], np.minimum(starts[inside], duration_s)], axis=1)
    return syllables, pauses.astype(np.float32), thinking[inside]


def speaker_sound(events: SpeakerEvents, random: Random) -> tuple[Floats, int]:
    """The speaker's sound in a random voice and recording: float32 [N], and its rate in Hz."""
    voice = Voice.draw(random)
    return synthesise(events.syllables, voice, events.breaths, events.duration_s, random), RATE


def speaker_motion(
    events: SpeakerEvents,
    random: Random,
    rule: SpeakerRule,
    *,
    rest: float = 1.0,
    mouth: Callable[[Floats], None] | None = None,
) -> Floats:
    """The speaker's motion as a tracker would report it: float32 [T, 56] at ``events.fps``.

    ``rest`` scales how far the resting face is from neutral. ``mouth`` adds what the mouth says to
    a motion [T, 56], in place, instead of the syllables' own; nothing is laid over it.
    """
    fps = events.fps
    frames = len(events.drift)
    values = empty_motion(frames)
    for name, (low, high) in SPEAKER_REST_SPREAD.items():
        add(values, name, rest * random.uniform(low, high) * random.uniform(0.3, 1.0))
    _wander(values, events, random, rule)
    if mouth is None:
        _mouth(values, events, random, rule)
    _smiles(values, events, random)
    head_degrees = _head(values, events, random, rule)
    _eyes(values, events, random, rule, head_degrees)
    for time in events.brow_raises:
        raise_ = np.zeros(frames, np.float32)
        size = random.uniform(0.15, 0.6) * np.sqrt(events.animation)
        add_episode(
            raise_,
            fps,
            float(time),
            length_s=random.uniform(0.4, 1.4),
            size=size,
            rise_s=0.15,
            fall_s=0.25,
        )
        add(values, "browInnerUp", raise_ * random.uniform(0.3, 1.1))
        add(values, "browOuterUp", raise_ * random.uniform(0.4, 1.0))
        add(values, "browDown", -0.4 * raise_)
    _scale_columns(values, random, rule)
    noise = random.uniform(*rule.expression_noise)
    strength = noise * (0.25 + np.minimum(values[:, 6:].std(axis=0) / 0.1, 1.0))
    values[:, 6:] += random.standard_normal((frames, 50), dtype=np.float32) * strength
    values[:, 6:] = np.clip(values[:, 6:], 0.0, 1.0)
    if mouth is not None:
        mouth(values)
        values[:, 6:] = np.clip(values[:, 6:], 0.0, 1.0)
    values[:, 3] = np.clip(values[:, 3], 0.0, JAW_OPEN_RAD)
    return values.astype(np.float32)


def _scale_columns(values: Floats, random: Random, rule: SpeakerRule) -> None:
    """Each expression shows more or less on this face: scale what departs from its rest.

    Both sides scale alike, and blinks keep their size, which the eye's opening bounds.
    """
    stems = [name.removesuffix("Left").removesuffix("Right") for name in ARKIT_EXPRESSIONS]
    gain_of = {
        stem: float(np.exp(random.normal(0.0, rule.tracker_gain_sigma)))
        for stem in sorted({*stems})
    }
    gain_of["eyeBlink"] = 1.0
    gain = np.array([gain_of[stem] for stem in stems], dtype=np.float32)
    rest = np.median(values[:, EXPRESSION], axis=0)
    values[:, EXPRESSION] = rest + gain * (values[:, EXPRESSION] - rest)


def _wander(values: Floats, events: SpeakerEvents, random: Random, rule: SpeakerRule) -> None:
    """Slow changes of every expression, and flicker of those that talking confuses."""
    fps = events.fps
    frames = len(values)
    time = np.arange(frames) / fps
    talking = _inside(time, events.syllables.start, events.syllables.end)
    talking = np.convolve(talking, np.full(7, 1.0 / 7.0), mode="same").astype(np.float32)
    columns = len(SPEAKER_WANDER)
    slow = smooth_noise(random, frames, fps, low_hz=0.0, high_hz=0.25, columns=columns)
    quick = smooth_noise(random, frames, fps, low_hz=0.5, high_hz=4.0, columns=columns)
    for column, (name, (slow_std, quick_std)) in enumerate(SPEAKER_WANDER.items()):
        strength = random.uniform(*rule.wander, 2)
        flicker = quick_std * strength[1] * talking * quick[:, column]
        add(values, name, slow_std * strength[0] * slow[:, column] + flicker)


def _mouth(values: Floats, events: SpeakerEvents, random: Random, rule: SpeakerRule) -> None:
    """Jaw and lips through syllables, with a spread that loudness does not explain."""
    fps = events.fps
    frames = len(values)
    syllables = events.syllables
    number = len(syllables.start)
    gain = lognormal(random, rule.jaw_gain_lognormal)
    if random.random() < rule.jaw_lost_share:
        gain *= rule.jaw_lost_gain
    own = np.exp(random.normal(0.0, rule.jaw_mismatch, number) - 0.2)
    opening = MOUTH_OPENING[syllables.vowel] * (0.55 + 0.6 * syllables.stress) * own
    opening = np.minimum(opening, 1.6)
    middle = 0.4 * syllables.start + 0.6 * syllables.end + random.normal(0, 0.02, number)
    knots = np.concatenate([syllables.start, middle, syllables.end])
    at_onset = np.where(syllables.lips_close, 0.0, 0.25 * opening)
    heights = np.concatenate([at_onset, opening, 0.15 * opening])
    order = np.argsort(knots)
    time = np.arange(frames) / fps
    # Between phrases the mouth rests, sometimes a little open.
    ajar = np.maximum(0.06 * smooth_noise(random, frames, fps, low_hz=0.0, high_hz=0.4)[:, 0], 0.0)
    if number:
        talk = np.interp(time, knots[order], heights[order], left=0.0, right=0.0)
        talk = talk * _inside(time, syllables.start, syllables.end)
    else:
        talk = np.zeros(frames)
    talk = np.convolve(talk, [0.25, 0.5, 0.25], mode="same")
    slow = np.exp(0.35 * smooth_noise(random, frames, fps, low_hz=0.05, high_hz=0.5)[:, 0])
    opened = talk * slow + ajar
    values[:, 3] += JAW_OPEN_RAD * gain * opened
    rounding = np.interp(time, middle, ROUNDING[syllables.vowel]) if number else np.zeros(frames)
    spread = np.interp(time, middle, syllables.vowel == 2) if number else np.zeros(frames)
    lip = np.minimum(talk * slow, 1.2) * random.uniform(0.3, 1.0)
    add(values, "mouthPucker", 0.4 * rounding * (talk > 0) * random.uniform(0.1, 1.5))
    add(values, "mouthFunnel", 0.25 * rounding * lip)
    add(values, "mouthLowerDown", 0.3 * lip)
    add(values, "mouthUpperUp", 0.15 * lip)
    add(values, "mouthStretch", 0.1 * spread * lip)
    shut = np.zeros(frames, np.float32)
    for onset in syllables.start[syllables.lips_close]:
        add_blink(shut, fps, float(onset), peak=1.0, close_s=0.06, open_s=0.07)
    add(values, "mouthPress", 0.12 * shut)
    add(values, "mouthRollUpper", 0.06 * shut)
    add(values, "mouthClose", 0.02 * talk)


def _inside(time: np.ndarray, starts: Floats, ends: Floats) -> Floats:
    """1 where a time lies in one of the sorted intervals, else 0: [T]."""
    if not len(starts):
        return np.zeros(len(time), np.float32)
    index = np.searchsorted(starts, time, side="right") - 1
    return ((index >= 0) & (time < ends[np.maximum(index, 0)])).astype(np.float32)


def _smiles(values: Floats, events: SpeakerEvents, random: Random) -> None:
    smile = smile_track(events, len(values))
    tilt = random.normal(0.0, 0.08)
    add(values, "mouthSmileLeft", smile * (1.0 + tilt))
    add(values, "mouthSmileRight", smile * (1.0 - tilt))
    for name, weight in SMILE_WITH.items():
        add(values, name, weight * smile)


def smile_track(events: SpeakerEvents, frames: int) -> Floats:
    """The speaker's smile episodes as a track: float32 [T]."""
    track = np.zeros(frames, np.float32)
    for start, length, peak in events.smiles:
        episode = np.zeros(frames, np.float32)
        flank = min(0.5, length / 2.0)
        add_episode(
            episode,
            events.fps,
            float(start),
            length_s=float(length),
            size=float(peak),
            rise_s=flank,
            fall_s=flank,
        )
        track = np.maximum(track, episode)
    return track


def _head(values: Floats, events: SpeakerEvents, random: Random, rule: SpeakerRule) -> Floats:
    """Drift, sway, beats and the tracker's noise; returns the noiseless degrees [T, 3]."""
    fps = events.fps
    frames = len(values)
    lively = events.animation
    sway = smooth_noise(random, frames, fps, low_hz=0.3, high_hz=1.5, columns=3) * np.array(
        rule.sway_degrees
    )
    degrees = events.drift + sway * np.sqrt(lively)
    beat = np.zeros(frames, np.float32)
    for time in events.beats:
        size = lognormal(random, rule.beat_degrees_lognormal) * np.sqrt(lively)
        sign = 1.0 if random.random() < 0.75 else -0.8
        add_nod(
            beat,
            fps,
            float(time) - 0.05,
            size=sign * size,
            hz=random.uniform(1.4, 2.8),
            cycles=1,
            decay=1.0,
        )
    degrees[:, 0] += beat
    degrees[:, 1:] += beat[:, None] * random.normal(0.0, 0.25, 2)
    noise = random.uniform(*rule.pose_noise_degrees) * np.array([1.6, 1.0, 0.7])
    rest = random.normal(0.0, rule.rest_degrees) + np.array([rule.rest_pitch_degrees, 0.0, 0.0])
    shown = degrees + rest + random.standard_normal((frames, 3)) * noise
    values[:, :3] += np.radians(shown)
    return degrees


def _eyes(
    values: Floats,
    events: SpeakerEvents,
    random: Random,
    rule: SpeakerRule,
    head_degrees: Floats,
) -> None:
    """Gaze shifts, eyes that hold their aim while the head turns, and blinks."""
    fps = events.fps
    frames = len(values)
    right = -0.012 * head_degrees[:, 1]
    down = -0.006 * head_degrees[:, 0]
    shifts = renewal_times(
        random, events.duration_s, random.uniform(*rule.gaze_shifts_a_minute), 0.5
    )
    for time in shifts:
        away = random.uniform(0.4, 2.2)
        add_episode(
            right,
            fps,
            float(time),
            length_s=away,
            size=random.normal(0.0, 0.2),
            rise_s=0.08,
            fall_s=0.08,
        )
        add_episode(
            down,
            fps,
            float(time),
            length_s=away,
            size=random.normal(0.05, 0.12),
            rise_s=0.08,
            fall_s=0.08,
        )
    add_gaze(values, right, down)
    own = renewal_times(random, events.duration_s, random.uniform(*rule.blinks_a_minute) - 5, 0.3)
    with_pause = events.pauses[:, 0][random.random(len(events.pauses)) < 0.3] + 0.1
    lid = np.zeros(frames, np.float32)
    peak = random.uniform(0.4, 0.75)
    for time in np.concatenate([own, with_pause]):
        size = peak * random.uniform(0.85, 1.1)
        add_blink(
            lid,
            fps,
            float(time),
            peak=size,
            close_s=random.uniform(0.06, 0.1),
            open_s=random.uniform(0.1, 0.2),
        )
    add_lids(values, lid, squint=random.uniform(0.15, 0.5), look_down=random.uniform(0.8, 1.2))


def add_lids(values: Floats, lid: Floats, *, squint: float, look_down: float) -> None:
    """Close the eyes by ``lid`` [T] over what they show, with what trackers couple to a blink."""
    for side in ("Left", "Right"):
        rest = values[:, _column(f"eyeBlink{side}")]
        values[:, _column(f"eyeBlink{side}")] = np.maximum(rest, rest * (1.0 - lid) + lid)
    add(values, "eyeSquint", squint * lid)
    add(values, "eyeLookDown", look_down * lid)
    add(values, "eyeLookUp", -0.25 * lid)


def _column(name: str) -> int:
    from dimcli.core.motion import expression_index

    return expression_index(name)
