"""Make a trained listener's folder of ``weights/``: its weights in 16 bits, its settings, its card.

python -m tests.bench behaviour > behaviour.md       # DIM_WEIGHTS=RUN, DIM_CLIPS=real clips
python -m examples.recipes.build_listener_card RUN DATA behaviour.md -o weights/listener-small

Every figure of the card is measured here or by the benchmark; ``listener_card.md`` has the prose.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dimcli.core.tensors import read_tensors, save_tensors

METHODS = ("oracle", "random", "mean", "mirror")
NAMES = {
    "oracle": "oracle (the rule itself, drawn anew)",
    "random": "random clip of the train split",
    "mean": "mean frame",
    "mirror": "mirror (the speaker, smoothed)",
}
FIGURES = {"fd": "FD", "p_fd": "P-FD", "mse": "MSE", "sid": "SID"}
PARTS = {"expression": 1.0, "pose": 1000.0}
CARD = Path(__file__).with_name("listener_card.md")


def scored(run: Path, data: Path) -> tuple[str, dict[str, Any]]:
    """The command that scores ``run`` on the test clips of ``data``, and its figures."""
    words = ["eval", "--dataset", "synthetic", "--data", "data", "--weights", "listener-small"]
    words += [word for name in METHODS for word in ("--baseline", name)]
    given = {"data": str(data), "listener-small": f"listener-small={run}"}
    ended = subprocess.run(
        [sys.executable, "-m", "dimcli", *(given.get(word, word) for word in words), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return " ".join(["dim", *words]), json.loads(ended.stdout)


def table(methods: list[dict[str, Any]]) -> str:
    """A Markdown table of the ``methods``' figures with their intervals."""
    heads = [f"{figure} {part}" for part in PARTS for figure in FIGURES.values()]
    rows = [["predictor", *heads], ["---", *("---:" for _ in heads)]]
    for method in methods:
        cells = [NAMES.get(method["name"], f"**{method['name']}**")]
        for part, factor in PARTS.items():
            for figure in FIGURES:
                found = method["figures"][part][figure]
                scale = factor if figure != "sid" else 1.0
                value, low, high = (f"{scale * found[k]:.3g}" for k in ("value", "low", "high"))
                cells.append(f"{value} [{low}, {high}]")
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(
    run: Path,
    data: Path,
    behaviour: Path,
    output: Annotated[Path, typer.Option("-o")] = Path("weights/listener-small"),
) -> None:
    """Write the folder ``output``, and print what the registry must say."""
    command, found = scored(run, data)
    tensors = read_tensors(run / "model.safetensors")
    model = output / "model.safetensors"
    save_tensors(tensors, model, half=True)
    for name in ("config.yaml", "metrics.jsonl"):
        shutil.copyfile(run / name, output / name)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = min((one for one in logged if one["split"] == "val"), key=lambda one: one["loss"])
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    measured = behaviour.read_text().split("\n\n", 1)[1].strip()
    card = CARD.read_text(encoding="utf-8").format(
        parameters=sum(tensor.numel() for tensor in tensors.values()) / 1e6,
        megabytes=model.stat().st_size / 1e6,
        sha256=sha256,
        step=best["step"],
        command=command,
        clips=found["clips"],
        scores=table(found["methods"]),
        behaviour=measured,
    )
    (output / "README.md").write_text(card, encoding="utf-8")
    print(f"{output}: sha256 {sha256}; write it into weights/registry.yaml")


if __name__ == "__main__":
    typer.run(main)
