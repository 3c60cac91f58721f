"""What the cards of all bundled weights share: a run's files in 16 bits, and facts about them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from dimcli.core.tensors import read_tensors, save_tensors


def packed(run: Path, output: Path) -> dict[str, Any]:
    """Write the weights of ``run`` in 16 bits, its settings and its log into the folder ``output``
    (``run`` may be that folder), and return what a card says of them: ``name``, ``parameters`` and
    ``vq_parameters`` (millions), ``megabytes``, ``sha256``, the best ``step`` by validation, and
    the ``config``, and of it the settings of ``generation``."""
    output.mkdir(exist_ok=True)
    tensors = read_tensors(run / "model.safetensors")
    model = output / "model.safetensors"
    halves = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_tensors(halves, model)
    if run.resolve() != output.resolve():
        for name in ("config.yaml", "metrics.jsonl"):
            shutil.copyfile(run / name, output / name)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = min((one for one in logged if one["split"] == "val"), key=lambda one: one["loss"])
    config = yaml.safe_load((output / "config.yaml").read_text(encoding="utf-8"))
    sizes = {name: tensor.numel() / 1e6 for name, tensor in tensors.items()}
    return {
        "name": output.name,
        "parameters": sum(sizes.values()),
        "vq_parameters": sum(size for name, size in sizes.items() if name.startswith("vq.")),
        "megabytes": model.stat().st_size / 1e6,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "step": best["step"],
        "config": config,
        "generation": config["generation"],
    }


def printed(path: Path) -> str:
    """What a benchmark printed into a file, without its name and its progress."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("## ")).strip()


def write(output: Path, prose: Path, facts: dict[str, Any]) -> None:
    """The card of the folder ``output``: its ``prose`` with the ``facts`` in their places. Prints
    what the registry must say."""
    card = prose.read_text(encoding="utf-8").format(**facts)
    (output / "README.md").write_text(card, encoding="utf-8")
    print(f"{output}: sha256 {facts['sha256']}; write it into weights/registry.yaml")
