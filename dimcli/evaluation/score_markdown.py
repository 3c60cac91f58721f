"""Score tables as Markdown, for pages that people read as they are."""

from __future__ import annotations

from dimcli.evaluation.score_table import Row, ScoreTable


def to_markdown(table: ScoreTable) -> str:
    """A heading, one table a part with intervals behind the figures, and the notes."""
    lines = [f"### {table.title}", ""]
    for part in table.parts:
        shown = [name for name in table.columns if any(r.figure(part, name) for r in table.rows)]
        if not shown:
            continue
        lines.append(_line([part, *(table.heading(part, name) for name in shown)]))
        lines.append(_line(["---", *["---:"] * len(shown)]))
        for row in table.rows:
            lines.append(_line([row.name, *(_cell(table, row, part, name) for name in shown)]))
        lines.append("")
    lines += [f"{_escaped(note)}\n" for note in table.notes]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(table: ScoreTable, row: Row, part: str, name: str) -> str:
    figure = row.figure(part, name)
    if figure is None:
        return ""
    scale = table.scale(part, name)
    value = scale.value(figure)
    if table.differences and figure.excludes_zero:
        value += _escaped("*")
    elif not table.differences and row.name == table.best(part, name):
        value = f"**{value}**"
    return f"{value} {scale.interval(figure)}".strip()


def _escaped(text: str) -> str:
    return text.replace("*", "\\*")
