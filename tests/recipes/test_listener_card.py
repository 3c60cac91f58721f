"""The cards of the bundled listeners are what their program writes of the weights that are here."""

import re
from pathlib import Path

import pytest
import yaml

import weights
from examples.recipes.build_listener_card import CARD, CARDS, beside, rows

FACTS = yaml.safe_load(CARDS.read_text(encoding="utf-8"))


def card(name: str) -> str:
    return (Path(weights.resolve(name)) / "README.md").read_text(encoding="utf-8")


def check_prose(text: str, prose: str) -> None:
    """Fail unless ``text`` has all of the ``prose``, in its order, around what is in braces."""
    at = 0
    for piece in re.split(r"\{[^{}]+\}", prose):  # between them are figures
        assert piece in text[at:], piece
        at = text.index(piece, at) + len(piece)


@pytest.mark.parametrize("name", FACTS)
def test_a_card_has_the_programs_prose_and_the_registrys_hash(name: str) -> None:
    prose = CARD.read_text(encoding="utf-8").replace("{name}", name)
    for key, value in FACTS[name].items():
        prose = prose.replace(f"{{{key}}}", value)
    settings = yaml.safe_load((Path(weights.resolve(name)) / "config.yaml").read_text())
    for key, value in settings["generation"].items():
        prose = prose.replace(f"{{generation[{key}]:g}}", f"{value:g}")
    check_prose(card(name), prose)
    assert weights.registry()["runs"][name]["sha256"] in card(name)


def test_a_live_listeners_behaviour_stands_beside_the_other_ones() -> None:
    line = "| nods a minute | 19 | {} | {} [1, 2] | 1.1 |"
    face, voice = ("\n".join(["6 videos.", line.format(*of)]) for of in ((1, 2), (3, 4)))
    every = rows(card("listener-small").split("## On real speakers")[1])
    printed = [
        "\n".join(
            [text, *(f"| {one} | 0 | 0 | 0 | - |" for one in every if one != "nods a minute")]
        )
        for text in (face, voice)
    ]
    made = beside(*printed)
    real, small, with_face, heard, *motion = rows_of(made, "nods a minute")
    assert (real, with_face, heard) == ("19", "2 [1, 2]", "4 [1, 2]")
    assert small == every["nods a minute"][2]
    assert motion == [every["nods a minute"][1], "1", "3"]
    assert "**Voice alone.** 6 videos." in made
    unrendered = "\n".join(["6 answers.", "| nods a minute | 19 | 2 |"])
    made = beside(unrendered, unrendered)
    assert rows_of(made, "nods a minute") == ["19", every["nods a minute"][1], "2", "2"]


def rows_of(text: str, figure: str) -> list[str]:
    (line,) = (one for one in text.splitlines() if one.startswith(f"| {figure} |"))
    return line.strip("| ").split(" | ")[1:]
