from __future__ import annotations

import csv
import io
import re
from types import SimpleNamespace
from typing import cast

import pytest

from dimcli.evaluation.score_table import PUBLISHED, TRUE, Row, Scale, ScoreTable, gain
from dimcli.evaluation.scores import Evaluation, Figure
from dimcli.evaluation.writing import to_csv, to_latex


def row(name: str, fd: float, sid: float, kind: str = "method") -> Row:
    figures = {
        "fd": Figure(fd, 0.01, fd - 0.1, fd + 0.1),
        "sid": Figure(sid, None, sid - 1, sid + 1),
    }
    return Row(name, {"expression": figures, "pose": figures}, kind)


TABLE = ScoreTable(
    "Made",
    (
        row("a_1", 2.0, 3.0),
        row("b & c", 1.5, 5.0),
        row("published", 0.1, 4.0, PUBLISHED),
        Row("ground truth", {"expression": {"sid": Figure(4.5)}}, TRUE),
    ),
    columns=("fd", "sid"),
)


def test_the_best_is_the_smallest_or_the_nearest_to_the_truth_of_what_was_evaluated() -> None:
    assert TABLE.best("expression", "fd") == {"b & c"}
    assert TABLE.best("expression", "sid") == {"b & c"}
    assert not TABLE.best("pose", "sid")  # no truth to be near to


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.6851, 0.6849, 0.9], {"a", "b"}),
        ([0.6851, 0.6849], set()),
        ([0.4, 0.5, 0.6, 0.3], {"b"}),
        ([0.4, 0.6, 0.3], {"a", "b"}),
        ([float("nan"), 0.6, 0.3], {"b"}),
    ],
)
@pytest.mark.parametrize("name", ["fd", "sid"])
def test_methods_whose_numbers_read_the_same_are_best_together_and_all_alike_none_is(
    values: list[float], best: set[str], name: str
) -> None:
    target = 0.5
    if name == "fd":  # the smaller the better
        values = [abs(value - target) for value in values]
    rows = tuple(
        Row(method, {"pose": {name: Figure(value, None, 0.0, 1.0)}})
        for method, value in zip("abcd", values, strict=False)
    )
    truth = Row("ground truth", {"pose": {name: Figure(target)}}, TRUE)
    assert ScoreTable("Made", (*rows, truth), (name,)).best("pose", name) == best


def test_without_intervals_no_method_is_the_best() -> None:
    rows = (Row("a", {"pose": {"fd": Figure(1.0)}}), Row("b", {"pose": {"fd": Figure(2.0)}}))
    assert not ScoreTable("Made", rows, ("fd",)).best("pose", "fd")


@pytest.mark.parametrize(
    ("clips", "ours", "said"),
    [
        (9, 0.7, "No gain: a answers exactly as b, from which its training has not moved; train "),
        (9, 14.78, "pose 14.8, not 0.700)."),
        (9, 0.5, "a is nearer to the true listener than b (FD on 9 clips: pose 0.500, not 0.700)."),
        (9, 0.9, "No gain: a is no nearer to the true listener than b (FD on 9 clips: "),
        (1, 0.5, "b (FD on 1 clip, which is too few to tell: pose 0.500, not 0.700)."),
    ],
)
def test_a_gain_is_told_with_what_it_rests_on(clips: int, ours: float, said: str) -> None:
    methods = [
        SimpleNamespace(name=name, figures={"pose": {"fd": Figure(value)}})
        for name, value in (("a", ours), ("b", 0.7))
    ]
    evaluation = SimpleNamespace(clips=clips, truth={"pose": {}}, methods=methods)
    assert said in gain(cast("Evaluation", evaluation), "a", "b")


def test_one_method_alone_is_not_the_best() -> None:
    assert not ScoreTable("Made", TABLE.rows[1:], ("fd",)).best("expression", "fd")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([72.88, 23.88], ["72.88", "23.88"]),
        ([0.62, 0.92], ["0.620", "0.920"]),
        ([0.00041, 0.00953], ["0.410", "9.530"]),
        ([0.0, -0.0], ["0.000", "0.000"]),
        ([31234.5], ["31234"]),
    ],
)
def test_numbers_are_written_with_what_can_be_read(values: list, texts: list) -> None:
    scale = Scale.of(values)
    assert [scale.number(value) for value in values] == texts


def test_a_heading_says_in_which_power_of_ten_its_column_is() -> None:
    figures = {"pose": {"fd": Figure(0.0004), "var": Figure(0.5)}}
    table = ScoreTable("Made", (Row("a", figures),), ("fd", "var"))
    assert table.heading("pose", "fd") == "FD↓ ×1000"
    assert table.heading("pose", "var") == "Var"
    assert table.footnotes == ("×1000: numbers of that column are multiplied; 5 stands for 0.005.",)
    assert not ScoreTable("Made", table.rows, ("var",)).footnotes


def test_differences_are_written_as_the_scores_are() -> None:
    figures = {"pose": {"fd": Figure(-0.2)}}
    table = ScoreTable("Made", (Row("a", figures),), ("fd",), differences_of=TABLE)
    assert table.scale("pose", "fd") == TABLE.scale("pose", "fd")
    assert table.heading("pose", "fd") == "FD"


def test_csv_holds_every_number_in_full() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert len(lines) == 3 * 2 * 2 + 1
    first = lines[0]
    assert (first["row"], first["part"], first["figure"]) == ("a_1", "expression", "fd")
    assert (float(first["value"]), float(first["low"]), float(first["high"])) == (2.0, 1.9, 2.1)
    assert lines[-1] == {
        **{"row": "ground truth", "kind": "truth", "part": "expression", "figure": "sid"},
        **{"value": "4.5", "std": "", "low": "", "high": "", "selection": ""},
    }


def test_csv_says_of_each_method_that_the_truth_chose_for_it() -> None:
    chosen = ScoreTable("Made", TABLE.rows, TABLE.columns, selection="best of 10 by the truth")
    lines = csv.DictReader(io.StringIO(to_csv(chosen)))
    told = {(line["kind"], line["selection"]) for line in lines}
    assert told == {("method", "best of 10 by the truth"), ("published", ""), ("truth", "")}


def test_latex_has_as_many_cells_in_every_line_and_escapes_names() -> None:
    text = to_latex(TABLE)
    assert "a\\_1" in text and "b \\& c" in text
    body = re.findall(r"^(.*) \\\\$", text, re.MULTILINE)
    cells = [sum(int(n) for n in re.findall(r"multicolumn{(\d)}", line)) or 1 for line in body[:1]]
    assert cells == [4]
    for line in body[1:]:
        assert len(re.split(r"(?<!\\)&", line)) == 5
    assert text.count("\\begin{") == text.count("\\end{") == 2
    assert text.count("{") == text.count("}")
    assert "\\textbf{1.50 $\\pm$0.01} {\\scriptsize [1.40, 1.60]}" in text
