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
from dimcli.evaluation.scores import LARGER_BETTER, TRUTH, TRUTH_FIGURES

ORACLE, AGAIN = "oracle", "oracle, drawn again"
OTHER, MEAN, NOISE, MIRROR = "another's listener", "mean face", "noise", "mirror"
DEAF = (OTHER, MEAN, NOISE)
SURE = 0.95
Row = dict[str, Any]

INTRODUCTION = """# Which measure to believe

Written by `python -m tests.bench measures`. The dyads are synthetic and their truth is known: the
oracle draws its listener from the very rule that made the true one, so that whatever knows less
has to score worse. Every measure of `dim eval` scored the oracle beside rivals that are worse by
construction: the oracle 0.5 to 5 s late (what falls off the end of a clip comes first), three who
do not hear (another speaker's true listener; the mean face; white noise of the true columns' size),
the speaker's smoothed mirror, and trained methods: the bundled listeners, and those of
[Table 1](reacting.md), first training, which learnt from speakers who react to their listeners, as
these do not. "{again}" is the oracle with another seed, and no worse.

```
{command}
```

**{clips} clips**, seed {seed}, {draws} bootstrap draws of clips for every share and interval,
{nulls} nulls of R-DGG. A measure is *sure* where one of the two is ahead in at least 95 % of the
draws. Better is what a measure's source calls better: larger (↑), smaller (↓), or nearer to the
truth's own figure (≈). A figure that comes out the same in several families is counted once.

All values and shares with 95 % intervals: [measures.csv](measures.csv); the shares at 4 to {clips}
clips: [measures.json](measures.json).
"""

LEGEND = """## Measure by measure

A number: from so many clips on the oracle is surely ahead of all of the column. "2 of 3": of so
many with all clips. "=": not to be told from any of them. "–": surely ahead of none. The last
column names those who are surely ahead of the oracle, and should not be."""


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


def distinct(rows: list[Row]) -> list[list[Row]]:
    """The figures, each with those of other families that are the same for everybody."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        values = (f"{v:.4g}" if v is not None else None for v in row["values"].values())
        found.setdefault((_better(row), *values), []).append(row)
    return list(found.values())


def title(same: list[Row]) -> str:
    """A figure by its name in tables, and the families that have it."""
    whole, *others = (
        f"{TITLES.get(row['figure'], row['figure'])} of {row['part']}" for row in same
    )
    also = [row["family"] if name == whole else f"{row['part']} of {row['family']}"
            for name, row in zip(others, same[1:], strict=True)]  # fmt: skip
    return f"{whole} ({', '.join([same[0]['family'], *also])})"


def _better(row: Row) -> str:
    if row["figure"] in TRUTH_FIGURES:
        return "≈"
    return "↑" if row["figure"] in LARGER_BETTER else "↓"


def to_markdown(rows: list[Row], names: Sequence[str], facts: dict[str, Any]) -> str:
    """The page."""
    told = [row for row in rows if row["verdicts"][max(row["verdicts"], key=int)]]
    figures = distinct(told)
    late = [name for name in names if name.endswith(" late")]
    trained = [name for name in names if name not in (*late, *DEAF, MIRROR, AGAIN)]
    groups = {"late": late, "do not hear": DEAF, "mirror": [MIRROR], "trained": trained}
    parts = [
        INTRODUCTION.format(again=AGAIN, **facts),
        "## What came out\n",
        *_findings(figures, groups),
        *_by_rival(figures, [*late, *DEAF, MIRROR, *trained, AGAIN]),
        LEGEND,
    ]
    for family in dict.fromkeys(same[0]["family"] for same in figures):
        heads = [f"{name} ({len(members)})" for name, members in groups.items()]
        parts += ["", f"### {family}", ""]
        parts.append("| measure | better | " + " | ".join(heads) + " | ahead of the oracle |")
        parts.append("| --- | :---: |" + " ---: |" * len(heads) + " --- |")
        for same in figures:
            if same[0]["family"] == family:
                name = title(same).replace(f" ({family})", "").replace(f"({family}, ", "(also ")
                cells = [name, _better(same[0]), *(_cell(same[0], m) for m in groups.values())]
                parts.append("| " + " | ".join([*cells, _named(same[0], groups)]) + " |")
    return "\n".join(parts) + "\n"


def _cell(row: Row, members: Sequence[str]) -> str:
    count = enough(row, members)
    if count is not None:
        return str(count)
    if all(1 - sum(shares(row, name)) >= SURE for name in members):
        return "="
    ahead = sum(shares(row, name)[0] >= SURE for name in members)
    return f"{ahead} of {len(members)}" if ahead else "–"


def _named(row: Row, groups: dict[str, Sequence[str]]) -> str:
    found = []
    for group, members in groups.items():
        names = wrong(row, members)
        whole = len(names) == len(members) > 1
        found += [f"all {len(names)} {group}"] if whole else names
    return ", ".join(found)


def _findings(figures: list[list[Row]], groups: dict[str, Sequence[str]]) -> list[str]:
    def listed(found: list[str]) -> str:
        return "; ".join(found) or "none"

    known = [name for members in groups.values() for name in members]
    firsts = [same[0] for same in figures]
    right = {title(same): n for same in figures if (n := enough(same[0], known))}
    blind = [row for row in firsts if _cell(row, groups["late"]) == "="]
    lines = [
        f"Of {len(figures)} different figures,",
        "",
        f"- **{len(right)} are right about every rival**, from so many clips on: "
        + listed([f"{name}: {n}" for name, n in sorted(right.items(), key=lambda one: one[1])])
        + ".",
    ]
    for words, group in (("all who do not hear", "do not hear"), ("all late copies", "late")):
        count = sum(enough(row, groups[group]) is not None for row in firsts)
        lines.append(f"- {count} are right about {words};")
    lines.append(
        f"- {len(blind)} are of how much somebody moves, not when: they cannot tell the oracle "
        "from any of its late copies;"
    )
    lines.append(
        f"- **{sum(bool(wrong(row, known)) for row in firsts)} are sure and wrong** about somebody."
    )
    lines += ["", "Those that put first who plainly should not be:", ""]
    for name in (*DEAF, MIRROR):
        found = [title(same) for same in figures if wrong(same[0], [name])]
        lines.append(f"- {name}: {listed(found)}.")
    return [*lines, ""]


def _by_rival(figures: list[list[Row]], names: Sequence[str]) -> list[str]:
    """How many figures know a rival for what it is; R-DGG in numbers, as it is published."""
    gain = next((same[0] for same in figures if same[0]["figure"] == "rdgg"), None)
    heads = ["rival", "oracle ahead", "not sure", "the same", "rival ahead", "R-DGG, 10⁻⁴ [95 %]"]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * 5]
    for name in (TRUTH, ORACLE, *names):
        counts = ["", "", "", ""]
        if name not in (TRUTH, ORACLE):
            each = [shares(same[0], name) for same in figures]
            ahead = sum(one >= SURE for one, _ in each)
            behind = sum(other >= SURE for _, other in each)
            same = sum(1 - sum(pair) >= SURE for pair in each)
            counts = [*map(str, (ahead, len(each) - ahead - behind - same, same, behind))]
        lines.append("| " + " | ".join([name, *counts, _gain(gain, name)]) + " |")
    lines += [
        "",
        f'"{AGAIN}" is neither better nor worse: whoever is sure of it is sure by chance, as a '
        "tenth of all figures should be.",
        "",
    ]
    if gain is not None and gain["intervals"][TRUTH][0] <= 0:
        lines += [
            "R-DGG of the truth itself is not surely above zero here, so that it ranks nobody.",
            "",
        ]
    return lines


def _gain(row: Row | None, name: str) -> str:
    low, high = row["intervals"][name] if row else (None, None)
    return (
        ""
        if row is None or low is None
        else f"{_e4(row['values'][name])} [{_e4(low)}, {_e4(high)}]"
    )


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
