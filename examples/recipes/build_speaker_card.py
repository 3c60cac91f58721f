"""Make a trained speaker's folder of ``weights/``: its weights in 16 bits, its settings, its card.

python -m tests.bench speaker > speech.md                    # DIM_SPEAKER=RUN, DIM_CLIPS=real clips
DIM_ONLINE=1 python -m tests.bench speaker > online.md
python -m examples.recipes.build_speaker_card RUN speech.md online.md -o weights/speaker-small

RUN may be the folder itself: then the card is made anew. Every figure of the card is measured here,
by ``dim eval`` on the held-out voices, or by the benchmark; ``speaker_card.md`` has the prose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dimcli.evaluation.scores import Figure, MethodScores
from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation
from dimcli.jobs.generate import LEAD_S
from dimcli.models.dim.online import LOOK_AHEAD_S
from examples.recipes import cards

CARD = Path(__file__).with_name("speaker_card.md")
BASELINES = ("loudness", "mean")
COLUMNS = {"lip_correlation": "correlation", "closure_hits": "closures, %"}
ON_THE_HEAD = {"lve": "LVE, mm", "fdd": "FDD, mm"}
TIMES = {"closure_hits": 100.0, "lve": 1000.0, "fdd": 1000.0}
"""What a figure is multiplied by: closures are shares, lengths metres."""


def table(methods: tuple[MethodScores, ...]) -> str:
    """A Markdown table of the first method over each kind of voice, and of all over all voices."""
    heads = ["", *COLUMNS.values(), *ON_THE_HEAD.values()]
    lines = [heads, ["---", *("---:" for _ in heads[1:])]]
    own, *others = methods
    for part in own.figures:
        if part.startswith("lips, "):
            lips = [_cell(own, part, name) for name in COLUMNS]
            lines.append([part.removeprefix("lips, "), *lips, *("" for _ in ON_THE_HEAD)])
    for method in (own, *others):
        cells = [_cell(method, "lips", name) for name in COLUMNS]
        cells += [_cell(method, "open head", name) for name in ON_THE_HEAD]
        lines.append(["all voices" if method is own else f"{method.name}, all voices", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(method: MethodScores, part: str, name: str) -> str:
    figure: Figure | None = method.figures[part].get(name)
    if figure is None:
        return "-"
    numbers = (figure.value, figure.low, figure.high)
    value, low, high = (
        "-" if each is None else f"{TIMES.get(name, 1.0) * each:.3g}" for each in numbers
    )
    return f"{value} [{low}, {high}]"


def main(
    run: Path,
    speech: Path,
    online: Path,
    output: Annotated[Path, typer.Option("-o")] = Path("weights/speaker-small"),
) -> None:
    """Write the folder ``output``, and print what the registry must say."""
    facts: dict[str, Any] = cards.packed(run, output)
    result = run_evaluation(
        EvaluationOptions(
            dataset="synthetic",
            task="speaker",
            weights=[f"{output.name}={run}"],
            baselines=BASELINES,
        )
    ).evaluation
    facts |= {
        "clips": result.clips,
        "minutes": result.minutes,
        "scores": table(result.methods),
        "speech": cards.printed(speech),
        "online": cards.printed(online),
        "lead_s": LEAD_S,
        "ahead_s": LOOK_AHEAD_S,
    }
    cards.write(output, CARD, facts)


if __name__ == "__main__":
    typer.run(main)
