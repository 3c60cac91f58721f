"""Every way to answer a speaker with a listener, by one name or one run directory.

Names stand for what needs no training; anything that was trained is a run directory, or the name
of bundled weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import weights
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.store import ClipStore, data_config
from dimcli.models.base import Baseline
from dimcli.models.baseline_listener import BaselineListener
from dimcli.models.baseline_presets import baseline_preset
from dimcli.models.checkpoint import CONFIG, load_run
from dimcli.models.config import RunConfig, read_config
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.listener import generate_listener, load_listener
from dimcli.models.dim.online_listener import generate_online, require_causal
from dimcli.models.nearest import Nearest
from dimcli.models.simple import (
    MeanPredictor,
    MirrorPredictor,
    Oracle,
    RandomPredictor,
)
from dimcli.models.speech_model import SpeechModel

Floats = NDArray[np.float32]

UNTRAINED: dict[str, Callable[[ClipStore], Predictor]] = {
    "mean": MeanPredictor.fit,
    "random": RandomPredictor.fit,
    "mirror": lambda store: MirrorPredictor(),
    "oracle": Oracle.fit,
    "nearest-audio": lambda store: _nearest(store, "nearest-audio"),
    "nearest-motion": lambda store: _nearest(store, "nearest-motion"),
}
"""Methods that take what they need from a data set at once; ``oracle`` from a synthetic one."""


class TrainedListener(Protocol):
    """A trained model of any method that generates listeners."""

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        ...

    def generate(
        self,
        speaker: Motion,
        audio: Floats,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
        attitude: str = "unknown",
    ) -> Motion:
        """A listener for ``speaker``; see :func:`dimcli.models.dim.listener.generate_listener`.

        A method that has no use for ``temperature``, ``steps`` or ``attitude`` ignores it.
        """
        ...


@dataclass(frozen=True)
class DIMListener:
    """A fine-tuned DIM; ``online`` answers as a stream (:mod:`dimcli.models.dim.online_listener`),
    and so in one pass: ``steps`` is then ignored."""

    model: DIM
    online: bool = False

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.model.config

    def generate(
        self,
        speaker: Motion,
        audio: Floats,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
        attitude: str = "unknown",
    ) -> Motion:
        """A listener for ``speaker``."""
        if self.online:
            return generate_online(
                self.model, speaker, audio, seed=seed, temperature=temperature, attitude=attitude
            )
        return generate_listener(
            self.model,
            speaker,
            audio,
            seed=seed,
            temperature=temperature,
            steps=steps,
            attitude=attitude,
        )


@dataclass(frozen=True)
class TrainedPredictor:
    """A trained model as a predictor, sampled as its run's configuration says, or in ``steps``."""

    listener: TrainedListener
    steps: int | None = None

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """One sample; every clip has randomness of its own."""
        expected = self.listener.config.data.audio_encoder
        if stimulus.audio_encoder != expected:
            raise InputError(
                f"clip {stimulus.id}: audio features of '{stimulus.audio_encoder}'; "
                f"the model was trained on '{expected}'"
            )
        own = np.random.SeedSequence([seed, zlib.crc32(stimulus.id.encode())])
        return self.listener.generate(
            stimulus.seen,
            stimulus.audio,
            seed=int(own.generate_state(1)[0]),
            steps=self.steps,
            attitude=stimulus.attitude,
        )


def load_trained(run: Path, device: str = "auto", *, online: bool = False) -> TrainedListener:
    """The listener of a run directory of any method. InputError when the run is for else.

    ``online`` answers as a stream; InputError for weights that can't.
    """
    if read_config(Path(run) / CONFIG).kind in ("dim", "vq"):
        model = load_listener(run, device)
        if online:
            require_causal(model)
        return DIMListener(model, online)
    if online:
        raise InputError(f"--online: is for DIM's weights; {run} is of another method")
    loaded = load_run(run, choose_device(device)).model
    assert isinstance(loaded, Baseline | Nearest)
    if isinstance(loaded, SpeechModel):
        raise InputError(f"{run}: generates speakers, not listeners; see dim eval --task speaker")
    return BaselineListener(loaded)


def load_predictor(
    name: str | Path,
    store: ClipStore,
    device: str = "auto",
    *,
    online: bool = False,
    steps: int | None = None,
) -> Predictor:
    """The predictor of a run directory, of bundled weights, or of a method that needs no training.

    ``store`` is what untrained methods draw on (its train split); ``online`` lets trained ones
    answer as a stream, on the store's audio features as they are, and ``steps`` is for them, too.
    Raises InputError that lists the names when ``name`` is none of them and no run directory.
    """
    if str(name) in UNTRAINED:
        return UNTRAINED[str(name)](store)
    try:
        run = weights.resolve(str(name))
    except InputError as error:
        raise InputError(f"{error}; without training: {', '.join(UNTRAINED)}") from None
    listener = load_trained(run, device, online=online)
    _require_same_data(listener.config, store, str(name))
    return TrainedPredictor(listener, steps)


def _require_same_data(config: RunConfig, store: ClipStore, name: str) -> None:
    for field in ("fps", "space", "audio_encoder", "audio_dim"):
        trained, found = getattr(config.data, field), getattr(store.info, field)
        if trained != found:
            raise InputError(f"{name}: trained at {field} {trained}; {store.root} has {found}")


def _nearest(store: ClipStore, method: str) -> Predictor:
    config = replace(baseline_preset("small", method), data=data_config(store))
    return TrainedPredictor(BaselineListener(Nearest.fit(store, config)))
