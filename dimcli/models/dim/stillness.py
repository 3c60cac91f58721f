"""Faces that hold still, as real ones do a fifth of the time.

What is decoded from codes always trembles a little, and no posture is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dimcli.core.motion import EXPRESSION, HEAD, MOTION_DIM, Bools, Floats
from dimcli.models.config import GenerationConfig

CATCH_UP_S = 0.15
"""Time constant in which what lets go is again where its motion is."""
REST_S = 0.24
"""What has stayed within its play for so long, and has caught up, holds again."""
CAUGHT_UP = 0.3
"""So close to its motion, in shares of the play, what moves has caught up."""
YIELD = 0.1
"""What holds still goes this share of its motion's way: a face that does not move at all is a
picture."""


@dataclass(frozen=True)
class Hold:
    """A face that holds each channel until it is to be further away than its play, then follows.

    The play of the head is ``degrees`` about each axis, that of expression ``expression``; at 0 a
    channel follows always, as the jaw does. What follows has the whole size of its motion: a nod
    loses nothing but its first moment. What holds sways a little with its motion. The rest is
    where it is at ``fps`` frames a second: ``at`` and ``before`` [56], now and a frame ago,
    ``moving`` [56], and the ``recent`` [<=K, 56] motion.
    """

    degrees: float
    expression: float
    fps: float
    at: Floats | None = None
    before: Floats | None = None
    moving: Bools | None = None
    recent: Floats | None = None

    @classmethod
    def of(cls, generation: GenerationConfig, fps: float) -> Hold:
        """What holds a face that begins."""
        return cls(generation.hold_degrees, generation.hold_expression, fps)

    def __call__(self, values: Floats) -> tuple[Floats, Hold]:
        """Motion [T, 56] that goes on where this ended, and what comes after it."""
        play = np.zeros(MOTION_DIM, np.float32)
        play[HEAD], play[EXPRESSION] = np.radians(self.degrees), self.expression
        if not play.any() or not len(values):
            return values, self
        at = values[0] if self.at is None else self.at
        before = at if self.before is None else self.before
        moving = play == 0 if self.moving is None else self.moving
        recent = values[:1] if self.recent is None else self.recent
        kept = np.float32(np.exp(-1 / (CATCH_UP_S * self.fps)))
        frames = max(2, round(REST_S * self.fps))
        held = values.copy()
        for frame, wanted in enumerate(values):
            moving = moving | (np.abs(wanted - at) > play)
            at = np.where(moving, wanted + kept * (at - recent[-1]), at)
            recent = np.concatenate([recent, wanted[None]])[-frames:]
            rests = (np.ptp(recent, axis=0) < play) & (np.abs(at - wanted) < CAUGHT_UP * play)
            moving = moving & ~(rests & (len(recent) == frames))
            soft = (at + before) / 2  # so that it sets off gradually
            held[frame] = np.where(play > 0, soft + YIELD * (wanted - soft), wanted)
            before = at
        return held, replace(self, at=at, before=before, moving=moving, recent=recent)
