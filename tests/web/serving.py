"""A server on a port of its own, in a thread of this process, and a plain client of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimcli.web.server import Address, Server, Site, bound
from dimcli.web.shelf import WORKER, Shelf


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    address: Address
    site: Site

    def ask(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str
    ) -> Answer:
        """``Host`` and other headers by keyword, with ``_`` for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=60)
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, sent, named)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def upload(self, path: Path) -> str:
        answer = self.ask("POST", f"/api/uploads?name={path.name}", path.read_bytes())
        assert answer.status == 200, answer.body
        return answer.json["name"]

    def videos(self) -> list[dict[str, Any]]:
        return self.ask("GET", "/api/videos").json


@contextmanager
def serving(
    folder: Path,
    host: str = "127.0.0.1",
    worker: Sequence[str] = WORKER,
    origins: Sequence[str] = (),
    **parts: Any,
) -> Iterator[Client]:
    site = Site(Shelf(folder, worker), **parts)
    server = Server(site.app, host, bound(host, 0), origins)
    thread = threading.Thread(target=server.serve_here, args=(lambda address: None,), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield Client(server.address, site)
    finally:
        server.should_exit = True
        thread.join(120)
        assert not thread.is_alive()


def wait_for(happened: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What ``happened`` returns once it is true; it is given time for a busy machine."""
    until = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return found
