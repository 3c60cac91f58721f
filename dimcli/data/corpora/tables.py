"""Comma-separated tables that come with corpora, read by column name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.data.clip import ATTITUDES

Row = dict[str, str]


def read_table(path: Path, required: Sequence[str]) -> list[Row]:
    """The rows of a csv file with a header, values stripped. InputError without a column."""
    path = existing_file(path, "csv")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [
                {name: (value or "").strip() for name, value in row.items() if name}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a csv table in UTF-8 ({error})") from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; its columns: {', '.join(columns)}")
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows


def columns_of(path: Path) -> list[str]:
    """The header of a csv file, or nothing where there is none."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def attitude_of(text: str) -> str:
    """A table's attitude as one of ATTITUDES; ``unknown`` where it says nothing."""
    name = text.strip().lower()
    return name if name in ATTITUDES else "unknown"


def carved(groups: dict[str, int], share: float, seed: int) -> set[str]:
    """Some of ``groups`` (name -> how many clips), seeded, that together hold about ``share``.

    At least one where there are two or more, and never all of them.
    """
    names = sorted(groups)
    if len(names) < 2:
        return set()
    wanted = share * sum(groups.values())
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    chosen: set[str] = set()
    held = 0
    for name in order:
        if held + groups[name] <= 1.25 * wanted:
            chosen.add(name)
            held += groups[name]
        if held >= wanted:
            break
    # where every group is larger than what was wanted
    return chosen or {min(order, key=lambda name: groups[name])}


def linked_groups(members: Iterable[Sequence[str]]) -> list[str]:
    """A group's name for each member; members that share any of their names share the group."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    members = [tuple(names) for names in members]
    for names in members:
        for name in names[1:]:
            first, second = sorted((find(names[0]), find(name)))
            leader[second] = first
    return [find(names[0]) for names in members]
