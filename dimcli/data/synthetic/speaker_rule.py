"""What a camera and a microphone make of a synthetic speaker's events.

Mouth, smiles, brows, head and eyes each add to an empty motion, over a random face at rest and with
the imperfections of a tracker; the sound is synthesised from the same syllables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    JAW_OPEN_RAD,
    NUM_EXPRESSION,
)
from dimcli.data.synthetic.faces import add_lids, add_looks, add_smile, clip_to_range
from dimcli.data.synthetic.laughter import add_laughs, laughing
from dimcli.data.synthetic.rule import SPEAKER, SPEAKER_REST_SPREAD, SPEAKER_WANDER, SpeakerRule
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    add,
    add_blink,
    add_episode,
    add_nod,
    empty_motion,
    lognormal,
    renewal_times,
    smooth_noise,
    smoothed,
)
from dimcli.data.synthetic.speaker_events import SpeakerEvents
from dimcli.data.synthetic.speech import MOUTH_OPENING, RATE, ROUNDING, Voice, synthesise


def speaker_sound(events: SpeakerEvents, random: Random) -> tuple[Floats, int]:
    """The speaker's sound in a random voice and recording: float32 [N], and its rate in Hz."""
    voice = Voice.draw(random)
    sound = synthesise(
        events.syllables, voice, events.breaths, events.laughs, events.duration_s, random
    )
    return sound, RATE


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
        add(values, name, rest * random.uniform(low, high) * random.uniform(*SPEAKER.rest_strength))
    if events.dyad:
        warm = events.dyad.person(events.dyad.warmth, random.normal())
        add(values, "mouthSmile", events.dyad.rule.warm_rest * max(1.0 + warm, 0.0))
    _wander(values, events, random, rule)
    if mouth is None:
        _mouth(values, events, random, rule)
    laughing_smile = random.uniform(*rule.laugh_smile) * laughing(events.laughs, frames, fps)
    smile = np.maximum(smile_track(events, frames), laughing_smile)
    add_smile(values, smile, random.normal(0.0, SPEAKER.smile_tilt))
    add_laughs(values, events.laughs, fps, random.uniform(*rule.laugh_jaw))
    head_degrees = _head(values, events, random, rule)
    _eyes(values, events, random, rule, head_degrees)
    for time in events.brow_raises:
        raise_ = np.zeros(frames, np.float32)
        size = random.uniform(*SPEAKER.brow_size) * np.sqrt(events.animation)
        length, flanks = random.uniform(*SPEAKER.brow_s), SPEAKER.brow_flanks_s
        add_episode(raise_, fps, float(time), length_s=length, size=size, flanks_s=flanks)
        add(values, "browInnerUp", raise_ * random.uniform(*SPEAKER.brow_inner))
        add(values, "browOuterUp", raise_ * random.uniform(*SPEAKER.brow_outer))
        add(values, "browDown", SPEAKER.brow_down * raise_)
    _scale_columns(values, random, rule)
    noise = random.uniform(*rule.expression_noise)
    moves = np.minimum(values[:, EXPRESSION].std(axis=0) / SPEAKER.noise_full_at, 1.0)
    strength = noise * (SPEAKER.noise_floor + moves)
    white = random.standard_normal((frames, NUM_EXPRESSION), dtype=np.float32)
    values[:, EXPRESSION] += white * strength
    values[:, EXPRESSION] = np.clip(values[:, EXPRESSION], 0.0, 1.0)
    if mouth is not None:
        mouth(values)
    clip_to_range(values)
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
    taps = np.full(SPEAKER.talking_frames, 1.0 / SPEAKER.talking_frames)
    talking = smoothed(talking, taps).astype(np.float32)
    columns = len(SPEAKER_WANDER)
    slow, quick = (
        smooth_noise(random, frames, fps, band_hz, columns)
        for band_hz in (SPEAKER.wander_hz, SPEAKER.flicker_hz)
    )
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
    own = np.exp(random.normal(0.0, rule.jaw_mismatch, number) + SPEAKER.opening_log_mean)
    stressed = SPEAKER.opening_least + SPEAKER.opening_by_stress * syllables.stress
    opening = MOUTH_OPENING[syllables.vowel] * stressed * own
    opening = np.minimum(opening, SPEAKER.opening_limit)
    to_start, to_end = SPEAKER.syllable_middle
    middle = to_start * syllables.start + to_end * syllables.end
    middle = middle + random.normal(0, SPEAKER.syllable_middle_sigma_s, number)
    knots = np.concatenate([syllables.start, middle, syllables.end])
    at_onset = np.where(syllables.lips_close, 0.0, SPEAKER.opening_at_onset * opening)
    heights = np.concatenate([at_onset, opening, SPEAKER.opening_at_end * opening])
    order = np.argsort(knots)
    time = np.arange(frames) / fps
    # Between phrases the mouth rests, sometimes a little open.
    parted = smooth_noise(random, frames, fps, SPEAKER.ajar_hz)[:, 0]
    ajar = np.maximum(SPEAKER.ajar * parted, 0.0)
    if number:
        talk = np.interp(time, knots[order], heights[order], left=0.0, right=0.0)
        talk = talk * _inside(time, syllables.start, syllables.end)
    else:
        talk = np.zeros(frames)
    talk = smoothed(talk, np.array(SPEAKER.jaw_taps))
    wander = smooth_noise(random, frames, fps, SPEAKER.jaw_wander_hz)[:, 0]
    slow = np.exp(SPEAKER.jaw_wander * wander)
    opened = talk * slow + ajar
    values[:, JAW.start] += JAW_OPEN_RAD * gain * opened
    rounding = np.interp(time, middle, ROUNDING[syllables.vowel]) if number else np.zeros(frames)
    spread = np.interp(time, middle, syllables.vowel == 2) if number else np.zeros(frames)
    lip = np.minimum(talk * slow, SPEAKER.lip_limit) * random.uniform(*SPEAKER.lip_strength)
    pucker = SPEAKER.pucker * rounding * (talk > 0)
    add(values, "mouthPucker", pucker * random.uniform(*SPEAKER.pucker_strength))
    add(values, "mouthFunnel", SPEAKER.funnel * rounding * lip)
    add(values, "mouthLowerDown", SPEAKER.lower_down * lip)
    add(values, "mouthUpperUp", SPEAKER.upper_up * lip)
    add(values, "mouthStretch", SPEAKER.stretch * spread * lip)
    shut = np.zeros(frames, np.float32)
    close_s, open_s = SPEAKER.seal_s
    for onset in syllables.start[syllables.lips_close]:
        add_blink(shut, fps, float(onset), peak=1.0, close_s=close_s, open_s=open_s)
    add(values, "mouthPress", SPEAKER.seal_press * shut)
    add(values, "mouthRollUpper", SPEAKER.seal_roll * shut)
    add(values, "mouthClose", SPEAKER.talk_close * talk)


def _inside(time: np.ndarray, starts: Floats, ends: Floats) -> Floats:
    """1 where a time lies in one of the sorted intervals, else 0: [T]."""
    if not len(starts):
        return np.zeros(len(time), np.float32)
    index = np.searchsorted(starts, time, side="right") - 1
    return ((index >= 0) & (time < ends[np.maximum(index, 0)])).astype(np.float32)


def smile_track(events: SpeakerEvents, frames: int) -> Floats:
    """The speaker's smile episodes as a track: float32 [T]."""
    track = np.zeros(frames, np.float32)
    for start, length, peak in events.smiles:
        episode = np.zeros(frames, np.float32)
        flank, at = min(SPEAKER.smile_flank_s, length / 2.0), float(start)
        lasts, size = float(length), float(peak)
        add_episode(episode, events.fps, at, length_s=lasts, size=size, flanks_s=(flank, flank))
        track = np.maximum(track, episode)
    return track


def _head(values: Floats, events: SpeakerEvents, random: Random, rule: SpeakerRule) -> Floats:
    """Drift, sway, beats and the tracker's noise; returns the noiseless degrees [T, 3]."""
    fps = events.fps
    frames = len(values)
    lively = events.animation
    degrees = events.drift + events.sway
    beat = np.zeros(frames, np.float32)
    for time in events.beats:
        size = lognormal(random, rule.beat_degrees_lognormal) * np.sqrt(lively)
        size = size if random.random() < SPEAKER.beat_down_share else SPEAKER.beat_up * size
        begin, hz = float(time) - SPEAKER.beat_lead_s, random.uniform(*SPEAKER.beat_hz)
        add_nod(beat, fps, begin, size=size, hz=hz, cycles=1, decay=1.0)
    degrees[:, 0] += beat
    degrees[:, 1:] += beat[:, None] * random.normal(0.0, SPEAKER.beat_leak, 2)
    noise = random.uniform(*rule.pose_noise_degrees) * np.array(SPEAKER.pose_noise_axes)
    rest = random.normal(0.0, rule.rest_degrees) + np.array([rule.rest_pitch_degrees, 0.0, 0.0])
    shown = degrees + rest + random.standard_normal((frames, 3)) * noise
    values[:, HEAD] += np.radians(shown)
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
    every = random.uniform(*rule.gaze_shifts_a_minute)
    shifts = renewal_times(random, events.duration_s, every, SPEAKER.gaze_shortest_s)
    away_s: Callable[[], float] = partial(random.uniform, *SPEAKER.gaze_away_s)
    if events.reactions:
        shifts, lengths = events.reactions.looks_away.T
        away_s = iter(lengths.tolist()).__next__
    add_looks(
        values,
        head_degrees,
        random,
        fps,
        shifts,
        away_s=away_s,
        right=SPEAKER.gaze_right,
        down=SPEAKER.gaze_down,
    )
    rate = random.uniform(*rule.blinks_a_minute) - SPEAKER.blinks_bound_a_minute
    own = renewal_times(random, events.duration_s, rate, SPEAKER.blink_shortest_s)
    at_pauses = events.pauses[:, 0][random.random(len(events.pauses)) < SPEAKER.blink_at_pause]
    lid = np.zeros(len(values), np.float32)
    peak = random.uniform(*SPEAKER.blink_peak)
    for time in np.concatenate([own, at_pauses + SPEAKER.blink_pause_delay_s]):
        size = peak * random.uniform(*SPEAKER.blink_spread)
        close_s = random.uniform(*SPEAKER.blink_close_s)
        open_s = random.uniform(*SPEAKER.blink_open_s)
        add_blink(lid, fps, float(time), peak=size, close_s=close_s, open_s=open_s)
    squint = random.uniform(*SPEAKER.blink_squint)
    add_lids(values, lid, squint=squint, look_down=random.uniform(*SPEAKER.blink_look_down))
