"""Score tables as HTML."""

from __future__ import annotations

from html import escape

from dimcli.evaluation.score_table import Row, ScoreTable


def table_html(table: ScoreTable) -> str:
    """One HTML table a part, with intervals under the figures, and the notes below."""
    parts = "".join(_part(table, part) for part in table.parts)
    notes = [escape(note) for note in table.notes]
    if not table.differences:
        notes += [f"<b>{escape(r.name)}</b>: {escape(r.note)}." for r in table.rows if r.note]
    below = "".join(f"<li>{note}</li>" for note in notes)
    return f'{parts}<ul class="notes">{below}</ul>' if notes else parts


def _part(table: ScoreTable, part: str) -> str:
    shown = [name for name in table.columns if any(row.figure(part, name) for row in table.rows)]
    heads = "".join(f'<th scope="col">{escape(table.heading(part, name))}</th>' for name in shown)
    rows = "".join(_row(table, row, part, shown) for row in table.rows)
    return (
        f'<div class="scroll"><table><caption>{escape(part.capitalize())}</caption>'
        f'<thead><tr><th scope="col">method</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(table: ScoreTable, row: Row, part: str, shown: list[str]) -> str:
    cells = "".join(_cell(table, row, part, name) for name in shown)
    return f'<tr class="{row.kind}"><th scope="row">{escape(row.name)}</th>{cells}</tr>'


def _cell(table: ScoreTable, row: Row, part: str, name: str) -> str:
    figure = row.figure(part, name)
    if figure is None:
        return "<td></td>"
    scale = table.scale(part, name)
    kind = ""
    if row.name == table.best(part, name):
        kind = ' class="best"'
    elif table.differences and figure.excludes_zero:
        kind = ' class="better"' if figure.value < 0 else ' class="worse"'
    interval = ""
    if figure.low is not None and figure.high is not None:
        interval = f"<small>{scale.number(figure.low)} to {scale.number(figure.high)}</small>"
    star = "*" if table.differences and figure.excludes_zero else ""
    return f"<td{kind}>{star}{escape(scale.value(figure))}{interval}</td>"
