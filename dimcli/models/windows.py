"""Long clips in overlapping windows, joined without a seam.

Axes: N steps of a window, S frames a step, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


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
