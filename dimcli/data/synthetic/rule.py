"""The main rates, sizes, chances and delays of the synthetic dyads, in one table, with sources.

:class:`SpeakerRule` and :class:`ListenerRule` hold what a recipe can change, and the dictionaries
what faces show at rest and couple. Not here: about 140 smaller numbers (flanks of episodes, corners
of noise, further chances and spreads) stand where they are used, in ``listener_rule.py`` and
``speaker_rule.py``; whoever changes one raises ``RECIPE_VERSION``.

Sources by short name:

- real: measured with a face tracker on eight real listeners and their speakers (medians over
  clips; 65 s in all), and ranges of blendshape means and couplings on the same kind of tracks.
- B97: Bentivoglio et al. 1997, blink rates at rest 17 and in conversation 26 a minute.
- CN: Caspers et al. 1979 and Evinger et al. 1991, course of a blink: closes faster than it opens.
- H85: Hadar, Steiner and Rose 1985, listener nods: rate and size by function.
- WT00: Ward and Tsukahara 2000, back-channels about 0.7 s after a cue, at pauses and low pitch.
- M08: Morency, de Kok and Gratch 2008, nods follow pauses and the speaker's gaze.
- CB99: Chartrand and Bargh 1999; LaFrance 1979: mimicry of expression and posture.
- D96: Dimberg and Thunberg 1998, facial mimicry begins 0.3-1 s after the model's expression.
- C74: Campione and Veronis 2002, pause lengths are log-normal, median about 0.5 s.
- G13: Greenberg 1999, syllables last about 0.2 s (4-6 a second).
- chosen: no source; a plain value that keeps the measured totals.

Angles are degrees here and radians in motion; rates are a minute; times are seconds. A pair is
(low, high) of a uniform draw unless its name ends in ``_lognormal``: (median, sigma of the log).
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[float, float]


@dataclass(frozen=True)
class SpeakerRule:
    """How a synthetic speaker talks and moves."""

    utterance_s_lognormal: Pair = (1.8, 0.55)
    """Speech between two pauses (C74)."""
    utterance_spread: float = 0.4
    """Spread of the log of a speaker's own typical length of utterance: 9 to 40 pauses a minute
    (real)."""
    utterance_limits_s: Pair = (0.6, 9.0)
    """Shortest and longest (chosen)."""
    pause_s_lognormal: Pair = (0.6, 0.5)
    """Silences (C74)."""
    pause_limits_s: Pair = (0.22, 2.5)
    """Shorter silences are part of words (C74)."""
    thinking_pause_share: float = 0.08
    """Pauses inside a thought: silence without the fall of a phrase end (chosen)."""
    syllable_s_lognormal: Pair = (0.19, 0.3)
    """G13."""
    stressed_every: Pair = (2.0, 5.0)
    """Syllables from stress to stress (chosen)."""
    pitch_start_semitones: Pair = (6.0, 10.0)
    """Pitch falls from here along a phrase, to its floor at the end (chosen)."""
    rising_end_share: float = 0.2
    """Phrases that end high: questions, lists (chosen)."""
    jaw_gain_lognormal: Pair = (0.36, 0.4)
    """jawOpen on a fully open stressed vowel; trackers differ by crop (real: 95 % at 0.27-0.39)."""
    jaw_lost_share: float = 0.15
    """Speakers whose jaw the tracker hardly sees, as on tight crops (real)."""
    jaw_lost_gain: float = 0.15
    """How much is left of their jaw (real)."""
    jaw_mismatch: float = 0.95
    """Spread of the log of opening beside loudness: lips follow loudness at r = 0.2-0.5 (real)."""
    blinks_a_minute: Pair = (27.0, 48.0)
    """Real."""
    smile_episodes_a_minute: Pair = (1.5, 4.5)
    """Chosen, times the attitude's factor."""
    smile_s: Pair = (1.2, 4.5)
    """D96."""
    smile_peak: Pair = (0.35, 0.85)
    """Real: 95 % quantiles 0.44-0.92."""
    beats_a_minute: Pair = (18.0, 42.0)
    """Head beats on stressed syllables (H85)."""
    beat_degrees_lognormal: Pair = (3.6, 0.45)
    """H85; with drift gives the real head speed of 10-12 degrees a second."""
    drift_degrees: tuple[float, float, float] = (2.0, 3.2, 1.8)
    """Standard deviation of slow pitch, yaw, roll (real)."""
    sway_degrees: tuple[float, float, float] = (0.7, 1.0, 0.65)
    """The same between 0.4 and 1.5 Hz (real)."""
    rest_degrees: tuple[float, float, float] = (5.0, 6.0, 4.5)
    """Spread of where heads rest before the camera: pitch, yaw, roll (real)."""
    rest_pitch_degrees: float = 4.0
    """Mean pitch that trackers report at rest (real: 3-9)."""
    brow_raises_a_minute: Pair = (3.0, 12.0)
    """Chosen (real: 0-10)."""
    gaze_shifts_a_minute: Pair = (10.0, 25.0)
    """Speakers look away often (Kendon 1967)."""
    expression_noise: Pair = (0.008, 0.03)
    """White noise of a tracker's expressions (real: 0.008-0.03 on moving columns)."""
    pose_noise_degrees: Pair = (0.03, 0.2)
    """White noise of a tracker's head rotation (real: 0.05-0.3)."""
    wander: Pair = (0.2, 1.0)
    """How strongly expressions wander and flicker with articulation, a factor on SPEAKER_WANDER."""
    tracker_gain_sigma: float = 0.5
    """Spread of the log of how strongly one speaker's expression shows in one column: the same
    column varies threefold between real speakers (real)."""
    animation_sigma: float = 0.42
    """Spread of the log of how lively a speaker is; scales beats, brows and drift (chosen)."""


@dataclass(frozen=True)
class ListenerRule:
    """How a synthetic listener reacts to a synthetic speaker."""

    pause_for_nod_s: float = 0.3
    """Pauses of at least this much can draw a nod (M08)."""
    nod_at_pause: float = 0.95
    """Chance of a nod there for a lively, willing pair (M08, WT00)."""
    nod_thinking_pause: float = 0.4
    """The same at a pause inside a thought (WT00: a low pitch region is part of the cue)."""
    nod_latency_s_lognormal: Pair = (0.42, 0.35)
    """After speech stops (WT00: 0.7 s from the cue, which comes before the end)."""
    nod_at_stress: float = 0.08
    """Chance of a nod on a stressed syllable with a head beat (H85: synchrony nods)."""
    nods_elsewhere_a_minute: float = 1.8
    """Nods with no visible cause (real total: 18 a minute)."""
    nod_degrees_lognormal: Pair = (3.45, 0.3)
    """Peak to peak (real: 2.8 as tracked, smoothed by the camera)."""
    nod_hz_lognormal: Pair = (2.35, 0.17)
    """Real 2.0; H85: 1.8-3.7."""
    nod_cycles: tuple[float, ...] = (0.28, 0.42, 0.21, 0.09)
    """Chances of 1, 2, 3, 4 cycles (H85)."""
    nod_decay: Pair = (0.6, 0.9)
    """Each cycle's size relative to the one before (H85)."""
    nod_animation_power: float = 0.45
    """Lively speakers get larger nods: size goes with animation to this power (chosen)."""
    smile_own: tuple[float, float, float] = (0.55, 0.71, 0.3)
    """Resting smile by attitude neutral, positive, negative (real mean 0.66: television guests)."""
    smile_mimicry_gain: Pair = (0.45, 0.85)
    """Share of the speaker's smile that is copied (CB99)."""
    smile_mimicry_chance: tuple[float, float, float] = (0.8, 0.95, 0.35)
    """Chance that an episode is copied, by attitude (CB99)."""
    smile_delay_s_lognormal: Pair = (0.6, 0.35)
    """D96."""
    smile_drift: float = 0.14
    """Standard deviation of the slow wander of the smile (real total 0.15)."""
    smile_nod: float = 0.06
    """Smile added by a nod (real: nods and smiles go together)."""
    blinks_a_minute: Pair = (36.0, 52.0)
    """Real: 41; B97: 26 for conversation."""
    blink_shortest_s: float = 0.35
    """Refractory time of the renewal process; the rest is gamma with shape 2 (CN)."""
    blink_close_s: Pair = (0.06, 0.085)
    """CN."""
    blink_open_s: Pair = (0.1, 0.15)
    """CN; width at half height 0.13 s (real)."""
    blink_peak: Pair = (0.66, 0.86)
    """eyeBlink at full closure (real 0.55-0.72 through a 25-30 fps camera)."""
    blink_at_nod: float = 0.4
    """Chance of a blink with a nod's start (chosen; blinks cluster at boundaries)."""
    blink_at_gaze: float = 0.4
    """Chance of a blink with a gaze shift (Evinger et al. 1994)."""
    blink_squint: float = 0.4
    """eyeSquint a blink adds, of its eyeBlink (real 0.14-0.56)."""
    blink_look_down: float = 0.8
    """eyeLookDown a blink adds, of its eyeBlink (real 0.96-1.26; less, as gaze must read)."""
    gaze_shifts_a_minute: float = 9.0
    """Listeners look at the speaker most of the time (Kendon 1967)."""
    gaze_away_s: Pair = (0.4, 1.4)
    """Kendon 1967."""
    drift_degrees: tuple[float, float, float] = (0.55, 0.55, 0.58)
    """Own slow posture drift: pitch, yaw, roll (real totals 1.4, 1.2, 1.2)."""
    drift_hz: float = 0.22
    """Corner of the drift's spectrum (chosen)."""
    sway_degrees: tuple[float, float, float] = (0.2, 0.55, 0.48)
    """Livelier part of the same (real head speed 5.9 degrees a second)."""
    sway_hz: Pair = (0.25, 1.1)
    """Its band (chosen)."""
    posture_mimicry_gain: tuple[float, float, float] = (0.55, 0.46, 0.68)
    """Share of the speaker's slow pitch, yaw, roll that is followed (CB99)."""
    posture_limit_degrees: float = 4.0
    """Following saturates here: nobody mirrors a speaker who turns away (chosen)."""
    posture_delay_s: float = 1.2
    """CB99; Ramseyer and Tschacher 2011: within seconds."""
    rest_degrees: float = 0.15
    """Spread of the listener's own rest about zero (small: the portrait brings its own)."""
    brow_at_emphasis: float = 0.3
    """Chance to follow the speaker's brow raise (CB99)."""
    vocal_at_nod: float = 0.16
    """Nods with a short spoken back-channel: the mouth opens (WT00)."""
    vocal_jaw: Pair = (0.1, 0.18)
    """jawOpen of it (chosen)."""
    parted_lips_a_minute: float = 8.5
    """Episodes of slightly open lips (real: mouth open 0.02-0.18 of the time)."""
    parted_lips_s: Pair = (0.8, 2.4)
    """Chosen."""
    parted_jaw: Pair = (0.06, 0.1)
    """jawOpen of it (chosen)."""
    negative_brow_down: float = 0.12
    """browDown a disapproving listener adds (ViCo's negative attitude; size chosen)."""
    nod_attitude: tuple[float, float, float] = (1.0, 1.15, 0.6)
    """Factor on nod chances, by attitude (ViCo)."""


LISTENER_ATTITUDES = ("neutral", "positive", "negative")
ATTITUDE_SHARES = (0.45, 0.4, 0.15)
"""How often each is drawn (near ViCo's counts)."""

LISTENER_REST: dict[str, float] = {
    "browDown": 0.1,
    "eyeBlink": 0.1,
    "eyeLookDown": 0.17,
    "eyeLookIn": 0.06,
    "eyeLookOut": 0.07,
    "eyeLookUp": 0.08,
    "eyeSquint": 0.36,
    "mouthPress": 0.09,
    "mouthShrugLower": 0.04,
    "mouthShrugUpper": 0.02,
    "mouthStretch": 0.04,
    "mouthDimple": 0.02,
}
"""What trackers report on a face at rest (real; a name without side stands for both sides)."""

SPEAKER_REST_SPREAD: dict[str, tuple[float, float]] = {
    "browDown": (0.0, 0.5),
    "browInnerUp": (0.0, 0.15),
    "browOuterUp": (0.0, 0.12),
    "eyeBlink": (0.05, 0.4),
    "eyeLookDown": (0.08, 0.5),
    "eyeLookIn": (0.01, 0.22),
    "eyeLookOut": (0.02, 0.25),
    "eyeLookUp": (0.0, 0.14),
    "eyeSquint": (0.2, 0.6),
    "mouthDimple": (0.0, 0.12),
    "mouthPress": (0.0, 0.2),
    "mouthPucker": (0.0, 0.12),
    "mouthShrugLower": (0.0, 0.14),
    "mouthShrugUpper": (0.0, 0.07),
    "mouthSmile": (0.0, 0.3),
    "mouthStretch": (0.0, 0.08),
    "mouthUpperUp": (0.0, 0.05),
    "mouthFrown": (0.0, 0.03),
}
"""Range of each speaker's resting value: faces and trackers differ (real)."""

SPEAKER_WANDER: dict[str, tuple[float, float]] = {
    "browDown": (0.14, 0.04),
    "browInnerUp": (0.03, 0.02),
    "eyeBlink": (0.08, 0.03),
    "eyeLookDown": (0.1, 0.02),
    "eyeSquint": (0.08, 0.04),
    "mouthDimple": (0.02, 0.05),
    "mouthFrown": (0.01, 0.01),
    "mouthPress": (0.04, 0.08),
    "mouthPucker": (0.05, 0.16),
    "mouthShrugLower": (0.06, 0.08),
    "mouthShrugUpper": (0.02, 0.03),
    "mouthSmile": (0.06, 0.16),
    "mouthStretch": (0.01, 0.04),
    "mouthUpperUp": (0.01, 0.07),
}
"""Standard deviations of a speaker's slow wander and, while talking, of faster flicker between
0.5 and 4 Hz, which articulation and the tracker's confusions give (real, upper ends)."""

SMILE_WITH: dict[str, float] = {
    "mouthDimple": 0.06,
    "mouthStretch": 0.1,
    "mouthUpperUp": 0.06,
    "eyeSquint": 0.18,
    "cheekSquint": 0.08,
    "mouthPress": -0.12,
    "mouthShrugLower": -0.1,
}
"""What moves with a smile, per unit of mouthSmile (real couplings: squint 0.07-0.32, stretch up to
0.28, press -0.1 to -0.34)."""
