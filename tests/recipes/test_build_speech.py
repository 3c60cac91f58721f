"""The scripts that make training speech: what of them needs no synthesiser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dimcli.data.synthetic.phones import Phone, letters_of
from examples.recipes.build_speech import RATE, assemble, settle_closures
from examples.recipes.speech_kokoro import LATE_S, phones_of_tokens
from examples.recipes.speech_sentences import PATTERNS, WORDS, draw_passage, draw_sentence


def test_every_slot_of_every_pattern_has_words() -> None:
    slots = set(re.findall(r"\{(\w+)\}", " ".join(PATTERNS)))
    assert slots <= set(WORDS)
    random = np.random.default_rng(0)
    sentences = {draw_sentence(random) for _ in range(300)}
    assert len(sentences) > 290
    assert not any("{" in sentence or "|" in sentence for sentence in sentences)


def test_passages_pause_as_long_as_they_should_and_end_clauses_with_a_mark() -> None:
    random = np.random.default_rng(1)
    clauses = [clause for _ in range(40) for clause in draw_passage(random, 3)]
    assert all(clause.text[-1] in ",.?!" for clause in clauses)
    assert min(clause.pause_s for clause in clauses) >= 0.2
    assert 1.0 < max(clause.pause_s for clause in clauses) <= 1.5


def test_tokens_become_phones_with_stress_length_and_pauses() -> None:
    tokens = ["ˈ", "b", "a", "ɪ", "ː", " ", "m", ",", "t", "ʃ"]
    rows = [("", 0.0, 0.3)]
    at = 0.3
    for token in tokens:
        length = 0.2 if token == "," else 0.05
        rows.append((token, at, at + length))
        at += length
    phones = phones_of_tokens(rows, at)
    assert [phone.symbol for phone in phones] == ["", "ˈb", "aɪː", "m", "", "tʃ"]
    assert phones[1].start == pytest.approx(0.3)
    assert phones[2].end == pytest.approx(phones[3].start)
    assert all(letters_of(phone.symbol) for phone in phones if phone.symbol)
    assert LATE_S == 0.05


def test_a_stop_begins_with_its_silence() -> None:
    sound = np.full(RATE, 0.3, np.float32)
    sound[round(0.45 * RATE) : round(0.5 * RATE)] = 0.0
    phones = [Phone("a", 0.2, 0.5), Phone("ˈp", 0.5, 0.56), Phone("a", 0.56, 0.9)]
    settled = settle_closures(sound, RATE, phones)
    assert settled[1].start == pytest.approx(0.45, abs=0.006)
    assert settled[0].end == settled[1].start
    assert settle_closures(np.full(RATE, 0.3, np.float32), RATE, phones) == phones


def test_clauses_follow_each_other_with_their_pauses() -> None:
    tone = np.sin(np.arange(24000) * 0.1).astype(np.float32)
    pieces = iter(
        [(tone, 24000, [Phone("a", 0.1, 0.9)], 0.5), (tone, 24000, [Phone("i", 0, 1)], 0.3)]
    )
    sound, phones = assemble(pieces, np.random.default_rng(2))
    assert [phone.symbol for phone in phones] == ["a", "i"]
    assert phones[1].start - phones[0].start == pytest.approx(1.4, abs=1e-3)
    assert len(sound) / RATE == pytest.approx(phones[1].end + 0.3, abs=1e-3)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.02)
