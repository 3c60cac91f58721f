"""Nearest Audio and Nearest Motion: the listener of the training speaker who is most alike.

A clip is answered piece by piece. For each piece, the speakers of the training data are searched
for the stretch of the same length with the smallest distance, and the listener of that stretch is
taken as it is. The distance is the squared Euclidean one between the standardised audio features,
or the standardised motion (both averaged over steps of ``step_s``), summed over the piece. Pieces
overlap by ``fade_s`` and cross-fade there. The training data may be larger than the memory: it is
gathered into mapped files, kept in one, and searched block after block. Speakers who are themselves
in the training data find themselves: answer held-out clips only.

Axes: F frames of training data, M its steps, L steps of a piece, D features, A audio features.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core.config import Choice, Range, Section, require_range
from dimcli.core.errors import InputError, about
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.core.tensors import read_tensors
from dimcli.data.clip import Predictor, Stimulus
from dimcli.data.store import ClipStore, data_config
from dimcli.data.windows import rest
from dimcli.models.baseline import BaselineRun, InputsConfig, listener_of
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

    def __init__(self, config: NearestRun, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        for name in ("listener", "features", "clip", "mean", "std"):
            if name not in tensors:
                raise InputError(f"lacks {name}; expected what `dim train --method nearest` writes")
            self.register_buffer(name, tensors[name])
        self._longest = int(torch.bincount(self.clip).max())  # steps of a clip

    @classmethod
    def fit(cls, store: ClipStore, config: NearestRun) -> Nearest:
        """Take in the train split. Raises InputError when it has no clip of a step or more."""
        by, stride = config.nearest.by, step_frames(config)
        figures = store.statistics()["audio" if by == "audio" else "speaker"]
        records = store.clips("train", config.training.conversations)
        steps = np.array([len(record) // stride for record in records], int)
        total = int(steps.sum())
        if not total:
            raise InputError(f"{store.root}: no train clip is a step ({stride} frames) long")
        centred = by == "motion" and config.inputs.speaker_centering
        features = _mapped(np.float32, total, len(figures.mean))
        listener = _mapped(np.float16, total * stride, MOTION_DIM)
        ends = steps.cumsum()
        for record, count, end in zip(records, steps, ends, strict=True):
            if not count:
                continue
            clip = store.load(record)
            described = clip.speaker_audio if by == "audio" else clip.speaker.values
            if centred:
                described = described - rest(described)
            described = described[: count * stride].reshape(count, stride, -1)
            features[end - count : end] = described.mean(axis=1)
            own = slice((end - count) * stride, end * stride)
            listener[own] = clip.listener.values[: count * stride]
        mean = np.zeros_like(figures.mean) if centred else figures.mean
        std = np.maximum(_deviation(features), 1e-3).astype(np.float32)
        for block in _blocks(total):
            features[block] = (features[block] - mean) / std
        return cls(
            config,
            {
                "listener": torch.from_numpy(listener),
                "features": torch.from_numpy(features),
                "clip": torch.from_numpy(np.repeat(np.arange(len(records)), steps)),
                "mean": torch.from_numpy(mean.astype(np.float32)),
                "std": torch.from_numpy(std),
            },
        )

    @classmethod
    def load(cls, config: NearestRun, path: Path) -> Nearest:
        """The model in a weights file. Raises InputError that names the file."""
        tensors = read_tensors(path, finite=False)  # mapped: reading all of it would take long
        with about(path):
            return cls(config, tensors)

    @classmethod
    def untrained(cls, method: str, store: ClipStore, role: str) -> Predictor:
        """What answers from a data set's train split, by the preset ``small``."""
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
        length = min(len(piece), self._longest)
        room = len(self.features) - length + 1
        nearest, best = torch.inf, 0
        for block in _blocks(room):
            size = block.stop - block.start
            features = self.features[block.start : block.stop + length - 1]
            squares, products = features.square().sum(dim=1), piece[:length] @ features.T
            distance = features.new_zeros(size)
            for step in range(length):
                stretch = slice(step, step + size)
                distance += squares[stretch] - 2 * products[step, stretch]
            # it would run into the next clip
            broken = self.clip[block] != self.clip[block.start + length - 1 :][:size]
            found = distance.masked_fill(broken, torch.inf).min(dim=0)
            if float(found.values) < nearest:
                nearest, best = float(found.values), block.start + int(found.indices)
        return best


_BLOCK = 1 << 18
"""Steps that are looked at in one go: 34 MB of mel features."""


def _blocks(steps: int) -> Iterator[slice]:
    """The ``steps`` in blocks."""
    return (slice(at, min(at + _BLOCK, steps)) for at in range(0, steps, _BLOCK))


def _mapped(kind: type[np.generic], *shape: int) -> NDArray[Any]:
    """An array of zeros [shape] in a file that ends with it."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, kind, "w+", shape=shape)


def _deviation(values: NDArray[Any]) -> NDArray[np.float64]:
    """Standard deviation of each column of ``values`` [N, D], block after block."""
    mean = sum(values[block].sum(axis=0, dtype=np.float64) for block in _blocks(len(values)))
    mean = mean / len(values)
    squares = (
        np.square(values[block] - mean).sum(axis=0, dtype=np.float64)
        for block in _blocks(len(values))
    )
    return np.sqrt(sum(squares) / len(values))


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
