"""What a renderer trains on: one person's footage, its starts worked out once and kept on disk.

Legend: T frames of all shots in a row, S side of the square, B batch.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.files import is_full
from dimcli.core.motion import MOTION_DIM, expression_index
from dimcli.core.progress import Progress, silent
from dimcli.training.renderer.footage import Footage
from renderers.base import Reference
from renderers.trained.start import MAP_STRIDE, Starter, as_tensor, coefficients, windows

SPREAD_FLOOR = 0.02
"""Added to a coefficient's standard deviation when frames are compared."""

TRAIN, STOP, HELD_OUT = "train", "stop", "held-out"
"""Parts of the footage: to learn from; to stop by; to judge by, which nothing is chosen by."""

KEY_FRAMES = 3
"""Pictures to start from: home, and others, so that any picture of the person will do later."""

CANDIDATES, TRIED = 8, 12
"""So many frames are tried as those pictures, on so many others; home does best."""

OTHERS_EVERY = 4
"""One in so many frames to learn from starts from one of the others."""

PLACE_COUNTS = 3.0
"""How much more than a motion's number the head's place counts when frames are compared."""

BLINKS = [expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]

STOP_SHARE = 0.08
"""Share of the frames to learn from that says when to stop: the last ones of each shot."""


@dataclass(frozen=True)
class Batch:
    """Frames of one person: ``source`` the source picture, ``start`` the zero-shot picture and
    ``target`` the truth [B, 3, S, S], -1..1; ``place`` [B, S/2, S/2, 3]; ``window`` [B, 27, 59];
    ``landmarks`` [B, 478, 3] px; ``frame`` [B, 2, 3], where in the person's square the pictures
    are, as :meth:`renderers.trained.lite.LiteNet.forward` takes it (None: all of it);
    ``certain`` [B, 1, S, S]: how much each place of the target is worth (None: all of it, alike).
    """

    person: str
    source: Tensor
    start: Tensor
    place: Tensor
    window: Tensor
    target: Tensor
    landmarks: Tensor
    frame: Tensor | None = None
    certain: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``."""
        parts = vars(self).items()
        moved: dict[str, Any] = {n: part.to(device) for n, part in parts if torch.is_tensor(part)}
        return replace(self, **moved)


def different_frames(
    values: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    usable: NDArray[np.int64],
    count: int,
) -> list[int]:
    """At most ``count`` frames with open eyes, of those ``usable``: the closest to the usual motion
    ``values`` [T, 56] and place (of ``landmarks`` [T, 478, 3]), then each the least like those
    before it."""
    low, high = landmarks[..., :2].min(axis=1), landmarks[..., :2].max(axis=1)
    numbers = np.column_stack([values, (low + high) / 2, (high - low).mean(axis=1)])[usable]
    numbers = numbers / (numbers.std(axis=0) + SPREAD_FLOOR)
    numbers[:, MOTION_DIM:] *= PLACE_COUNTS
    blink = values[usable][:, BLINKS].mean(axis=1)
    awake = np.flatnonzero(blink <= np.median(blink))
    usual = np.square(numbers[awake] - np.median(numbers, axis=0)).sum(axis=1)
    keys = [int(np.argmin(usual))]
    away = np.full(len(awake), np.inf)
    while len(keys) < min(count, len(awake)):
        away = np.minimum(away, np.square(numbers[awake] - numbers[awake[keys[-1]]]).sum(axis=1))
        keys.append(int(np.argmax(away)))
    return [int(usable[awake[key]]) for key in keys]


class TrainingSet:
    """One person's frames with everything that the network sees of them."""

    def __init__(
        self,
        person: str,
        shots: list[Footage],
        folder: Path,
        *,
        any_source: bool = False,
        progress: Progress = silent,
    ) -> None:
        """``shots``: continuous pieces of film. ``folder`` receives files of about 0.5 MB a frame.
        ``any_source``: every frame can be the source picture, not home alone."""
        self.person = person
        self.any_source = any_source
        self.values = np.concatenate([shot.values for shot in shots])
        self.landmarks = np.concatenate([shot.landmarks for shot in shots])
        self.shot = np.repeat(np.arange(len(shots)), [len(shot) for shot in shots])
        self.parts = np.concatenate([_parts(shot) for shot in shots])
        self.size = shots[0].size
        lengths = np.cumsum([0, *(len(shot) for shot in shots)])
        self._frames = _on_disk(folder / f"{person}-frames", (lengths[-1], self.size, self.size, 3))
        for shot, first in zip(shots, lengths[:-1], strict=True):
            self._frames[first : first + len(shot)] = shot.frames
        train = self.frames(TRAIN)
        keys = different_frames(self.values, self.landmarks, train, CANDIDATES)
        keys.sort(key=self._misses)
        self.home = keys[0]
        self.starter = Starter(self.reference)
        others = [Starter(self._reference(k), self.starter.mesh) for k in keys[1:KEY_FRAMES]]
        side = self.size // MAP_STRIDE
        self._starts = _on_disk(folder / f"{person}-starts", self._frames.shape)
        self._places = _on_disk(
            folder / f"{person}-places", (len(self._frames), side, side, 3), np.float16
        )
        shifts = []
        for frame, (values, landmarks) in enumerate(zip(self.values, self.landmarks, strict=True)):
            shifts.append(self.starter.shift(values, landmarks))
            own, starter = shifts[-1], self.starter
            if others and self.parts[frame] == TRAIN and frame % OTHERS_EVERY == 0:
                starter = others[frame // OTHERS_EVERY % len(others)]
                own = starter.shift(values, landmarks)
            start = starter(values, own)
            self._starts[frame], self._places[frame] = start.picture, start.place
            progress(f"preparing {person}", frame + 1, len(self.values))
        told = [shot.values if shot.driving is None else shot.driving for shot in shots]
        self.coefficients = coefficients(np.concatenate(told), shifts, self.size)
        self._windows = windows(self.coefficients, self.shot)

    @property
    def reference(self) -> Reference:
        """The home picture: the frame that all starts begin with."""
        return self._reference(self.home)

    def _misses(self, key: int) -> float:
        """Mean grey levels by which portraits of frame ``key`` miss some frames to learn from."""
        starter, train = Starter(self._reference(key)), self.frames(TRAIN)
        levels = []
        for frame in train[np.linspace(0, len(train) - 1, TRIED).astype(int)]:
            shift = starter.shift(self.values[frame], self.landmarks[frame])
            picture = starter(self.values[frame], shift).picture
            levels.append(np.abs(picture.astype(np.float32) - self._frames[frame]).mean())
        return float(np.mean(levels))

    def _reference(self, frame: int) -> Reference:
        image = np.ascontiguousarray(self._frames[frame])
        return Reference(image, self.landmarks[frame], self.values[frame])

    def frames(self, part: str) -> NDArray[np.int64]:
        """Numbers of the frames of a part."""
        return np.flatnonzero(self.parts == part)

    def pictures(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The truth, uint8 [N, S, S, 3]."""
        return np.asarray(self._frames[frames])

    def starts(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The portrait renderer's pictures, moved to where the head is, uint8 [N, S, S, 3]."""
        return np.asarray(self._starts[frames])

    def zero_shot(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The portrait renderer's pictures, uint8 [N, S, S, 3]: it knows motion, no place."""
        return np.stack([self.starter(values).picture for values in self.values[frames]])

    def room(self) -> NDArray[np.uint8]:
        """What is mostly at each place of the square, [S, S, 3]: a first guess at the room."""
        train = self.frames(TRAIN)
        some = train[:: max(1, len(train) // 100)]
        return np.median(self.pictures(some), axis=0).astype(np.uint8)

    def batch(self, frames: NDArray[np.int64], source: int | None = None) -> Batch:
        """These frames, ``source`` (or home) being the source picture: the head's place is told
        against that one's."""
        source = self.home if source is None else source
        windows = self._windows[frames].copy()
        windows[..., MOTION_DIM:] -= self.coefficients[source, MOTION_DIM:]
        return Batch(
            person=self.person,
            source=as_tensor(self._frames[source][None]).expand(len(frames), -1, -1, -1),
            start=as_tensor(self._starts[frames]),
            place=torch.from_numpy(self._places[frames].astype(np.float32)),
            window=torch.from_numpy(windows),
            target=as_tensor(self._frames[frames]),
            landmarks=torch.from_numpy(self.landmarks[frames]),
        )

    def random_batch(self, size: int, generator: torch.Generator) -> Batch:
        """``size`` frames to learn from; their source picture is any of them."""
        train = self.frames(TRAIN)
        drawn = train[torch.randint(len(train), (size + 1,), generator=generator).numpy()]
        return self.batch(drawn[:-1], int(drawn[-1]) if self.any_source else None)


def _parts(shot: Footage) -> NDArray[np.str_]:
    """Which part each frame of a shot is of; frames without a face are of none."""
    parts = np.full(len(shot), TRAIN, dtype="U8")
    train = np.flatnonzero(~shot.held_out & shot.valid)
    parts[train[len(train) - int(STOP_SHARE * len(train)) :]] = STOP
    parts[shot.held_out] = HELD_OUT
    parts[~shot.valid] = ""
    return parts


def _on_disk(path: Path, shape: tuple[int, ...], kind: type = np.uint8) -> NDArray[np.generic]:
    """An array in a file of its own: long clips do not fit into memory."""
    path = path.with_suffix(".npy")
    try:
        array = np.lib.format.open_memmap(path, "w+", kind, shape)
        if hasattr(os, "posix_fallocate"):  # a mapped page without a place is a bus error
            with path.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if not is_full(error):
            raise
        size = math.prod(map(int, shape)) * np.dtype(kind).itemsize
        raise InputError(
            f"{path.parent.parent}: the disk is full; training needs {size / 1e6:.0f} MB there"
        ) from None
    return array
