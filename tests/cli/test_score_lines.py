"""Every printed table at several widths and in a pipe: every name and every figure whole.

``DIM_NEW_SNAPSHOTS=1 pytest tests/cli/test_score_lines.py`` writes the snapshots again; then look
at them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dimcli.cli.prepare_options import _report
from dimcli.cli.tables import show_checks, show_scores, show_weights
from dimcli.data.corpora.preparing import Prepared
from dimcli.evaluation.score_table import (
    BOUND,
    OTHER_FIGURES,
    PAPER_FIGURES,
    PUBLISHED,
    SPEAKER_FIGURES,
    TITLES,
    TRUE,
    Row,
    ScoreTable,
)
from dimcli.evaluation.scores import Figure
from dimcli.jobs.doctor import Check
from weights.catalogue import Entry

PARTS = ("pose",)
SNAPSHOTS = Path(__file__).parent / "snapshots"
WIDTHS = {"60": 60, "80": 80, "100": 100, "160": 160, "pipe": None}


def figures(columns: tuple[str, ...], scale: float, std: float | None = None) -> dict:
    return {
        name: Figure(scale * (n + 1), std, 0.9 * scale * (n + 1), 1.2 * scale * (n + 1))
        for n, name in enumerate(columns)
    }


def made(title: str, columns: tuple[str, ...], std: float | None, **more: object) -> ScoreTable:
    names = ("listener-small", "nearest-motion", "DIM without pre-training, codes and the decoder")
    rows = [
        Row(name, {part: figures(columns, scale, std) for part in PARTS})
        for scale, name in zip((0.8, 12.5, 1.234), names, strict=True)
    ]
    bound = {part: figures(columns, 0.4, std) for part in PARTS}
    rows.append(Row("oracle", bound, BOUND, "knows the hidden events behind the speaker"))
    rows.append(Row("ground truth", {"pose": {columns[-1]: Figure(31234.5)}}, TRUE))
    published = {"pose": {columns[0]: Figure(23.88)}}
    rows.append(Row("DIM-Listener† (the paper's)", published, PUBLISHED))
    note = "Below each figure its 95 % interval: bootstrap over clips (1000 draws). See `dim eval`."
    return ScoreTable(title, tuple(rows), columns, PARTS, (note,), **more)


SCORES = made("made, test split, 6 clips", PAPER_FIGURES, None)
TABLES = {
    "scores": SCORES,
    "samples": made("made, test split, 6 clips", (*PAPER_FIGURES, *OTHER_FIGURES), 0.25),
    "differences": made("Differences to us", PAPER_FIGURES, None, differences_of=SCORES),
    "speakers": made("biwi, test split", SPEAKER_FIGURES, 0.02),
}


def others() -> None:
    """What else is printed as a table."""
    show_weights(
        [
            Entry("listener-small", "bundled", "A listener.", "Apache-2.0", Path("x"), "", 10**7),
            Entry("flame", "importable", "The head that the paper's motion is of, from its owners.",
                  "non-commercial", None, "download it from https://flame.is.tue.mpg.de, then "
                  "`dim weights import flame generic_model.pkl`", 53 * 10**6),
        ]
    )  # fmt: skip
    show_checks(
        [
            Check("base", "Python", "works", "3.12"),
            Check("models", "a part with a name of some length", "optional", "is not here; nothing "
                  "that comes with the package needs it", "pip install 'dim-listener[train]'"),
        ]
    )  # fmt: skip
    counts = {"train": 12345, "val": 0, "test": 7}
    minutes = {split: count / 6 for split, count in counts.items()}
    _report(
        Prepared(Path("data"), None, counts, minutes, counts, (), (), "none"), 1.0, as_json=False
    )


@pytest.fixture(params=WIDTHS)
def printed(request, capsys: pytest.CaptureFixture[str], monkeypatch) -> tuple[str, dict[str, str]]:
    """A width's name, and the text of each table there."""
    name, width = request.param, WIDTHS[request.param]
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
    texts = {}
    for title, table in TABLES.items():
        show_scores(table)
        texts[title] = capsys.readouterr().out
    others()
    captured = capsys.readouterr()
    texts["others"] = captured.out + captured.err
    return name, texts


def test_tables_are_as_they_were(printed: tuple[str, dict[str, str]]) -> None:
    name, texts = printed
    snapshot = SNAPSHOTS / f"tables-{name}.txt"
    found = "".join(f"=== {title}\n{text}" for title, text in texts.items())
    if os.environ.get("DIM_NEW_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(found, encoding="utf-8")
    assert found == snapshot.read_text(encoding="utf-8")


def test_every_name_and_every_figure_is_whole(printed: tuple[str, dict[str, str]]) -> None:
    name, texts = printed
    for title, table in TABLES.items():
        lines = texts[title].splitlines()
        assert max(map(len, lines)) <= (WIDTHS[name] or 100), f"{title} at {name}"
        for part in table.parts:
            for column in table.names(part):
                assert any(TITLES[column] in line for line in lines)
                scale = table.scale(part, column)
                for row in table.rows:
                    figure = row.figure(part, column)
                    assert any(line.startswith(row.name) for line in lines)
                    if figure is not None:
                        assert scale.value(figure) in texts[title]
                        low, high = figure.low, figure.high
                        if low is not None and high is not None:
                            bounds = f"{scale.number(low)}..{scale.number(high)}"
                            assert bounds in texts[title].split()


def test_a_terminal_marks_the_best_and_cuts_nothing(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    show_scores(SCORES)
    plain = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    show_scores(SCORES)
    styled = capsys.readouterr().out
    assert "\x1b[1m" in styled
    bare = re.sub(r"\x1b\[[0-9;]*m", "", styled)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()
