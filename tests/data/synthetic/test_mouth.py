"""Phones to the mouth: what must close closes, what must round rounds, silence rests."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion, expression_index
from dimcli.data.synthetic.mouth import MouthStyle, add_mouth, closures, mouth_controls
from dimcli.data.synthetic.phones import SEAL, Phone, Segments, letters_of, segments_of
from dimcli.data.synthetic.signals import empty_motion
from dimcli.data.synthetic.talking import STYLES, Speech, talking_motion
from dimcli.evaluation.lips import CLOSED, closure_hits, lip_opening

FPS = 25.0


def spoken(symbols: str, phone_s: float = 0.1, lead_s: float = 0.5) -> tuple[Segments, float]:
    """Phones (separated by spaces, ``_`` is silence) of equal length, silence around them."""
    phones = [
        Phone(
            "" if symbol == "_" else symbol,
            lead_s + index * phone_s,
            lead_s + (index + 1) * phone_s,
        )
        for index, symbol in enumerate(symbols.split())
    ]
    duration = phones[-1].end + 0.5
    return segments_of(phones, duration), duration


def mouth_of(segments: Segments, duration: float, style: MouthStyle) -> Motion:
    values = empty_motion(round(duration * FPS))
    add_mouth(values, mouth_controls(segments, duration, style), FPS, style)
    return Motion(values.clip(0, 1), fps=FPS, space="arkit")


@pytest.mark.parametrize(
    ("style", "phone_s"), list(itertools.product(STYLES, [0.05, 0.08, 0.15])), ids=str
)
def test_lips_meet_at_every_p_b_m_in_every_style_at_every_rate(style: str, phone_s: float) -> None:
    segments, duration = spoken("p ɑ b æ m ɔ p s p i m n b u _ m æ p ɑ", phone_s)
    motion = mouth_of(segments, duration, STYLES[style].mouth)
    shut = closures(segments, segments.mask(SEAL))
    opening = lip_opening(motion)
    assert len(shut) == 9
    assert closure_hits(opening, shut, FPS) == 1.0
    assert opening.max() > 2 * CLOSED


@pytest.mark.parametrize("style", STYLES)
def test_lips_meet_through_smiles_noise_and_a_living_face(style: str) -> None:
    segments, duration = spoken("p ɑ b æ m ɔ p s p i m n b u _ m æ p ɑ " * 4)
    speech = Speech(segments, np.zeros(round(duration * FPS), np.float32), duration, FPS)
    shut = closures(segments, segments.mask(SEAL))
    for seed in range(3):
        values, _ = talking_motion(speech, STYLES[style], np.random.default_rng(seed))
        opening = lip_opening(Motion(values, fps=FPS, space="arkit"))
        assert closure_hits(opening, shut, FPS) == 1.0


def test_rounded_sounds_pucker_and_narrow_and_spread_ones_do_not() -> None:
    pucker, stretch = expression_index("mouthPucker"), expression_index("mouthStretchLeft")
    rounded = mouth_of(*spoken("t u u u t"), MouthStyle())
    spread = mouth_of(*spoken("t i i i t"), MouthStyle())
    assert rounded.values[:, pucker].max() > 0.5
    assert spread.values[:, pucker].max() < 0.05
    assert spread.values[:, stretch].max() > 0.1 > 2 * rounded.values[:, stretch].max()
    assert lip_opening(rounded)[16:20].mean() < 0.6 * lip_opening(spread)[16:20].mean()


def test_open_vowels_open_more_than_close_ones() -> None:
    peaks = [lip_opening(mouth_of(*spoken(f"d {v} {v} d"), MouthStyle())).max() for v in "ɑɛiu"]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > 1.5 * peaks[2]


def test_the_lower_lip_goes_to_the_teeth_at_f_and_v() -> None:
    roll = expression_index("mouthRollLower")
    for letter in "fv":
        motion = mouth_of(*spoken(f"ɑ {letter} ɑ"), MouthStyle())
        middle = round((0.5 + 0.15 - 0.035) * FPS)
        assert motion.values[middle, roll] > 0.35
        assert lip_opening(motion)[middle] < 0.06
    assert mouth_of(*spoken("ɑ t ɑ"), MouthStyle()).values[:, roll].max() < 0.01


def test_rounding_is_anticipated_through_consonants() -> None:
    pucker = expression_index("mouthPucker")
    before_u = mouth_of(*spoken("s t ɹ u"), MouthStyle()).values[:, pucker]
    before_i = mouth_of(*spoken("s t ɹ i"), MouthStyle()).values[:, pucker]
    in_t = round(0.65 * FPS)
    assert before_u[in_t] > 2 * before_i[in_t] > 0


def test_a_mouth_rests_in_pauses_of_0_4_s_and_more_but_not_inside_words() -> None:
    segments, duration = spoken("_ " * 5 + "ɑ ɑ _ ɑ ɑ " + "_ " * 6 + "ɑ ɑ")
    opening = lip_opening(mouth_of(segments, duration, MouthStyle()))
    pause = (0.5 + 0.1 * 10, 0.5 + 0.1 * 16)
    assert opening[round((pause[0] + 0.2) * FPS) : round((pause[1] - 0.25) * FPS)].max() < CLOSED
    assert opening[round((0.5 + 0.75) * FPS)] > CLOSED
    assert opening[:5].max() < CLOSED
    assert opening[-3:].max() < CLOSED


@pytest.mark.parametrize("first", ["ɑ", "h ɑ", "t ɛ"])
def test_after_a_silence_the_mouth_is_half_open_a_little_before_the_sound(first: str) -> None:
    segments, duration = spoken(f"{first} ɑ ɑ", lead_s=1.0)
    values = empty_motion(round(duration * 100.0))
    add_mouth(values, mouth_controls(segments, duration, MouthStyle()), 100.0, MouthStyle())
    opening = lip_opening(Motion(values.clip(0, 1), fps=100.0, space="arkit"))
    at_onset = opening[95:115].max()
    half_open = float(np.argmax(opening > at_onset / 2)) / 100.0
    assert 0.06 < 1.0 - half_open < 0.15
    assert opening[:75].max() < 0.1 * at_onset


def test_nothing_said_is_a_mouth_at_rest() -> None:
    still = mouth_of(segments_of([], 2.0), 2.0, MouthStyle())
    assert np.abs(still.values).max() == 0.0


def test_ipa_and_arpabet_name_the_same_sounds() -> None:
    assert letters_of("AY1") == letters_of("ˈaɪ") == ("a", "ɪ")
    assert letters_of("CH") == letters_of("tʃ") == ("t", "ʃ")
    assert letters_of("iː") == ("i",)
    assert letters_of("") == letters_of("ˈ") == ()


@pytest.mark.parametrize("symbol", ["7%", "??", "Å"])
def test_an_unknown_phone_is_named(symbol: str) -> None:
    with pytest.raises(InputError, match="expected IPA or ARPABET"):
        letters_of(symbol)


def test_segments_cover_the_whole_time_and_consonants_take_their_vowels_stress() -> None:
    segments = segments_of(
        [Phone("s", 0.2, 0.3), Phone("t", 0.3, 0.4), Phone("ˈaɪ", 0.4, 0.6)], 1.0
    )
    np.testing.assert_allclose(segments.start[1:], segments.end[:-1])
    assert segments.start[0] == 0.0
    assert segments.end[-1] == 1.0
    assert segments.letters == ("", "s", "t", "a", "ɪ", "")
    assert segments.stress.tolist() == [0, 1, 1, 1, 1, 0]
