"""Every rate, size, chance and delay of the synthetic dyads' motion, in one table, with sources.

:class:`SpeakerRule`, :class:`ListenerRule` and :class:`ReactionRule` hold what a recipe can change;
its fingerprint covers them. The smaller numbers (flanks of episodes, corners of noise, further
chances and spreads) stand in :class:`FaceNumbers`, :class:`SpeakerNumbers`,
:class:`ListenerNumbers` and :class:`LaughNumbers`, and the dictionaries say what faces show at rest
and couple. The fingerprint does not cover those: whoever changes one raises ``RECIPE_VERSION``.

Sources by short name:

- real: measured with a face tracker on eight real listeners and their speakers (medians over
  clips; 65 s in all), and ranges of blendshape means and couplings on the same kind of tracks.
- B97: Bentivoglio et al. 1997, blink rates at rest 17 and in conversation 26 a minute.
- CN: Caspers et al. 1979 and Evinger et al. 1991, course of a blink: closes faster than it opens.
- H85: Hadar, Steiner and Rose 1985, listener nods: rate and size by function.
- WT00: Ward and Tsukahara 2000, back-channels about 0.7 s after a cue, at pauses and low pitch.
- M08: Morency, de Kok and Gratch 2008, nods follow pauses and the speaker's gaze.
- CB99: Chartrand and Bargh 1999; LaFrance 1979: mimicry of expression and posture.
- HL20: Hale et al. 2020, listeners mimic head movement after 0.6 s, and nod fast and small.
- HO18: Hoemke, Holler and Levinson 2018, listeners' blinks are short (0.2 s) or long (0.6 s).
- IF: counted in 20 Dutch dyads of the IFADV corpus, 5 h: 47 % of short tokens begin while the
  partner still talks; quartiles about the end of speech -0.23, 0.07 and 0.33 s; 2.6 to 5.6 glances
  away a minute while listening, of 0.8 to 1.0 s.
- D96: Dimberg and Thunberg 1998, facial mimicry begins 0.3-1 s after the model's expression.
- C74: Campione and Veronis 2002, pause lengths are log-normal, median about 0.5 s.
- G13: Greenberg 1999, syllables last about 0.2 s (4-6 a second).
- K67: Kendon 1967, over 70 % of long utterances begin with the speaker looking away and over 70 %
  end with the speaker looking up at the listener.
- AI72: Argyle and Ingham 1972, people look at each other 75 % of the time that they listen and 41 %
  of the time that they talk.
- B00: Bavelas, Coates and Johnson 2000, with distracted listeners, who respond less, narrators tell
  their story significantly less well.
- B02: Bavelas, Coates and Johnson 2002, the speaker looks at the listener, which opens a window of
  mutual gaze; the listener responds in it, and shortly after the speaker looks away and goes on.
- D74: Duncan 1974, a speaker's signal, the listener's back-channel and the speaker's continuation
  follow each other in order.
- G80: Goodwin 1980, speakers pause and start again to get the gaze of a listener who looks away.
- H15: Hoetjes, Krahmer and Swerts 2015, after negative feedback the rate of gestures rises.
- HC13: Heerey and Crossley 2013, people return most of their partners' smiles, real ones early.
- O24: Obayashi et al. 2024, speakers smile more as their listener smiles more, at the same times.
- S16: Schultz et al. 2016, rates of speech come nearer to each other over a conversation.
- P93: Provine 1993 and Provine and Yong 1991, laughs come where phrases end; their notes follow
  each other by 0.21 s, each weaker than the last; speakers laugh more than listeners.
- RE01: Ruch and Ekman 2001, through a laugh the jaw is dropped and the lips are apart; on that
  opening rides a quick tremble.
- G19: Golland, Mevorach and Levit-Binnun 2019, how smiles go together is particular to a pair.
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

    utterance_s_lognormal: Pair = (1.8, 0.55)  # Speech between two pauses (C74)
    # Spread of the log of a speaker's own typical length of utterance: 9 to 40 pauses a minute
    # (real)
    utterance_spread: float = 0.4
    utterance_limits_s: Pair = (0.6, 9.0)  # Shortest and longest (chosen)
    pause_s_lognormal: Pair = (0.6, 0.5)  # Silences (C74)
    pause_limits_s: Pair = (0.22, 2.5)  # Shorter silences are part of words (C74)
    # Pauses inside a thought: silence without the fall of a phrase end (chosen)
    thinking_pause_share: float = 0.08
    syllable_s_lognormal: Pair = (0.19, 0.3)  # G13
    stressed_every: Pair = (2.0, 5.0)  # Syllables from stress to stress (chosen)
    # Pitch falls from here along a phrase, to its floor at the end (chosen)
    pitch_start_semitones: Pair = (6.0, 10.0)
    rising_end_share: float = 0.2  # Phrases that end high: questions, lists (chosen)
    # jawOpen on a fully open stressed vowel; people differ (real: 95 % at 0.18-0.53)
    jaw_gain_lognormal: Pair = (0.36, 0.45)
    # Speakers who hardly open their mouths, or whose tracker hardly sees it (chosen)
    jaw_lost_share: float = 0.15
    jaw_lost_gain: float = 0.15  # How much is left of their jaw (chosen)
    # Spread of the log of opening beside loudness: lips follow loudness at r = 0.2-0.5 (real)
    jaw_mismatch: float = 0.95
    blinks_a_minute: Pair = (27.0, 48.0)  # Real
    smile_episodes_a_minute: Pair = (1.5, 4.5)  # Chosen, times the attitude's factor
    smile_s: Pair = (1.2, 4.5)  # D96
    smile_peak: Pair = (0.35, 0.85)  # Real: 95 % quantiles 0.44-0.92
    beats_a_minute: Pair = (18.0, 42.0)  # Head beats on stressed syllables (H85)
    # H85; with drift gives the real head speed of 10-12 degrees a second
    beat_degrees_lognormal: Pair = (3.6, 0.45)
    # Standard deviation of slow pitch, yaw, roll (real)
    drift_degrees: tuple[float, float, float] = (2.0, 3.2, 1.8)
    # The same between 0.4 and 1.5 Hz (real)
    sway_degrees: tuple[float, float, float] = (0.7, 1.0, 0.65)
    # Spread of where heads rest before the camera: pitch, yaw, roll (real)
    rest_degrees: tuple[float, float, float] = (5.0, 6.0, 4.5)
    rest_pitch_degrees: float = 4.0  # Mean pitch that trackers report at rest (real: 3-9)
    brow_raises_a_minute: Pair = (3.0, 12.0)  # Chosen (real: 0-10)
    gaze_shifts_a_minute: Pair = (10.0, 25.0)  # Speakers look away often (Kendon 1967)
    # White noise of a tracker's expressions (real: 0.008-0.03 on moving columns)
    expression_noise: Pair = (0.008, 0.03)
    # White noise of a tracker's head rotation (real: 0.05-0.3)
    pose_noise_degrees: Pair = (0.03, 0.2)
    # How strongly expressions wander and flicker with articulation, a factor on SPEAKER_WANDER
    wander: Pair = (0.2, 1.0)
    # Spread of the log of how strongly one speaker's expression shows in one column: the same
    # column varies threefold between real speakers (real)
    tracker_gain_sigma: float = 0.5
    # Spread of the log of how lively a speaker is; scales beats, brows and drift (chosen)
    animation_sigma: float = 0.42
    # Laughs as phrases end (P93). People who chat laugh about once a minute; most of these laugh
    # more, without which the listeners who learn from them would hardly ever see one answered
    laughs_a_minute: Pair = (0.2, 5.0)
    laugh_s: Pair = (0.6, 1.4)  # Their length (P93: 3 to 7 notes)
    laugh_smile: Pair = (0.6, 0.9)  # mouthSmile of a laughing speaker (chosen)
    laugh_jaw: Pair = (0.35, 0.6)  # jawOpen of its first note (chosen)


@dataclass(frozen=True)
class ListenerRule:
    """How a synthetic listener reacts to a synthetic speaker."""

    pause_for_nod_s: float = 0.25  # Pauses of at least this much can draw a nod (M08)
    nod_at_pause: float = 1.0  # Chance of a nod there for a lively, willing pair (M08, WT00)
    # The same at a pause inside a thought (WT00: a low pitch region is part of the cue)
    nod_thinking_pause: float = 0.4
    # Mean and spread from the end of speech (WT00: 0.7 s from the cue, which comes before the end;
    # one in four begins while speech still goes on)
    nod_latency_s: Pair = (0.22, 0.32)
    # A phrase's end cannot be told earlier than this (chosen: its last three syllables)
    earliest_s: float = -0.6
    # Chance of a nod on a stressed syllable with a head beat (H85: synchrony nods)
    nod_at_stress: float = 0.06
    nods_elsewhere_a_minute: float = 2.0  # Nods with no visible cause (real total: 18 a minute)
    # Peak to peak (real: 2.8 as tracked, smoothed by the camera)
    nod_degrees_lognormal: Pair = (4.2, 0.3)
    nod_hz_lognormal: Pair = (2.25, 0.17)  # Real 2.0; H85: 1.8-3.7
    nod_cycles: tuple[float, ...] = (0.28, 0.42, 0.21, 0.09)  # Chances of 1, 2, 3, 4 cycles (H85)
    # Share of nods that are fast and small (HL20), their rate, size and chances of 2 to 5 cycles
    fast_nod_share: float = 0.25
    fast_nod_hz_lognormal: Pair = (3.7, 0.18)  # HL20: 2.6-6.5
    fast_nod_degrees_lognormal: Pair = (1.9, 0.3)  # Chosen
    fast_nod_cycles: tuple[float, ...] = (0.0, 0.4, 0.3, 0.2, 0.1)  # Chosen
    nod_decay: Pair = (0.6, 0.9)  # Each cycle's size relative to the one before (H85)
    # Lively speakers get larger nods: size goes with animation to this power (chosen)
    nod_animation_power: float = 0.45
    # Resting smile by attitude neutral, positive, negative (real mean 0.66: television guests)
    smile_own: tuple[float, float, float] = (0.5, 0.64, 0.28)
    smile_mimicry_gain: Pair = (0.45, 0.85)  # Share of the speaker's smile that is copied (CB99)
    # Chance that an episode is copied, by attitude (CB99)
    smile_mimicry_chance: tuple[float, float, float] = (0.8, 0.95, 0.35)
    smile_delay_s_lognormal: Pair = (0.6, 0.35)  # D96
    # Standard deviation of the slow wander of the smile (real total 0.15)
    smile_drift: float = 0.15
    smile_nod: float = 0.06  # Smile added by a nod (real: nods and smiles go together)
    blinks_a_minute: float = 50.0  # Before those too close go (real: 41; B97: 26)
    # Refractory time of the renewal process; the rest is gamma with shape 2 (CN)
    blink_shortest_s: float = 0.35
    blink_close_s: Pair = (0.06, 0.085)  # CN
    blink_open_s: Pair = (0.1, 0.15)  # CN; width at half height 0.13 s (real)
    # eyeBlink at full closure (real 0.55-0.72 through a 25-30 fps camera)
    blink_peak: Pair = (0.66, 0.86)
    # Chance of a blink with a nod's start (chosen; blinks cluster at boundaries)
    blink_at_nod: float = 0.4
    long_blink: float = 0.25  # Chance that such a blink is long (HO18: long ones go with nods)
    long_blink_hold_s: Pair = (0.25, 0.5)  # How much longer lids stay closed then (HO18: 0.6 s)
    # Chance of a blink as the speaker's pause begins, and how long after (Nakano and Kitazawa 2010)
    blink_at_pause: float = 0.35
    blink_pause_delay_s: Pair = (0.1, 0.5)
    blink_at_gaze: float = 0.4  # Chance of a blink with a gaze shift (Evinger et al. 1994)
    blink_squint: float = 0.4  # eyeSquint a blink adds, of its eyeBlink (real 0.14-0.56)
    # eyeLookDown a blink adds, of its eyeBlink (real 0.96-1.26; less, as gaze must read)
    blink_look_down: float = 0.8
    gaze_shifts_a_minute: Pair = (2.6, 5.6)  # IF
    gaze_away_s_lognormal: Pair = (0.9, 0.5)  # IF
    # Own slow posture drift: pitch, yaw, roll (real totals 1.5, 1.1, 1.0)
    drift_degrees: tuple[float, float, float] = (0.75, 0.85, 0.65)
    drift_hz: float = 0.22  # Corner of the drift's spectrum (chosen)
    # Livelier part of the same (real head speed 5.9 degrees a second)
    sway_degrees: tuple[float, float, float] = (0.15, 0.4, 0.36)
    sway_hz: Pair = (0.25, 1.1)  # Its band (chosen)
    # Heads hold still and move by turns, for so long (real: under 1.5 degrees a second 0.21 of the
    # time, with nods and the camera's noise)
    hold_s_lognormal: Pair = (2.0, 0.6)  # Chosen
    move_s_lognormal: Pair = (0.6, 0.4)  # Chosen
    # Share of the speaker's slow pitch, yaw, roll that is followed (CB99)
    posture_mimicry_gain: tuple[float, float, float] = (0.55, 0.46, 0.68)
    # Following saturates here: nobody mirrors a speaker who turns away (chosen)
    posture_limit_degrees: float = 4.0
    # The same of livelier movement, followed while the head moves (HL20)
    sway_mimicry_gain: tuple[float, float, float] = (0.5, 0.5, 0.5)
    mimicry_delay_s: float = 0.6  # HL20
    # Spread of the listener's own rest about zero (small: the portrait brings its own)
    rest_degrees: float = 0.15
    brow_at_emphasis: float = 0.3  # Chance to follow the speaker's brow raise (CB99)
    # Chance of a short spoken token at a pause: with those that are hummed 5.8 a minute (IF)
    vocal_at_pause: float = 0.2
    # Mean and spread from the end of speech: half begin while it still goes on (IF)
    vocal_latency_s: Pair = (0.05, 0.41)
    vocal_jaw: Pair = (0.17, 0.26)  # jawOpen of it (real: lips part by 0.08 eye widths)
    # Lips that part for a moment (real: 6 openings a minute in all, of 0.4 s)
    parted_lips_a_minute: float = 2.0
    parted_lips_s: Pair = (0.4, 0.8)  # Real
    parted_jaw: Pair = (0.14, 0.24)  # jawOpen of it (real: lips part by 0.08 eye widths)
    # Spread of the log of how much one listener nods, blinks, moves the head, and of the listener's
    # own smile (Blomsma et al. 2024: people differ more than occasions; sizes real)
    nods_sigma: float = 0.35
    blinks_sigma: float = 0.2
    head_sigma: float = 0.25
    smile_sigma: float = 0.16
    # Chance to join in a speaker's laugh, by attitude (P93: listeners laugh less than speakers)
    laugh_chance: tuple[float, float, float] = (0.27, 0.4, 0.07)
    laugh_delay_s_lognormal: Pair = (0.8, 0.3)  # From its start (real conversations: 0.8 s)
    laugh_s: Pair = (0.8, 1.4)  # P93: 3 to 7 notes
    laugh_smile: float = 0.45  # mouthSmile it adds to the listener's own (chosen)
    # jawOpen of its first note: teeth show, the mouth stays smaller than a speaker's (chosen)
    laugh_jaw: Pair = (0.32, 0.48)
    # browDown a disapproving listener adds (ViCo's negative attitude; size chosen)
    negative_brow_down: float = 0.12
    # Factor on nod chances, by attitude (ViCo)
    nod_attitude: tuple[float, float, float] = (1.0, 1.15, 0.6)


@dataclass(frozen=True)
class ReactionRule:
    """How a speaker answers the listener's answers, and what a pair shares (sizes chosen)."""

    # Chance that the speaker looks at the listener as a pause begins (K67), and inside a thought
    look_at_pause: float = 0.72
    look_thinking: float = 0.25
    look_away_at_start: float = 0.75  # Chance of a look away as a phrase begins (K67)
    look_away_start_s: Pair = (-0.15, 0.3)  # When, from the phrase's start (AI72, with the next)
    look_back_s: Pair = (0.25, 0.7)  # How long before the phrase's end the look comes back
    look_away_shortest_s: float = 0.3  # Shorter looks away are none
    # Factors on the listener's chance of a nod where the speaker looks and where not (B02)
    nod_seen: float = 0.8
    nod_unseen: float = 0.4
    # Chance of a listener who does not nod to look away just then (AI72: one fourth of listening)
    away_at_pause: float = 0.3
    away_lead_s: Pair = (0.1, 0.5)  # How long before the pause that look begins
    away_s: Pair = (0.9, 1.8)  # How long it lasts (IF)
    # A speaker who looks waits: from the nod, or from the end of speech if the nod came before,
    # the least time and a log-normal to going on (B02, D74); the same without a nod, and where the
    # listener looks away (G80). One who does not look goes on as in the speaker's rule.
    pause_shortest_s: float = 0.22
    pause_after_nod_s_lognormal: Pair = (0.2, 0.5)
    pause_unanswered_s_lognormal: Pair = (0.8, 0.4)
    pause_away_s_lognormal: Pair = (1.1, 0.4)
    # Chances that the speaker says it again after a nod, a look away and nothing (B00, G80)
    repair: tuple[float, float, float] = (0.04, 0.65, 0.45)
    repair_unseen: float = 0.06  # The same of a speaker who did not look
    repair_slower: float = 1.2  # Length of a repair's syllables, of the speaker's own (chosen)
    repair_stress: float = 0.2  # Stress a repair has more (chosen)
    repair_beats: float = 2.2  # Factor on the chance of head beats in a repair (H15)
    repair_brows: float = 0.6  # Chance of a brow raise as a repair begins (H15)
    # Smiles that the listener begins, and the chance that the speaker answers (HC13, O24)
    listener_smiles_a_minute: float = 1.5
    listener_smile_answered: float = 0.65
    listener_smile_peak: Pair = (0.2, 0.45)  # Size of those that are not answered
    # Length of a speaker's smile that is shared, and of one that is not (O24)
    shared_smile_s_lognormal: Pair = (3.0, 0.35)
    lone_smile_s_lognormal: Pair = (1.8, 0.35)
    # Correlation of two people of a pair in liveliness, warmth and tempo (G19)
    pair_correlation: float = 0.7
    warm_smiles: float = 0.35  # Log of the rate of a speaker's smiles a unit of the pair's warmth
    warm_rest: float = 0.07  # Resting smile of a speaker a unit of it, about the same
    listener_tempo_sigma: float = 0.15  # Spread of the log of a listener's own rate of nods
    # Each one's own tempo fades, and mimicry of posture grows, over such a time (S16)
    adaptation_s: float = 20.0
    posture_from: float = 0.6  # Factor on mimicry of posture at the start,
    posture_to: float = 1.3  # and in the end


@dataclass(frozen=True)
class FaceNumbers:
    """What speakers' and listeners' faces do alike (chosen)."""

    # Look to the right a degree of yaw: eyes hold their aim while the head turns
    eyes_per_yaw: float = -0.012
    eyes_per_pitch: float = -0.006  # Look down a degree of pitch
    gaze_flank_s: float = 0.08  # How long eyes take to a new aim and back
    gaze_look_up: float = 0.6  # eyeLookUp that a look down takes away, of its eyeLookDown
    blink_hold_s: float = 0.03  # How long lids stay closed
    blink_look_up: float = -0.25  # eyeLookUp a blink adds, of its eyeBlink


@dataclass(frozen=True)
class SpeakerNumbers:
    """The smaller numbers of every speaker (chosen, where no source is named)."""

    # One utterance and one pause are drawn for so much conversation, more than are used
    draw_every_s: float = 1.0
    spare_draws: int = 4  # How many are drawn beside those
    last_pause_s: float = 0.2  # No pause begins this close to the end
    shortest_phrase_s: float = 0.15  # Shorter phrases have no syllable
    tempo_sigma: float = 0.12  # Spread of the log of a speaker's own length of syllable
    final_lengthening: float = 1.5  # Phrases end slowly: factor on their last syllable
    weak_stress: Pair = (0.05, 0.4)  # Stress in 0..1 of any syllable
    strong_stress: float = 0.5  # What a stressed syllable has more; above it, it counts as stressed
    first_stressed: int = 3  # The first stressed syllable is one of so many
    last_stress: float = 0.5  # Factor on the last syllable's stress where pitch falls to the end
    pitch_floor: float = 0.05  # Share of the pitch at the start that remains at the end of a phrase
    unfinished_semitones: float = 4.0  # Pitch stays above this before a pause inside a thought
    rise_semitones: float = 6.0  # Pitch that the last syllables of a rising end gain
    rise_syllables: int = 2  # How many those are
    stress_semitones: float = 2.5  # Pitch a unit of stress
    # Syllables that begin with closed lips (about the share of p, b, m in English onsets)
    labial_share: float = 0.22
    # Shares of stops, fricatives, nasals and none
    consonant_shares: tuple[float, float, float, float] = (0.35, 0.25, 0.22, 0.18)
    beats_limits_a_minute: Pair = (6.0, 60.0)  # Fewest and most head beats, however lively
    # Factor on smile episodes of the neutral, positive and negative
    smiles_by_attitude: tuple[float, float, float] = (1.0, 1.6, 0.35)
    breath_share: float = 0.3  # Pauses that end with a breath
    breath_lead_s: float = 0.3  # How long before speech it begins
    drift_hz: Pair = (0.03, 0.14)  # Band of the slow drift of the head

    rest_strength: Pair = (0.3, 1.0)  # Factor on each resting value
    noise_floor: float = 0.25  # Share of a tracker's noise in columns that do not move
    noise_full_at: float = 0.1  # Standard deviation from which a column has one whole noise more
    talking_frames: int = 7  # Frames over which talking is averaged for flicker
    wander_hz: Pair = (0.0, 0.25)  # Band of slow wander
    flicker_hz: Pair = (0.5, 4.0)  # Band of flicker

    opening_log_mean: float = -0.2  # Mean of the log of opening beside loudness
    opening_least: float = 0.55  # Opening of an unstressed vowel, of its own opening
    opening_by_stress: float = 0.6  # What a unit of stress adds
    opening_limit: float = 1.6  # No vowel opens wider
    # Opening where a syllable starts with parted lips, of its vowel's
    opening_at_onset: float = 0.25
    opening_at_end: float = 0.15  # Opening where it ends
    # Weights of a syllable's start and end in the time it is widest
    syllable_middle: Pair = (0.4, 0.6)
    syllable_middle_sigma_s: float = 0.02  # Spread of that time
    ajar: float = 0.06  # Spread of how far the mouth rests open between phrases
    ajar_hz: Pair = (0.0, 0.4)  # Its band
    # Filter over three frames: jaws have inertia
    jaw_taps: tuple[float, float, float] = (0.25, 0.5, 0.25)
    jaw_wander: float = 0.35  # Spread of the log of slow changes of opening
    jaw_wander_hz: Pair = (0.05, 0.5)  # Their band
    lip_limit: float = 1.2  # Lips follow the opening no further
    lip_strength: Pair = (0.3, 1.0)  # How much one speaker's lips follow
    pucker: float = 0.4  # mouthPucker of a fully rounded vowel
    pucker_strength: Pair = (0.1, 1.5)  # One speaker's factor on it
    funnel: float = 0.25  # mouthFunnel a unit of rounding and opening
    lower_down: float = 0.3  # mouthLowerDown a unit of opening; the next two likewise
    upper_up: float = 0.15
    stretch: float = 0.1  # mouthStretch of spread vowels
    seal_s: Pair = (0.06, 0.07)  # How long lips take to close for p, b, m, and to open
    seal_press: float = 0.12  # mouthPress of closed lips
    seal_roll: float = 0.06  # mouthRollUpper of closed lips
    talk_close: float = 0.02  # mouthClose a unit of opening

    smile_tilt: float = 0.08  # Spread of how much more one side smiles
    smile_flank_s: float = 0.5  # Longest onset and offset of a smile
    sway_hz: Pair = (0.3, 1.5)  # Band of the head's sway
    beat_down_share: float = 0.75  # Beats that go down; the others go up
    beat_up: float = -0.8  # Size of those
    beat_lead_s: float = 0.05  # How long before its syllable a beat begins
    beat_hz: Pair = (1.4, 2.8)  # Rate of a beat
    beat_leak: float = 0.25  # Spread of how much of beats shows in yaw and roll
    # Factors on a tracker's noise of pitch, yaw, roll
    pose_noise_axes: tuple[float, float, float] = (1.6, 1.0, 0.7)

    gaze_shortest_s: float = 0.5  # Refractory time of gaze shifts
    gaze_away_s: Pair = (0.4, 2.2)  # How long a look away lasts
    gaze_right: Pair = (0.0, 0.2)  # Mean and spread of where it goes, to the right; 1 is extreme
    gaze_down: Pair = (0.05, 0.12)  # The same downwards
    blinks_bound_a_minute: float = 5.0  # Blinks that come with pauses
    blink_shortest_s: float = 0.3  # Refractory time of the others
    blink_at_pause: float = 0.3  # Chance of a blink as a pause begins
    blink_pause_delay_s: float = 0.1  # How long after
    blink_peak: Pair = (0.4, 0.75)  # One speaker's eyeBlink at full closure
    blink_spread: Pair = (0.85, 1.1)  # Factor on it for each blink
    blink_close_s: Pair = (0.06, 0.1)  # CN
    blink_open_s: Pair = (0.1, 0.2)  # CN
    blink_squint: Pair = (0.15, 0.5)  # eyeSquint a blink adds, of its eyeBlink (real 0.14-0.56)
    blink_look_down: Pair = (0.8, 1.2)  # eyeLookDown a blink adds, of its eyeBlink (real 0.96-1.26)

    brow_size: Pair = (0.15, 0.6)  # Size of a brow raise
    brow_s: Pair = (0.4, 1.4)  # Its length
    brow_flanks_s: Pair = (0.15, 0.25)  # Its onset and offset
    brow_inner: Pair = (0.3, 1.1)  # browInnerUp of it
    brow_outer: Pair = (0.4, 1.0)  # browOuterUp of it
    brow_down: float = -0.4  # browDown of it


@dataclass(frozen=True)
class ListenerNumbers:
    """The smaller numbers of every listener (chosen, where no source is named)."""

    rest_sigma: float = 0.12  # Spread of the log of each resting value
    nod_beat_delay_s: float = 0.25  # From a head beat to the nod that answers it
    nod_gap_s: float = 0.25  # Least time between two nods
    nodding_lead_s: float = 0.2  # How long before a nod what goes with it begins
    nodding_extra_s: float = 0.8  # How much longer than the nod it lasts
    nodding_flanks_s: Pair = (0.4, 0.6)  # Its onset and offset
    nod_leak: float = 0.08  # Spread of how much of nods shows in yaw and roll
    drift_low_hz: float = 0.04  # Lower corner of the drift's spectrum
    shortest_turn_s: float = 0.3  # No hold and no movement is shorter
    move_flank_s: float = 0.25  # How softly a movement begins and ends
    sway_power: float = 0.5  # Sway goes with animation to this share of the power that nods have

    smile_tilt: float = 0.04  # Spread of how much more one side smiles
    smile_drift_hz: Pair = (0.02, 0.22)  # Band of the slow wander of the smile
    smile_extra_s: Pair = (0.3, 1.5)  # How much longer than the speaker's smile its copy lasts
    smile_rise_s: float = 0.5  # Onset of a copied smile
    smile_fall_s: float = 1.2  # Longest offset of it
    smile_soft_from: float = 0.7  # Smiles saturate softly from here,
    smile_soft_range: float = 0.25  # within this much, so under 0.95, as trackers' do

    brow_delay_s: Pair = (0.3, 0.9)  # From the speaker's brow raise to the listener's
    brow_s: Pair = (0.5, 1.5)  # Its length
    brow_size: Pair = (0.1, 0.35)  # Its size, which is its browOuterUp
    brow_flanks_s: Pair = (0.2, 0.4)  # Its onset and offset
    brow_inner: float = 0.8  # browInnerUp of it
    brow_down: float = 0.3  # browDown it takes away
    brow_down_nod: float = 0.04  # browDown of a nod
    brow_wander: float = 0.04  # Spread of the slow wander of browDown
    brow_wander_hz: Pair = (0.02, 0.3)  # Its band
    squint_wander: float = 0.06  # Spread of the slow wander of eyeSquint
    squint_wander_hz: Pair = (0.02, 0.4)  # Its band

    vocal_s: Pair = (0.35, 0.55)  # Length of a spoken back-channel (IF: 0.35 s)
    vocal_flanks_s: Pair = (0.12, 0.15)  # Its onset and offset
    parted_flanks_s: Pair = (0.15, 0.2)  # Onset and offset of parted lips
    lower_down: float = 0.15  # mouthLowerDown a unit of jawOpen (chosen); the next likewise
    upper_up: float = 0.1
    mouth_wander_hz: Pair = (0.05, 0.5)  # Band of the wander of pressed lips and raised chin
    press_wander: float = 0.03  # Spread of mouthPress
    press_open: float = 0.2  # mouthPress that a unit of jawOpen takes away
    shrug_wander: float = 0.02  # Spread of mouthShrugLower

    gaze_shortest_s: float = 1.0  # Refractory time of gaze shifts
    # Mean and spread of where a look away goes, to the right; 1 is extreme
    gaze_right: Pair = (0.0, 0.16)
    gaze_down: Pair = (0.04, 0.08)  # The same downwards
    blink_nod_delay_s: float = 0.1  # From a nod's start to its blink
    blinks_own_a_minute: float = 8.0  # Fewest blinks that come with nothing else


@dataclass(frozen=True)
class LaughNumbers:
    """What speakers' and listeners' laughs have alike (chosen, where no source is named)."""

    hz: Pair = (4.3, 5.3)  # Notes a second (P93)
    fading: float = 0.5  # How much weaker the last note is than the first (P93)
    smile_lead_s: float = 0.2  # How long before a laugh its smile begins
    smile_extra_s: float = 1.4  # How much longer it lasts
    smile_flanks_s: Pair = (0.35, 1.0)  # Its onset and offset
    smile_peak: float = 0.5  # Who doesn't join in answers a laugh as a smile of this size
    squint: float = 0.12  # eyeSquint beside that of the smile
    # How much of the jaw's opening shakes with the notes; the rest is held (RE01)
    shaking: float = 0.35
    jaw_flanks_s: Pair = (0.12, 0.3)  # Onset and offset of the opening
    lower_down: float = 0.25  # mouthLowerDown a unit of jawOpen; the next likewise
    upper_up: float = 0.2
    bob_degrees: float = 0.7  # How far the head goes down with a note
    semitones: Pair = (6.0, 12.0)  # Pitch of a laugh above the voice's floor
    fall_semitones: float = 4.0  # How much lower it ends
    loud_db: Pair = (-8.0, 0.0)  # Its loudness, as a stressed syllable's at most
    breath: float = 0.12  # Breath in and between notes, of their loudness


FACE, SPEAKER, LISTENER, LAUGH = FaceNumbers(), SpeakerNumbers(), ListenerNumbers(), LaughNumbers()


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
