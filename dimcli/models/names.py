"""What can be said of presets and methods without importing torch, which takes seconds."""

from __future__ import annotations

import ast
import pkgutil
from pathlib import Path

import dimcli.models

PRESETS = {
    "paper": "sizes and training of the paper, for a GPU",
    "released-sizes": "the released code's sizes",
    "small": "what listener-small is",
    "live": "what listener-live is: answers a stream",
    "speaker": "what speaker-small is",
    "table": "smaller, for whole tables on a CPU",
    "tiny": "a second of training, for trying commands",
}
"""Names of the presets, and what each is for."""

ADAPT = "adapt"
"""The preset of fine-tuning for a trained model that goes on with little data: the model's own
settings, trained as :data:`dimcli.models.config.ADAPTATION` says."""
ADAPTS = "a trained listener goes on with little data"


def trained_methods() -> tuple[str, ...]:
    """Names of the methods that are trained, read from the files that register them: of each call
    of ``Method`` with a ``build`` or a ``fit``, the first word."""
    names = set()
    for module in pkgutil.iter_modules(dimcli.models.__path__):
        finder = module.module_finder
        folder = Path(getattr(finder, "path", ""))
        path = folder / module.name / "method.py" if module.ispkg else folder / f"{module.name}.py"
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(ast.Name("Method"), [ast.Constant(str() as name), *_], keywords):
                    if {"build", "fit"} & {keyword.arg for keyword in keywords}:
                        names.add(name)
    return tuple(sorted(names))
