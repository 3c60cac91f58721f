"""Cross-validation of a small data set: every clip is tested by a model that has not seen it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.files import write_text
from dimcli.data.store import ClipStore, knows_speakers

FILE = "folds.json"
Name = TypeVar("Name")
FEWEST = 3
"""One fold to test on, one to validate on, and one to learn from."""


@dataclass(frozen=True)
class Folds:
    """Which fold, from 1 to ``count``, each conversation is tested in."""

    count: int
    of: Mapping[str, int]

    @classmethod
    def draw(cls, store: ClipStore, count: int, seed: int = 0) -> Folds:
        """``count`` folds of about the same length; nobody speaks in two of them, and two people
        who speak to each other in turn are in one.

        As many folds as there are speakers leave one speaker out at a time. Raises InputError where
        there are fewer speakers.
        """
        group = groups((r.conversation, r.speaker, r.listener) for r in store.records)
        names = sorted(set(group.values()))
        if not FEWEST <= count <= len(names):
            raise InputError(
                f"--folds {count}: expected {FEWEST} to {len(names)}, the number of speakers in "
                f"{store.root} (two who exchange roles count once)"
                if len(names) >= FEWEST
                else f"--folds: {store.root} has {len(names)} speakers; it takes {FEWEST}"
            )
        frames = dict.fromkeys(names, 0)
        for record in store.records:
            frames[group[record.conversation]] += len(record)
        filled = np.zeros(count)
        fold = {}
        order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
        for name in sorted(order, key=lambda name: -frames[name]):
            smallest = int(filled.argmin())
            filled[smallest] += frames[name]
            fold[name] = smallest + 1
        return cls(count, {conversation: fold[name] for conversation, name in group.items()})

    def splits(self, fold: int) -> dict[str, str]:
        """The split of each conversation in a ``fold``, from 1; the next fold validates."""
        parts = {fold: "test", fold % self.count + 1: "val"}
        return {name: parts.get(number, "train") for name, number in self.of.items()}

    def claim(self, store: ClipStore) -> str:
        """What may be said of figures that are made in these folds of ``store``."""
        unseen = "never heard its speaker" if knows_speakers(store) else "not learnt from it"
        return (
            f"Cross-validated in {self.count} folds: every clip is answered by models that have "
            f"{unseen}."
        )

    def write(self, run: Path) -> None:
        """Into a run directory."""
        write_text(run / FILE, json.dumps({"folds": self.count, "of": dict(self.of)}, indent=2))

    @classmethod
    def read(cls, run: Path, store: ClipStore) -> Folds:
        """Those that a run was trained in, if they are of ``store``'s clips. Raises InputError."""
        path = run / FILE
        if not path.is_file():
            raise InputError(f"--folds: {run} has none; train it with dim finetune --folds N")
        content = read_json(path)
        try:
            folds = cls(int(content["folds"]), {str(k): int(v) for k, v in content["of"].items()})
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise InputError(f"{path}: damaged; train the run again") from None
        if set(folds.of) != {record.conversation for record in store.records} or not all(
            1 <= fold <= folds.count for fold in folds.of.values()
        ):
            raise InputError(f"{path}: is not of the clips in {store.root}; train the run on them")
        return folds


def groups(dyads: Iterable[tuple[Name, str, str]]) -> dict[Name, Name]:
    """The group of each conversation, called as one of it, of ``dyads``: conversation, speaker and
    listener. Those with a speaker, or with both people, in common are one group."""
    group: dict[Name, Name] = {}
    first: dict[object, Name] = {}
    for conversation, speaker, listener in dyads:
        group.setdefault(conversation, conversation)
        for shared in (speaker, frozenset((speaker, listener))):
            kept, gone = group[first.setdefault(shared, conversation)], group[conversation]
            if kept != gone:
                group = {name: kept if one == gone else one for name, one in group.items()}
    return group


def folder(run: Path, fold: int) -> Path:
    """Where in a run the model of a fold lies."""
    return run / f"fold-{fold}"
