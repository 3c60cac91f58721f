"""An agent's own voice, and the face that says it."""

from __future__ import annotations

import math

import numpy as np

from dimcli.audio import SAMPLE_RATE
from dimcli.core.errors import InputError
from dimcli.core.masks import Bools, widened
from dimcli.core.motion import Floats
from dimcli.data.clip import UNKNOWN_STYLE
from dimcli.live.turns import reach
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.online import Stream, StreamState, ear_of

LEAD_S, TRAIL_S = 0.12, 0.6
"""A face goes over to speaking so long before its voice begins, and to listening so long after."""
LOUD_DBFS = -50.0
"""A frame of a synthetic voice that is louder than this is speech."""
SLACK_S = 0.08
"""A voice that comes as it is spoken may come so much late without a gap in it."""
LONGEST_S = 120.0
"""How much may be said ahead of time."""
EARLY = 1
"""A recording is heard so many frames early, as in ``dim generate-speaker``."""


class Voice:
    """What is said, laid out along the conversation's frames, and the motion of who says it.

    The speaker's model runs while something is said, and a little before and after.
    """

    def __init__(self, model: DIM, *, style: str = UNKNOWN_STYLE, seed: int = 0) -> None:
        """Raises InputError for weights that cannot speak ``arkit`` motion from ``mel`` features,
        and for an unknown ``style``."""
        self._stream = Stream(model, "speaker", style=style)
        self._ear, self._seed = ear_of(model), seed
        self.fps, self.stride = model.fps, model.config.vq.stride
        self._samples = round(SAMPLE_RATE / self.fps)
        self._ear.feed(np.zeros(SAMPLE_RATE // 2, np.float32))  # what it takes to settle
        self._ahead = round(self._stream.delay_s * self.fps) - self.stride + EARLY
        self._reach, self._lead = reach(self.fps), round(LEAD_S * self.fps)
        self._trail = round(TRAIL_S * self.fps)
        self._begin = 0  # the sample of the conversation with which what is kept begins
        self._said = np.zeros(0, np.float32)
        self._state: StreamState | None = None
        self._fed = self._utterances = 0

    @property
    def lead_s(self) -> float:
        """How long after a step's end what sounds has to be known: as far as the model and the
        hand-over look ahead."""
        return max(self._ahead, self._reach + self._lead) / self.fps

    def say(self, samples: Floats, time_s: float) -> float:
        """Lay out ``samples`` [N] after what was said before, from ``time_s`` on at the earliest.
        Returns the time at which they begin. Raises InputError where too much is said ahead of
        time."""
        end = self._begin + len(self._said)
        begin = end
        if end < time_s * SAMPLE_RATE:
            begin = math.ceil(round((time_s + SLACK_S) * self.fps, 6)) * self._samples
        if begin + len(samples) > (time_s + LONGEST_S) * SAMPLE_RATE:
            raise InputError(
                f"more than {LONGEST_S:g} s of voice are said ahead of time; send it as it is "
                "to be spoken"
            )
        silence = np.zeros(begin - end, np.float32)
        self._said = np.concatenate([self._said, silence, samples])
        return begin / SAMPLE_RATE

    def hush(self, frame: int) -> None:
        """Say nothing from ``frame`` on."""
        self._said = self._said[: max(0, frame * self._samples - self._begin)]

    def sound(self, first: int, last: int) -> Floats:
        """What is said in the frames ``first`` to ``last`` (exclusive): [T, samples], of frames
        that are not yet answered."""
        low, high = (frame * self._samples - self._begin for frame in (first, last))
        there = self._said[max(low, 0) : max(high, 0)]
        before = min(max(-low, 0), high - low)
        padded = np.pad(there, (before, high - low - before - len(there)))
        return padded.reshape(-1, self._samples)

    def _talks(self, first: int, last: int) -> Bools:
        """Whether the frames ``first`` to ``last`` (exclusive) are the face's turn: bool."""
        sound = self.sound(first - self._trail, last + self._lead)
        loud = np.sqrt(np.square(sound).mean(axis=1)) > 10 ** (LOUD_DBFS / 20)
        return widened(loud, self._lead, self._trail)[self._trail : len(loud) - self._lead]

    def answer(self, first: int, last: int) -> tuple[Floats | None, Bools]:
        """The motion [T, 56] of the frames ``first`` to ``last`` (exclusive), which are whole
        steps, None where nothing is said, and whether it talks from :func:`reach` frames before
        them to as many after them."""
        talks, motion = self._talks(first - self._reach, last + self._reach), None
        if not talks.any():
            self._state = None
        else:
            if self._state is None:
                self._state = self._stream.start(self._seed + self._utterances)
                self._utterances += 1
                self._ear.feed(self.sound(first, first + EARLY).ravel())
                self._fed = first + EARLY
            features = self._ear.feed(self.sound(self._fed, last + self._ahead).ravel())
            self._fed = last + self._ahead
            motion, self._state = self._stream.feed(self._state, features)
        begin = max(self._begin, (first - self._reach - self._trail) * self._samples)
        self._said, self._begin = self._said[begin - self._begin :], begin
        return motion, talks
