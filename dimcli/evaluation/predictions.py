"""A method's predictions for a split in a file: computed once, scored as often as one likes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.core.tensors import save_tensors
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.store import INDEX, ClipStore

_ORIGIN = "made_from"


@dataclass(frozen=True)
class StoredPredictor:
    """Gives back the motion that ``path`` holds: float32 [T, 56] by clip and seed."""

    path: Path

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The stored answer. Raises InputError where there is none."""
        key = _key(stimulus.id, seed)
        with safe_open(self.path, framework="numpy") as file:
            if key not in file.keys():  # noqa: SIM118  not a dictionary
                raise InputError(f"{self.path}: no answer to {stimulus.id} with seed {seed}")
            values = np.asarray(file.get_tensor(key))
        return Motion(values, fps=stimulus.fps, space=stimulus.space)


def store_predictions(
    path: Path,
    predictor: Predictor,
    store: ClipStore,
    split: str,
    *,
    seeds: range,
    origin: str,
    progress: Progress = silent,
    stage: str = "predicting",
) -> StoredPredictor:
    """Answer every clip of ``split`` with every seed of ``seeds`` into ``path``, whole or not at
    all. ``origin`` (see :func:`identity`) is stored with them."""
    records = store.clips(split)
    answers = {}
    for index, record in enumerate(records):
        stimulus = store.load(record).stimulus()
        for seed in seeds:
            values = predictor.predict(stimulus, seed).values
            answers[_key(record.id, seed)] = torch.from_numpy(np.ascontiguousarray(values))
        progress(stage, index + 1, len(records))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(answers, path, notes={_ORIGIN: origin})
    return StoredPredictor(path)


def stored_predictions(path: Path, origin: str) -> StoredPredictor | None:
    """The predictions in ``path``, if they have this ``origin``."""
    if not path.is_file():
        return None
    with safe_open(path, framework="numpy") as file:
        same = (file.metadata() or {}).get(_ORIGIN) == origin
    return StoredPredictor(path) if same else None


def identity(store: ClipStore, model: Path | None, *words: object) -> str:
    """What predictions depend on: the data set's index, the weights file ``model``, and words."""
    parts = [hashlib.sha256((store.root / INDEX).read_bytes()).hexdigest()]
    if model is not None:
        parts.append(hashlib.sha256(model.read_bytes()).hexdigest())
    return " ".join([*parts, *map(str, words)])


def _key(clip: str, seed: int) -> str:
    return f"{clip}:{seed}"
