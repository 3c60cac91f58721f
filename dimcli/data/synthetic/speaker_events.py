"""What a synthetic speaker does and when: the hidden events behind its motion and its sound.

:func:`draw_events` draws those of one conversation; the listener's rule
(:mod:`dimcli.data.synthetic.listener_rule`) sees only those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Doubles
from dimcli.data.synthetic.reactions import Dyad, Reactions, draw_looks
from dimcli.data.synthetic.rule import (
    ATTITUDE_SHARES,
    LAUGH,
    SPEAKER,
    ListenerRule,
    Pair,
    ReactionRule,
    SpeakerRule,
)
from dimcli.data.synthetic.signals import Floats, Random, lognormals, poisson_times, smooth_noise
from dimcli.data.synthetic.speech import MOUTH_OPENING, Syllables


@dataclass(frozen=True)
class SpeakerEvents:
    """What a speaker does, hidden behind motion and sound. Times in seconds, angles in degrees.

    ``pauses`` [P, 2] start and end of silences; ``thinking`` bool [P], pauses inside a thought;
    ``syllables``; ``beats`` [B] times of head beats; ``smiles`` [S, 3] start, length, peak;
    ``brow_raises`` [R]; ``breaths`` [K]; ``laughs`` [L, 3] start, length, notes a second; ``drift``
    [T, 3] slow pitch, yaw, roll about the rest and ``sway`` [T, 3] livelier ones; ``animation``
    liveliness about 1; ``attitude`` index into LISTENER_ATTITUDES; ``fps`` is that of ``drift``
    and ``sway``. ``reactions`` are those of a speaker who reacts to the listener.
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
    laughs: Floats
    drift: Floats
    sway: Floats
    reactions: Reactions | None = None

    @property
    def dyad(self) -> Dyad | None:
        """What the two share, if the speaker reacts to the listener."""
        return self.reactions.dyad if self.reactions else None


def draw_events(
    random: Random,
    duration_s: float,
    fps: float,
    rule: SpeakerRule,
    mutual: tuple[ReactionRule, ListenerRule] | None = None,
) -> SpeakerEvents:
    """Draw the events of one speaker over ``duration_s`` seconds.

    With ``mutual`` rules, of one who reacts to a listener drawn in time order.
    """
    attitude = int(random.choice(len(ATTITUDE_SHARES), p=ATTITUDE_SHARES))
    dyad = Dyad.draw(random, attitude, *mutual) if mutual else None
    lively = random.normal(0.0, rule.animation_sigma)
    if dyad:
        lively = dyad.person(rule.animation_sigma * dyad.liveliness, lively)
    animation = float(np.exp(lively))
    turns = _draw_turns(random, duration_s, rule, dyad)
    syllables, pauses, thinking = turns.syllables, turns.pauses, turns.thinking
    reactions = turns.reactions
    stressed = syllables.start[syllables.stress > SPEAKER.strong_stress]
    beat_rate = random.uniform(*rule.beats_a_minute) * np.sqrt(animation)
    beat_rate = np.clip(beat_rate, *SPEAKER.beats_limits_a_minute)
    share = min(beat_rate * duration_s / 60.0 / max(len(stressed), 1), 1.0)
    if reactions:
        again = reactions.says_again(pauses, stressed)
        share = share * np.where(again, reactions.dyad.rule.repair_beats, 1.0)
    beats = stressed[random.random(len(stressed)) < share]
    happy = SPEAKER.smiles_by_attitude[attitude]
    smiles_a_minute = happy * random.uniform(*rule.smile_episodes_a_minute)
    if dyad:
        peak = rule.smile_peak
        smiles, own_smiles = dyad.draw_smiles(random, duration_s, smiles_a_minute, peak)
    else:
        smiles = draw_smiles(random, duration_s, smiles_a_minute, rule.smile_s, rule.smile_peak)
    raises = poisson_times(random, duration_s, random.uniform(*rule.brow_raises_a_minute))
    if reactions:
        looks = draw_looks(random, reactions, pauses, duration_s)
        reactions = replace(reactions, looks_away=looks, own_smiles=own_smiles)
        starts = pauses[reactions.repaired, 1]
        raised = random.random(len(starts)) < reactions.dyad.rule.repair_brows
        raises = np.sort(np.append(raises, starts[raised]))
    breaths = draw_breaths(random, pauses)
    frames = round(duration_s * fps)
    drift = draw_drift(random, frames, fps) * np.array(rule.drift_degrees)
    return SpeakerEvents(
        duration_s=duration_s,
        fps=fps,
        attitude=attitude,
        animation=animation,
        pauses=pauses,
        thinking=thinking,
        syllables=syllables,
        beats=beats.astype(np.float32),
        smiles=smiles,
        brow_raises=raises,
        breaths=breaths,
        laughs=turns.laughs,
        drift=(drift * np.sqrt(animation)).astype(np.float32),
        sway=draw_sway(random, frames, fps, rule, animation),
        reactions=reactions,
    )


def draw_smiles(
    random: Random, duration_s: float, a_minute: float, length_s: Pair, peak: Pair
) -> Floats:
    """Smile episodes, their lengths and peaks of uniform draws: [S, 3] start, length, peak."""
    at = poisson_times(random, duration_s, a_minute)
    lengths = random.uniform(*length_s, len(at))
    return np.stack([at, lengths, random.uniform(*peak, len(at))], axis=1).astype(np.float32)


def draw_breaths(random: Random, pauses: NDArray[np.floating[Any]]) -> Floats:
    """Times (s) of the breaths at the ends of some ``pauses`` [P, 2]: [K]."""
    taken = random.random(len(pauses)) < SPEAKER.breath_share
    return np.maximum(pauses[:, 1][taken] - SPEAKER.breath_lead_s, 0.0).astype(np.float32)


def draw_drift(random: Random, frames: int, fps: float) -> Floats:
    """Slow pitch, yaw and roll of unit variance: [T, 3]."""
    return smooth_noise(random, frames, fps, SPEAKER.drift_hz, columns=3)


def draw_sway(
    random: Random, frames: int, fps: float, rule: SpeakerRule, animation: float
) -> Floats:
    """Livelier pitch, yaw and roll of a speaker of such ``animation``, in degrees: [T, 3]."""
    sway = smooth_noise(random, frames, fps, SPEAKER.sway_hz, columns=3)
    return (sway * np.array(rule.sway_degrees) * np.sqrt(animation)).astype(np.float32)


@dataclass(frozen=True)
class _Turns:
    syllables: Syllables
    pauses: Floats
    thinking: NDArray[np.bool_]
    laughs: Floats
    reactions: Reactions | None


def _draw_turns(random: Random, duration_s: float, rule: SpeakerRule, dyad: Dyad | None) -> _Turns:
    """Phrases of syllables, laughs that end them, the pauses between them, and what there is of a
    listener in them."""
    count = int(duration_s / SPEAKER.draw_every_s) + SPEAKER.spare_draws
    speech = np.clip(
        lognormals(random, rule.utterance_s_lognormal, count), *rule.utterance_limits_s
    )
    # Some speakers run long, some stop often.
    speech = speech * np.exp(random.normal(0.0, rule.utterance_spread))
    silence = np.clip(lognormals(random, rule.pause_s_lognormal, count), *rule.pause_limits_s)
    before = random.uniform(0, speech[0])
    thinking = random.random(count) < rule.thinking_pause_share
    reactions = dyad.draw_pauses(random, thinking, silence)[1] if dyad else None
    silence = reactions.lasts_s if reactions else silence
    laugh_s = _draw_laughs(random, rule, thinking, (speech + silence).mean())
    speech = speech + laugh_s
    edges = np.cumsum(np.stack([speech, silence], axis=1).reshape(-1)) - before
    ends, starts = edges[0::2], edges[1::2]
    inside = ends < duration_s - SPEAKER.last_pause_s
    phrase_starts = np.concatenate([[0.0], starts])[: inside.sum() + 1]
    phrase_ends = np.minimum(ends, duration_s)[: inside.sum() + 1]
    parts: list[NDArray[np.bool_]] = []
    laughs: list[tuple[float, float, float]] = []
    own = random.normal(0.0, SPEAKER.tempo_sigma)
    again = np.append(False, reactions.repaired if reactions else np.zeros(count, bool))
    for index, (begin, until) in enumerate(zip(phrase_starts, phrase_ends, strict=False)):
        laugh = laugh_s[index] if index < inside.sum() else 0.0
        if 0.0 < laugh < until - begin:
            laughs.append((until - laugh, laugh, random.uniform(*LAUGH.hz)))
        end = until - laugh
        if end - begin < SPEAKER.shortest_phrase_s:
            continue
        log_tempo = dyad.log_tempo(SPEAKER.tempo_sigma, own, begin) if dyad else own
        tempo = rule.syllable_s_lognormal[0] * np.exp(log_tempo)
        if dyad and again[index]:
            tempo = tempo * dyad.rule.repair_slower
        number = max(1, round((end - begin) / tempo))
        lengths = np.exp(random.normal(0.0, rule.syllable_s_lognormal[1], number))
        lengths[-1] *= SPEAKER.final_lengthening
        lengths *= (end - begin) / lengths.sum()
        at = begin + np.concatenate([[0.0], np.cumsum(lengths)])
        stress = random.uniform(*SPEAKER.weak_stress, number)
        first = random.integers(0, SPEAKER.first_stressed)
        every = max(2, round(random.uniform(*rule.stressed_every)))
        stress[first::every] += SPEAKER.strong_stress
        if dyad and again[index]:
            stress = stress + dyad.rule.repair_stress
        start = random.uniform(*rule.pitch_start_semitones)
        fall = start * np.linspace(1.0, SPEAKER.pitch_floor, number)
        if thinking[index]:
            fall = np.maximum(fall, SPEAKER.unfinished_semitones)
        elif random.random() < rule.rising_end_share:
            fall[-SPEAKER.rise_syllables :] += SPEAKER.rise_semitones
        else:
            stress[-1] *= SPEAKER.last_stress
        pitch = fall + SPEAKER.stress_semitones * stress
        parts.append(np.stack([at[:-1], at[1:], stress, pitch], axis=1))
    table = np.concatenate(parts) if parts else np.zeros((0, 4))
    number = len(table)
    shares = SPEAKER.consonant_shares
    consonant = random.choice(len(shares), number, p=shares)
    closes = (random.random(number) < SPEAKER.labial_share) & (consonant != len(shares) - 1)
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
    if reactions:
        looking, lasts_s = reactions.looking[inside], reactions.lasts_s[inside]
        repaired = reactions.repaired[inside]
        reactions = replace(reactions, looking=looking, lasts_s=lasts_s, repaired=repaired)
    return _Turns(
        syllables=syllables,
        pauses=pauses.astype(np.float32),
        thinking=thinking[inside],
        laughs=np.array(laughs, np.float32).reshape(-1, 3),
        reactions=reactions,
    )


def _draw_laughs(
    random: Random, rule: SpeakerRule, thinking: NDArray[np.bool_], phrase_s: float
) -> Doubles:
    """How long the speaker laughs at the end of each phrase, with its pause of ``phrase_s`` on
    average: [P], mostly 0."""
    chance = random.uniform(*rule.laughs_a_minute) * phrase_s / 60.0
    lengths = random.uniform(*rule.laugh_s, len(thinking))
    return np.where((random.random(len(thinking)) < chance) & ~thinking, lengths, 0.0)
