"""What a training tells of its figures."""

import re
from pathlib import Path

import dimcli
from dimcli.training.figures import MEANINGS, explained, in_order


def test_every_figure_that_a_method_logs_is_told_in_words():
    logged: set[str] = set()
    for path in (Path(dimcli.__file__).parent / "models").rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        for figures in re.findall(r'\{\s*"loss":.*?\}', code, re.DOTALL):
            logged.update(re.findall(r'"(\w+)":', figures))
        logged.update(re.findall(r'figures\[f?"(?:\{role\}_)?(\w+)"\]', code))
    assert {"loss", "code", "accuracy", "perplexity"} <= logged
    assert logged == set(MEANINGS)


def test_the_loss_comes_first_roles_are_known_and_nothing_is_made_up():
    names = {"listener_anchor", "listener_motion", "loss", "of_a_new_method"}
    first, *lines = explained(names)
    assert first.startswith("figures of the validation split")
    told = [line.split(":")[0].strip() for line in lines]
    assert told == ["loss", "listener_motion", "listener_anchor"]
    assert in_order(names) == [*told, "of_a_new_method"]
    assert not list(explained({"of_a_new_method"}))
