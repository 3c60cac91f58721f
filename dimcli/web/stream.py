"""``/stream``: a session over a WebSocket, each bounded by :mod:`dimcli.web.limits`.

The page and a program speak the same language (``examples/stream-api.md``). A session that does
what it may not ends with a close code and a reason; no other is touched.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from dimcli.core.errors import DimError, InputError
from dimcli.core.motion import Floats, Picture
from dimcli.data.gains import FaceSettings
from dimcli.jobs.drawing import Face
from dimcli.live.loop import Loop
from dimcli.web import limits, messages
from dimcli.web.messages import Allowance, RefusedError, Start
from dimcli.web.recording import Arrivals, Recording
from dimcli.web.shelf import Shelf

if TYPE_CHECKING:
    from dimcli.live.session import LiveFrame, Session

FIGURES_S = 1.0
OUTGOING, PICTURES = 50, 2
"""Messages that wait to be sent, and of these pictures; a client that is slower gets the newest."""

KNOWN = ("start", "settings", "hush", "record", "camera", "ping", "stop")

MakeSession = Callable[[FaceSettings, int], "Session"]
"""From settings and a seed."""


class Room:
    """The sessions of a server."""

    def __init__(self, make: MakeSession, faces: dict[str, Path], shelf: Shelf) -> None:
        self.make, self.faces, self.shelf = make, faces, shelf
        self.sessions = 0
        self._endings: set[asyncio.Task[None]] = set()

    async def join(self, socket: WebSocket) -> None:
        """A session from its beginning to its end."""
        await socket.accept()
        try:
            if self.sessions >= limits.SESSIONS:
                raise RefusedError(
                    f"{limits.SESSIONS} sessions go on already; try again later", messages.LATER
                )
            self.sessions += 1
            try:
                await _Talk(self, socket).run()
            finally:
                self.sessions -= 1
        except RefusedError as refused:
            await _close(socket, refused)
        except WebSocketDisconnect:
            pass
        except Exception as error:
            await _close(socket, _refusal(error))
            if not isinstance(error, DimError | OSError):
                raise

    def end_recording(
        self, name: str, recording: Recording, told: Callable[[dict[str, Any]], None]
    ) -> None:
        """Let what is still to be written of a recording be written, whatever becomes of its
        session; ``told`` is given the messages about it."""
        ending = asyncio.create_task(self._end_recording(name, recording, told))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _end_recording(
        self, name: str, recording: Recording, told: Callable[[dict[str, Any]], None]
    ) -> None:
        try:
            length_s, error = await asyncio.to_thread(recording.finish), ""
        except RuntimeError as fault:
            length_s, error = 0.0, str(fault)
            told({"type": "note", "text": error[:300]})
        try:
            self.shelf.end_recording(name, length_s, error)
        except InputError as fault:
            told({"type": "note", "text": str(fault)})
            length_s = 0.0
        told({"type": "recording", "id": name, "on": False, "duration_s": length_s})

    async def close(self) -> None:
        """Wait until all recordings are written."""
        while self._endings:
            await asyncio.wait(self._endings)


def _refusal(error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, InputError):
        return RefusedError(str(error))
    if isinstance(error, OSError):  # a full disk
        return RefusedError(f"the server could not go on: {error.strerror}", messages.LATER)
    return RefusedError(f"our fault: {type(error).__name__}", messages.FAULT)


async def _close(socket: WebSocket, refused: RefusedError) -> None:
    if socket.client_state == socket.application_state == WebSocketState.CONNECTED:
        with suppress(Exception):
            async with asyncio.timeout(limits.UNREAD_S):
                await socket.close(refused.code, refused.reason)


@dataclass
class _Spent:
    """What a session may still send."""

    messages: Allowance
    bytes: Allowance
    heard: Allowance
    said: Allowance
    faces: Allowance


class _Talk:
    """One session."""

    def __init__(self, room: Room, socket: WebSocket) -> None:
        self._room, self._socket = room, socket
        self._loop = asyncio.get_running_loop()
        self._outgoing: deque[bytes | dict[str, Any]] = deque()
        self._news = asyncio.Event()
        self._fault: asyncio.Future[None] = self._loop.create_future()
        self._start = Start()
        self._sent_face: bytes | None = None
        self._face: Face | None = None
        self._talk: Loop[Picture] | None = None
        self._sound = Arrivals()
        self._recording: tuple[str, Recording] | None = None
        self._sent = self._skipped = 0
        self._lateness = 0.0
        self._last_s = 0.0
        rate = limits.SOUND_RATE
        self._may = _Spent(
            Allowance(limits.MESSAGES_A_SECOND, limits.MESSAGES_AT_ONCE),
            Allowance(limits.BYTES_A_SECOND, limits.BYTES_AT_ONCE),
            Allowance(rate * limits.SOUND_SPEED, rate * limits.SOUND_AT_ONCE_S),
            Allowance(rate * limits.SOUND_SPEED, rate * limits.VOICE_AT_ONCE_S),
            Allowance(limits.REFERENCES_A_MINUTE / 60, limits.REFERENCES_A_MINUTE),
        )

    async def run(self) -> None:
        """Until either side ends it."""
        tasks = [asyncio.create_task(each) for each in (self._receive(), self._send())]
        tasks.append(asyncio.create_task(self._tell()))
        try:
            ended, _ = await asyncio.wait(
                [*tasks, self._fault],
                timeout=limits.SESSION_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not ended:
                raise RefusedError(f"the session lasted {limits.SESSION_S / 3600:.0f} hours")
            for each in ended:
                each.result()
        finally:
            self._stop_recording()  # before anything that is waited for, and may be cancelled
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._fault.cancel()
            if self._talk is not None:
                await asyncio.to_thread(self._talk.close)

    # what comes in

    async def _receive(self) -> None:
        while True:
            try:
                waiting = limits.START_S if self._talk is None else None
                async with asyncio.timeout(waiting):
                    message = await self._socket.receive()
            except TimeoutError:
                raise RefusedError(f"no start message within {limits.START_S:.0f} s") from None
            if message["type"] == "websocket.disconnect":
                return
            text, data = message.get("text"), message.get("bytes")
            self._require_allowed(len(text) if text is not None else len(data or b""))
            if text is not None:
                await self._read(messages.read_text(text))
            elif data:
                await self._take(data[0], data[1:])

    def _require_allowed(self, size: int) -> None:
        if size > limits.MESSAGE_BYTES:
            raise RefusedError(
                f"a message of more than {limits.MESSAGE_BYTES / 1e6:.0f} MB", messages.TOO_BIG
            )
        if not self._may.messages.take(1):
            raise RefusedError(
                f"more than {limits.MESSAGES_A_SECOND:.0f} messages a second; send larger pieces"
            )
        if not self._may.bytes.take(size):
            raise RefusedError(
                f"more than {limits.BYTES_A_SECOND / 1e6:.0f} MB a second; send smaller pictures"
            )

    async def _read(self, message: dict[str, Any]) -> None:
        """Do what a text message says."""
        kind = message["type"]
        if kind == "stop":  # closed when nothing is being sent any more
            raise RefusedError("stopped", messages.STOPPED)
        if kind == "ping":
            self._put(messages.pong(message, self._talk.now_s if self._talk else None))
        elif kind == "start":
            if self._talk is not None:
                raise RefusedError("start: the session has begun already")
            self._start = messages.read_start(message, tuple(self._room.faces))
            await self._begin()
        elif self._talk is None:
            raise RefusedError(f"{kind[:20]}: the session has not begun")
        elif kind == "settings":
            settings = self._talk.session.settings
            self._talk.session.settings = messages.read_settings(message, settings)
        elif kind == "record":
            await self._record(message)
        elif kind == "hush":
            self._put(messages.hushed(await asyncio.to_thread(self._talk.hush)))
        elif kind == "camera":
            if self._recording is not None and message.get("on") is False:
                self._recording[1].camera_off()
        else:
            raise messages.unknown(kind, KNOWN)

    async def _take(self, kind: int, data: bytes) -> None:
        if kind == messages.FACE:
            await self._take_face(data)
        elif self._talk is None:
            raise RefusedError("the session has not begun; send start")
        elif kind == messages.HEARD:
            samples = messages.read_samples(data)
            if not self._may.heard.take(len(samples)):
                raise RefusedError(
                    f"sound comes faster than {limits.SOUND_RATE} samples a second; send it as it "
                    "is heard, mono, at 16 kHz"
                )
            self._talk.hear(samples)
            if self._recording is not None:
                self._recording[1].hear(*self._sound.placed(samples, self._talk.now_s))
        elif kind == messages.SEEN:
            messages.require_small(data)
            self._talk.see(partial(self._seen, data, self._talk.now_s))
        elif kind == messages.SAID:
            samples = messages.read_samples(data)
            if not self._may.said.take(len(samples)):
                raise RefusedError(
                    f"more than {limits.VOICE_AT_ONCE_S:.0f} s of voice ahead; send it later"
                )
            self._put(messages.voice(await asyncio.to_thread(self._talk.say, samples)))
        else:
            raise messages.unknown(kind, messages.KINDS)

    async def _take_face(self, data: bytes) -> None:
        if not self._may.faces.take(1):
            raise RefusedError(f"more than {limits.REFERENCES_A_MINUTE:.0f} faces a minute")
        self._sent_face = data
        if self._talk is None or not self._start.frames:
            return
        if self._recording is not None:
            self._put({"type": "note", "text": "the face stays while you record"})
            return
        try:
            face = await asyncio.to_thread(
                Face, data, self._start.size, self._talk.session.fps, self._room.shelf.force_face
            )
        except InputError as error:  # the face before it goes on
            self._put({"type": "note", "text": str(error)[:300]})
            return
        self._face = face
        self._put({"type": "face", "width": face.size[0], "height": face.size[1]})

    # a session

    async def _begin(self) -> None:
        start = self._start
        session = await asyncio.to_thread(self._room.make, start.settings, start.seed)
        if start.frames:
            own = self._sent_face if start.picture is None else self._room.faces[start.picture]
            if own is None:
                raise RefusedError("frames: send a face, or name a picture, to be drawn")
            self._face = await asyncio.to_thread(
                Face, own, start.size, session.fps, self._room.shelf.force_face
            )
        self._talk = Loop(
            session, self._show, draw=self._draw if self._face else None, failed=self._fail
        )
        self._put(messages.ready(session, self._face.size if self._face else (0, 0)))

    def _fail(self, error: Exception) -> None:
        """In a thread of the conversation."""

        def tell() -> None:
            if not self._fault.done():
                self._fault.set_exception(error)

        self._later(tell)

    def _later(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(call)

    def _show(self, frame: LiveFrame, picture: Picture | None) -> None:
        """In a thread of the conversation: a frame is there."""
        if frame.said is not None and (recording := self._recording) is not None:
            recording[1].hear(frame.said, frame.time_s + len(frame.said) / limits.SOUND_RATE)
        out: list[bytes | dict[str, Any]] = []
        if self._start.motion == "json":
            out.append(messages.motion_text(frame))
        elif self._start.motion == "binary":
            out.append(messages.packed(messages.MOVED, frame, frame.values.tobytes()))
        if picture is not None:
            out.append(messages.packed(messages.DRAWN, frame, messages.jpeg(picture)))
            if (recording := self._recording) is not None:
                recording[1].draw(picture, frame.time_s)
        self._last_s = frame.time_s
        talk = self._talk
        lateness = talk.now_s - frame.time_s if talk is not None else 0.0

        def put() -> None:
            self._lateness = max(self._lateness, lateness)
            for each in out:
                self._put(each)

        self._later(put)

    def _draw(self, values: Floats) -> Picture:
        assert self._face is not None
        return self._face.draw(values)

    def _seen(self, data: bytes, time_s: float) -> Picture:
        """In the thread that tracks: the camera's picture."""
        picture = messages.read_jpeg(data)
        if (recording := self._recording) is not None:
            recording[1].see(picture, time_s)
        return picture

    # recordings

    async def _record(self, message: dict[str, Any]) -> None:
        if message.get("on") is not True:
            self._stop_recording()
            return
        if self._face is None or self._talk is None:
            raise RefusedError("record: this session draws no frames")
        if self._recording is not None:
            return
        try:
            name, path = self._room.shelf.begin_recording(time.strftime("Conversation, %H:%M"))
        except InputError as error:
            self._put({"type": "note", "text": str(error)})
            return
        try:
            recording = Recording(
                path,
                self._face.size,
                self._talk.session.fps,
                self._last_s,
                camera=message.get("camera") is True,
            )
        except OSError as error:
            self._room.shelf.end_recording(name, 0.0)
            self._put({"type": "note", "text": f"nothing is recorded: {error.strerror}"})
            return
        self._recording = name, recording
        self._put({"type": "recording", "id": name, "on": True})

    def _stop_recording(self) -> None:
        if self._recording is not None:
            (name, recording), self._recording = self._recording, None
            self._room.end_recording(name, recording, self._put)

    # what goes out

    def _put(self, message: bytes | dict[str, Any]) -> None:
        if isinstance(message, bytes) and message[0] == messages.DRAWN:
            drawn = [
                each
                for each in self._outgoing
                if isinstance(each, bytes) and each[0] == messages.DRAWN
            ]
            if len(drawn) >= PICTURES:  # late pictures are of no use
                self._outgoing.remove(drawn[0])
                self._skipped += 1
        if len(self._outgoing) >= OUTGOING:
            for index, each in enumerate(self._outgoing):
                if isinstance(each, bytes) or each["type"] == "motion":
                    del self._outgoing[index]
                    break
            else:
                self._outgoing.popleft()
            self._skipped += 1
        self._outgoing.append(message)
        self._news.set()

    async def _send(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._outgoing:
                message = self._outgoing.popleft()
                try:
                    async with asyncio.timeout(limits.UNREAD_S):
                        if isinstance(message, bytes):
                            await self._socket.send_bytes(message)
                        else:
                            await self._socket.send_json(message)
                except TimeoutError:
                    raise RefusedError(f"nothing was read for {limits.UNREAD_S:.0f} s") from None
                self._sent += self._is_frame(message)

    def _is_frame(self, message: bytes | dict[str, Any]) -> bool:
        """Whether it is what a client counts: a picture, or motion where none are drawn."""
        if self._start.frames:
            return isinstance(message, bytes) and message[0] == messages.DRAWN
        return isinstance(message, bytes) or message["type"] == "motion"

    async def _tell(self) -> None:
        """Figures, every second."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(FIGURES_S)
            if self._talk is None:
                continue
            now = time.monotonic()
            self._put(
                {
                    "type": "figures",
                    "fps": round(self._sent / (now - last), 1),
                    "latency_s": round(self._lateness, 3),
                    "skipped": self._skipped + self._talk.undrawn,
                }
            )
            if (
                self._recording is not None
                and self._talk.now_s - self._recording[1].start_s > limits.RECORDING_S
            ):
                self._stop_recording()
            self._sent, self._lateness, last = 0, 0.0, now
