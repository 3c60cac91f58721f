"""Clients and disks that do harm to a session: it is told, in one line, and nothing is logged."""

import asyncio
import errno
import json
import logging

import pytest
from starlette.websockets import WebSocket

from dimcli.web import stream
from dimcli.web.messages import RefusedError
from tests.web.serving import wait_for
from tests.web.test_stream import START, ended, frame, joined, read, say, session


@pytest.fixture(autouse=True)
def silent(caplog, talking):
    """What a client does wrong fills no log."""
    yield
    wait_for(lambda: talking.site.room.sessions == 0)
    talking.ask("GET", "/api/status")  # what was to be logged by then is
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_session_that_is_stopped_while_frames_are_sent_ends_without_a_word(talking, monkeypatch):
    close = WebSocket.close

    async def slow(self: WebSocket, *arguments: object) -> None:
        await close(self, *arguments)  # type: ignore[arg-type]
        await asyncio.sleep(0.3)  # frames come meanwhile

    monkeypatch.setattr(WebSocket, "close", slow)
    with session(talking) as socket:
        frame(socket, 2)
        say(socket, {"type": "stop"})
        assert ended(socket) == (1000, "stopped")


def test_a_reason_is_one_line_whatever_the_client_calls_things(talking):
    assert RefusedError("a\nb\0\ud800\u202e", 1003).reason == r"a\nb\x00\ud800\u202e"
    for kind in ("a\nb", "\ud800"):
        with session(talking) as socket:
            socket.send(json.dumps({"type": kind}))
            code, reason = ended(socket)
            assert code == 1003 and reason.isprintable(), reason


def test_a_full_disk_makes_no_recording_and_the_session_goes_on(talking, monkeypatch):
    folder = talking.site.shelf.folder
    before = {path.name for path in folder.iterdir()}
    with session(talking, picture="ada", frames=True, size=128, motion="none") as socket:
        frame(socket, 1)
        for owner, name in ((stream, "Recording"), (talking.site.shelf, "_keep")):
            with monkeypatch.context() as patched:
                patched.setattr(owner, name, full)
                say(socket, {"type": "record", "on": True})
                assert "No space left" in read(socket, "note")["text"]
            assert {path.name for path in folder.iterdir()} == before
        frame(socket, 1)


def test_a_machine_that_cannot_go_on_ends_a_session_with_the_reason(talking, monkeypatch):
    monkeypatch.setattr(stream, "Face", full)
    with joined(talking) as socket:
        say(socket, START | {"frames": True, "picture": "ada"})
        assert ended(socket) == (1013, "the server could not go on: No space left on device")
