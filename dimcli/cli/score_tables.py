"""Score tables on a terminal, in at most 100 columns; without colours or lines in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from dimcli.evaluation.score_table import Row, ScoreTable

WIDTH = 100


def print_table(table: ScoreTable) -> None:
    """Print a table's parts below each other on standard output, then its notes."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if terminal else WIDTH
    with console.capture() as captured:
        for part in table.parts:
            console.print(_part(table, part, terminal))
            console.print()
        for note in table.notes:
            console.print(note, style="dim", markup=False)
        for row in table.rows:
            if row.note and not table.differences:
                console.print(f"{row.name}: {row.note}.", style="dim", markup=False)
    for line in captured.get().splitlines():
        print(line.rstrip())
    print()


def _part(table: ScoreTable, part: str, terminal: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = Table(
        title=Text(f"{table.title}: {part}"),
        title_justify="left",
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    lines.add_column("method", overflow="fold", min_width=8)
    shown = table.names(part)
    for name in shown:
        lines.add_column(Text(table.heading(part, name)), justify="right", no_wrap=True)
    for row in table.rows:
        cells = [_cell(table, row, part, name) for name in shown]
        style = {"truth": "italic", "bound": "italic", "published": "dim"}.get(row.kind, "")
        lines.add_row(Text(row.name), *cells, style=style)
    return lines


def _cell(table: ScoreTable, row: Row, part: str, name: str) -> Text:
    from rich.text import Text

    figure = row.figure(part, name)
    if figure is None:
        return Text("")
    scale = table.scale(part, name)
    best = row.name == table.best(part, name) or (table.differences and figure.excludes_zero)
    star = "*" if table.differences and figure.excludes_zero else ""
    cell = Text(star + scale.value(figure), style="bold" if best else "")
    if figure.low is not None and figure.high is not None:
        cell.append(f"\n{scale.number(figure.low)}..{scale.number(figure.high)}", style="dim")
    return cell
