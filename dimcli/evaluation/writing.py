"""Scores in files: CSV, LaTeX and Markdown tables, and where an evaluation writes what."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimcli.core.files import atomic_output, check_folder, check_output, new_folder
from dimcli.evaluation.score_table import BOUND, METHOD, TITLES, Row, ScoreTable
from dimcli.evaluation.scores import Evaluation

SUFFIXES = {"json": ".json", "csv": ".csv", "latex": ".tex", "report": ".html"}


@dataclass(frozen=True)
class EvaluationFiles:
    """Where an evaluation writes what, each file whole or not at all; None for what is left out."""

    json: Path | None = None
    csv: Path | None = None
    latex: Path | None = None
    report: Path | None = None
    folder: Path | None = None
    """A folder that is made for them, if it is not there, when they are written."""

    def in_folder(self, folder: Path | None) -> EvaluationFiles:
        """The same, with every file that has no place yet in ``folder``."""
        if folder is None:
            return self
        return EvaluationFiles(
            self.json or folder / "scores.json",
            self.csv or folder / "scores.csv",
            self.latex or folder / "scores.tex",
            self.report or folder / "report.html",
            folder,
        )

    def check(self, *, force: bool) -> None:
        """Raise InputError where one may not be written: worth asking before long work."""
        to_make = None
        if self.folder is not None and not self.folder.is_dir():
            to_make = check_folder(self.folder)
        for kind, suffix in SUFFIXES.items():
            path: Path | None = getattr(self, kind)
            if path is not None and (path.parent != to_make or path.suffix != suffix):
                check_output(path, force=force, kind=f"{kind} file", suffixes=(suffix,))

    def write(
        self,
        evaluation: Evaluation,
        table: ScoreTable,
        report: Callable[[], str],
        further: Sequence[ScoreTable] = (),
        *,
        force: bool,
    ) -> list[Path]:
        """Write all that has a place, or nothing; ``report`` (an HTML page) is asked for last, and
        ``further`` tables follow the first. Returns which files they are."""
        contents: dict[Path | None, Callable[[], str]] = {
            self.json: lambda: json.dumps(as_document(evaluation, table), indent=2) + "\n",
            self.csv: lambda: to_csv(table, *further),
            self.latex: lambda: "\n".join(map(to_latex, (table, *further))),
            self.report: report,
        }
        texts = {path: content() for path, content in contents.items() if path is not None}
        return write_texts(texts, self.folder, force=force)


def as_document(evaluation: Evaluation, table: ScoreTable) -> dict[str, Any]:
    """The figures, with what the ``table`` of them says below, for programs."""
    return evaluation.as_dict() | {"notes": list(table.notes)}


def write_texts(texts: Mapping[Path, str], folder: Path | None, *, force: bool) -> list[Path]:
    """Write all of ``texts``, or nothing, into a ``folder`` that is made where it is not there.
    Returns which files they are."""
    with ExitStack() as files:
        if folder is not None:
            files.enter_context(new_folder(folder, "*.*"))
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            temporary = files.enter_context(atomic_output(path, force=force))
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return list(texts)


def to_csv(*tables: ScoreTable) -> str:
    """One line a row, part and figure: plain numbers, for programs and spreadsheets. Parts of
    a family of measures are named by both."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "kind", "part", "figure", "value", "std", "low", "high", "selection"])
    for table in tables:
        for row in table.rows:
            for part in table.parts:
                for name, figure in row.figures.get(part, {}).items():
                    numbers = (figure.value, figure.std, figure.low, figure.high)
                    texts = [
                        "" if number is None or not math.isfinite(number) else repr(number)
                        for number in numbers
                    ]
                    selection = table.selection if row.kind in (METHOD, BOUND) else ""
                    where = f"{table.family}: {part}" if table.family else part
                    writer.writerow([row.name, row.kind, where, name, *texts, selection])
    return out.getvalue()


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "†": r"$\dagger$",
    "–": "--",
    "×": r"$\times$",
    "⁶": r"$^6$",
    "⁹": r"$^9$",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
}


def to_latex(table: ScoreTable) -> str:
    """A ``table*`` for ``booktabs``: two columns (expression, pose) a figure, as the paper's."""
    pairs = [(part, name) for name in table.columns for part in table.parts]
    width = len(table.parts)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{_latex(' '.join((table.title + '.', *table.footnotes)))}}}",
        f"\\begin{{tabular}}{{l{'r' * len(pairs)}}}",
        "\\toprule",
        " & ".join(
            [
                "Method",
                *(f"\\multicolumn{{{width}}}{{c}}{{{_title(table, n)}}}" for n in table.columns),
            ]
        )
        + r" \\",
        " & ".join(["", *(_subtitle(table, part, name) for part, name in pairs)]) + r" \\",
        "\\midrule",
    ]
    kind = METHOD
    for row in table.rows:
        if row.kind != kind:
            lines.append("\\midrule")
            kind = row.kind
        cells = [_latex_cell(table, row, part, name) for part, name in pairs]
        lines.append(" & ".join([_latex(row.name), *cells]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table*}", ""])


def _title(table: ScoreTable, name: str) -> str:
    return _latex(TITLES.get(name, name) + table.arrow(name))


def _subtitle(table: ScoreTable, part: str, name: str) -> str:
    power = table.scale(part, name).power
    return {"expression": "Exp", "pose": "Pose"}.get(part, _latex(part)) + (
        f" $\\times 10^{{{power}}}$" if power else ""
    )


def _latex_cell(table: ScoreTable, row: Row, part: str, name: str) -> str:
    figure = row.figure(part, name)
    if figure is None:
        return "--"
    scale = table.scale(part, name)
    value = _latex(scale.value(figure))
    if row.name in table.best(part, name):
        value = f"\\textbf{{{value}}}"
    interval = scale.interval(figure)
    return value + (f" {{\\scriptsize {interval}}}" if interval else "")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def to_markdown(table: ScoreTable) -> str:
    """A heading, one table a part with intervals behind the figures, and the notes."""
    lines = [f"### {table.title}", ""]
    for part in table.shown_parts:
        shown = table.names(part)
        lines.append(_markdown_line([part, *(table.heading(part, name) for name in shown)]))
        lines.append(_markdown_line(["---", *["---:"] * len(shown)]))
        for row in table.rows:
            lines.append(
                _markdown_line(
                    [row.name, *(_markdown_cell(table, row, part, name) for name in shown)]
                )
            )
        lines.append("")
    lines += [f"{_escaped(note)}\n" for note in table.footnotes]
    return "\n".join(lines)


def _markdown_line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(table: ScoreTable, row: Row, part: str, name: str) -> str:
    figure = row.figure(part, name)
    if figure is None:
        return ""
    scale = table.scale(part, name)
    value = scale.value(figure)
    if table.differences and figure.excludes_zero:
        value += _escaped("*")
    elif not table.differences and row.name in table.best(part, name):
        value = f"**{value}**"
    return f"{value} {scale.interval(figure)}".strip()


def _escaped(text: str) -> str:
    return text.replace("*", "\\*")
