"""A Hugging Face hub of one repository on this machine, as far as fetching needs it."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

LARGE = (".safetensors", ".bin")


@dataclass
class Hub:
    """``files`` by name; ``stated`` overrides the sha256 that the hub states; ``cut`` makes the
    first download of a large file break after so many bytes; ``ranges`` are those asked for."""

    repository: str
    files: dict[str, bytes]
    stated: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    ranges: list[str] = field(default_factory=list)
    address: str = ""

    @cached_property
    def commit(self) -> str:
        """Follows from the files, as git's does."""
        digests = {name: hashlib.sha1(body).hexdigest() for name, body in self.files.items()}
        return hashlib.sha1(repr((sorted(digests.items()), self.stated)).encode()).hexdigest()

    @cached_property
    def info(self) -> dict:
        siblings = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            blob = blob if name.endswith(LARGE) else self.stated.get(name, blob)
            entry = {"rfilename": name, "size": len(content), "blobId": blob}
            if name.endswith(LARGE):
                digest = self.stated.get(name, hashlib.sha256(content).hexdigest())
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {
            "id": self.repository,
            "modelId": self.repository,
            "sha": self.commit,
            "private": False,
            "tags": [],
            "downloads": 0,
            "siblings": siblings,
        }

    def tree(self) -> list[dict]:
        return [
            {
                "type": "file",
                "path": one["rfilename"],
                "size": one["size"],
                "oid": one["blobId"],
                **({"lfs": {"oid": one["lfs"]["sha256"], **one["lfs"]}} if "lfs" in one else {}),
            }
            for one in self.info["siblings"]
        ]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve ``hub`` until the block ends; its ``address`` is what HF_ENDPOINT should be."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            path = self.path.split("?")[0]
            api = f"/api/models/{hub.repository}"
            if path.startswith(f"{api}/tree/"):
                return self.send(json.dumps(hub.tree()).encode(), with_body)
            if path == api or path.startswith(f"{api}/revision/"):
                return self.send(json.dumps(hub.info).encode(), with_body)
            name = path.rsplit("/", 1)[-1]
            wanted = f"/{hub.repository}/resolve/{hub.commit}/{name}"
            if path != wanted or name not in hub.files:
                return self.send(b"{}", with_body, status=404)
            return self.send_file(name, with_body)

        def send(self, body: bytes, with_body: bool, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def send_file(self, name: str, with_body: bool) -> None:
            content = hub.files[name]
            start, asked = 0, self.headers.get("Range")
            if asked and with_body:
                hub.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("Accept-Ranges", "bytes")
            if start:
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
            self.end_headers()
            if not with_body:
                return
            if hub.cut and name.endswith(LARGE) and not start:
                self.wfile.write(content[: hub.cut])
                hub.cut = 0
                self.wfile.flush()
                self.connection.close()
                return
            self.wfile.write(content[start:])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
