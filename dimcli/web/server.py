"""The server of ``dim serve``: the page, the queue of videos, and the sessions.

GET    /                        the page
GET    /api/status              version, faces, whether there is a live listener
GET    /api/videos              the queue and what came of it
POST   /api/uploads?name=a.mp4  a file for a job, as it is; gives the name it has here
POST   /api/videos              a job
GET    /api/videos/ID/video.mp4
DELETE /api/videos/ID           cancels a job, removes a video
WS     /stream                  a session: :mod:`dimcli.web.stream`
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

import dimcli
from dimcli.core.errors import InputError, printable
from dimcli.core.files import check_folder
from dimcli.core.limits import LARGEST_SEED
from dimcli.data import gains
from dimcli.data.gains import FaceSettings, Gains
from dimcli.web import limits
from dimcli.web.guard import Guard, is_loopback
from dimcli.web.messages import read_json
from dimcli.web.shelf import Entry, Shelf
from dimcli.web.stream import MakeSession, Room

if TYPE_CHECKING:
    from dimcli.live.session import Session

PAGE = Path(__file__).parent / "page"
LISTENER = "listener-live"
OPTIONS = {
    "listener": ("attitude", "style", "layout", "who", "seed", *gains.NAMES),
    "speaker": ("style", "seed", *gains.NAMES),
}
"""What may be said of a job, by its kind."""


def faces() -> dict[str, Path]:
    """The pictures that come with the page, of people who do not exist, by name."""
    return {path.stem: path for path in sorted((PAGE / "faces").glob("*.jpg"))}


class Site:
    """What the server answers."""

    def __init__(self, shelf: Shelf, make_session: MakeSession | None = None) -> None:
        """``make_session`` None: there is no live listener."""
        self.shelf = shelf
        self.room = make_session and Room(make_session, faces(), shelf)
        live = [WebSocketRoute("/stream", self.room.join)] if self.room else []
        self.app = Starlette(
            routes=[
                Route("/api/status", self.status),
                Route("/api/uploads", self.upload, methods=["POST"]),
                Route("/api/videos", self.videos),
                Route("/api/videos", self.add, methods=["POST"]),
                Route("/api/videos/{id}", self.remove, methods=["DELETE"]),
                Route("/api/videos/{id}/video.mp4", self.video),
                *live,
                Mount("/", StaticFiles(directory=PAGE, html=True)),
            ],
            exception_handlers={InputError: _told, TimeoutError: _slow, ClientDisconnect: _gone},
            lifespan=self._working,
        )

    @asynccontextmanager
    async def _working(self, app: Starlette) -> AsyncIterator[None]:
        self.shelf.open()
        work = asyncio.create_task(self.shelf.run())
        try:
            yield
        finally:
            work.cancel()
            await self.shelf.close()
            if self.room is not None:
                await self.room.close()

    async def status(self, request: Request) -> Response:
        """What the page shows before anything is begun."""
        return JSONResponse(
            {"version": dimcli.__version__, "faces": list(faces()), "live": self.room is not None}
        )

    async def videos(self, request: Request) -> Response:
        """The queue and the videos that were made, oldest first."""
        return JSONResponse([shown(entry) for entry in self.shelf.entries.values()])

    async def upload(self, request: Request) -> Response:
        """Take in a file, the body of the request."""
        async with asyncio.timeout(limits.UPLOAD_S):
            name = request.query_params.get("name", "")
            return JSONResponse({"name": await self.shelf.upload(name, _chunks(request))})

    async def add(self, request: Request) -> Response:
        """Put a job into the queue: ``kind``, ``title``, ``source``, ``picture``, ``options``."""
        body = b""
        async for chunk in _chunks(request):
            body += chunk
            if len(body) > limits.REQUEST_BYTES:
                raise InputError(f"the request is larger than {limits.REQUEST_BYTES} bytes")
        job = Job.of(read_json(body, "the request"))
        picture: Path | str = faces().get(job.picture, job.picture)
        entry = self.shelf.add(job.kind, job.title, job.source, picture, job.options)
        return JSONResponse(shown(entry), 201)

    async def remove(self, request: Request) -> Response:
        """Cancel a job or remove a video."""
        there = await self.shelf.remove(request.path_params["id"])
        return Response(status_code=204) if there else _missing()

    async def video(self, request: Request) -> Response:
        """A finished video, to be watched or, with ``?download``, kept."""
        entry = self.shelf.entries.get(request.path_params["id"])
        if entry is None or entry.state != "done" or not self.shelf.video(entry.id).is_file():
            return _missing()
        kept = "download" in request.query_params
        return FileResponse(
            self.shelf.video(entry.id),
            media_type="video/mp4",
            filename=f"{Path(entry.title).stem}-{entry.kind}.mp4",
            content_disposition_type="attachment" if kept else "inline",
        )


@dataclass(frozen=True)
class Job:
    """A job as a client asks for it."""

    kind: str
    title: str
    source: str
    picture: str
    options: dict[str, Any]

    @classmethod
    def of(cls, asked: Any) -> Job:
        """The job that a request names. Raises InputError."""
        if not isinstance(asked, dict):
            raise InputError("the request is no JSON object")
        words = {name: asked.get(name, "") for name in ("kind", "title", "source", "picture")}
        options = asked.get("options", {})
        if not all(isinstance(word, str) for word in words.values()):
            raise InputError(f"{', '.join(words)}: expected texts")
        if words["kind"] not in OPTIONS:
            raise InputError(f"kind: expected one of {', '.join(OPTIONS)}")
        known = OPTIONS[words["kind"]]
        if not isinstance(options, dict) or not options.keys() <= set(known):
            raise InputError(f"options: expected some of {', '.join(known)}")
        seed = options.get("seed", 0)
        if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            raise InputError(f"seed: expected 0 to {LARGEST_SEED}")
        for name, value in options.items():
            if name in gains.NAMES:
                if type(value) not in (int, float):
                    raise InputError(f"{name}: expected a number, 1 for as it is")
            elif name != "seed" and not isinstance(value, str):
                raise InputError("options: expected words")
        Gains(**{name: options[name] for name in gains.NAMES if name in options})  # in range?
        return cls(**words, options=options)


def shown(entry: Entry) -> dict[str, Any]:
    """An entry as clients see it."""
    facts = asdict(entry)
    return {name: facts[name] for name in facts if name not in ("source", "picture")}


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        async with asyncio.timeout(limits.UNREAD_S):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        yield chunk


async def _told(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": printable(str(error))[:300]}, 400)


async def _slow(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the request came too slowly"}, 400)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


def _missing() -> Response:
    return PlainTextResponse("no such video\n", 404)


class _Impatient(H11Protocol):
    """HTTP that closes a connection on which no request comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(limits.HEAD_S, self._close_unused)

    def _close_unused(self) -> None:
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.close()


@dataclass(frozen=True)
class Address:
    """Where a server is reached, and the token that it asks for, if it does."""

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        if self.host in ("0.0.0.0", "::"):
            name = socket.gethostname()
        return f"http://{name}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on ``port`` (0: any that is free). Raises InputError."""
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(f"--host {host[:80]}: no such address; expected 127.0.0.1") from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # pictures that wait here would be late
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        listening.bind(where)
    except OSError as error:
        listening.close()
        raise InputError(
            f"--host {host} --port {port}: cannot be used ({error.strerror}); pass another --port"
        ) from None
    return listening


class Server(uvicorn.Server):
    """A server on a socket that is :func:`bound` to ``host``; ``address`` says where."""

    def __init__(
        self, app: ASGIApp, host: str, listening: socket.socket, origins: Sequence[str] = ()
    ) -> None:
        self.listening = listening
        token = None if is_loopback(host) else secrets.token_urlsafe(24)
        self.address = Address(host, self.listening.getsockname()[1], token)
        super().__init__(
            uvicorn.Config(
                Guard(app, host, token, origins),
                http=_Impatient,
                ws="websockets-sansio",
                ws_max_size=2 * limits.MESSAGE_BYTES,  # a session tells what is too large itself
                ws_ping_interval=limits.IDLE_PINGS_S,
                ws_ping_timeout=limits.IDLE_PINGS_S,
                ws_per_message_deflate=False,
                limit_concurrency=limits.CONNECTIONS,
                timeout_graceful_shutdown=10,
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )

    def serve_here(self, ready: Callable[[Address], None]) -> None:
        """Serve until the process is interrupted; ``ready`` is told where."""
        ready(self.address)
        self.run(sockets=[self.listening])


def live_sessions(
    name: str | None, told: Callable[[str], None] = lambda line: None
) -> MakeSession | None:
    """What makes sessions of a listener who does not look ahead, by bundled name or run directory,
    with the bundled speaker's mouth; by default the bundled one, None without it. ``told`` is given
    a line before they are loaded. Raises InputError.
    """
    import weights
    from dimcli.models.config import find_run

    if name is None and LISTENER not in weights.registry()["runs"]:
        return None
    runs = [find_run(each, "--weights") for each in (name or LISTENER, weights.DEFAULT_SPEAKER)]
    told(f"loading {' and '.join(run.name for run in runs)} ...")
    from dimcli.live.session import Session
    from dimcli.models.checkpoint import load_dim

    listener, speaker = (load_dim(run)[1] for run in runs)

    def make_session(settings: FaceSettings, seed: int) -> Session:
        return Session(listener, speaker, settings=settings, seed=seed)

    make_session(FaceSettings(), 0)  # weights that cannot answer live are told before it is served
    return make_session


def serve(
    host: str,
    port: int,
    folder: Path,
    listener: str | None,
    origins: Sequence[str],
    ready: Callable[[Address], None],
    told: Callable[[str], None] = lambda line: None,
    force_face: bool = False,
) -> None:
    """Serve until the process is interrupted. Videos are kept in ``folder``; for ``listener`` see
    :func:`live_sessions`, for ``origins`` :class:`Guard`. ``told`` is given a line before something
    is loaded; for ``force_face`` see :func:`dimcli.jobs.render.read_reference`. Raises InputError,
    before that where it can."""
    for origin in origins:
        if not re.fullmatch(r"https?://[^/\s]+", origin):
            raise InputError(f"--origin {origin[:80]}: expected one as http://localhost:3000")
    check_folder(folder)
    with closing(bound(host, port)) as listening:
        site = Site(Shelf(folder, force_face=force_face), live_sessions(listener, told))
        folder.mkdir(parents=True, exist_ok=True)
        server = Server(site.app, host, listening, [each.lower() for each in origins])
        server.serve_here(ready)
