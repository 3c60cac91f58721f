"""Training windows: seeded random crops of dyads, padded and batched.

Axes: B batch, T frames, A audio features.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.audio import NO_SOUND
from dimcli.core import distributed, limits
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Floats
from dimcli.data.clip import ATTITUDES, ROLES
from dimcli.data.store import ClipStore, data_config


@dataclass(frozen=True)
class Batch:
    """Windows of dyads in their own units.

    ``motion`` by role float32 [B, T, 56]; ``audio`` float32 [B, T, A]; ``mask`` bool [B, T], false
    at padding; ``attitude`` long [B], index into ``ATTITUDES``; ``style`` long [B], the speaker's:
    0 unknown, else from 1 the data set's styles in order (:func:`dimcli.data.store.data_config`).
    """

    motion: dict[str, Tensor]
    audio: Tensor
    mask: Tensor
    attitude: Tensor
    style: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``; the processor does not wait for a pinned one."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in memory that a GPU copies from by itself."""
        return self._each(Tensor.pin_memory)

    def part(self, rows: slice) -> Batch:
        """Some ``rows`` of the batch."""
        return self._each(lambda tensor: tensor[rows])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            {role: change(motion) for role, motion in self.motion.items()},
            change(self.audio),
            change(self.mask),
            change(self.attitude),
            None if self.style is None else change(self.style),
        )


def rest(values: Floats) -> Floats:
    """Median over time of ``values`` [T, 56]: where the camera stood and how the face rests.

    A model that is centred on it sees what the face does; training and generation both use this.
    """
    return np.median(values, axis=0).astype(np.float32)


BUCKET = 4
"""Batches whose clips one bucket of like lengths has."""


class WindowSampler:
    """Draws batches of windows; batch ``index`` is the same whenever it is drawn.

    Windows are drawn in proportion to the clips' lengths. Clips shorter than a window are padded by
    holding their last frame, and the mask says so. With ``bucketing`` a batch is of clips of like
    length instead, all drawn as often, and as long as the longest of them, or ``frames``.
    ``stride`` is the frames a code stands for: lengths are whole multiples of it. ``conversations``
    limits the split to its first so many (0: all). ``audio_dim`` is the width of the zeros that
    stand for the sound of data without any.
    """

    def __init__(
        self,
        store: ClipStore,
        split: str,
        *,
        frames: int,
        batch_size: int,
        stride: int,
        centre_speaker: bool,
        seed: int,
        conversations: int = 0,
        audio_dim: int = 0,
        bucketing: bool = False,
    ) -> None:
        self.store = store
        silent = store.info.audio_encoder == NO_SOUND.name
        self._audio_dim = audio_dim if silent and audio_dim else store.info.audio_dim
        self._styles = data_config(store).style_names
        self.records = store.clips(split, conversations)
        if not self.records:
            raise InputError(f"{store.root}: the {split} split is empty; prepare more data")
        self.stride = stride
        self.frames = max(stride, frames // stride * stride)
        self.batch_size = batch_size
        if self.frames * batch_size > limits.BATCH_FRAMES:
            raise InputError(
                f"training.window_s and training.batch_size make batches of "
                f"{self.frames * batch_size} frames; expected at most {limits.BATCH_FRAMES}"
            )
        self.centre_speaker = centre_speaker
        self.bucketing = bucketing
        self.seed = seed
        lengths = np.array([len(record) for record in self.records])
        self.lengths = lengths
        self._bucket = BUCKET * batch_size if bucketing else len(lengths)
        self._order = np.argsort(lengths, kind="stable") if bucketing else np.arange(len(lengths))
        weights = np.maximum(lengths / self.frames, 1.0) if bucketing else lengths
        # what `Generator.choice` makes of probabilities whenever it is asked
        self._cumulative = np.cumsum(weights[self._order] / weights.sum())
        self._cumulative /= self._cumulative[-1]
        # zeros take no memory until they are written
        self._rest = np.zeros((len(lengths), MOTION_DIM), np.float32)
        self._rest_known = np.zeros(len(lengths), bool)

    def batch(self, index: int, whole: bool = False) -> Batch:
        """Batch number ``index``; of several processes' batch the rows that are this process's, or
        the ``whole`` of it."""
        random = np.random.default_rng([self.seed, index])
        chosen, frames = self._draw(random)
        room = np.maximum(self.lengths[chosen] - frames, 0)
        start = random.integers(0, room + 1)
        rows = slice(None) if whole else distributed.process_rows(self.batch_size)
        shape = (len(chosen[rows]), frames)
        motion = {role: np.empty((*shape, MOTION_DIM), np.float32) for role in ROLES}
        audio = np.empty((*shape, self._audio_dim), np.float32)
        mask = np.zeros(shape, bool)
        attitude, style = (np.zeros(len(mask), np.int64) for _ in range(2))
        for row, (clip, first) in enumerate(zip(chosen[rows], start[rows], strict=True)):
            record = self.records[clip]
            window = self.store.load(record, first, min(first + frames, len(record)))
            _fill(motion["speaker"][row], self._centred(window.speaker.values, clip))
            _fill(motion["listener"][row], window.listener.values)
            _fill(audio[row], window.speaker_audio)
            mask[row, : len(window) // self.stride * self.stride] = True
            attitude[row] = ATTITUDES.index(record.attitude)
            if record.style in self._styles:
                style[row] = self._styles.index(record.style)
        return Batch(
            motion={role: torch.from_numpy(values) for role, values in motion.items()},
            audio=torch.from_numpy(audio),
            mask=torch.from_numpy(mask),
            attitude=torch.from_numpy(attitude),
            style=torch.from_numpy(style),
        )

    def _draw(self, random: np.random.Generator) -> tuple[NDArray[np.int64], int]:
        """The clips of a batch, and how many frames of each it holds."""
        if self._bucket >= len(self._order):
            low, high = 0.0, 1.0
        else:
            place = int(self._cumulative.searchsorted(random.random(), side="right"))
            first = place // self._bucket * self._bucket
            low = self._cumulative[first - 1] if first else 0.0
            high = self._cumulative[min(first + self._bucket, len(self._order)) - 1]
        drawn = low + (high - low) * random.random(self.batch_size)
        last = len(self._order) - 1  # rounding must not lead past it
        places = np.minimum(self._cumulative.searchsorted(drawn, side="right"), last)
        chosen = self._order[places]
        if not self.bucketing:
            return chosen, self.frames
        longest = -(-int(self.lengths[chosen].max()) // self.stride) * self.stride
        return chosen, min(longest, self.frames)

    def _centred(self, speaker: Floats, clip: int) -> Floats:
        """The speaker's values [T, 56] of a clip, less the clip's rest where that is wanted."""
        if not self.centre_speaker:
            return speaker
        if not self._rest_known[clip]:
            self._rest[clip] = rest(self.store.motion_values(self.records[clip], "speaker"))
            self._rest_known[clip] = True
        return speaker - self._rest[clip]


def _fill(window: Floats, values: Floats) -> None:
    """Copy ``values`` [T', D] into a ``window`` [T, D], holding the last frame."""
    window[: len(values)] = values
    window[len(values) :] = values[-1]


class ReadAhead:
    """Batches by number, 0 to ``count``: while one is used a thread makes the next.

    ``waited_s`` adds up the seconds that the user of the batches waited for them.
    """

    def __init__(self, batches: Callable[[int], Batch], count: int) -> None:
        self._batches = batches
        self._count = count
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._next: tuple[int, Future[Batch]] | None = None
        self.waited_s = 0.0

    def __call__(self, index: int) -> Batch:
        """Batch number ``index``; what making it raised is raised here."""
        if self._next is None or self._next[0] != index:
            self._next = index, self._pool.submit(self._batches, index)
        began = time.monotonic()
        batch = self._next[1].result()
        self.waited_s += time.monotonic() - began
        following = index + 1
        if following < self._count:
            self._next = following, self._pool.submit(self._batches, following)
        return batch

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Statistics:
    """Per-column figures of training data: ``mean`` and ``std`` [56] by role (the speaker's as the
    model sees it, centred or not), and ``audio_mean``, ``audio_std`` [A].
    """

    mean: dict[str, Tensor]
    std: dict[str, Tensor]
    audio_mean: Tensor
    audio_std: Tensor


def statistics(sampler: WindowSampler, batches: int = 40) -> Statistics:
    """Means and standard deviations over some of ``sampler``'s windows."""

    total: dict[str, Tensor] = {}
    square: dict[str, Tensor] = {}
    count = 0
    for index in range(batches):
        batch = sampler.batch(index, whole=True)
        count += int(batch.mask.sum())
        for name, values in {**batch.motion, "audio": batch.audio}.items():
            rows = values[batch.mask].double()
            total[name] = total.get(name, rows.new_zeros(())) + rows.sum(dim=0)
            square[name] = square.get(name, rows.new_zeros(())) + rows.square().sum(dim=0)
    mean = {name: value / max(count, 1) for name, value in total.items()}
    std = {
        name: (square[name] / max(count, 1) - mean[name].square()).clamp(min=0).sqrt()
        for name in total
    }
    return Statistics(
        mean={role: mean[role].float() for role in ROLES},
        std={role: std[role].float() for role in ROLES},
        audio_mean=mean["audio"].float(),
        audio_std=std["audio"].float().clamp(min=1e-3),
    )
