"""A method's predictions for a split in a file: computed once, scored as often as one likes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Motion
from dimcli.core.progress import Progress, silent
from dimcli.core.tensors import save_tensors
from dimcli.data.clip import ClipRecord, Predictor, Stimulus
from dimcli.data.store import INDEX, ClipStore
from dimcli.data.workers import Engine, each_done
from dimcli.models.checkpoint import CONFIG, MODEL

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
    records: Sequence[ClipRecord],
    *,
    seeds: range,
    origin: str,
    progress: Progress = silent,
    stage: str = "predicting",
) -> StoredPredictor:
    """Answer the clips ``records`` with every seed of ``seeds`` into ``path``, whole or not at all.
    ``origin`` (see :func:`identity`) is stored with them."""
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


@dataclass(frozen=True)
class KeptPredictor:
    """Gives back what :func:`predict_elsewhere` has put into ``folder`` for the method ``name``;
    ``made`` is called before, so that nothing is predicted that is not asked for."""

    folder: Path
    name: str
    made: Callable[[], None]

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The answer that a worker made."""
        self.made()
        values = np.load(_kept(self.folder, self.name, stimulus.id, seed))
        return Motion(values, fps=stimulus.fps, space=stimulus.space)


Loading = Callable[[], tuple[ClipStore, Mapping[str, Predictor]]]


def predict_elsewhere(
    load: Loading,
    records: Sequence[ClipRecord],
    folder: Path,
    *,
    role: str,
    seeds: range,
    engine: Engine,
    progress: Progress = silent,
) -> None:
    """Let the workers of ``engine`` answer ``records`` as ``role``, with every seed, into
    ``folder``. ``load`` is a picklable call that gives the store and the methods by name; each
    process makes it once."""
    made = pickle.dumps(load)
    calls = [(_answers, (made, record, role, seeds)) for record in records]
    with closing(each_done(calls, engine)) as results:
        for done, (clip, answers) in enumerate(results, start=1):
            for (name, seed), values in answers.items():
                np.save(_kept(folder, name, clip, seed), values)
            progress("predicting clips", done, len(records))


@lru_cache(maxsize=1)
def _loaded(made: bytes) -> tuple[ClipStore, Mapping[str, Predictor]]:
    loaded: tuple[ClipStore, Mapping[str, Predictor]] = pickle.loads(made)()
    return loaded


def _answers(
    made: bytes, record: ClipRecord, role: str, seeds: range
) -> tuple[str, dict[tuple[str, int], Floats]]:
    store, predictors = _loaded(made)
    stimulus = store.load(record).stimulus(role)
    return record.id, {
        (name, seed): predictor.predict(stimulus, seed).values
        for name, predictor in predictors.items()
        for seed in seeds
    }


def _kept(folder: Path, name: str, clip: str, seed: int) -> Path:
    digest = hashlib.sha256(f"{name}\n{clip}\n{seed}".encode()).hexdigest()
    return folder / f"{digest[:32]}.npy"


def identity(store: ClipStore, run: Path | None, *words: object) -> str:
    """What predictions depend on: the data set's index, the weights and settings of a ``run``, and
    words."""
    parts = [hashlib.sha256((store.root / INDEX).read_bytes()).hexdigest()]
    for path in (run / MODEL, run / CONFIG) if run is not None else ():
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return " ".join([*parts, *map(str, words)])


def _key(clip: str, seed: int) -> str:
    return f"{clip}:{seed}"
