"""The page of ``tests.bench measures``: which measure to believe, and with how many clips.

A row is a figure of a part: ``verdicts`` by number of clips (as text), then by rival, are the
shares of draws in which the oracle is ahead and in which the rival is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from dimcli.evaluation.score_table import TITLES

ORACLE, AGAIN = "oracle", "oracle, drawn again"
OTHER, MEAN, NOISE = "another's listener", "mean face", "noise"
DEAF = (OTHER, MEAN, NOISE)
SURE = 0.95
Row = dict[str, Any]

INTRODUCTION = """# Which measure to believe

Written by `python -m tests.bench measures`. The dyads are synthetic and their truth is known: the
oracle draws its listener from the very rule that made the true one, so that whatever knows less
has to score worse. Every measure of `dim eval` scored the oracle beside rivals that are worse by
construction: the oracle 0.5 to 5 s late (what falls off the end of a clip comes first), another
speaker's true listener, the mean face, white noise of the true columns' size, the speaker's
smoothed mirror, and every method: the bundled listeners, and those of
[Table 1](reacting.md) (`dim table 1 --reacting`), whose training dyads differ a little from these.
"{again}" is the oracle with another seed, and no worse: a measure that is sure of
either of the two is sure too soon, which chance alone does in a tenth of the cases.

```
{command}
```

**{clips} clips**, seed {seed}, {draws} bootstrap draws of clips for every share and interval,
{nulls} nulls of R-DGG. All values with 95 % intervals: [measures.csv](measures.csv); the shares at
4 to {clips} clips: [measures.json](measures.json).
"""

LEGEND = """## The shares

Per cent of the draws of all clips in which the oracle is ahead. **Bold**: the rival is ahead in at
least 95 % of them, so that the measure is wrong, and sure of it. "=": the measure cannot tell the
two apart in 95 % of them. The last columns: from how many clips on the oracle is ahead in 95 % of
the draws of all late copies, of all who do not hear at all ({deaf}), and of every rival."""


def shares(row: Row, name: str) -> tuple[float, float]:
    """How often the oracle is ahead of a rival, and behind it, in draws of all clips."""
    ahead, behind = row["verdicts"][max(row["verdicts"], key=int)][name]
    return ahead, behind


def enough(row: Row, names: Sequence[str]) -> int | None:
    """From how many clips on the oracle is ahead of all of ``names`` in 95 % of the draws."""
    found = None
    for size in sorted(row["verdicts"], key=int, reverse=True):
        verdicts = row["verdicts"][size]
        if not verdicts or any(verdicts[name][0] < SURE for name in names):
            break
        found = int(size)
    return found


def wrong(row: Row, names: Sequence[str]) -> list[str]:
    """The rivals that are ahead of the oracle in 95 % of the draws."""
    return [name for name in names if shares(row, name)[1] >= SURE]


def title(row: Row) -> str:
    """A figure by its name in tables."""
    return f"{TITLES.get(row['figure'], row['figure'])} of {row['part']} ({row['family']})"


def to_markdown(rows: list[Row], names: Sequence[str], facts: dict[str, Any]) -> str:
    """The page."""
    told = [row for row in rows if row["verdicts"][max(row["verdicts"], key=int)]]
    known = [name for name in names if name != AGAIN]
    late = [name for name in names if name.endswith(" late")]
    parts = [
        INTRODUCTION.format(again=AGAIN, **facts),
        "## What came out\n",
        *_findings(told, known, late),
        *_gains(told),
        LEGEND.format(deaf=", ".join(DEAF)),
    ]
    for family in dict.fromkeys(row["family"] for row in told):
        heads = ["measure", *names, "late", "deaf", "all"]
        parts += ["", f"### {family}", "", "| " + " | ".join(heads) + " |"]
        parts.append("| --- |" + " ---: |" * (len(heads) - 1))
        for row in told:
            if row["family"] == family:
                counts = [enough(row, group) or "never" for group in (late, DEAF, known)]
                cells = [title(row).rsplit(" (", 1)[0], *(_cell(row, name) for name in names)]
                parts.append("| " + " | ".join(map(str, [*cells, *counts])) + " |")
    return "\n".join(parts) + "\n"


def _cell(row: Row, name: str) -> str:
    ahead, behind = shares(row, name)
    if 1 - ahead - behind >= SURE:
        return "="
    return f"**{100 * ahead:.0f}**" if behind >= SURE else f"{100 * ahead:.0f}"


def _findings(rows: list[Row], known: Sequence[str], late: Sequence[str]) -> list[str]:
    def listed(found: list[str]) -> str:
        return "; ".join(found) or "none"

    groups = {"every rival": known, "all who do not hear": DEAF, "all late copies": late}
    lines, before = [], set[str]()
    for group, members in groups.items():
        found = {title(row): n for row in rows if (n := enough(row, members))}
        new = [f"{name}: {n}" for name, n in sorted(found.items(), key=lambda one: one[1])
               if name not in before]  # fmt: skip
        more = "" if group == "every rival" else ", but not about every rival"
        lines.append(f"- **Right about {group}**{more}, from so many clips on: {listed(new)}.")
        if group == "every rival":
            before = set(found)
    blind = [title(row) for row in rows if all(_cell(row, name) == "=" for name in late)]
    lines.append(f"- **Cannot tell the oracle from its late copies at all**: {listed(blind)}.")
    by_rival = {name: [title(row) for row in rows if name in wrong(row, [name])] for name in known}
    lines.append("- **Sure and wrong**, by who is put before the oracle:")
    for name, found in by_rival.items():
        if found:
            lines.append(f"  - {name}: {len(found)} of {len(rows)} figures ({listed(found)})")
    sure = [title(row) for row in rows if max(shares(row, AGAIN)) >= SURE]
    lines.append(
        f"- Of the oracle drawn again {len(sure)} of {len(rows)} figures are sure: {listed(sure)}."
    )
    return [*lines, ""]


def _gains(rows: list[Row]) -> list[str]:
    """R-DGG in numbers, as it is published."""
    lines = []
    for row in rows:
        if row["figure"] == "rdgg":
            each = []
            for name, value in row["values"].items():
                low, high = row["intervals"][name]
                if low is not None:
                    each.append(f"{name} {_e4(value)} [{_e4(low)}, {_e4(high)}]")
            lines += ["R-DGG, times 10^4, with 95 % intervals: " + "; ".join(each) + ".", ""]
    return lines


def _e4(value: float) -> str:
    return f"{1e4 * value:.0f}"


def to_csv(rows: list[Row]) -> str:
    """A line a figure and method."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = ["family", "part", "figure", "method", "value", "low", "high"]
    writer.writerow([*heads, "oracle_ahead", "oracle_behind"])
    for row in rows:
        verdicts = row["verdicts"][max(row["verdicts"], key=int)]
        for name, value in row["values"].items():
            figure = (row["family"], row["part"], row["figure"])
            lead = verdicts.get(name, ("", ""))
            writer.writerow([*figure, name, value, *row["intervals"][name], *lead])
    return out.getvalue()
