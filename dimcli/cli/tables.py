"""Scores, lists of weights and checks as text that fits the terminal, and 100 columns in a pipe."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dimcli.evaluation.score_table import Row, ScoreTable
    from dimcli.jobs.doctor import Check
    from weights.catalogue import Entry

WIDTH = 100
_COMMAND = re.compile(r"`[^`]*`|pip install \S+")
_GLUE = "\N{NO-BREAK SPACE}"
MARKS = {"works": ("ok", "green"), "optional": ("--", "yellow"), "broken": ("!!", "red")}
SECTIONS = {
    "bundled": "Bundled",
    "importable": "To import: licensed by their owners, who give them out themselves",
    "fetchable": "To fetch from the Hugging Face hub",
}


def columns() -> int:
    """Columns to write: the terminal's; 100 in a pipe."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def styled(text: str, style: str) -> str:
    """``text`` in a rich style on a terminal, as it is elsewhere."""
    if not (style and sys.stdout.isatty()):
        return text
    from rich.console import Console
    from rich.text import Text

    console = Console()
    with console.capture() as captured:
        console.print(Text(text, style=style), end="")
    return captured.get()


def _wrapped(text: str, indent: int) -> str:
    """``text`` below and to the right, in lines that fit; commands and addresses stay whole."""
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), text)
    filled = textwrap.fill(
        glued,
        min(WIDTH, columns()),  # longer lines are hard to read
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_GLUE, " ")


ROW_STYLES = {"truth": "italic", "bound": "italic", "published": "dim"}
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    """A figure of every row: ``cells`` of a value, its interval, and whether it stands out."""

    heading: str
    cells: tuple[tuple[str, str, bool], ...]

    @property
    def width(self) -> int:
        return max(
            len(text) for text in (self.heading, *(t for cell in self.cells for t in cell[:2]))
        )


def show_scores(table: ScoreTable) -> None:
    """A table's parts below each other, then its notes; no name and no figure is ever cut.

    Columns that do not fit beside each other follow in a further block of the same rows.
    """
    for part in table.shown_parts:
        print(_wrapped(f"{table.title}: {part}", 0))
        longest = max(len(row.name) for row in table.rows)
        longest = max(len("method"), min(longest, columns() // 3))
        shown = [_column(table, part, name) for name in table.names(part)]
        for block in _blocks(shown, columns() - longest):
            print(*_block_lines(table.rows, block, longest), "", sep="\n")
    notes = [f"{row.name}: {row.note}." for row in table.rows if row.note and not table.differences]
    for note in (*table.footnotes, *notes):
        for line in _wrapped(note, 0).splitlines():
            print(styled(line, "dim"))
    print()


def _column(table: ScoreTable, part: str, name: str) -> _Column:
    scale, cells = table.scale(part, name), []
    best = table.best(part, name)
    for row in table.rows:
        figure = row.figure(part, name)
        if figure is None:
            cells.append(("", "", False))
            continue
        star = "*" if table.differences and figure.excludes_zero else ""
        bounds = (scale.number(bound) for bound in (figure.low, figure.high) if bound is not None)
        cells.append(
            (star + scale.value(figure), "..".join(bounds), bool(star) or row.name in best)
        )
    return _Column(table.heading(part, name), tuple(cells))


def _blocks(shown: list[_Column], room: int) -> Iterator[list[_Column]]:
    """``shown`` in runs that fit ``room`` columns beside each other, of one column at least."""
    block: list[_Column] = []
    for column in shown:
        taken = sum(len(_GAP) + each.width for each in (*block, column))
        if block and taken > room:
            yield block
            block = []
        block.append(column)
    if block:
        yield block


def _block_lines(rows: tuple[Row, ...], block: list[_Column], longest: int) -> Iterator[str]:
    """The rows with a figure here; a name of over ``longest`` letters has a line of its own."""
    headings = [column.heading.rjust(column.width) for column in block]
    yield _GAP.join(["method".ljust(longest), *headings])
    for index, row in enumerate(rows):
        style, cells = ROW_STYLES.get(row.kind, ""), [column.cells[index] for column in block]
        if not any(value for value, _, _ in cells):
            continue
        values = [
            styled(value.rjust(column.width), f"{style} bold" if best else style)
            for column, (value, _, best) in zip(block, cells, strict=True)
        ]
        name = row.name
        if len(name) > longest:
            yield styled(name, style)
            name = ""
        yield _GAP.join([styled(name.ljust(longest), style), *values]).rstrip()
        if any(interval for _, interval, _ in cells):
            intervals = [
                interval.rjust(column.width)
                for column, (_, interval, _) in zip(block, cells, strict=True)
            ]
            yield styled(_GAP.join([" " * longest, *intervals]).rstrip(), "dim")


def megabytes(size: int | None) -> str:
    """Bytes for people."""
    return "" if size is None else f"{size / 1e6:.1f} MB"


def show_weights(entries: list[Entry]) -> None:
    """The list of ``dim weights list``."""
    for source, group in groupby(entries, key=lambda entry: entry.source):
        print(styled(SECTIONS[source], "bold"))
        for entry in group:
            mark, colour = MARKS["works" if entry.present else "optional"]
            facts = ", ".join(filter(None, (megabytes(entry.size), entry.licence)))
            print(f"  {styled(mark, colour)}  {styled(entry.name, 'bold')}  ({facts})")
            print(_wrapped(entry.what, 6))
            if not entry.present and entry.how:
                print(_wrapped(entry.how, 6))
        print()


def show_weight(entry: Entry) -> None:
    """The page of ``dim weights show``."""
    print(styled(entry.name, "bold"))
    lines = {
        "what": entry.what,
        "licence": entry.licence,
        "size": megabytes(entry.size),
        "here": str(entry.path) if entry.path else "no",
        "get it": "" if entry.present else entry.how,
    }
    for label, text in lines.items():
        if text:
            print(f"  {label:<10}{_wrapped(text, 12).lstrip()}")


def show_checks(checks: list[Check]) -> None:
    """The list of ``dim doctor``."""
    for group, members in groupby(checks, key=lambda check: check.group):
        print(styled(group, "bold"))
        for check in members:
            mark, colour = MARKS[check.state]
            text = _wrapped(check.detail, 30).lstrip() if check.detail else ""
            print(f"  {styled(mark, colour)}  {check.name:<24}{text}".rstrip())
            if check.fix:
                print(_wrapped(f"-> {check.fix}", 30))
    print(
        f"\n{MARKS['works'][0]}: works    {MARKS['optional'][0]}: optional, not here    "
        f"{MARKS['broken'][0]}: broken"
    )
