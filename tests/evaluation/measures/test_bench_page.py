"""The verdicts and the page of ``python -m tests.bench measures``."""

from __future__ import annotations

import numpy as np
import pytest

from dimcli.evaluation.scores import TRUTH
from tests.bench.bench_measures import verdict
from tests.bench.measures_page import AGAIN, DEAF, ORACLE, enough, to_csv, to_markdown

RIVALS = [*DEAF, "oracle 1 s late", "it"]


def row(figure: str, **ahead: dict[str, tuple[float, float]]) -> dict:
    names = [AGAIN, *RIVALS]
    verdicts = {
        size.removeprefix("n"): {name: list(shares.get(name, (1.0, 0.0))) for name in names}
        for size, shares in ahead.items()
    }
    values = dict.fromkeys([TRUTH, ORACLE, *names], 0.5)
    intervals = {name: [0.25, 0.75] for name in values}
    return {
        "family": "paper", "part": "pose", "figure": figure, "values": values,
        "intervals": intervals, "verdicts": verdicts,
    }  # fmt: skip


def shares(figure: str, draws: dict[str, list[float]]) -> dict[str, list[float]]:
    return verdict(figure, {name: np.array(values) for name, values in draws.items()})


def test_who_is_ahead_depends_on_what_a_figure_rewards() -> None:
    draws = {TRUTH: [2.0, 2.0], ORACLE: [1.9, 1.9], "far": [3.0, 2.05], "none": [np.nan] * 2,
             "same": [1.9, 1.9 + 1e-9]}  # fmt: skip
    near = {"far": [0.5, 0.5], "none": [1.0, 0.0], "same": [0.0, 0.0]}
    assert shares("var", draws) == near  # the nearer to the truth's
    assert shares("mse", draws) == near | {"far": [1.0, 0.0]}
    assert shares("fr_corr", draws) == near | {"far": [0.0, 1.0]}


@pytest.mark.parametrize("figure", ["mse", "fr_corr", "var", "fdd_released"])
def test_of_two_of_whom_one_has_no_figure_that_one_is_behind(figure: str) -> None:
    none = np.nan
    draws = {TRUTH: [2.0] * 4, ORACLE: [2.0, none, 2.0, none], "it": [none, 2.0, 2.0, none]}
    assert shares(figure, draws) == {"it": [0.25, 0.25]}
    assert shares(figure, draws | {ORACLE: [none] * 4}) == {}  # nothing to compare with


def test_the_page_says_which_measure_is_right_wrong_and_blind_and_from_how_many_clips() -> None:
    late, right = "oracle 1 s late", row("p_fd", n4={"it": (0.9, 0.1)}, n8={}, n16={})
    unsure = row("rpcc", n4={}, n8={"it": (0.8, 0.2)}, n16={})
    blind = row("fd", n16={late: (0.0, 0.0), AGAIN: (0.5, 0.5)})
    wrong = row("mse", n16={"mean face": (0.0, 1.0), late: (0.5, 0.5)})
    assert enough(right, RIVALS) == 8
    assert enough(unsure, RIVALS) == 16  # once right and then unsure is not right yet
    assert enough(wrong, RIVALS) is None and enough(wrong, ["noise"]) == 16
    rows = [right, unsure, blind, wrong]
    facts = {"clips": 16, "seed": 0, "draws": 400, "nulls": 20, "command": "the command"}
    page = to_markdown(rows, [AGAIN, *RIVALS], facts)
    assert "so many clips on: P-FD of pose (paper): 8; rPCC of pose (paper): 16." in page
    assert "late copies at all**: FD of pose (paper)." in page
    assert "mean face: 1 of 4 figures (MSE of pose (paper))" in page
    assert "drawn again 3 of 4 figures are sure" in page
    assert "| MSE of pose | 100 | 100 | **0** | 100 | 50 | 100 | never | never | never |" in page
    assert len(to_csv(rows).splitlines()) == 1 + 4 * (2 + 1 + len(RIVALS))
