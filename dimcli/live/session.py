"""A conversation while it goes on: sound and pictures in, a face's motion out at a steady rate.

There is no clock in here. What is heard follows what was heard before, 16,000 samples a second from
0 on; a picture has its time; and the caller says how late it is. So what a session gives depends on
what it was given and on nothing else: fed in time, in whatever pieces, it gives what
``generate-listener --online`` makes of the same clip, byte by byte.

The model answers a step (four frames) at once. A step is answered :data:`PATIENCE_S` after its
end; what has not come by then is not waited for: sound that is missing is silence, and a face that
is not seen stays as it was, then nobody is there. The frames of the step are due one by one,
:attr:`Session.delay_s` after their own times.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dimcli.audio import SAMPLE_RATE
from dimcli.audio.sound import checked_sound
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Picture
from dimcli.data.clip import UNKNOWN_STYLE, Stimulus
from dimcli.data.gains import FaceSettings, GainedFace
from dimcli.live.turns import blended, reach
from dimcli.live.voice import Voice
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import listener_traits
from dimcli.models.dim.online import Stream, ear_of
from dimcli.tracking.streaming import FaceStream, Watch

PATIENCE_S = 0.06
"""How late sound and tracked pictures may be."""
WORK_S = 0.05
"""How long answering a step may take without a frame being late."""
_PLAY_S = 1e-9


@dataclass(frozen=True)
class LiveFrame:
    """A frame of the face: ``values`` float32 [56] in the ``arkit`` space.

    ``time_s`` is its time in the conversation, ``index`` over the frame rate: that of what it
    answers, and of the agent's voice that it says. ``speaking``: whether it does; ``seen``: whether
    the partner's face is; ``said``: what is to sound of that voice while the frame is shown, mono
    [N] at 16 kHz, None for silence.
    """

    index: int
    time_s: float
    values: Floats
    speaking: bool
    seen: bool
    said: Floats | None = None


def require_fit(listener: DIM, speaker: DIM) -> None:
    """Raise InputError unless one face can be of both models: the same frame rate, and steps of the
    speaker's that fit in the listener's."""
    stride, said = listener.config.vq.stride, speaker.config.vq.stride
    if speaker.fps != listener.fps or stride % said:
        raise InputError(
            f"the listener makes steps of {stride} frames at {listener.fps:g} fps, the speaker of "
            f"{said} at {speaker.fps:g}; expected the same rate, and steps that fit in the "
            "listener's"
        )


class Session:
    """A face in a conversation; see the module. Not for several threads at once."""

    def __init__(
        self,
        listener: DIM,
        speaker: DIM | None = None,
        *,
        settings: FaceSettings | None = None,
        style: str = UNKNOWN_STYLE,
        seed: int = 0,
    ) -> None:
        """``listener``: a model that was trained under causal masks; ``speaker``: one that says
        what the agent says, in its ``style``. Raises InputError where the listener looks ahead, and
        where a model takes other than ``mel`` features and ``arkit`` motion or the two differ in
        frame rate, or in steps that do not fit."""
        self._ear, self._listener = ear_of(listener), listener
        self._seed = seed
        self._fps, self._stride = listener.fps, listener.config.vq.stride
        settings = settings or FaceSettings()
        self._face = GainedFace(settings, self._fps)
        self.settings = settings
        if speaker is not None:
            require_fit(listener, speaker)
        self._voice = None if speaker is None else Voice(speaker, style=style, seed=seed)
        self._state = self._stream.start(seed)
        self._sight = Watch(self._fps)
        self._sound: deque[Floats] = deque()  # heard, and not yet given to the ear
        self._heard = self._owed = self._frame = 0
        self._now = 0.0
        self._ready: deque[LiveFrame] = deque()

    @property
    def settings(self) -> FaceSettings:
        """What the face may do; new ones hold from the next step on."""
        return self._settings

    @settings.setter
    def settings(self, settings: FaceSettings) -> None:
        asked = Stimulus("", np.zeros((0, 0), np.float32), "", self._listener.fps, "arkit")
        asked = replace(asked, attitude=settings.attitude)
        self._stream = Stream(
            self._listener,
            "listener",
            attitude=settings.attitude,
            traits=listener_traits(self._listener, asked, self._seed),
        )
        self._settings = self._face.gains = settings

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self._fps

    @property
    def delay_s(self) -> float:
        """How long after its time a frame is due."""
        return self._stream.delay_s + PATIENCE_S + WORK_S

    @property
    def heard_s(self) -> float:
        """How much sound of the partner's there has been, silence for what was late included."""
        return self._heard / SAMPLE_RATE

    def hear(self, samples: Floats) -> None:
        """The partner's sound: mono [N] at 16 kHz, any number of samples. Raises InputError.

        What comes after it was given up, and silence taken for it, is left out.
        """
        samples = checked_sound(samples, SAMPLE_RATE, SAMPLE_RATE)
        ahead = self._heard + len(samples) - round(self._now * SAMPLE_RATE)
        late = max(0, min(ahead, self._owed, len(samples)))
        self._owed -= late
        self._sound.append(samples[late:])
        self._heard += len(samples) - late

    def see(self, picture: Picture, time_s: float) -> None:
        """The partner's picture, uint8 [H, W, 3] RGB, of ``time_s``."""
        self.notice(self.track(picture), time_s)

    def say(self, samples: Floats) -> float:
        """The agent's own voice: mono [N] at 16 kHz, as it comes or faster; it follows what was
        said before. The face is seen to say it in the frames from the returned ``time_s`` on, and
        it is to be played with them. Raises InputError, also in a session without a speaker."""
        samples = checked_sound(samples, SAMPLE_RATE, SAMPLE_RATE)
        if self._voice is None:
            raise InputError("a voice: this session has no speaker's weights to say it with")
        return self._voice.say(samples, self._now - PATIENCE_S + self._voice.lead_s)

    def hush(self) -> float:
        """Say no more of what was said, because the partner has begun to speak. Returns when the
        face falls silent: at the first frame that is not answered yet."""
        if self._voice is not None:
            self._voice.hush(self._frame)
        return self._frame / self._fps

    def track(self, picture: Picture) -> Floats | None:
        """The motion [56] of the face in the partner's next picture. This may run beside the other
        methods, in one thread."""
        return self._eyes(picture)

    def notice(self, values: Floats | None, time_s: float) -> None:
        """The partner's motion [56] at ``time_s``, as :meth:`track` gave it; None: nobody is
        seen."""
        self._sight.take(values, time_s)

    @cached_property
    def _eyes(self) -> FaceStream:
        return FaceStream()

    def advance(self, now_s: float) -> list[LiveFrame]:
        """It is ``now_s``: the frames that are due by now and were not given yet."""
        self._now = max(self._now, now_s)
        while (self._frame + self._stride) / self._fps + PATIENCE_S <= self._now + _PLAY_S:
            self._answer(self._stride)
        due = []
        while self._ready and self._ready[0].time_s + self.delay_s <= self._now + _PLAY_S:
            due.append(self._ready.popleft())
        return due

    def finish(self, frames: int | None = None) -> list[LiveFrame]:
        """The conversation has ended: all frames that were not given yet, up to ``frames`` in all,
        by default as many as begin within what was heard."""
        if frames is None:
            frames = math.ceil(round(self.heard_s * self._fps, 6))
        while self._frame < frames:
            self._answer(min(self._stride, frames - self._frame))
        rest = [frame for frame in self._ready if frame.index < frames]
        self._ready.clear()
        return rest

    def _answer(self, count: int) -> None:
        """Answer the next ``count`` frames, a step, or less at the end."""
        first, last = self._frame, self._frame + count
        features = self._ear.feed(self._taken(math.ceil(last / self._fps * SAMPLE_RATE)))
        seen = np.stack([self._sight.next() for _ in range(count)])
        values, self._state = self._stream.feed(self._state, features, seen)
        if count < self._stride:
            values = self._stream.finish(self._state)
        speaks, sound = np.zeros(count, bool), None
        if self._voice is not None:
            sound = self._voice.sound(first, last)
            said, talks = self._voice.answer(first, first + self._stride)
            if count < self._stride:
                said = None if said is None else said[:count]
                talks = talks[: count - self._stride]
            values = blended(said, values, talks, self._fps, "arkit")
            speaks = talks[reach(self._fps) :][:count]
        self._frame = last
        values, there = self._face.apply(values), np.isfinite(seen[:, 0])
        for index in range(count):
            at = first + index
            told = bool(speaks[index]), bool(there[index])
            heard = sound[index] if sound is not None and sound[index].any() else None
            self._ready.append(LiveFrame(at, at / self._fps, values[index], *told, heard))

    def _taken(self, end: int) -> Floats:
        """What was heard and not yet taken, up to sample ``end``; silence for what is missing."""
        missing = max(0, end - self._heard)
        if missing:
            self._sound.append(np.zeros(missing, np.float32))
            self._heard += missing
            self._owed += missing
        sound = np.concatenate(self._sound)
        kept = self._heard - end
        self._sound = deque([sound[len(sound) - kept :]])
        return sound[: len(sound) - kept]
