"""The bundled speaker's card is what its program writes of the weights that are here."""

from pathlib import Path

import weights
from dimcli.evaluation.scores import Figure, MethodScores
from examples.recipes import cards
from examples.recipes.build_speaker_card import CARD, table
from tests.recipes.test_listener_card import card, check_prose
from weights import DEFAULT_SPEAKER

FOLDER = Path(weights.resolve(DEFAULT_SPEAKER))


class Measured:
    """Stands for a figure in prose, however it is to be written."""

    def __format__(self, how: str) -> str:
        return "{measured}"


def test_a_card_has_the_programs_prose_and_the_facts_of_the_weights(tmp_path: Path) -> None:
    facts = cards.packed(FOLDER, tmp_path / DEFAULT_SPEAKER)
    # what is in 16 bits already stays the same to the byte
    assert weights.registry()["runs"][DEFAULT_SPEAKER]["sha256"] == facts["sha256"]
    for name in ("model.safetensors", "config.yaml", "metrics.jsonl"):
        made = tmp_path / DEFAULT_SPEAKER / name
        assert made.read_bytes() == (FOLDER / name).read_bytes()
    measured = ("clips", "minutes", "scores", "speech", "online", "lead_s", "ahead_s")
    prose = CARD.read_text(encoding="utf-8")
    known = prose.format(**facts | dict.fromkeys(measured, Measured()))
    check_prose(card(DEFAULT_SPEAKER), known)


def test_a_card_gives_each_kind_of_voice_and_all_beside_what_needs_no_training() -> None:
    lips = {"lip_correlation": Figure(0.5, None, 0.4, 0.6), "closure_hits": Figure(0.9)}
    head = {"lve": Figure(0.002, None, 0.001, 0.003)}
    own = MethodScores("mine", {"lips": lips, "lips, old voices": lips, "open head": head})
    other = MethodScores("mean", {"lips": {}, "open head": head})
    lines = table((own, other)).splitlines()
    assert lines[2:] == [
        "| old voices | 0.5 [0.4, 0.6] | 90 [-, -] |  |  |",
        "| all voices | 0.5 [0.4, 0.6] | 90 [-, -] | 2 [1, 3] | - |",
        "| mean, all voices | - | - | 2 [1, 3] | - |",
    ]


def test_what_a_benchmark_printed_stands_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "out.md").write_text("## speaker\n| a | b |\n\nMedian 1.\n")
    assert cards.printed(tmp_path / "out.md") == "| a | b |\n\nMedian 1."
