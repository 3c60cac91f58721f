"""Tables that come with corpora: csv files read by column name, and CANDOR's turn tables.

Some rows of CANDOR's ``transcript_{cliffhanger,audiophile,backbiter}.csv`` have unbalanced quotes,
which an ordinary csv reader lets swallow the rows that follow.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimcli.core import limits
from dimcli.core.documents import read_bytes, read_text
from dimcli.core.errors import InputError
from dimcli.data.clip import ATTITUDES

Row = dict[str, str]


def read_table(path: Path, required: Sequence[str]) -> list[Row]:
    """The rows of a csv file with a header, values stripped. InputError without a column."""
    file = io.StringIO(read_text(path, "csv", limits.TABLE_BYTES), newline="")
    try:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        rows = [
            {name: (value or "").strip() for name, value in row.items() if name} for row in reader
        ]
    except csv.Error as error:
        raise InputError(f"{path}: not a csv table ({error})") from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; its columns: {', '.join(columns)}")
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows


def columns_of(path: Path) -> list[str]:
    """The header of a csv file, or nothing where there is none."""
    try:
        file = io.StringIO(read_text(path, "csv", limits.TABLE_BYTES), newline="")
        return [name.strip() for name in next(csv.reader(file), [])]
    except (InputError, csv.Error):
        return []


def attitude_of(text: str) -> str:
    """A table's attitude as one of ATTITUDES; ``unknown`` where it says nothing."""
    name = text.strip().lower()
    return name if name in ATTITUDES else "unknown"


def drawn_groups(groups: dict[str, int], share: float, seed: int) -> set[str]:
    """Some of ``groups`` (name -> how many clips), seeded, that together hold about ``share``.

    At least one where there are two or more, and never all of them.
    """
    names = sorted(groups)
    if len(names) < 2:
        return set()
    target = share * sum(groups.values())
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    chosen: set[str] = set()
    held = 0
    for name in order:
        if held + groups[name] <= 1.25 * target:
            chosen.add(name)
            held += groups[name]
        if held >= target:
            break
    # where every group is larger than the target
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


TURN_KINDS = ("cliffhanger", "audiophile", "backbiter")

_ROW = re.compile(r"\d+(?:\.0)?,")
"""Rows begin with the turn's number; lines that do not go on with the row before."""


@dataclass(frozen=True)
class Turn:
    """What one person says: when it starts and stops, in seconds of the recording."""

    number: int
    speaker: str
    start_s: float
    stop_s: float


def read_turns(path: Path) -> tuple[list[Turn], int]:
    """The turns of a table, and how many rows are damaged. Raises InputError without any turn."""
    content = read_bytes(path, "transcript", limits.TABLE_BYTES)
    lines = content.decode("utf-8-sig", "replace").splitlines()
    try:
        header = next(csv.reader(lines[:1]), [])
    except csv.Error as error:
        raise InputError(f"{path}: not a csv table ({error})") from None
    missing = {"turn_id", "speaker", "start", "stop"} - set(header)
    if missing:
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}")
    rows: list[str] = []
    for line in lines[1:]:
        if _ROW.match(line) or not rows:
            rows.append(line)
        else:
            rows[-1] += "\n" + line
    turns = []
    damaged = 0
    for row in rows:
        turn = _turn(header, row)
        if turn is None:
            damaged += bool(row.strip())
        else:
            turns.append(turn)
    if not turns:
        raise InputError(f"{path}: has no turn that can be read ({damaged} damaged rows)")
    return turns, damaged


def _turn(header: list[str], row: str) -> Turn | None:
    """A row as a turn; None where it has another number of columns or no times."""
    try:
        (cells,) = csv.reader([row])
    except (ValueError, csv.Error):
        return None
    if len(cells) != len(header):
        return None
    named = dict(zip(header, cells, strict=True))
    try:
        turn = Turn(
            number=int(float(named["turn_id"])),
            speaker=named["speaker"].strip(),
            start_s=float(named["start"]),
            stop_s=float(named["stop"]),
        )
    except (ValueError, OverflowError):  # a turn number that is infinite
        return None
    times = (turn.start_s, turn.stop_s)
    whole = all(map(math.isfinite, times)) and 0 <= turn.start_s < turn.stop_s
    return turn if whole and turn.speaker else None
