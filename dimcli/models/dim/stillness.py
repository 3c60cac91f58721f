"""Heads that hold still, as real ones do a fifth of the time.

What is decoded from codes always trembles a little, and no posture is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimcli.core.motion import HEAD, Floats


@dataclass(frozen=True)
class Hold:
    """A head that follows its motion with the play of a loose joint: about each axis it stays where
    it is until it is to be more than ``degrees`` away. ``at`` and ``before`` [3] are where it is
    and was a frame ago, in radians; None at the start.
    """

    degrees: float
    at: Floats | None = None
    before: Floats | None = None

    def __call__(self, values: Floats) -> tuple[Floats, Hold]:
        """Motion [T, 56] that goes on where this ended, and what comes after it."""
        if not self.degrees or not len(values):
            return values, self
        play = np.float32(np.radians(self.degrees))
        held = values.copy()
        at = values[0, HEAD] if self.at is None else self.at
        before = at if self.before is None else self.before
        for frame in range(len(values)):
            wanted = values[frame, HEAD]
            at = np.clip(at, wanted - play, wanted + play)
            held[frame, HEAD] = (at + before) / 2  # setting off is soft
            before = at
        return held, Hold(self.degrees, at, before)
