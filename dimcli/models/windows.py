"""Whole clips through a model: what it takes, overlapping windows, what may come out.

Axes: N steps of a window, S frames a step, D features, T frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, JAW, Floats, Motion
from dimcli.data.clip import ATTITUDES, DataConfig, Stimulus
from dimcli.data.windows import rest


@dataclass(frozen=True)
class Window:
    """Steps ``start`` to ``stop`` (exclusive); the last window had the first ``known`` of them."""

    start: int
    stop: int
    known: int


def windows(total: int, size: int, overlap: int) -> Iterator[Window]:
    """Windows of at most ``size`` steps that cover ``total``, each ``overlap`` into the last or,
    at the end, further, so that the last one is no shorter than the others."""
    start = done = 0
    while True:
        stop = min(start + size, total)
        yield Window(start, stop, done - start)
        done = stop
        if done == total:
            return
        start = min(done - overlap, total - size)


class Track:
    """Frames [N * S, D] that windows are written into; where two overlap, they cross-fade."""

    def __init__(self, steps: int, stride: int, columns: int) -> None:
        self.stride = stride
        self.frames = torch.zeros(steps * stride, columns)

    def write(self, window: Window, frames: Tensor) -> None:
        """Put in a window's ``frames`` [(stop - start) * S, D]."""
        first, last = window.start * self.stride, window.stop * self.stride
        shared = window.known * self.stride
        fresh = frames.float().cpu()
        fade = (torch.arange(shared)[:, None] + 1) / (shared + 1)
        old = self.frames[first : first + shared]
        self.frames[first : first + shared] = old * (1 - fade) + fresh[:shared] * fade
        self.frames[first + shared : last] = fresh[shared:]


def check_stimulus(data: DataConfig, stimulus: Stimulus) -> None:
    """Raise InputError unless a model trained on ``data`` can answer ``stimulus``."""
    audio, speaker = stimulus.audio, stimulus.speaker
    if speaker is not None:
        speaker.require_space(data.space)
        if abs(speaker.fps - data.fps) > 1e-6:
            raise InputError(
                f"speaker motion runs at {speaker.fps:g} fps and the model at {data.fps:g}; "
                "resample it first"
            )
        if len(speaker) == 0:
            raise InputError("speaker motion is empty; expected at least one frame")
    frames = len(audio) if speaker is None else len(speaker)
    if audio.shape != (frames, data.audio_dim):
        raise InputError(
            f"audio features have shape {audio.shape}; expected ({frames}, "
            f"{data.audio_dim}) of the '{data.audio_encoder}' encoder, a row a frame"
        )
    if frames == 0:
        raise InputError("speech is empty; expected at least one frame")
    if not np.isfinite(audio).all():
        raise InputError("audio features have NaN or infinite values")
    if stimulus.attitude not in ATTITUDES:
        raise InputError(
            f"attitude is '{stimulus.attitude}'; expected one of {', '.join(ATTITUDES)}"
        )


def speaker_values(speaker: Motion, centred: bool) -> Floats:
    """The speaker's motion [T, 56]; ``centred`` about its median where a face was seen."""
    if not centred:
        return speaker.values
    return speaker.values - rest(
        speaker.values[speaker.valid] if speaker.valid.any() else speaker.values
    )


def clip_to_range(values: Floats, space: str) -> Floats:
    """``values`` [T, 56], changed in place: ARKit expressions are shares, and the jaw does not
    close past its rest."""
    if space == "arkit":
        values[:, EXPRESSION] = values[:, EXPRESSION].clip(0.0, 1.0)
        values[:, JAW.start] = values[:, JAW.start].clip(0.0)
    return values
