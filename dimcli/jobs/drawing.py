"""The picture of a face that moves while its motion comes, a frame at a time."""

from __future__ import annotations

import tempfile
from collections import deque
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Picture
from dimcli.jobs.render import load_renderer
from renderers.anchor import anchor, rest_of, within_reach

REST_S = 30.0
"""Where a face rests is told by so much of its motion before; nobody knows what will come."""
FOLLOWING = 0.04
"""Share of the way to a new rest that a frame goes, so that nothing jumps."""


class Face:
    """A picture of a face, ready to be drawn with the longer side ``size``; for ``force_face`` see
    :func:`dimcli.jobs.render.read_reference`. Raises InputError."""

    def __init__(
        self, picture: Path | bytes, size: int, fps: float, force_face: bool = False
    ) -> None:
        with ExitStack() as stack:
            path = picture
            if isinstance(path, bytes):
                file = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".picture"))
                file.write(path)
                file.flush()
                path = Path(file.name)
            try:
                ready = load_renderer("portrait", path, size=size, force_face=force_face)
            except InputError as error:
                if not isinstance(picture, bytes):
                    raise
                raise InputError(str(error).replace(f"{path}: ", "")) from None
        assert ready.reference is not None
        self._renderer, self._own = ready.renderer, ready.reference.values
        next(iter(self._renderer.render(self._own[None])))  # the first one takes longest
        self._fps = round(fps)
        self._past: deque[Floats] = deque(maxlen=round(REST_S * fps))
        self._rest = self._target = np.zeros(0, np.float32)
        self._drawn = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self._renderer.size

    def draw(self, values: Floats) -> Picture:
        """The face [H, W, 3] of the next frame's ``values`` [56]."""
        self._past.append(values)
        if self._drawn < self._fps or self._drawn % self._fps == 0:
            self._target = np.asarray(rest_of(np.stack(self._past)), np.float32)
        first = not self._drawn
        self._rest = self._target if first else self._rest + FOLLOWING * (self._target - self._rest)
        self._drawn += 1
        moved, _ = within_reach(anchor(values[None], self._own, self._rest), self._own)
        return next(iter(self._renderer.render(np.asarray(moved, np.float32))))
