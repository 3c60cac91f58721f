"""A program that talks to ``dim live`` over a WebSocket."""

import json
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from dimcli.core.errors import InputError
from dimcli.live.loop import Loop
from dimcli.live.session import Session
from dimcli.web.line import websocket
from tests.web.serving import wait_for
from tests.web.test_stream import ended, read, say


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def live(listener, speaker):
    """Opens a live face that hears a WebSocket: its frames so far, and its address."""

    @contextmanager
    def opened(*, heard: bool, said: bool = True):
        port, frames, over = free_port(), [], threading.Event()
        session = Session(listener, speaker)
        with (
            websocket(port, heard, said) as source,
            Loop(session, lambda frame, _: frames.append(frame)) as loop,
        ):
            source.begin()

            def give() -> None:
                while not over.is_set():
                    source.give(loop.now_s, loop)
                    time.sleep(0.005)

            giving = threading.Thread(target=give)
            giving.start()
            try:
                yield frames, source.name, loop
            finally:
                over.set()
                giving.join()

    return opened


def joined(address: str, **options):
    return connect(address, compression=None, **options)


def test_what_a_program_sends_is_heard_seen_and_said(live, pieces, pictures):
    with live(heard=True) as (frames, address, loop), joined(address) as socket:
        say(socket, {"type": "start", "motion": "none", "head": 0.5})
        ready = read(socket, "ready")
        assert ready["fps"] == 25 and len(ready["names"]) == 56
        assert loop.session.settings.head == 0.5
        for number in range(400):
            for piece in pieces[:2]:
                socket.send(b"\x01" + piece)
            socket.send(b"\x02" + pictures[number % 50])
            time.sleep(0.04)
            if any(frame.seen for frame in frames):
                break
        assert any(frame.seen for frame in frames)
        assert loop.session.heard_s > 0
        socket.send(b"\x03" + b"".join(pieces))
        time_s = read(socket, "voice")["time_s"]
        wait_for(lambda: frames[-1].said is not None)
        say(socket, {"type": "hush"})
        silent_s = read(socket, "hushed")["time_s"]
        assert time_s < silent_s < time_s + 0.02 * len(pieces)
        say(socket, {"type": "ping", "id": 3})
        assert read(socket, "pong")["id"] == 3
        say(socket, {"type": "stop"})
        assert ended(socket)[0] == 1000
        wait_for(lambda: frames[-1].time_s > silent_s)  # the face lives on
        with joined(address) as again:
            say(again, {"type": "ping", "id": 4})
            assert read(again, "pong")["id"] == 4


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        ("{", 1003, "not JSON"),
        (json.dumps({"type": "dance"}), 1003, "dance: unknown; known: start"),
        (json.dumps({"type": "start", "head": 9}), 1008, "head 9: expected 0 to 2"),
        (b"\x01abc", 1003, "odd number of bytes"),
        (b"\x02junk", 1003, "no whole JPEG"),
        (b"\x04face", 1003, "bytes of kind 4"),
        (b"\x03" + bytes(32000 * 15), 1008, "of voice"),
        (b"\x02" + bytes(2_000_000), 1008, "a picture of more than"),
        (b"\x03" + bytes(9_000_000), 1009, ""),
    ],
    ids=[
        "no JSON",
        "unknown",
        "gain",
        "odd",
        "no JPEG",
        "face",
        "too much voice",
        "too large",
        "too long",
    ],
)
def test_a_program_that_does_not_behave_is_told_and_the_face_lives_on(live, sent, code, why):
    with live(heard=True) as (frames, address, _):
        with joined(address, max_size=None) as socket:
            try:
                for _ in range(10):
                    socket.send(sent)
            except ConnectionClosed:
                pass
            found, reason = ended(socket)
            assert (found, why in reason) == (code, True), reason
        before = len(frames)
        wait_for(lambda: len(frames) > before)
        with joined(address) as socket:
            say(socket, {"type": "ping", "id": 1})
            read(socket, "pong")


def test_only_the_agents_voice_is_taken_where_the_partner_is_heard_elsewhere(live, pieces):
    with live(heard=False) as (_, address, _), joined(address) as socket:
        socket.send(b"\x03" + pieces[0])
        read(socket, "voice")
        socket.send(b"\x01" + pieces[0])
        assert "see --from ws" in ended(socket)[1]


def test_a_voice_is_refused_where_it_comes_from_elsewhere(live, pieces):
    with live(heard=True, said=False) as (_, address, loop):
        with joined(address) as socket:
            socket.send(b"\x01" + pieces[0])
            say(socket, {"type": "ping", "id": 1})
            read(socket, "pong")
            socket.send(b"\x03" + pieces[0])
            assert "comes from elsewhere; see --voice" in ended(socket)[1]
        assert loop.error is None


def test_one_program_at_a_time_and_no_page(live):
    with live(heard=True) as (_, address, _):
        with pytest.raises(InvalidStatus) as refused:
            joined(address, origin="http://localhost:3000")
        assert refused.value.response.status_code == 403
        with joined(address) as first:
            say(first, {"type": "ping", "id": 1})
            read(first, "pong")
            with joined(address) as second:
                assert ended(second)[0] == 1013


def test_a_port_that_is_taken_is_told_and_a_program_that_came_before_the_face_ends(live):
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(websocket(port, True)).begin()
        early = stack.enter_context(joined(f"ws://127.0.0.1:{port}/stream"))
        with pytest.raises(InputError, match=f"port {port} cannot be used"), websocket(port, True):
            pass
        say(early, {"type": "ping", "id": 1})  # nobody answers yet, and closing waits for nobody
