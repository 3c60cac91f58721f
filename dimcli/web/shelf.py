"""The videos that a server makes and keeps: a queue of jobs and what came of them, in one folder.

Each has a folder with ``entry.json`` and, when it is done, ``video.mp4``. What was uploaded for a
job is removed when the job ends. Everything is read again when a server starts, so that neither a
page that is loaded anew nor a server that was stopped loses the queue.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dimcli.core.documents import parse_json
from dimcli.core.errors import InputError, printable
from dimcli.web import limits

State = Literal["waiting", "running", "done", "failed"]
ID = re.compile(r"[0-9a-f]{16}")
UPLOADED = re.compile(r"[0-9a-f]{16}\.[a-z0-9]{1,5}")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")
WORKER = (sys.executable, "-m", "dimcli.web.worker")


@dataclass(frozen=True)
class Entry:
    """A video: ``kind`` is ``listener``, ``speaker`` (made from files) or ``recording``."""

    id: str
    kind: str
    title: str
    added_s: float
    """When it was asked for, seconds since 1970."""
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int | None = None
    remarks: tuple[str, ...] = ()
    """What is worth telling of it, or why it failed."""
    duration_s: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    picture: str = ""
    """Names of the files that it is made from; the picture may be one of :func:`faces`."""


class Shelf:
    """What is kept in ``folder``, and the one job at a time that is worked on."""

    def __init__(
        self, folder: Path, worker: Sequence[str] = WORKER, *, force_face: bool = False
    ) -> None:
        self.folder, self.force_face = folder, force_face
        self.entries: dict[str, Entry] = {}
        self._worker = worker
        self._running: tuple[str, asyncio.subprocess.Process] | None = None
        self._news = asyncio.Event()

    def open(self) -> None:
        """Read what is there; a job that a stopped server left is begun anew."""
        self._uploads.mkdir(parents=True, exist_ok=True)
        for path in self._uploads.iterdir():  # it may be a link to a folder of another disk
            path.unlink()
        found = []
        for path in self.folder.glob("*/entry.json"):
            try:
                facts = parse_json(path.read_bytes(), str(path))
                entry = Entry(**(facts | {"remarks": tuple(facts["remarks"])}))
            except (OSError, ValueError, TypeError, KeyError, InputError):
                continue  # not ours: it is left alone
            if entry.id == path.parent.name and ID.fullmatch(entry.id):
                found.append(entry)
        for entry in sorted(found, key=lambda entry: entry.added_s):
            again = entry.state == "running"
            self.entries[entry.id] = replace(entry, state="waiting") if again else entry
        for entry in list(self.entries.values()):
            if entry.kind == "recording" and entry.state != "done":
                self._forget(entry.id)  # its server was killed while it recorded

    async def run(self) -> None:
        """Work through the queue, one job at a time, until cancelled."""
        while True:
            waiting = [entry for entry in self.entries.values() if entry.state == "waiting"]
            if not waiting:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._make(waiting[0])
            except Exception as error:  # the next job is another one
                self._fail(waiting[0], f"the server could not make it: {_reason(error)}")

    # what clients ask for

    async def upload(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Keep a file for a job; returns what it is called here. Raises InputError."""
        suffix = Path(name).suffix
        if not SUFFIX.fullmatch(suffix):
            raise InputError(f"{name[:80]}: has no ending; expected .mp4, .wav, .jpg, ...")
        waiting = sorted(self._uploads.iterdir(), key=lambda path: path.stat().st_mtime)
        for oldest in waiting[: max(0, len(waiting) - limits.UPLOADS + 1)]:
            oldest.unlink(missing_ok=True)
        path = self._uploads / f"{secrets.token_hex(8)}{suffix.lower()}"
        taken = 0
        try:
            with _keeping(), path.open("xb") as file:
                async for chunk in chunks:
                    taken += len(chunk)
                    if taken > limits.UPLOAD_BYTES:
                        raise InputError(
                            f"{name[:80]}: is larger than {limits.UPLOAD_BYTES / 1e9:.0f} GB"
                        )
                    self.require_space()
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path.name

    def add(
        self, kind: str, title: str, source: str, picture: Path | str, options: dict[str, Any]
    ) -> Entry:
        """Put a job into the queue. ``source`` (and ``picture``, unless it is a path) are names
        that :meth:`upload` gave. Raises InputError."""
        if sum(entry.state == "waiting" for entry in self.entries.values()) >= limits.WAITING:
            raise InputError(f"{limits.WAITING} jobs are waiting; let some end first")
        if source == picture:
            raise InputError("source, picture: one file for both; send the picture by itself")
        heard = self._uploaded(source)
        seen = self._uploaded(picture) if isinstance(picture, str) else picture
        with self._new(kind, title, options) as entry:
            home = self.folder / entry.id
            heard.rename(home / f"source{heard.suffix}")
            if isinstance(picture, str):
                seen = seen.rename(home / f"picture{seen.suffix}")
            else:
                shutil.copyfile(seen, home / seen.name)
            self._keep(replace(entry, source=f"source{heard.suffix}", picture=str(seen.name)))
        self._news.set()
        return self.entries[entry.id]

    def begin_recording(self, title: str) -> tuple[str, Path]:
        """The id of a new recording, and the video that is to be written. Raises InputError."""
        self.require_space()
        with self._new("recording", title, {}) as entry:
            self._keep(replace(entry, state="running", stage="recording"))
        return entry.id, self.video(entry.id)

    def end_recording(self, name: str, duration_s: float, error: str = "") -> None:
        """A recording is written, or, with an ``error`` or nothing in it, forgotten. Raises
        InputError where it cannot be kept."""
        if name not in self.entries:
            return
        if error or duration_s <= 0:
            self._forget(name)
            return
        try:
            with _keeping():
                kept = replace(self.entries[name], state="done", stage="", duration_s=duration_s)
                self._keep(kept)
        except InputError:
            self._forget(name)
            raise

    async def remove(self, name: str) -> bool:
        """Cancel a job, or remove a video; whether there was one. Nothing of it is left."""
        if name not in self.entries:
            return False
        if self._running is not None and self._running[0] == name:
            self.entries.pop(name)
            await _end(self._running[1])
        self._forget(name)
        return True

    def video(self, name: str) -> Path:
        """Where a video is, or will be."""
        return self.folder / name / "video.mp4"

    async def close(self) -> None:
        """End the job that is being worked on; it waits for the next start."""
        if self._running is not None:
            await _end(self._running[1])

    def require_space(self) -> None:
        """Raise InputError where the disk is nearly full."""
        if shutil.disk_usage(self.folder).free < limits.SPARE_BYTES:
            raise InputError("the server's disk is nearly full; remove videos")

    # one job

    async def _make(self, entry: Entry) -> None:
        home = self.folder / entry.id
        self._keep(replace(entry, state="running", stage="starting"))
        asked = {
            "kind": entry.kind,
            "source": str(home / entry.source),
            "picture": str(home / entry.picture),
            "output": str(self.video(entry.id)),
            "options": entry.options | {"force": True, "force_face": self.force_face},
        }
        process = await asyncio.create_subprocess_exec(
            *self._worker,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=1_000_000,
        )
        self._running = entry.id, process
        end: dict[str, Any] = {}
        try:
            end = await asyncio.wait_for(self._follow(entry.id, process, asked), limits.JOB_S)
        except TimeoutError:
            end = {"error": f"took longer than {limits.JOB_S / 3600:.0f} hours"}
        finally:
            await _end(process)
            self._running = None
        now = self.entries.get(entry.id)
        if now is None:  # removed in the meantime
            self._forget(entry.id)
            return
        if "error" in end or not self.video(entry.id).is_file():
            self._fail(entry, end.get("error") or "its process was ended")
        else:
            self._use_up(entry)
            self._keep(
                replace(
                    now,
                    state="done",
                    stage="",
                    remarks=tuple(self._said(now, remark) for remark in end["remarks"]),
                    duration_s=end["duration_s"],
                )
            )
        self._make_room()

    def _fail(self, entry: Entry, why: str) -> None:
        """A job is over without a video; also where nothing can be written any more."""
        if (now := self.entries.get(entry.id)) is None:
            self._forget(entry.id)
            return
        self._use_up(entry)
        self.video(entry.id).unlink(missing_ok=True)
        with suppress(OSError):
            self._keep(replace(now, state="failed", remarks=(self._said(now, why),)))

    def _use_up(self, entry: Entry) -> None:
        for name in (entry.source, entry.picture):
            (self.folder / entry.id / name).unlink(missing_ok=True)

    def _said(self, entry: Entry, text: str) -> str:
        """What a worker says, with the user's name of a file in place of ours."""
        home = f"{self.folder / entry.id}{os.sep}"
        return text.replace(f"{home}{entry.source}", entry.title).replace(home, "")[:300]

    async def _follow(
        self, name: str, process: asyncio.subprocess.Process, asked: dict[str, Any]
    ) -> dict[str, Any]:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        end: dict[str, Any] = {}
        async for line in process.stdout:
            facts = json.loads(line)
            if "stage" not in facts:
                end = facts
            elif name in self.entries:
                self.entries[name] = replace(self.entries[name], **facts)
        return end

    # files

    @property
    def _uploads(self) -> Path:
        return self.folder / "uploads"

    def _uploaded(self, name: str) -> Path:
        path = self._uploads / name
        if not UPLOADED.fullmatch(name) or not path.is_file():
            raise InputError(f"{name[:80] or 'a file'}: is not here (any more); send it again")
        return path

    @contextmanager
    def _new(self, kind: str, title: str, options: dict[str, Any]) -> Iterator[Entry]:
        """An entry with a folder that is to be filled; nothing of it is left where that fails."""
        entry = Entry(
            secrets.token_hex(8), kind, printable(title)[:80], time.time(), options=options
        )
        try:
            with _keeping():
                (self.folder / entry.id).mkdir()
                yield entry
        except BaseException:
            self._forget(entry.id)
            raise

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.id] = entry
        path = self.folder / entry.id / "entry.json"
        whole = path.with_suffix(".new")
        whole.write_text(json.dumps(asdict(entry)), "utf-8")
        whole.replace(path)

    def _forget(self, name: str) -> None:
        self.entries.pop(name, None)
        for _ in range(3):  # again, if a child wrote while it was being emptied
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _make_room(self) -> None:
        ended = [entry.id for entry in self.entries.values() if entry.state in ("done", "failed")]
        for name in ended[: max(0, len(ended) - limits.KEPT)]:
            self._forget(name)


@contextmanager
def _keeping() -> Iterator[None]:
    """A disk that is full, or a folder that is gone, is told. Raises InputError."""
    try:
        yield
    except TimeoutError:  # of what is kept, which did not come
        raise
    except OSError as error:
        raise InputError(f"the server cannot keep it: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Why, without the server's paths."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a worker and what it started: politely, so that it cleans up, then for good."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.terminate()
            else:
                os.killpg(process.pid, signum)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), limits.CANCEL_S)
