"""Dyads in which speakers react: what a speaker does tells of what the listener did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, expression_index
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.listener_traits import draw_traits
from dimcli.data.synthetic.reactions import ALONE, Dyad, choose
from dimcli.data.synthetic.rule import ListenerRule, ReactionRule
from dimcli.data.synthetic.speaker_events import SpeakerEvents
from dimcli.data.synthetic.speaker_rule import smile_track
from dimcli.data.synthetic.synthetic import (
    Recipe,
    conversation_events,
    conversation_index,
    redraw_listener,
    write_synthetic,
)
from dimcli.jobs.evaluate import SPEAKERS_REACT, data_notes
from dimcli.models.simple import Oracle

PLAIN = Recipe(seed=31)
REACTING = replace(PLAIN, reaction=ReactionRule())
SMILE = [expression_index(f"mouthSmile{side}") for side in ("Left", "Right")]
LOOKS = [expression_index(f"eyeLook{way}") for way in ("InLeft", "OutLeft", "InRight", "OutRight")]
CONVERSATIONS = 24
GOLDEN = [905.813, 124.996, 73.2257, 68.292, 8.57396, 6370.04]
"""Sums over a conversation without reactions."""


@dataclass(frozen=True)
class Drawn:
    """A conversation: what the speaker does, the listener [T, 56], and another for the same."""

    events: SpeakerEvents
    listener: Floats
    redrawn: Floats


def drawn(recipe: Recipe) -> list[Drawn]:
    found = []
    for index in range(CONVERSATIONS):
        listener = redraw_listener(recipe, index, draw=0)
        another = redraw_listener(recipe, index, draw=1) if recipe.reaction else listener
        found.append(Drawn(conversation_events(recipe, index), listener, another))
    return found


@pytest.fixture(scope="module")
def plain() -> list[Drawn]:
    return drawn(PLAIN)


@pytest.fixture(scope="module")
def reacting() -> list[Drawn]:
    return drawn(REACTING)


def nod_strength(listener: Floats, times: Floats, span_s: tuple[float, float]) -> Floats:
    """Range (degrees) of the listener's pitch in a span about each of ``times``, at 25 fps: [K]."""
    pitch = np.degrees(listener[:, 0])
    found = []
    for time in times:
        first, last = (round((time + offset) * 25.0) for offset in span_s)
        found.append(np.ptp(pitch[max(first, 0) : max(last, 2)]))
    return np.array(found)


def rest_of_pauses(one: Drawn, listener: Floats) -> tuple[Floats, Floats, Floats]:
    """Of pauses that last 0.4 s: log of what is left of them then; what the speaker's past says of
    it, [P, 3]; what the listener's past does, [P, 3]."""
    start, end = one.events.pauses[2:].T.astype(float)
    before = np.diff(one.events.pauses, axis=1)[:, 0]
    speech = start - one.events.pauses[1:-1, 1]
    own = np.log(np.stack([before[1:-1], before[:-2], np.maximum(speech, 0.05)], axis=1))
    strong = nod_strength(listener, start, (-0.4, 0.4))
    looks = listener[:, LOOKS]
    spans = [slice(max(round((t - 0.5) * 25), 0), round((t + 0.4) * 25)) for t in start]
    look = [np.ptp(looks[span], axis=0).max() for span in spans]
    theirs = np.stack([np.minimum(strong, 2.0), np.minimum(strong, 1.0), look], axis=1)
    kept = (end - start > 0.44) & (end < 60.0)
    return np.log((end - start)[kept] - 0.4), own[kept], theirs[kept]


def explained(inputs: list[Floats], targets: list[Floats]) -> float:
    """R² of a linear regression with leave-one-conversation-out cross-validation."""
    errors, total = 0.0, 0.0
    for left_out, (rows, wanted) in enumerate(zip(inputs, targets, strict=True)):
        others = [k for k in range(len(inputs)) if k != left_out]
        x = np.concatenate([inputs[k] for k in others])
        y = np.concatenate([targets[k] for k in others])
        weights = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
        errors += np.sum((wanted - np.c_[rows, np.ones(len(rows))] @ weights) ** 2)
        total += np.sum((wanted - y.mean()) ** 2)
    return 1.0 - errors / total


def gain_by_listener(conversations: list[Drawn], *, wrong: bool = False) -> float:
    """How much more of what is left of pauses the listener's past explains than the speaker's own
    past alone: a difference of R²."""
    listeners = [one.listener for one in conversations]
    if wrong:
        listeners = [*listeners[1:], listeners[0]]
    rows = [rest_of_pauses(*pair) for pair in zip(conversations, listeners, strict=True)]
    rest = [row[0] for row in rows]
    own = explained([row[1] for row in rows], rest)
    return explained([np.concatenate(row[1:], axis=1) for row in rows], rest) - own


def nods_by_length(conversations: list[Drawn], *, redrawn: bool) -> tuple[float, float]:
    """Share of nods at pauses under 0.7 s and at longer ones."""
    short, long_ = [], []
    for one in conversations:
        start, end = one.events.pauses.T
        listener = one.redrawn if redrawn else one.listener
        nods = nod_strength(listener, start, (-0.4, 0.4)) > 1.2
        short.append(nods[end - start < 0.7])
        long_.append(nods[end - start >= 0.7])
    return float(np.concatenate(short).mean()), float(np.concatenate(long_).mean())


def test_without_reactions_the_data_are_what_they_were() -> None:
    assert replace(PLAIN, seed=21).fingerprint() == "95ad07e2c1f5fd94"
    assert REACTING.fingerprint() != PLAIN.fingerprint()
    events = conversation_events(replace(PLAIN, seed=21), 2)
    listener = redraw_listener(replace(PLAIN, seed=21), 2, draw=0)
    figures = [events.pauses.sum(), events.smiles.sum(), events.syllables.stress.sum()]
    figures += [np.abs(listener[:, :3]).sum(), listener[:, 3].sum(), listener[:, 6:].sum()]
    np.testing.assert_allclose(figures, GOLDEN, rtol=1e-4)


def test_the_listeners_past_says_when_the_speaker_goes_on_only_if_the_speaker_reacts(
    plain: list[Drawn], reacting: list[Drawn]
) -> None:
    assert gain_by_listener(reacting) > 0.1
    assert gain_by_listener(plain) < 0.02
    assert gain_by_listener(reacting, wrong=True) < 0.02


def test_pauses_end_sooner_with_a_nod(plain: list[Drawn], reacting: list[Drawn]) -> None:
    short, long_ = nods_by_length(reacting, redrawn=False)
    assert short > long_ + 0.25
    short, long_ = nods_by_length(plain, redrawn=False)
    assert abs(short - long_) < 0.1


def test_another_listener_for_the_same_speaker_fits_the_reactions_as_well(
    reacting: list[Drawn],
) -> None:
    truth, oracle = (nods_by_length(reacting, redrawn=redrawn) for redrawn in (False, True))
    np.testing.assert_allclose(oracle, truth, atol=0.08)
    for figure in (np.mean, np.std):
        change = np.array([figure(one.listener, 0) - figure(one.redrawn, 0) for one in reacting])
        error = change.std(axis=0) / np.sqrt(len(change))
        assert np.all(np.abs(change.mean(axis=0)) <= 4.0 * error)
    assert all(np.abs(one.listener - one.redrawn).max() > 0.05 for one in reacting)


def test_answers_given_the_reactions_are_distributed_as_those_drawn_in_time_order() -> None:
    random = np.random.default_rng(0)
    dyad = Dyad.draw(random, 1, ReactionRule(), ListenerRule())
    thinking = random.random(12_000) < 0.2
    silence = np.exp(random.normal(-0.5, 0.5, len(thinking)))
    answers, reactions = dyad.draw_pauses(random, thinking, silence)
    again = dyad.draw_answers(random, reactions, thinking)
    nods = len(dyad.latencies)
    bins = np.digitize(reactions.lasts_s, [0.4, 0.55, 0.7, 0.9, 1.2, 1.6])
    cells = bins + 10 * reactions.looking + 20 * reactions.repaired + 40 * thinking
    compared = 0
    for cell in np.unique(cells):
        here = cells == cell
        if here.sum() < 100:
            continue
        compared += 1
        pairs = [
            ((answers < nods)[here], (again < nods)[here]),
            ((answers == nods)[here], (again == nods)[here]),
            (answers[here & (answers < nods)], again[here & (again < nods)]),
        ]
        for first, second in pairs:
            if min(len(first), len(second)) < 30:
                continue
            error = np.sqrt(first.var() / len(first) + second.var() / len(second))
            assert abs(first.mean() - second.mean()) <= 4.5 * error + 1e-9
    assert compared > 15


def test_smiles_given_their_lengths_are_distributed_as_those_drawn_in_time_order() -> None:
    random = np.random.default_rng(1)
    dyad = Dyad.draw(random, 1, ReactionRule(), ListenerRule())
    smiles, share = dyad.draw_smiles(random, 60_000.0, 3.0, (0.3, 0.8))
    kinds = dyad.draw_smile_kinds(random, smiles, share)
    chances = [(kinds == kind).mean() for kind in range(3)]
    copied = ListenerRule().smile_mimicry_chance[1]
    np.testing.assert_allclose(
        chances, [1.0 - share, share * copied, share * (1.0 - copied)], atol=0.02
    )
    rule = ReactionRule()
    for kind in range(3):
        median, sigma = (
            rule.lone_smile_s_lognormal if kind == ALONE else rule.shared_smile_s_lognormal
        )
        logs = np.log(smiles[kinds == kind, 1])
        assert abs(logs.mean() - np.log(median)) < 0.06
        assert abs(logs.std() - sigma) < 0.04


def test_either_may_smile_first(plain: list[Drawn], reacting: list[Drawn]) -> None:
    def rise_before(conversations: list[Drawn]) -> float:
        """How much the listener's smile has risen as the speaker's begins."""
        rises = []
        for one in conversations:
            smile = one.listener[:, SMILE].mean(axis=1)
            for at in (one.events.smiles[:, 0] * 25).astype(int):
                if 60 < at < 1490:
                    rises.append(smile[at - 5 : at + 1].mean() - smile[at - 45 : at - 25].mean())
        return float(np.mean(rises))

    assert rise_before(reacting) > rise_before(plain) + 0.02
    together = [
        np.corrcoef(one.listener[:, SMILE].mean(axis=1), smile_track(one.events, 1500))[0, 1]
        for one in reacting
        if len(one.events.smiles)
    ]
    assert np.mean(together) > 0.3


def test_speakers_look_away_as_they_talk_and_back_where_they_pause(reacting: list[Drawn]) -> None:
    times = np.arange(1500) / 25.0
    talking, silent = [], []
    for one in reacting:
        assert one.events.reactions is not None
        looks = ~one.events.reactions.looks_away_at(times)
        paused = np.any([(a <= times) & (times < b) for a, b in one.events.pauses], axis=0)
        talking.append(looks[~paused].mean())
        silent.append(looks[paused].mean())
    assert 0.3 < np.mean(talking) < 0.52
    assert np.mean(silent) > 0.6


def test_a_pair_shares_its_style_and_strangers_none() -> None:
    def people(recipe: Recipe) -> Floats:
        """Of 80 conversations, logs of how lively the speaker is, and how much the listener moves
        the head and nods: [80, 3]."""
        short, rows = replace(recipe, conversation_s=2.0, clip_s=2.0), []
        for index in range(80):
            events = conversation_events(short, index)
            traits = draw_traits(np.random.default_rng([9, index]), recipe.listener, events.dyad)
            rows.append(np.log([events.animation, traits.head, traits.nods]))
        return np.array(rows)

    assert np.corrcoef(people(REACTING), rowvar=False)[0, 1:].min() > 0.5
    assert np.abs(np.corrcoef(people(PLAIN), rowvar=False)[0, 1:]).max() < 0.3


def test_two_of_a_pair_come_nearer_to_each_other() -> None:
    random = np.random.default_rng(2)
    gaps = []
    for _ in range(400):
        dyad = Dyad.draw(random, 0, ReactionRule(), ListenerRule())
        own = random.normal(0.0, 0.12, 2)
        gaps.append(
            [
                abs(np.subtract(*(dyad.log_tempo(0.12, one, at) for one in own)))
                for at in (0.0, 50.0)
            ]
        )
    early, late = np.mean(gaps, axis=0)
    assert late < 0.2 * early


def test_a_column_is_chosen_in_proportion_to_its_weight() -> None:
    index = choose(np.random.default_rng(3), np.tile([1.0, 0.0, 3.0], (20_000, 1)))
    np.testing.assert_allclose(np.bincount(index) / 20_000, [0.25, 0.0, 0.75], atol=0.02)


def test_the_oracle_finds_out_from_the_data_whether_speakers_react(tmp_path: Path) -> None:
    recipe = replace(REACTING, conversation_s=6.0, clip_s=3.0)
    write_synthetic(tmp_path / "data", conversations=2, recipe=recipe)
    store = ClipStore(tmp_path / "data")
    assert data_notes(store) == (SPEAKERS_REACT,)
    record = store.clips("train")[0]
    redrawn = redraw_listener(recipe, conversation_index(record.conversation), draw=1)
    predicted = Oracle.fit(store).predict(store.load(record).stimulus(), 0)
    np.testing.assert_array_equal(predicted.values, redrawn[record.start : record.stop])
    header = tmp_path / "data" / "dataset.yaml"
    content = yaml.safe_load(header.read_text())
    del content["made_by"]["reacting"]
    header.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="another version"):
        Oracle.fit(ClipStore(tmp_path / "data"))
