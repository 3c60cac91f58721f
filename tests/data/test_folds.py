"""Folds: every clip is tested once, and nobody is in two parts of a fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dimcli.core.errors import InputError
from dimcli.data.folds import FILE, Folds
from dimcli.data.store import BY_RECORDING, SPEAKERS, ClipStore, speakers_note
from tests.stores import make_store


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    """Six conversations, of which the first two have a speaker in common."""
    made = make_store(tmp_path / "data")
    speakers = ("anna", "anna", "ben", "carl", "dora", "eve")
    made.records = [
        replace(record, speaker=name) for record, name in zip(made.records, speakers, strict=True)
    ]
    return made


def test_every_conversation_is_tested_in_one_fold_and_its_speaker_in_no_other(
    store: ClipStore,
) -> None:
    folds = Folds.draw(store, 3)
    splits = [folds.splits(fold) for fold in (1, 2, 3)]
    for record in store.records:
        assert [each[record.conversation] for each in splits].count("test") == 1
    for each in splits:
        assert set(each.values()) == {"train", "val", "test"}
        assert each["made-0"] == each["made-1"]
    assert Folds.draw(store, 3) == folds
    assert set(Folds.draw(store, 5).of.values()) == {1, 2, 3, 4, 5}, "one speaker out at a time"


def test_two_who_exchange_roles_are_in_one_fold(store: ClipStore) -> None:
    first, second, *rest = store.records
    store.records = [
        replace(first, speaker="anna", listener="ben"),
        replace(second, speaker="ben", listener="anna"),
        *(replace(record, speaker=f"with {i}", listener="anna") for i, record in enumerate(rest)),
    ]
    folds = Folds.draw(store, 3)
    assert folds.of["made-0"] == folds.of["made-1"]
    assert set(folds.of.values()) == {1, 2, 3}, "who listens to several joins nobody"
    with pytest.raises(InputError, match=r"expected 3 to 5, .* exchange roles count once"):
        Folds.draw(store, 6)


def test_more_folds_than_speakers_are_refused_with_the_number(store: ClipStore) -> None:
    with pytest.raises(InputError, match="--folds 6: expected 3 to 5, the number of speakers"):
        Folds.draw(store, 6)
    store.records = store.records[:2]
    with pytest.raises(InputError, match="has 1 speakers; it takes 3"):
        Folds.draw(store, 3)


def test_folds_of_other_clips_are_refused(store: ClipStore, tmp_path: Path) -> None:
    folds = Folds.draw(store, 3)
    folds.write(tmp_path)
    assert Folds.read(tmp_path, store) == folds
    store.records = store.records[:-1]
    with pytest.raises(InputError, match="is not of the clips in"):
        Folds.read(tmp_path, store)
    for content in ('{"folds": []}', '{"folds": Infinity, "of": {}}'):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(InputError, match="damaged"):
            Folds.read(tmp_path, store)
    with pytest.raises(InputError, match="dim finetune --folds"):
        Folds.read(tmp_path / "elsewhere", store)


def test_given_splits_take_the_place_of_the_data_sets_own(store: ClipStore) -> None:
    own = store.statistics()["listener"].mean
    folds = Folds(3, {f"made-{index}": index % 3 + 1 for index in range(6)})
    other = ClipStore(store.root, folds.splits(1))
    assert {record.conversation for record in other.clips("test")} == {
        name for name, fold in folds.of.items() if fold == 1
    }
    assert (other.statistics()["listener"].mean != own).any(), "counted anew"
    assert (ClipStore(store.root).statistics()["listener"].mean == own).all()


def test_folds_claim_that_nobody_was_heard_only_where_it_is_known_who_speaks(
    store: ClipStore,
) -> None:
    folds = Folds.draw(store, 3)
    assert folds.claim(store).endswith("models that have never heard its speaker.")
    assert not speakers_note(store)
    store.info = replace(store.info, made_by={"prepare": "clips", SPEAKERS: BY_RECORDING})
    assert folds.claim(store).endswith("models that have not learnt from it.")
    assert "as far as known" in speakers_note(store) and "speaker_id" in speakers_note(store)
