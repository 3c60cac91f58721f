"""What models are asked and how they answer, in a line each."""

from pathlib import Path

import numpy as np
from torch import nn

from dimcli.core.config import write_config
from dimcli.core.motion import Motion
from dimcli.core.tensors import save_tensors
from dimcli.data.clip import Stimulus
from dimcli.models.checkpoint import CONFIG, MODEL
from dimcli.models.config import RunConfig
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import generate
from dimcli.models.dim.online import OnlineModel
from dimcli.models.registry import Model


def stimulus(audio: np.ndarray, speaker: Motion | None = None, **facts: str) -> Stimulus:
    """A clip of which ``audio`` [T, A] is heard and ``speaker`` is seen, by default nobody."""
    fps = 25.0 if speaker is None else speaker.fps
    space = "arkit" if speaker is None else speaker.space
    return Stimulus("made", audio, "mel", fps, space, speaker, **facts)


def answer(model: Model, speaker: Motion, audio: np.ndarray, **how: object) -> Motion:
    """A listener by a model of any method."""
    return model.answer(stimulus(audio, speaker), **how)


def generate_listener(
    model: DIM, speaker: Motion, audio: np.ndarray, *, attitude: str = "unknown", **how: object
) -> Motion:
    """A listener by DIM."""
    return generate(model, "listener", stimulus(audio, speaker, attitude=attitude), **how)


def generate_speaker(
    model: DIM, audio: np.ndarray, *, style: str = "unknown", **how: object
) -> Motion:
    """A speaker by DIM."""
    return generate(model, "speaker", stimulus(audio, style=style), **how)


def generate_online(model: DIM, speaker: Motion, audio: np.ndarray, **how: object) -> Motion:
    """A listener by DIM as a stream."""
    return answer(OnlineModel(model, "listener"), speaker, audio, **how)


def write_run(config: RunConfig, model: nn.Module, directory: Path, half: bool = False) -> None:
    """A run directory that holds ``model``."""
    directory.mkdir(parents=True, exist_ok=True)
    write_config(config, directory / CONFIG)
    tensors = model.state_dict()
    if half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_tensors(tensors, directory / MODEL)
