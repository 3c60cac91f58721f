"""A session on the wall clock: tracking, answering and drawing in threads that overlap."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from dimcli.core.motion import Floats, Picture

if TYPE_CHECKING:
    from dimcli.live.session import LiveFrame, Session

Drawn = TypeVar("Drawn")

TICK_S = 0.008
LATE_S = 0.06
"""A frame that is so much later than it was due is not drawn, if there is a newer one."""
STRAINED_S = 1.0
"""So long after a frame was not drawn fewer pictures are tracked."""
AHEAD_S = 0.5
"""Sound that runs further ahead of the clock is left out: its source's clock is faster than ours,
or held it up."""
AT_ONCE_S = 0.2
"""So much of a conversation is answered before its frames are given out."""
BEHIND_S = 1.0
"""Who falls further behind the clock, because the computer slept or is too slow, sets it back."""


class Loop(Generic[Drawn]):
    """Feeds a session as things come, and gives out its frames when they are due.

    Three threads: one tracks the newest picture, one answers, one draws. numpy, OpenCV, torch and
    the tracker's networks let go of the interpreter while they work, so that two cores are used.
    Frames that come too late to be drawn are given out without a picture; the clock goes on. While
    that happens every other moment of the tracker's is left to those who draw.
    """

    def __init__(
        self,
        session: Session,
        shown: Callable[[LiveFrame, Drawn | None], None],
        *,
        draw: Callable[[Floats], Drawn] | None = None,
        every: bool = False,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """``shown`` is called with every frame in order and with what ``draw`` made of its values
        [56], which is ``every`` one's, however late, or else that of frames that are in time;
        ``failed`` once with what ended a thread, and so the loop; both in the loop's
        threads. It runs until :meth:`close`, also as a context manager."""
        self.session = session
        self.error: Exception | None = None
        """What ended the loop, if it was not closed."""
        self.undrawn = 0
        """How many frames came too late to be drawn."""
        self._shown, self._draw, self._failed = shown, draw, failed
        self._every = every
        self._heard: deque[Floats] = deque()
        self._noticed: deque[tuple[Floats | None, float]] = deque()
        self._picture: tuple[Picture | Callable[[], Picture], float] | None = None
        self._due: deque[LiveFrame] = deque()
        self._strained_until = 0.0
        self._ended = False
        self._changed = threading.Condition()
        self._session = threading.Lock()
        self._began = time.monotonic()
        works = (self._look, self._answer, self._show)
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"live{work.__name__}")
            for work in works
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def __enter__(self) -> Loop[Drawn]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now_s(self) -> float:
        """The time in the conversation."""
        return time.monotonic() - self._began

    def hear(self, samples: Floats) -> None:
        """The partner's sound of now: see :meth:`Session.hear`. Does not wait."""
        self._heard.append(samples)

    def see(self, picture: Picture | Callable[[], Picture]) -> None:
        """The partner's picture of now, or what makes it, in the thread that tracks; the picture
        that waits makes room for it. Does not wait."""
        with self._changed:
            self._picture = picture, self.now_s
            self._changed.notify_all()

    def say(self, samples: Floats) -> float:
        """The agent's voice: see :meth:`Session.say`. Waits for a step that is being answered."""
        with self._session:
            return self.session.say(samples)

    def hush(self) -> float:
        """Say no more: see :meth:`Session.hush`. Waits for a step that is being answered."""
        with self._session:
            return self.session.hush()

    def close(self) -> None:
        """End the threads, and wait for them. May be called in any thread, and again."""
        self._end()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            with self._changed:
                first, self._ended = not self._ended, True
                self._changed.notify_all()
            if first:
                self.error = error
                if self._failed is not None:
                    self._failed(error)

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._picture is not None)
                if self._ended or self._picture is None:
                    return
                (picture, time_s), self._picture = self._picture, None
            began = time.monotonic()
            values = self.session.track(picture() if callable(picture) else picture)
            self._noticed.append((values, time_s))
            ended = time.monotonic()
            if ended < self._strained_until:
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, ended - began)

    def _answer(self) -> None:
        until = self.now_s
        while not self._ended:
            now = self.now_s
            until = min(now, until + AT_ONCE_S)
            if now - until > BEHIND_S:
                self._began += now - until
            with self._session:
                self._take_in(until)
                frames = self.session.advance(until)
            if frames:
                with self._changed:
                    self._due.extend(frames)
                    self._changed.notify_all()
            time.sleep(TICK_S)

    def _take_in(self, now_s: float) -> None:
        while self._heard:
            samples = self._heard.popleft()
            if self.session.heard_s < now_s + AHEAD_S:
                self.session.hear(samples)
        while self._noticed:
            values, time_s = self._noticed.popleft()
            self.session.notice(values, min(time_s, now_s))  # the clock may have been set back

    def _show(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or bool(self._due))
                if self._ended:
                    return
                frame = self._due.popleft()
                drawable = self._every or not self._due
            drawn = None
            if self._draw is not None:
                if drawable or self.now_s - frame.time_s - self.session.delay_s < LATE_S:
                    drawn = self._draw(frame.values)
                else:
                    self.undrawn += 1
                    self._strained_until = time.monotonic() + STRAINED_S
            self._shown(frame, drawn)
