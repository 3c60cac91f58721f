"""A program that talks to ``dim live`` over a WebSocket, as ``examples/stream-api.md`` says.

It sends what a client of ``dim serve`` sends; the face goes where ``dim live --to`` says, and
nothing of it comes back. One program at a time; when it goes, the face lives on and the next may
come. Only this machine reaches it, and no page.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.live.sources import Source
from dimcli.web import limits, messages
from dimcli.web.messages import RefusedError

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

    from dimcli.live.loop import Loop

KNOWN = "start, settings, hush, ping, stop"


class _Line:
    """What is heard over connections, once there is a face to tell it to."""

    def __init__(self, *, heard: bool) -> None:
        self._heard = heard
        self._taken = threading.Lock()
        self._begun = threading.Event()
        self._face: Loop[Any] | None = None

    def give(self, now_s: float, face: Loop[Any]) -> None:
        """The face is there: a connection's own thread talks to it."""
        self._face = face
        self._begun.set()

    def close(self) -> None:
        """No face is left: nobody waits for one."""
        self._face = None
        self._begun.set()

    def serve(self, connection: ServerConnection) -> None:
        """One program, from its coming to its going."""
        from websockets.exceptions import ConnectionClosed

        try:
            if not self._taken.acquire(blocking=False):
                raise RefusedError(messages.LATER, "another program is connected; try again later")
            try:
                self._begun.wait()
                for message in connection:
                    if self._face is None or not self._read(connection, self._face, message):
                        break
            finally:
                self._taken.release()
        except RefusedError as refused:
            connection.close(refused.code, refused.reason)
        except InputError as error:
            refusal = RefusedError(messages.AGAINST_RULES, str(error))
            connection.close(refusal.code, refusal.reason)
        except ConnectionClosed:
            pass

    def _read(self, connection: ServerConnection, face: Loop[Any], message: str | bytes) -> bool:
        """Do what a message says; False where it ends the connection."""
        if isinstance(message, bytes):
            if message:
                self._take(connection, face, message[0], message[1:])
            return True
        told = messages.read_text(message)
        kind, session = told["type"], face.session
        if kind == "stop":
            return False
        if kind in ("start", "settings"):
            said = {name: told[name] for name in messages.SETTINGS if name in told}
            said = said if kind == "start" else told
            session.settings = messages.read_settings(said, session.settings)
        if kind == "start":
            facts = {"fps": session.fps, "delay_s": round(session.delay_s, 4)}
            _tell(connection, type="ready", **facts, width=0, height=0, names=messages.NAMES)
        elif kind == "hush":
            _tell(connection, type="hushed", time_s=face.hush())
        elif kind == "ping":
            number = messages.number(told, "id")
            _tell(connection, type="pong", id=number, time_s=face.now_s)
        elif kind != "settings":
            raise RefusedError(messages.UNREADABLE, f"{kind[:20]}: unknown; known: {KNOWN}")
        return True

    def _take(self, connection: ServerConnection, face: Loop[Any], kind: int, data: bytes) -> None:
        if kind == messages.SAID:
            time_s = face.say(messages.read_samples(data))
            _tell(connection, type="voice", time_s=time_s)
        elif kind in (messages.HEARD, messages.SEEN) and not self._heard:
            raise RefusedError(
                messages.AGAINST_RULES,
                f"bytes of kind {kind}: the partner is not heard over this; see --from ws",
            )
        elif kind == messages.HEARD:
            face.hear(messages.read_samples(data))
        elif kind == messages.SEEN:
            if len(data) > limits.PICTURE_BYTES:
                raise RefusedError(
                    messages.AGAINST_RULES, f"a picture of more than {limits.PICTURE_BYTES} bytes"
                )
            face.see(messages.read_jpeg(data))
        else:
            raise RefusedError(
                messages.UNREADABLE, f"bytes of kind {kind}; known: 1 sound, 2 picture, 3 voice"
            )


def _tell(connection: ServerConnection, **message: Any) -> None:
    connection.send(json.dumps(message))


@contextmanager
def websocket(port: int, heard: bool) -> Iterator[Source]:
    """A WebSocket at ``port`` of this machine as a source; ``heard``: the partner's sound and
    pictures come over it, else only the agent's voice. Raises InputError where the port is taken,
    MissingDependencyError."""
    try:
        from websockets.sync.server import serve
    except ImportError:
        raise MissingDependencyError(
            "ws: needs websockets; install it with `pip install 'dim-listener[serve]'`"
        ) from None
    line = _Line(heard=heard)
    try:
        server = serve(
            line.serve,
            "127.0.0.1",
            port,
            origins=[None],  # pages send one
            compression=None,
            max_size=limits.MESSAGE_BYTES,
            ping_interval=limits.IDLE_PINGS_S,
            ping_timeout=limits.IDLE_PINGS_S,
        )
    except OSError as error:
        raise InputError(
            f"ws: port {port} cannot be used ({error.strerror}); name another, as in ws:{port + 1}"
        ) from None
    with server:
        thread = threading.Thread(target=server.serve_forever, name="websocket", daemon=True)
        thread.start()
        try:
            yield Source(f"ws://127.0.0.1:{port}/stream", line.give)
        finally:
            line.close()
