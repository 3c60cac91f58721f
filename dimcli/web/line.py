"""A program that talks to ``dim live`` over a WebSocket, as ``examples/stream-api.md`` says.

It sends what a client of ``dim serve`` sends; the face goes where ``dim live --to`` says, and
nothing of it comes back. One program at a time; when it goes, the face lives on and the next may
come. Only this machine reaches it, and no page.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from dimcli.core.errors import InputError, needing
from dimcli.core.installing import install
from dimcli.live.sources import Source
from dimcli.web import limits, messages
from dimcli.web.messages import RefusedError

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

    from dimcli.live.loop import Loop

KNOWN = ("start", "settings", "hush", "ping", "stop")


class _Line:
    """What is heard over connections, once there is a face to tell it to."""

    def __init__(self, *, heard: bool, said: bool) -> None:
        self._refused: dict[int, str] = {}
        if not heard:
            why = "the partner is not heard over this; see --from ws"
            self._refused |= {messages.HEARD: why, messages.SEEN: why}
        if not said:
            self._refused[messages.SAID] = "the voice comes from elsewhere; see --voice"
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
                raise RefusedError("another program is connected; try again later", messages.LATER)
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
            refusal = RefusedError(str(error))
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
            _tell(connection, messages.ready(session))
        elif kind == "hush":
            _tell(connection, messages.hushed(face.hush()))
        elif kind == "ping":
            _tell(connection, messages.pong(told, face.now_s))
        elif kind != "settings":
            raise messages.unknown(kind, KNOWN)
        return True

    def _take(self, connection: ServerConnection, face: Loop[Any], kind: int, data: bytes) -> None:
        if kind in self._refused:
            raise RefusedError(f"bytes of kind {kind}: {self._refused[kind]}")
        if kind == messages.SAID:
            _tell(connection, messages.voice(face.say(messages.read_samples(data))))
        elif kind == messages.HEARD:
            face.hear(messages.read_samples(data))
        elif kind == messages.SEEN:
            messages.require_small(data)
            face.see(messages.read_jpeg(data))
        else:
            raise messages.unknown(kind, (messages.HEARD, messages.SEEN, messages.SAID))


def _tell(connection: ServerConnection, message: dict[str, Any]) -> None:
    connection.send(json.dumps(message))


@contextmanager
def websocket(port: int, heard: bool, said: bool = True) -> Iterator[Source]:
    """A WebSocket at ``port`` of this machine as a source; ``heard``: the partner's sound and
    pictures come over it, ``said``: the agent's voice does. Programs that connect before it begins
    wait. Raises InputError where the port is taken, MissingDependencyError."""
    with needing(f"ws: needs websockets; install it with `{install('serve')}`"):
        from websockets.sync.server import serve
    line = _Line(heard=heard, said=said)
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
    with ExitStack() as stack:
        stack.callback(server.socket.close)

        def begin() -> None:
            stack.enter_context(server)  # its end waits for the thread
            threading.Thread(target=server.serve_forever, name="websocket", daemon=True).start()

        try:
            yield Source(f"ws://127.0.0.1:{port}/stream", line.give, begin=begin)
        finally:
            line.close()
