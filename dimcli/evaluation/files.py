"""What an evaluation leaves behind: JSON, CSV, LaTeX and the report, each whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, check_output
from dimcli.evaluation.score_table import ScoreTable, to_csv, to_latex
from dimcli.evaluation.scores import Evaluation

SUFFIXES = {"json": ".json", "csv": ".csv", "latex": ".tex", "report": ".html"}


@dataclass(frozen=True)
class EvaluationFiles:
    """Where to write what; None for what is not wanted."""

    json: Path | None = None
    csv: Path | None = None
    latex: Path | None = None
    report: Path | None = None

    def in_folder(self, folder: Path | None) -> EvaluationFiles:
        """The same, with everything that has no place yet in ``folder``, which is made."""
        if folder is None:
            return self
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; -o names a folder")
        if not folder.is_dir():
            check_output(folder, force=False)
            folder.mkdir()
        return EvaluationFiles(
            self.json or folder / "scores.json",
            self.csv or folder / "scores.csv",
            self.latex or folder / "scores.tex",
            self.report or folder / "report.html",
        )

    def check(self, *, force: bool) -> None:
        """Raise InputError where one may not be written: worth asking before long work."""
        for kind, path in vars(self).items():
            if path is not None:
                check_output(path, force=force, kind=f"{kind} file", suffixes=(SUFFIXES[kind],))

    def write(self, evaluation: Evaluation, table: ScoreTable, *, force: bool) -> list[Path]:
        """Write all but the report; which files they are."""
        contents = {
            self.json: json.dumps(evaluation.as_dict(), indent=2) + "\n",
            self.csv: to_csv(table),
            self.latex: to_latex(table),
        }
        written = []
        for path, content in contents.items():
            if path is not None:
                with atomic_output(path, force=force) as temporary:
                    temporary.write_text(content, encoding="utf-8")
                written.append(path)
        return written
