"""What a training tells of its figures."""

import re
from pathlib import Path

import dimcli
from dimcli.training.figures import MEANINGS, explained


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
    first, *lines = explained({"listener_motion", "loss", "of_a_new_method"})
    assert first.startswith("figures of the validation split")
    assert [line.split(":")[0] for line in lines] == ["  loss", "  listener_motion"]
    assert not list(explained({"of_a_new_method"}))
