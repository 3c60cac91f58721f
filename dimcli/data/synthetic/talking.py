"""A talking face for speech whose phones are known: the mouth by rule, the rest by a style."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dimcli.audio import PITCH, VOICING
from dimcli.core.motion import Floats
from dimcli.data.synthetic.mouth import MouthStyle, add_mouth, mouth_controls
from dimcli.data.synthetic.phones import Segments, targets
from dimcli.data.synthetic.rule import SpeakerRule
from dimcli.data.synthetic.signals import Random
from dimcli.data.synthetic.speaker_events import (
    SpeakerEvents,
    draw_breaths,
    draw_drift,
    draw_smiles,
    draw_sway,
)
from dimcli.data.synthetic.speaker_rule import speaker_motion
from dimcli.data.synthetic.speech import Syllables

PAUSE_S = 0.2
"""Shorter silences are part of words."""


@dataclass(frozen=True)
class SpeakerStyle:
    """A way of talking: its mouth, how lively head and brows are, and smiles a minute."""

    mouth: MouthStyle
    animation: float = 1.0
    smiles_a_minute: float = 2.5


STYLES: dict[str, SpeakerStyle] = {
    "natural": SpeakerStyle(MouthStyle()),
    "calm": SpeakerStyle(MouthStyle(opening=0.7, rounding=0.85, stress=0.12), 0.55, 1.0),
    "clear": SpeakerStyle(MouthStyle(opening=1.35, rounding=1.25, spreading=1.3), 0.9, 2.0),
    "lively": SpeakerStyle(MouthStyle(opening=1.3, spreading=1.2, stress=0.3), 1.7, 5.0),
    "mumbled": SpeakerStyle(MouthStyle(opening=0.55, rounding=0.7, spreading=0.6), 0.7, 1.0),
    "smiling": SpeakerStyle(MouthStyle(opening=1.0, rounding=0.8, spreading=1.5), 1.1, 11.0),
}
"""The styles a speaker can have, by name; ``natural`` is the middle of people."""

RULE = replace(
    SpeakerRule(),
    wander=(0.05, 0.3),
    tracker_gain_sigma=0.15,
    expression_noise=(0.002, 0.006),
    pose_noise_degrees=(0.02, 0.08),
    rest_degrees=(1.0, 1.0, 1.0),
    rest_pitch_degrees=0.0,
)
"""The speaker's rule for a face that is to be learned from: less of what only a tracker adds."""
REST_SHARE = 0.35
"""How much of a tracked face's rest remains: the portrait brings its own."""


@dataclass(frozen=True)
class Speech:
    """What is said: its ``segments``, and pitch in semitones about the voice's middle, [T], a row
    a frame (0 where there is no voice).
    """

    segments: Segments
    pitch: Floats
    duration_s: float
    fps: float

    @classmethod
    def of_features(cls, segments: Segments, features: Floats, fps: float) -> Speech:
        """From ``mel`` features [T, 32] of the sound."""
        pitch = 12.0 * features[:, PITCH] * (features[:, VOICING] > 0.5)
        return cls(segments, pitch.astype(np.float32), len(features) / fps, fps)


def speech_events(
    speech: Speech, style: SpeakerStyle, random: Random, rule: SpeakerRule = RULE
) -> SpeakerEvents:
    """What head, brows and lids do with ``speech``."""
    segments, fps, duration = speech.segments, speech.fps, speech.duration_s
    frames = len(speech.pitch)
    known = targets()
    vowel = np.array([bool(s) and known[s].vowel for s in segments.letters], bool)
    silent = segments.silent
    start, end = segments.start[vowel], segments.end[vowel]
    at = np.clip(np.round((start + end) / 2.0 * fps).astype(int), 0, frames - 1)
    pitch, stress = speech.pitch[at], segments.stress[vowel]
    accent = stress * np.clip(0.5 + pitch / 6.0, 0.1, 1.5)
    animation = float(style.animation * np.exp(random.normal(0.0, 0.2)))
    pauses = np.stack([segments.start[silent], segments.end[silent]], axis=1)
    pauses = pauses[pauses[:, 1] - pauses[:, 0] >= PAUSE_S]
    talking_s = float((segments.end - segments.start)[~silent].sum())
    beats = random.uniform(*rule.beats_a_minute) * np.sqrt(animation) * talking_s / 60.0
    raises = random.uniform(*rule.brow_raises_a_minute) * np.sqrt(animation) * talking_s / 60.0
    smiles = draw_smiles(random, duration, style.smiles_a_minute, rule.smile_s, (0.2, 0.6))
    breaths = draw_breaths(random, pauses)
    drift = draw_drift(random, frames, fps)
    return SpeakerEvents(
        duration_s=duration,
        fps=fps,
        attitude=0,
        animation=animation,
        pauses=pauses.astype(np.float32),
        thinking=np.zeros(len(pauses), bool),
        syllables=Syllables(
            start=start,
            end=end,
            vowel=np.zeros(len(start), np.int64),
            consonant=np.zeros(len(start), np.int64),
            stress=stress,
            pitch=pitch,
            lips_close=np.zeros(len(start), bool),
        ),
        beats=(start + 0.3 * (end - start))[_chosen(random, accent, beats)],
        smiles=smiles,
        brow_raises=np.maximum(start - 0.15, 0.0)[_chosen(random, accent**2, raises)],
        breaths=breaths,
        laughs=np.zeros((0, 3), np.float32),
        drift=(0.6 * drift * np.array(rule.drift_degrees) * np.sqrt(animation)).astype(np.float32),
        sway=draw_sway(random, frames, fps, rule, animation),
    )


def _chosen(random: Random, accent: Floats, expected: float) -> np.ndarray:
    """About ``expected`` of the syllables, the more accented the likelier: bool [S]."""
    chance = accent / max(float(accent.sum()), 1e-6) * expected
    return random.random(len(accent)) < chance


def talking_motion(
    speech: Speech, style: SpeakerStyle, random: Random, rule: SpeakerRule = RULE
) -> tuple[Floats, SpeakerEvents]:
    """A face that says ``speech``: motion float32 [T, 56] (arkit) and the events behind it.

    People of one style differ a little, and so do their days.
    """
    events = speech_events(speech, style, random, rule)
    spread = np.exp(random.normal(0.0, 0.1, 4))
    mouth = replace(
        style.mouth,
        opening=float(style.mouth.opening * spread[0]),
        jaw=float(style.mouth.jaw * spread[1]),
        rounding=float(style.mouth.rounding * spread[2]),
        spreading=float(style.mouth.spreading * spread[3]),
        lead_s=float(style.mouth.lead_s + random.uniform(-0.005, 0.01)),
    )
    controls = mouth_controls(speech.segments, speech.duration_s, mouth)

    def add_speech(values: Floats) -> None:
        add_mouth(values, controls, speech.fps, mouth)

    return speaker_motion(events, random, rule, rest=REST_SHARE, mouth=add_speech), events
