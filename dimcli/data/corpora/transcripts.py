"""CANDOR's turn tables: ``transcript_{cliffhanger,audiophile,backbiter}.csv``.

Some rows have unbalanced quotes, which an ordinary csv reader lets swallow the rows that follow.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file

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
    path = existing_file(path, "transcript")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    header = next(csv.reader(lines[:1]), [])
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
    except ValueError:
        return None
    times = (turn.start_s, turn.stop_s)
    whole = all(map(math.isfinite, times)) and 0 <= turn.start_s < turn.stop_s
    return turn if whole and turn.speaker else None
