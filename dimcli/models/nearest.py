"""Nearest Audio and Nearest Motion: the listener of the training speaker who is most alike.

A clip is answered piece by piece. For each piece, the speakers of the training data are searched
for the stretch of the same length with the smallest distance, and the listener of that stretch is
taken as it is. The distance is the squared Euclidean one between the standardised audio features,
or the standardised motion (both averaged over steps of ``step_s``), summed over the piece. Pieces
overlap by ``fade_s`` and cross-fade there. Speakers who are themselves in the training data find
themselves: answer held-out clips only.

Axes: F frames of training data, M its steps, L steps of a piece, D features, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from dimcli.core.config import Choice, Range, Section, require_range
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.core.tensors import read_tensors
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.store import ClipStore, data_config
from dimcli.data.windows import rest
from dimcli.models.baseline import (
    BaselineRun,
    InputsConfig,
    listener_of,
)
from dimcli.models.registry import Method, ModelPredictor, register
from dimcli.models.windows import Track, windows


@dataclass(frozen=True)
class NearestConfig(Section, section="nearest"):
    """Nearest Audio and Nearest Motion: which training listener is borrowed."""

    by: Annotated[str, Choice("audio", "motion")] = "audio"
    """What is compared: the speakers' ``audio`` or ``motion``."""
    segment_s: Annotated[float, Range(0.1, 60)] = 2.56
    """Length of the pieces that are looked up one after another, in seconds (64 frames at 25)."""
    step_s: Annotated[float, Range(0.01, 60)] = 0.16
    """Speakers are compared by their mean over steps of so many seconds."""
    fade_s: Annotated[float, Range(0, 30)] = 0.32
    """Seconds over which one borrowed piece goes over into the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("nearest.step_s", self.step_s, 0.01, self.segment_s)
        require_range("nearest.fade_s", self.fade_s, 0, self.segment_s / 2)


@dataclass(frozen=True)
class NearestRun(BaselineRun):
    """A run of Nearest Audio or Nearest Motion."""

    kind: str = "nearest"
    nearest: NearestConfig = field(default_factory=NearestConfig)
    """The method's own settings."""


class Nearest(nn.Module):
    """The training data of one data set, ready to be searched; nothing here learns.

    ``listener`` float16 [F, 56] is all clips one after another, each cut to whole steps;
    ``features`` float32 [M, D] describes the speaker in each step; ``clip`` long [M] counts clips;
    ``mean`` and ``std`` [D] standardise.
    """

    listener: Tensor
    features: Tensor
    clip: Tensor
    mean: Tensor
    std: Tensor
    squares: Tensor

    def __init__(self, config: NearestRun, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        for name in ("listener", "features", "clip", "mean", "std"):
            if name not in tensors:
                raise InputError(f"lacks {name}; expected what `dim train --method nearest` writes")
            self.register_buffer(name, tensors[name])
        self.register_buffer("squares", self.features.square().sum(dim=1), persistent=False)

    @classmethod
    def fit(cls, store: ClipStore, config: NearestRun) -> Nearest:
        """Take in the train split. Raises InputError when it has no clip of a step or more."""
        by, stride = config.nearest.by, step_frames(config)
        figures = store.statistics()["audio" if by == "audio" else "speaker"]
        listeners, features, clips = [], [], []
        records = store.clips("train", config.training.conversations)
        for index, record in enumerate(records):
            clip = store.load(record)
            steps = len(clip) // stride
            if not steps:
                continue
            described = clip.speaker_audio if by == "audio" else clip.speaker.values
            if by == "motion" and config.inputs.speaker_centering:
                described = described - rest(described)
            features.append(described[: steps * stride].reshape(steps, stride, -1).mean(axis=1))
            listeners.append(clip.listener.values[: steps * stride].astype(np.float16))
            clips.append(np.full(steps, index))
        if not features:
            raise InputError(f"{store.root}: no train clip is a step ({stride} frames) long")
        centred = by == "motion" and config.inputs.speaker_centering
        mean = np.zeros_like(figures.mean) if centred else figures.mean
        std = np.maximum(np.concatenate(features).std(axis=0), 1e-3)
        standardised = (np.concatenate(features) - mean) / std
        return cls(
            config,
            {
                "listener": torch.from_numpy(np.concatenate(listeners)),
                "features": torch.from_numpy(standardised.astype(np.float32)),
                "clip": torch.from_numpy(np.concatenate(clips)),
                "mean": torch.from_numpy(mean.astype(np.float32)),
                "std": torch.from_numpy(std.astype(np.float32)),
            },
        )

    @classmethod
    def load(cls, config: NearestRun, path: Path) -> Nearest:
        """The model in a weights file. Raises InputError that names the file."""
        tensors = read_tensors(path)
        try:
            return cls(config, tensors)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def untrained(cls, method: str, store: ClipStore, role: str) -> Predictor:
        """What answers from a data set's train split, by the preset ``small``."""
        del role
        config = replace(_presets(method.partition("-")[2])["small"], stage="train")
        return ModelPredictor(cls.fit(store, replace(config, data=data_config(store))))

    def answer(
        self,
        stimulus: Stimulus,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
    ) -> Motion:
        """A listener for a whole clip; nothing is drawn."""
        del steps
        return listener_of(
            self,
            self.config,
            stimulus,
            lambda motion, audio, _: self.respond(motion, audio),
            seed,
            temperature,
        )

    def respond(self, motion: Tensor, audio: Tensor) -> Tensor:
        """A listener [T, 56] for a speaker's motion [T, 56] and audio [T, A], in their units."""
        stride, frames = step_frames(self.config), len(motion)
        nearest, rate = self.config.nearest, self.config.data.fps / stride
        size, overlap = max(1, round(nearest.segment_s * rate)), round(nearest.fade_s * rate)
        total = -(-frames // stride)
        described = audio if nearest.by == "audio" else motion
        spare = described[-1:].expand(total * stride - frames, -1)
        described = torch.cat([described, spare]).unflatten(0, (total, stride)).mean(dim=1)
        described = (described - self.mean) / self.std
        track = Track(total, stride, MOTION_DIM)
        for window in windows(total, min(size, total), min(overlap, size - 1)):
            length = window.stop - window.start
            best = self._search(described[window.start : window.stop])
            found = self.listener[best * stride : (best + length) * stride].float()
            short = length * stride - len(found)  # only where every training clip is shorter
            track.write(window, torch.cat([found, found[-1:].expand(short, -1)]))
        return track.frames[:frames]

    def _search(self, piece: Tensor) -> int:
        """First step of the stretch of training data nearest to ``piece`` [L, D]."""
        length = min(len(piece), int(torch.bincount(self.clip).max()))
        room = len(self.features) - length + 1
        products = piece[:length] @ self.features.T
        distance = self.features.new_zeros(room)
        for step in range(length):
            stretch = slice(step, step + room)
            distance += self.squares[stretch] - 2 * products[step, stretch]
        broken = self.clip[:room] != self.clip[length - 1 :]  # it would run into the next clip
        return int(distance.masked_fill(broken, torch.inf).argmin())


def step_frames(config: NearestRun) -> int:
    """Frames that speakers are averaged over."""
    return max(1, round(config.nearest.step_s * config.data.fps))


def _presets(by: str) -> dict[str, NearestRun]:
    found = NearestRun(nearest=NearestConfig(by=by))
    centred = replace(found, inputs=InputsConfig(speaker_centering=True))
    return {"paper": found, "small": centred, "table": centred, "tiny": centred}


for _by in ("audio", "motion"):
    register(
        Method(
            f"nearest-{_by}",
            ("listener",),
            kind="nearest",
            presets=_presets(_by),
            fit=Nearest.fit,
            load=Nearest.load,
            untrained=partial(Nearest.untrained, f"nearest-{_by}"),
        )
    )
