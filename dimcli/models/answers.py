"""From the name of a run, of bundled weights or of a method to what answers a stimulus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import weights
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.folds import Folds, folder
from dimcli.data.store import ClipStore, data_config
from dimcli.models.chain import require_fit
from dimcli.models.checkpoint import CONFIG, load_run
from dimcli.models.config import PRIOR, find_run
from dimcli.models.registry import (
    Model,
    ModelPredictor,
    method_of_kind,
    methods,
    of_other_role,
    read_config,
    untrained,
)


def load_model(
    run: Path, role: str = "listener", device: str = "auto", *, online: bool = False
) -> Model:
    """The model of a run directory of any method that generates ``role``.

    ``online`` answers as a stream. Raises InputError when the run is for else, or can't.
    """
    run = Path(run)
    config = read_config(run / CONFIG)
    found = method_of_kind(config.kind)
    if role not in found.roles:
        raise of_other_role(run, found, role)
    if online and found.open is None:
        raise InputError(f"--online: is for DIM's weights; {run} is of another method")
    if config.stage == PRIOR:
        raise InputError(f"{run}: the first stage of {found.name}; give the run that it lies in")
    loaded = load_run(run, choose_device(device), config)
    if found.open is not None:
        return found.open(loaded, run, role, online)
    return loaded.model  # type: ignore[return-value]


def load_predictor(
    name: str | Path,
    store: ClipStore,
    role: str = "listener",
    device: str = "auto",
    *,
    online: bool = False,
    steps: int | None = None,
) -> Predictor:
    """What answers as ``role``: a run directory, bundled weights, or a method without training.

    ``store`` is what untrained methods draw on (its train split); ``online`` lets trained ones
    answer as a stream, on the store's audio features as they are (zeros where it has no sound), and
    ``steps`` is for them, too. Raises InputError that lists the names when ``name`` is none of them
    and no run directory.
    """
    method = untrained(str(name), role)
    if method is not None and method.untrained is not None:
        return method.untrained(store, role)
    try:
        run = find_run(name, "--weights")
    except InputError as error:
        known = ", ".join(methods(role, untrained=True))
        raise InputError(f"{error}; without training: {known}") from None
    model = load_model(run, role, device, online=online)
    require_fit(model.config.data, name, data_config(store), store.root, hears=True)
    return ModelPredictor(model, steps)


@dataclass(frozen=True)
class FoldedPredictor:
    """Answers each clip as the fold does that is tested on it."""

    folds: Folds
    predictors: Mapping[int, Predictor]

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """One sample of the fold's model."""
        return self.predictors[self.folds.of[stimulus.conversation]].predict(stimulus, seed)


def load_folded(
    name: str | Path, store: ClipStore, drawn: Folds, role: str = "listener", device: str = "auto"
) -> Predictor:
    """What answers as ``role``, of which no part has learnt from the clip that it answers.

    ``name`` is a run that was trained in the same folds, bundled weights, or a method without
    training, which draws on each fold's train split. Raises InputError.
    """
    if untrained(str(name), role) is None:
        run = find_run(name, "--weights")
        if str(name) in weights.registry()["runs"]:
            return load_predictor(name, store, role, device)
        if Folds.read(run, store) != drawn:
            raise InputError(f"--folds: those of {name} are others than those before; train alike")
        places = {fold: folder(run, fold) for fold in range(1, drawn.count + 1)}
    else:
        places = dict.fromkeys(range(1, drawn.count + 1), Path(name))
    return FoldedPredictor(
        drawn,
        {
            fold: load_predictor(place, ClipStore(store.root, drawn.splits(fold)), role, device)
            for fold, place in places.items()
        },
    )
