"""From the name of a run, of bundled weights or of a method to what answers a stimulus."""

from __future__ import annotations

from pathlib import Path

import weights
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore, data_config
from dimcli.models.chain import require_fit
from dimcli.models.checkpoint import CONFIG, load_run
from dimcli.models.config import PRIOR
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
    config = read_config(Path(run) / CONFIG)
    found = method_of_kind(config.kind)
    if role not in found.roles:
        raise of_other_role(run, found, role)
    if found.open is not None:
        return found.open(Path(run), role, device, online)
    if online:
        raise InputError(f"--online: is for DIM's weights; {run} is of another method")
    if config.stage == PRIOR:
        raise InputError(f"{run}: the first stage of {found.name}; give the run that it lies in")
    model: Model = load_run(run, choose_device(device)).model  # type: ignore[assignment]
    return model


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
        run = weights.resolve(str(name))
    except InputError as error:
        known = ", ".join(methods(role, untrained=True))
        raise InputError(f"{error}; without training: {known}") from None
    model = load_model(run, role, device, online=online)
    require_fit(model.config.data, name, data_config(store), store.root, hears=True)
    return ModelPredictor(model, steps)
