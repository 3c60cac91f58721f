"""Speakers laugh as phrases end, with one sound and face, and listeners join in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from dimcli.audio import MEL, mel
from dimcli.core.motion import Motion, expression_index
from dimcli.data.synthetic.laughter import answering_laughs, laugh_notes
from dimcli.data.synthetic.reactions import Reactions
from dimcli.data.synthetic.rule import ListenerRule, Pair, ReactionRule, SpeakerRule
from dimcli.data.synthetic.speaker_events import SpeakerEvents
from dimcli.data.synthetic.speech import RATE
from dimcli.data.synthetic.synthetic import Recipe, make_conversation
from tests.coupling import find_laughs

ALWAYS: Pair = (4.0, 4.0)
SMILE = expression_index("mouthSmileLeft")
LISTENER = ListenerRule(laugh_chance=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Made:
    """A conversation at 25 frames a second."""

    events: SpeakerEvents
    speaker: Motion
    listener: Motion
    sound: np.ndarray


def made(count: int, recipe: Recipe) -> list[Made]:
    drawn = [make_conversation(recipe, index) for index in range(count)]
    return [
        Made(one.events, Motion(one.speaker, 25.0), Motion(one.listener, 25.0), one.sound)
        for one in drawn
    ]


@pytest.fixture(scope="module")
def laughing() -> list[Made]:
    """Speakers who laugh four times a minute, and listeners who always join in."""
    speaker = replace(SpeakerRule(), laughs_a_minute=ALWAYS)
    return made(8, Recipe(seed=5, speaker=speaker, listener=LISTENER))


def answers(listener: Motion, events: SpeakerEvents) -> np.ndarray:
    """Seconds from each of the speaker's laughs that leave 3 s to the listener's next."""
    own = find_laughs(listener)
    starts = [start for start in events.laughs[:, 0] if start < events.duration_s - 3.0]
    return np.array([next((x - start for x in own if x >= start), np.inf) for start in starts])


def test_speakers_laugh_about_as_often_as_the_rule_says(laughing: list[Made]) -> None:
    assert 2.5 < np.mean([len(one.events.laughs) for one in laughing]) < 5.5
    quiet = replace(SpeakerRule(), laughs_a_minute=(0.0, 0.0))
    (never,) = made(1, Recipe(seed=5, speaker=quiet))
    assert len(never.events.laughs) == 0


def test_laughs_end_phrases_and_take_the_place_of_syllables(laughing: list[Made]) -> None:
    for one in laughing:
        ends = one.events.laughs[:, :2].sum(axis=1)
        assert np.abs(ends[:, None] - one.events.pauses[:, 0]).min(axis=1, initial=9).max() < 1e-3
        for start, end in zip(one.events.laughs[:, 0], ends, strict=True):
            syllables = one.events.syllables
            assert not np.any((syllables.start > start - 1e-3) & (syllables.end < end + 1e-3))


def test_a_laugh_is_heard_and_seen_in_the_same_notes(laughing: list[Made]) -> None:
    together = []
    for one in laughing:
        loud = np.sqrt((one.sound.reshape(-1, RATE // 100) ** 2).mean(axis=1))
        jaw = one.speaker.column("jawOpen")
        for start, length, _ in one.events.laughs:
            frames = np.arange(int(start * 25) + 1, int((start + length) * 25))
            heard = np.interp(frames / 25.0, np.arange(len(loud)) / 100.0, loud)
            trembling = (track - uniform_filter1d(track, 5) for track in (heard, jaw[frames]))
            together.append(np.corrcoef(*trembling)[0, 1])
    assert np.median(together) > 0.6


def test_mouths_stay_open_through_a_laugh(laughing: list[Made]) -> None:
    held = []
    for one in laughing:
        jaw = one.speaker.column("jawOpen")
        for start, length, hz in one.events.laughs:
            notes = jaw[int((start + 0.5 / hz) * 25) : int((start + length - 1.0 / hz) * 25) + 1]
            held.append(notes.min() / notes.max())
    assert np.median(held) > 0.5


def test_laughing_speakers_smile(laughing: list[Made]) -> None:
    rises = []
    for one in laughing:
        smile = one.speaker.values[:, SMILE]
        for start, length, _ in one.events.laughs:
            first, last = int(start * 25), int((start + length) * 25)
            rises.append(smile[first:last].mean() - smile[max(first - 60, 0) : first - 10].mean())
    assert np.median(rises) > 0.2


def test_listeners_join_in_after_a_while_and_smile(laughing: list[Made]) -> None:
    found = np.concatenate([answers(one.listener, one.events) for one in laughing])
    assert np.mean(found < 2.5) > 0.85
    assert 0.6 < np.median(found) < 1.1
    rises = []
    for one in laughing:
        smile = one.listener.values[:, SMILE]
        for start in (one.events.laughs[:, 0] * 25).astype(int):
            rises.append(smile[start + 25 : start + 50].mean() - smile[max(start - 25, 0)])
    assert np.median(rises) > 0.1


def test_without_a_cause_listeners_hardly_laugh() -> None:
    quiet = replace(SpeakerRule(), laughs_a_minute=(0.0, 0.0))
    found = [find_laughs(one.listener) for one in made(8, Recipe(seed=5, speaker=quiet))]
    assert np.mean([len(one) for one in found]) < 0.3


def test_who_joins_in_depends_on_the_attitude() -> None:
    rule = ListenerRule()
    laughs = np.tile(np.array([[10.0, 1.0, 5.0]], np.float32), (4000, 1))
    for attitude, chance in enumerate(rule.laugh_chance):
        own, left = answering_laughs(np.random.default_rng(0), laughs, attitude, rule)
        assert abs(len(own) / len(laughs) - chance) < 0.03
        assert len(own) + len(left) == len(laughs)
        assert abs(np.median(own[:, 0] - 10.0) - 0.8) < 0.05


def test_speakers_who_react_laugh_too() -> None:
    speaker = replace(SpeakerRule(), laughs_a_minute=ALWAYS)
    recipe = Recipe(seed=5, speaker=speaker, listener=LISTENER, reaction=ReactionRule())
    (one,) = made(1, recipe)
    assert isinstance(one.events.reactions, Reactions)
    assert len(one.events.laughs) > 0
    assert np.mean(answers(one.listener, one.events) < 2.5) > 0.5


def test_notes_come_at_their_rate_and_fade() -> None:
    times = np.arange(0.0, 3.0, 0.01)
    notes = laugh_notes(np.array([[1.0, 1.0, 5.0]]), times)
    peaks = np.flatnonzero((notes[1:-1] > notes[:-2]) & (notes[1:-1] >= notes[2:])) + 1
    assert len(peaks) == 5
    np.testing.assert_allclose(np.diff(times[peaks]), 0.2, atol=0.02)
    assert np.all(np.diff(notes[peaks]) < 0)
    assert not notes[times < 1.0].any() and not notes[times > 2.0].any()


def test_the_shortest_conversation_can_be_made() -> None:
    recipe = Recipe(seed=1, fps=5.0, conversation_s=1.0, clip_s=1.0)
    one = make_conversation(recipe, 0)
    assert one.listener.shape == (5, 56)
    assert np.isfinite(one.listener).all() and np.isfinite(one.speaker).all()
    assert mel(one.sound, RATE, 5.0, 5).shape == (5, MEL.dim)
