"""ffmpeg as a child process: commands, pipes, and an end whatever happens to us.

The binary is that of ``imageio-ffmpeg``. Children run in their own session, so that Ctrl-C reaches
this process alone, which then ends them.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO

import imageio_ffmpeg

PIPE_BYTES = 1 << 20


def command(*arguments: str | Path) -> list[str]:
    """An ffmpeg command line."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *map(str, arguments)]


def reading(path: Path) -> list[str]:
    """The arguments that make a user's file an input."""
    # `file:` keeps odd names from being read as protocols; playlists may not reach the network
    return ["-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]


def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, keeping what it writes."""
    return subprocess.run(command, capture_output=True, start_new_session=True, check=False)


class Child:
    """An ffmpeg process with one pipe, ended whatever happens to us."""

    def __init__(self, command: Sequence[str], *, feed: bool) -> None:
        # a file, not a pipe: nobody has to drain it while frames flow
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if feed else subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,
        )
        pipe = self.process.stdin if feed else self.process.stdout
        assert pipe is not None
        self.pipe: IO[bytes] = pipe
        try:
            import fcntl

            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except (ImportError, AttributeError, OSError):
            pass  # a larger pipe only saves switches between processes

    def wait(self) -> str:
        """Wait for the end; returns what it complained about when it failed, else ''."""
        if self.process.wait() == 0:
            return ""
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[0] if lines else f"ffmpeg ended with status {self.process.returncode}"

    def close(self) -> None:
        """End the process at once if it still runs, and free what it held."""
        if self.process.poll() is None:
            self.process.kill()
        self.pipe.close()
        self.process.wait()
        self._complaints.close()


def rate_text(fps: float) -> str:
    """A frame rate as ffmpeg takes it exactly."""
    # limit 1001 turns 29.97002997 back into 30000/1001
    return str(Fraction(fps).limit_denominator(1001))


def fill(pipe: IO[bytes], buffer: memoryview) -> bool:
    """Read until ``buffer`` is full; False at the end of the stream."""
    filled = 0
    while filled < len(buffer):
        count = pipe.readinto(buffer[filled:])  # type: ignore[attr-defined]
        if not count:
            return False
        filled += count
    return True


def pour(buffer: memoryview, pipe: IO[bytes]) -> None:
    """Write all of ``buffer``; one call may take only part of it."""
    while buffer:
        buffer = buffer[pipe.write(buffer) :]
