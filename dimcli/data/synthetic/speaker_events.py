"""What a synthetic speaker does and when: the hidden events behind motion and sound.

:func:`draw_events` draws one conversation. :mod:`dimcli.data.synthetic.speaker_rule` makes what a
camera and a microphone would see and hear of it; the listener's rule
(:mod:`dimcli.data.synthetic.listener_rule`) sees only the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.data.synthetic.rule import ATTITUDE_SHARES, SpeakerRule
from dimcli.data.synthetic.signals import (
    Floats,
    Random,
    lognormals,
    poisson_times,
    smooth_noise,
)
from dimcli.data.synthetic.speech import MOUTH_OPENING, Syllables

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
