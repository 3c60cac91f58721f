"""The loop keeps time, whatever its parts do, and ends clean."""

import threading
import time

import numpy as np
import pytest

from dimcli.live import loop as loop_module
from dimcli.live.loop import Loop
from dimcli.live.session import LiveFrame


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("live_")]


class Quick:
    """What a loop asks of a session, without models."""

    delay_s = 0.1

    def __init__(self):
        self.heard_s, self.given, self.noticed = 0.0, 0, []

    def hear(self, samples):
        self.heard_s += len(samples) / 16000

    def track(self, picture):
        return picture.mean(axis=(0, 1))

    def notice(self, values, time_s):
        self.noticed.append(time_s)

    def advance(self, now_s):
        first, self.given = self.given, max(self.given, int((now_s - self.delay_s) * 25) + 1)
        nothing = np.zeros(56, np.float32)
        return [LiveFrame(i, i / 25, nothing, False, True) for i in range(first, self.given)]


@pytest.fixture
def session():
    return Quick()


def test_frames_come_in_order_and_at_their_times_also_when_drawing_is_slow(session):
    came = []

    def shown(frame, drawn):
        came.append((frame, drawn, time.monotonic()))

    def slowly(values):
        time.sleep(0.1)
        return "drawn"

    began = time.monotonic()
    with Loop(session, shown, draw=slowly) as loop:
        for _ in range(50):
            loop.hear(np.zeros(480, np.float32))
            loop.see(lambda: np.zeros((8, 8, 3), np.uint8))
            time.sleep(0.03)
        ends = time.monotonic() + 20
        while session.heard_s < 1.49 and time.monotonic() < ends:
            time.sleep(0.01)
    assert not running()
    assert loop.error is None
    assert [frame.index for frame, _, _ in came] == list(range(len(came)))
    assert 5 < len(session.noticed) <= 50
    assert session.noticed == sorted(session.noticed)
    assert session.heard_s == pytest.approx(1.5)
    assert 0 < sum(drawn is None for _, drawn, _ in came) == loop.undrawn < len(came)
    late = [at - began - frame.time_s - session.delay_s for frame, _, at in came]
    assert min(late) > -0.01
    assert max(late[3:]) < 1.5  # it does not fall behind more and more
    loop.close()


def test_every_frame_is_drawn_where_that_is_asked_for_however_late(session):
    came = []

    def slowly(values):
        time.sleep(0.1)
        return "drawn"

    def shown(frame, drawn):
        came.append((frame.index, drawn))

    with Loop(session, shown, draw=slowly, every=True) as loop:
        ends = time.monotonic() + 30
        while len(came) < 15 and time.monotonic() < ends:
            time.sleep(0.02)
    assert came == [(index, "drawn") for index in range(len(came))] and len(came) >= 15
    assert not loop.undrawn


def test_frames_that_all_come_late_are_drawn_all_the_same(session):
    answered, came = session.advance, []
    session.advance = lambda now_s: answered(now_s - 0.3)
    with Loop(session, lambda frame, drawn: came.append(drawn), draw=lambda values: "drawn"):
        ends = time.monotonic() + 20
        while came.count("drawn") < 5 and time.monotonic() < ends:
            time.sleep(0.02)
    assert came.count("drawn") >= 5


def test_less_is_tracked_while_drawing_is_too_slow(session):
    tracked = []

    def slowly(values):
        time.sleep(0.1)

    def look():
        began = time.monotonic()
        time.sleep(0.01)
        tracked.append((began, time.monotonic()))
        return np.zeros((8, 8, 3), np.uint8)

    with Loop(session, lambda frame, drawn: None, draw=slowly) as loop:
        ends = time.monotonic() + 20
        while not loop.undrawn and time.monotonic() < ends:
            time.sleep(0.01)
        began = time.monotonic()
        while time.monotonic() < began + 1:
            loop.see(look)
            time.sleep(0.001)
        took = time.monotonic() - began
    busy = sum(end - start for start, end in tracked if start > began)
    assert loop.undrawn
    assert tracked
    assert busy < 0.7 * took


@pytest.mark.parametrize("part", ["track", "advance", "draw", "shown"])
def test_a_fault_of_one_part_is_told_once_and_ends_all(session, monkeypatch, part):
    def broken(*_):
        raise RuntimeError(part)

    if part in ("track", "advance"):
        monkeypatch.setattr(session, part, broken)
    told = []
    loop = Loop(
        session,
        broken if part == "shown" else lambda frame, drawn: None,
        draw=broken if part == "draw" else None,
        failed=told.append,
    )
    loop.see(np.zeros((8, 8, 3), np.uint8))
    ends = time.monotonic() + 20
    while not told and time.monotonic() < ends:
        time.sleep(0.01)
    loop.close()
    assert [str(error) for error in told] == [part]
    assert loop.error is told[0]
    assert not running()


def test_a_computer_that_is_too_slow_falls_no_further_behind(session, monkeypatch):
    monkeypatch.setattr(loop_module, "BEHIND_S", 0.3)
    before, advance = [0.0], session.advance

    def slow(now_s):
        time.sleep(2 * (now_s - before[0]))
        before[0] = now_s
        return advance(now_s)

    session.advance = slow
    came, began = [], time.monotonic()
    with Loop(session, lambda frame, drawn: came.append(frame)) as loop:
        for _ in range(50):
            loop.hear(np.zeros(480, np.float32))
            time.sleep(0.03)
        assert loop.now_s < time.monotonic() - began - 0.05, "the clock was set back"
        assert loop.now_s - came[-1].time_s < 2.0
        assert session.heard_s < loop.now_s + 0.6
    assert [frame.index for frame in came] == list(range(len(came)))
