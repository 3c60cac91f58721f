"""The verdicts and the page of ``python -m tests.bench measures``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.motion import Motion
from dimcli.data.clip import Clip
from dimcli.evaluation.scores import TRUTH
from tests.bench.bench_measures import Draws, measured, verdict
from tests.bench.measures_page import AGAIN, DEAF, MIRROR, ORACLE, enough, to_csv, to_markdown
from tests.evaluation.measures.test_families import made

RIVALS = [*DEAF, MIRROR, "oracle 1 s late", "it"]


def row(figure: str, **ahead: dict[str, tuple[float, float]]) -> dict:
    names = [AGAIN, *RIVALS]
    verdicts = {
        size.removeprefix("n"): {name: list(shares.get(name, (1.0, 0.0))) for name in names}
        for size, shares in ahead.items()
    }
    value = sum(map(ord, figure)) / 1000  # another for each figure
    values = dict.fromkeys([TRUTH, ORACLE, *names], value)
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


def test_a_changed_listener_is_measured_again_and_nobody_else(tmp_path: Path) -> None:
    store = made(tmp_path / "data", clips=2)
    clips = [store.load(record) for record in store.records]
    draws = Draws.of(store.records)

    def answers(shift: float) -> list[tuple[Clip, dict[str, Motion]]]:
        given = []
        for clip in clips:
            true = clip.listener
            it = replace(true, values=true.values + np.float32(shift))
            given.append((clip, {TRUTH: true, ORACLE: clip.speaker, "it": it}))
        return given

    def mse(given: list, **origins: str) -> list[float]:
        found = measured("listening", store, given, draws, origins, tmp_path)
        return [float(found[name]["pose", "mse"][0]) for name in (ORACLE, "it")]

    oracle, it = mse(answers(1.0), oracle="a", it="b")
    assert it == pytest.approx(1.0)
    unread = [(clip, motions | {ORACLE: motions["it"]}) for clip, motions in answers(2.0)]
    assert mse(unread, oracle="a", it="c") == pytest.approx([oracle, 4.0])
    assert mse(unread, oracle="d", it="c") == pytest.approx([4.0, 4.0])


def test_the_page_says_which_measure_is_right_wrong_and_blind_and_from_how_many_clips() -> None:
    late, right = "oracle 1 s late", row("p_fd", n4={"it": (0.9, 0.1)}, n8={}, n16={})
    unsure = row("rpcc", n4={}, n8={"it": (0.8, 0.2)}, n16={})
    blind = row("fd", n16={late: (0.0, 0.0), AGAIN: (0.5, 0.5)})
    wrong = row("mse", n16={"mean face": (0.0, 1.0), late: (0.5, 0.5)})
    assert enough(right, RIVALS) == 8
    assert enough(unsure, RIVALS) == 16  # once right and then unsure is not right yet
    assert enough(wrong, RIVALS) is None and enough(wrong, ["noise"]) == 16
    twin = right | {"family": "dualtalk", "part": "POSE"}
    rows = [right, unsure, blind, wrong, twin]
    facts = {"clips": 16, "seed": 0, "draws": 400, "nulls": 20, "command": "the command"}
    page = to_markdown(rows, [AGAIN, *RIVALS], facts)
    assert "Of 4 different figures" in page and "### dualtalk" not in page
    assert "P-FD of pose (paper, POSE of dualtalk): 8; rPCC of pose (paper): 16." in page
    assert "1 are of how much somebody moves, not when" in page
    assert "- mean face: MSE of pose (paper)." in page and "- noise: none." in page
    assert "| mean face | 3 | 0 | 0 | 1 |  |" in page
    assert "| oracle, drawn again | 3 | 1 | 0 | 0 |  |" in page
    assert "| P-FD of pose (also POSE of dualtalk) | ↓ | 4 | 4 | 4 | 8 |  |" in page
    assert "| FD of pose | ↓ | = | 16 | 16 | 16 |  |" in page
    assert "| MSE of pose | ↓ | – | 2 of 3 | 16 | 16 | mean face |" in page
    assert len(to_csv(rows).splitlines()) == 1 + 5 * (2 + 1 + len(RIVALS))


def test_the_page_says_where_rdgg_ranks_nobody() -> None:
    gain = row("rdgg", n16={})
    facts = {"clips": 16, "seed": 0, "draws": 400, "nulls": 20, "command": "the command"}
    page = to_markdown([gain], [AGAIN, *RIVALS], facts)
    assert "| ground truth |  |  |  |  | 4200 [2500, 7500] |" in page
    assert "it ranks nobody" not in page
    gain["intervals"][TRUTH] = [-0.1, 0.75]
    assert "it ranks nobody" in to_markdown([gain], [AGAIN, *RIVALS], facts)
