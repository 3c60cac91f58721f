"""Score tables as Markdown, for pages that people read as they are."""

from __future__ import annotations

from dimcli.score_table import ScoreTable


def to_markdown(table: ScoreTable) -> str:
    """A heading, one table a part with intervals behind the figures, and the notes."""
    lines = [f"### {table.title}", ""]
    for part in table.parts:
        shown = [name for name in table.columns if any(r.figure(part, name) for r in table.rows)]
        if not shown:
            continue
        headings = [part, *(table.heading(part, name) for name in shown)]
        lines += [_line(headings), _line(["---", *["---:"] * len(shown)])]
        for row in table.rows:
            cells = [_cell(table, row.name, part, name) for name in shown]
            lines.append(_line([row.name, *cells]))
        lines.append("")
    lines += [f"{note}\n" for note in table.notes]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(table: ScoreTable, label: str, part: str, name: str) -> str:
    row = next(row for row in table.rows if row.name == label)
    figure = row.figure(part, name)
    if figure is None:
        return ""
    scale = table.scale(part, name)
    text = scale.value(figure)
    if table.differences:
        text += "*" if figure.excludes_zero else ""
    elif label == table.best(part, name):
        text = f"**{text}**"
    interval = scale.interval(figure)
    return (
        f"{text} {interval}".strip().replace("*", "\\*")
        if table.differences
        else (f"{text} {interval}".strip())
    )
