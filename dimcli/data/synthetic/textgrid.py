"""Phone times in Praat's TextGrid files, as the Montreal Forced Aligner writes them.

One interval tier named ``phones`` (or ``<speaker> - phones``) is read, in the long or the short
text form; intervals with an empty text, ``sil``, ``sp``, ``spn`` or ``<eps>`` are silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError

SILENT = ("", "sil", "sp", "spn", "<eps>", "pau", "h#")
"""Texts of intervals without speech."""

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<![\w\[])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w\]])')


@dataclass(frozen=True)
class Phone:
    """One phone: its symbol (IPA or ARPABET as found, ``""`` in silence) from ``start`` to ``end``
    in seconds.
    """

    symbol: str
    start: float
    end: float


def read_textgrid(path: Path) -> list[Phone]:
    """The phones in a TextGrid, in order. Raises InputError that names the file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a TextGrid (neither UTF-8 nor UTF-16)") from None
    if '"TextGrid"' not in text[:200]:
        raise InputError(
            f"{path}: not a TextGrid; expected what the Montreal Forced Aligner writes"
        )
    tiers = _tiers(path, text)
    found = [name for name in tiers if name == "phones" or name.endswith(" - phones")]
    if len(found) != 1:
        names = ", ".join(tiers) or "no interval tier"
        raise InputError(f"{path}: has {names}; expected one tier named 'phones'")
    phones = tiers[found[0]]
    at = 0.0
    for phone in phones:
        if phone.end <= phone.start or phone.start < at - 1e-3:
            raise InputError(
                f"{path}: the phone at {phone.start:g} s has no length or overlaps the one before"
            )
        at = phone.end
    if not phones:
        raise InputError(f"{path}: its tier 'phones' is empty")
    return phones


def _tiers(path: Path, text: str) -> dict[str, list[Phone]]:
    """Interval tiers by name. Both text forms are the same strings and numbers in the same order;
    what the long form adds (``xmin =``, ``intervals [3]:``) is no string and no bare number.
    """
    tokens = [
        (match.group(1).replace('""', '"'), None)
        if match.group(2) is None
        else ("", float(match.group(2)))
        for match in _TOKEN.finditer(text)
    ]
    at = 0

    def word() -> str:
        nonlocal at
        text, number = tokens[at]
        if number is not None:
            raise ValueError
        at += 1
        return text

    def number() -> float:
        nonlocal at
        value = tokens[at][1]
        if value is None:
            raise ValueError
        at += 1
        return value

    tiers: dict[str, list[Phone]] = {}
    try:
        word(), word(), number(), number()
        for _ in range(int(number())):
            kind, name = word(), word()
            number(), number()
            points = [_point(word, number, kind) for _ in range(int(number()))]
            if kind == "IntervalTier":
                tiers[name] = [point for point in points if point is not None]
    except (IndexError, ValueError):
        raise InputError(f"{path}: damaged TextGrid; expected Praat's text form") from None
    return tiers


def _point(word, number, kind: str) -> Phone | None:  # type: ignore[no-untyped-def]
    if kind != "IntervalTier":
        number(), word()
        return None
    start, end = number(), number()
    symbol = word().strip()
    return Phone("" if symbol.lower() in SILENT else symbol, start, end)


def write_textgrid(path: Path, phones: Sequence[Phone], duration_s: float) -> None:
    """Write ``phones`` as one tier of a TextGrid (short text form); gaps become silence."""
    rows: list[Phone] = []
    at = 0.0
    for phone in phones:
        if phone.start > at + 1e-4:
            rows.append(Phone("", at, phone.start))
        rows.append(phone)
        at = phone.end
    if duration_s > at + 1e-4:
        rows.append(Phone("", at, duration_s))
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{duration_s:.4f}"]
    head += ["<exists>", "1", '"IntervalTier"', '"phones"', "0", f"{duration_s:.4f}"]
    body = [f'{phone.start:.4f}\n{phone.end:.4f}\n"{phone.symbol}"' for phone in rows]
    path.write_text("\n".join([*head, str(len(rows)), *body, ""]), encoding="utf-8")
