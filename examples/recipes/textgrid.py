"""TextGrids of phones, as the Montreal Forced Aligner writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dimcli.data.synthetic.phones import Phone


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
