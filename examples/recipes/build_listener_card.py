"""Make a trained listener's folder of ``weights/``: its weights in 16 bits, its settings, its card.

python -m tests.bench behaviour > behaviour.md       # DIM_WEIGHTS=RUN, DIM_CLIPS=real clips
python -m tests.bench timing > timing.md             # DIM_DATA=DATA, DIM_TIMING_CLIPS=240
python -m examples.recipes.build_listener_card RUN DATA behaviour.md timing.md \\
    -o weights/listener-small

For ``listener-live`` both take DIM_ONLINE=1, the first runs again with DIM_VOICE=1, too, and
``--voice voice.md`` gives what it printed of a voice alone. Every figure of the card is measured
here or by the benchmark; ``listener_card.md`` has the prose, ``listener_cards.yaml`` what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

import weights
from dimcli.core.motion import Motion
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.store import ClipStore
from dimcli.evaluation.protocols import evaluate
from dimcli.models.answers import load_predictor
from examples.recipes import cards
from weights import DEFAULT_LISTENER, LIVE_LISTENER

METHODS = ("oracle", "random", "mean", "mirror")
VOICE = f"{LIVE_LISTENER}, voice alone"
NAMES = {
    "oracle": "oracle (the rule itself, drawn anew)",
    "random": "random clip of the train split",
    "mean": "mean frame",
    "mirror": "mirror (the speaker, smoothed)",
    LIVE_LISTENER: f"**{LIVE_LISTENER}**, face and voice",
    VOICE: f"**{LIVE_LISTENER}**, voice alone",
}
FIGURES = {"fd": "FD", "p_fd": "P-FD", "mse": "MSE", "sid": "SID"}
PARTS = {"expression": 1.0, "pose": 1000.0}
CARD = Path(__file__).with_name("listener_card.md")
CARDS = CARD.with_name("listener_cards.yaml")


@dataclass(frozen=True)
class Unseen:
    """A predictor that is shown no face."""

    predictor: Predictor

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The answer to the voice alone."""
        return self.predictor.predict(replace(stimulus, speaker=None), seed)


def scored(run: Path, data: Path, name: str) -> tuple[str, dict[str, Any]]:
    """What was scored on the test clips of ``data``, in words, and the figures."""
    store = ClipStore(data)
    live = name == LIVE_LISTENER
    predictors = {name: load_predictor(run, store, online=live)}
    words = ["dim", "eval", "--dataset", "synthetic", "--data", "data", "--weights", name]
    command = " ".join([*words, *(word for one in METHODS for word in ("--baseline", one))])
    said = f"`{command}`"
    if live:
        predictors[VOICE] = Unseen(predictors[name])
        predictors[DEFAULT_LISTENER] = load_predictor(DEFAULT_LISTENER, store)
        said = (
            f"`{command} --online`, the same without the speaker's motion, and "
            f"`{DEFAULT_LISTENER}`, which reads the whole clip"
        )
    predictors |= {one: load_predictor(one, store) for one in METHODS}
    figures = evaluate(store, "test", predictors, bounds=["oracle"], families=["behaviour"])
    return said, figures.as_dict()


def table(methods: list[dict[str, Any]]) -> str:
    """A Markdown table of the ``methods``' figures with their intervals."""
    heads = [f"{figure} {part}" for part in PARTS for figure in FIGURES.values()]
    rows = [["predictor", *heads], ["---", *("---:" for _ in heads)]]
    bold = len(methods) == len(METHODS) + 1
    for method in methods:
        name = method["name"]
        cells = [NAMES.get(name, f"**{name}**" if bold else name)]
        for part, factor in PARTS.items():
            for figure in FIGURES:
                found = method["figures"][part][figure]
                scale = factor if figure != "sid" else 1.0
                value, low, high = (f"{scale * found[k]:.3g}" for k in ("value", "low", "high"))
                cells.append(f"{value} [{low}, {high}]")
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def nods(behaviour: dict[str, Any]) -> str:
    """A Markdown table of nods a minute at the speaker's pauses and elsewhere, with intervals."""
    columns = {"nods_at_pauses_a_minute": "at pauses", "nods_elsewhere_a_minute": "elsewhere"}
    rows = [["nods a minute", *columns.values()], ["---", "---:", "---:"]]
    for name, parts in behaviour.items():
        found = {key: value for part in parts.values() for key, value in part.items()}
        if found["nods_a_minute"]["value"]:
            row = [NAMES.get(name, name)]
            for key in columns:
                value, low, high = (f"{found[key][k]:.1f}" for k in ("value", "low", "high"))
                row.append(f"{value} [{low}, {high}]")
            rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measured(path: Path) -> str:
    """What the benchmark printed, without its progress."""
    return path.read_text(encoding="utf-8").split("\n\n", 1)[1].strip()


def rows(text: str) -> dict[str, list[str]]:
    """The benchmark's table in ``text``: figures by name, each the cells after it, real listeners'
    and the motion's and, where videos were rendered, two more."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines if len(line) in (3, 5)}


def beside(face: str, voice: str) -> str:
    """The benchmark's tables of a listener with a face and with a voice alone, beside those of
    ``listener-small``, whose card has them; and what else it printed of the two."""
    card = (Path(weights.resolve(DEFAULT_LISTENER)) / "README.md").read_text(encoding="utf-8")
    tables = [rows(card.split("## On real speakers")[1]), rows(face), rows(voice)]
    rendered = all(len(cells) > 2 for one in tables for cells in one.values())
    columns = {"rendered video": 2, "motion": 1} if rendered else {"motion": 1}
    heads = ["", "real listeners"]
    for what in columns:
        heads += [f"{DEFAULT_LISTENER}, {what}", f"face and voice, {what}", f"voice, {what}"]
    lines = [heads, ["---"] * len(heads)]
    for figure, (real, *_) in tables[1].items():
        found = [one[figure] for one in tables]
        cells = [one[column] for column in columns.values() for one in found]
        cells = ["-" if cell == "nan" else cell for cell in cells]  # lips are seen in videos only
        lines.append([figure, real, *cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = []
    for title, text in (("Face and voice", face), ("Voice alone", voice)):
        kept = "\n".join(line for line in text.splitlines() if not line.startswith("|")).strip()
        said.append(f"**{title}.** {kept}")
    return "\n\n".join([table, *said])


def main(
    run: Path,
    data: Path,
    behaviour: Path,
    timing: Path,
    output: Annotated[Path, typer.Option("-o")] = Path("weights/listener-small"),
    voice: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Write the folder ``output``, and print what the registry must say."""
    facts = cards.packed(run, output)
    command, found = scored(run, data, output.name)
    said = yaml.safe_load(CARDS.read_text(encoding="utf-8"))[output.name]
    facts |= {
        "command": command,
        "clips": found["clips"],
        "scores": table(found["methods"]),
        "nods": nods(found["families"][0]["figures"]),
        "timing": measured(timing),
        "recipe": ClipStore(data).info.made_by["recipe_version"],
        "behaviour": beside(measured(behaviour), measured(voice)) if voice else measured(behaviour),
        "found": "",
    }
    said = {name: text.format(**facts) for name, text in said.items()}
    cards.write(output, CARD, facts | said)


if __name__ == "__main__":
    typer.run(main)
