"""What goes into a listener model of any method, and what comes out, in whole clips.

Axes: T frames, A audio features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, Motion
from dimcli.data.clip import ATTITUDES, DataConfig
from dimcli.data.windows import rest

Floats = NDArray[np.float32]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for what happens inside.

    Steps this small lose more to threads that wait for each other than they win by them: a
    little other work on the machine makes two threads twenty times slower than one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_speaker(data: DataConfig, speaker: Motion, audio: Floats, attitude: str) -> None:
    """Raise InputError unless the speaker is what a model trained on ``data`` takes."""
    speaker.require_space(data.space)
    if abs(speaker.fps - data.fps) > 1e-6:
        raise InputError(
            f"speaker motion runs at {speaker.fps:g} fps and the model at {data.fps:g}; "
            "resample it first"
        )
    if len(speaker) == 0:
        raise InputError("speaker motion is empty; expected at least one frame")
    if audio.shape != (len(speaker), data.audio_dim):
        raise InputError(
            f"audio features have shape {audio.shape}; expected ({len(speaker)}, "
            f"{data.audio_dim}) of the '{data.audio_encoder}' encoder, a row a frame"
        )
    if not np.isfinite(audio).all():
        raise InputError("audio features have NaN or infinite values")
    if attitude not in ATTITUDES:
        raise InputError(f"attitude is '{attitude}'; expected one of {', '.join(ATTITUDES)}")


def speaker_values(speaker: Motion, centred: bool) -> Floats:
    """The speaker's motion [T, 56]; ``centred`` about its median where a face was seen."""
    if not centred:
        return speaker.values
    return speaker.values - rest(
        speaker.values[speaker.valid] if speaker.valid.any() else speaker.values
    )


def plausible(values: Floats, space: str) -> Floats:
    """ARKit expressions are shares and the jaw does not close past its rest."""
    if space == "arkit":
        values[:, EXPRESSION] = values[:, EXPRESSION].clip(0.0, 1.0)
        values[:, 3] = values[:, 3].clip(0.0)
    return values
