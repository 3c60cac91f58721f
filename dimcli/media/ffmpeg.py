"""ffmpeg as a child process: commands, pipes, and an end whatever happens to us.

The binary is that of ``imageio-ffmpeg``. Children run in their own session, so that Ctrl-C reaches
this process alone, which then ends them.
"""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO

import imageio_ffmpeg

PIPE_BYTES = 1 << 20
LEAST_SHARE = 0.8
"""Share of what a file promises (frames, seconds of sound, packets that can be decoded) that must
come for it not to count as damaged."""


def command(*arguments: str | Path) -> list[str]:
    """An ffmpeg command line."""
    always = ("-hide_banner", "-nostdin", "-y", "-max_error_rate", f"{1 - LEAST_SHARE:.2f}")
    return [imageio_ffmpeg.get_ffmpeg_exe(), *always, *map(str, arguments)]


FORMATS = (
    "mov,mp4,matroska,webm,avi,flv,asf,mpeg,mpegts,mpegvideo,ogg,mxf,nut,dv,rm,gxf,wtv,ivf,gif,apng,"
    "h264,hevc,m4v,av1,obu,yuv4mpegpipe,mjpeg,wav,w64,rf64,aiff,au,caf,flac,mp3,aac,ac3,eac3,amr,ape,"
    "tta,wv,dts,image2,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""The formats that are read: each holds its pictures and its sound itself. Playlists and manifests,
which make ffmpeg open other files, are none of them."""


def source_url(path: Path) -> str:
    """A user's file as ffmpeg takes it; no name is read as an option, a protocol or a pattern."""
    return f"file:{path.resolve()}"


def reading(path: Path) -> list[str]:
    """The arguments that make a user's file an input; of all files only this one is opened."""
    only = ("-protocol_whitelist", "file", "-format_whitelist", FORMATS)
    return [*only, "-i", source_url(path)]


def run(command: Sequence[str]) -> str:
    """Run a command to its end; returns why it failed, else ''."""
    done = subprocess.run(command, capture_output=True, start_new_session=True, check=False)
    return complaint_of(done.returncode, done.stderr)


def complaint_of(status: int, errors: bytes) -> str:
    """Why a child that ended with ``status`` failed: what it wrote first, or which signal ended it;
    '' where it did not fail."""
    if status == 0:
        return ""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    if status < 0:
        return f"ffmpeg was ended by {signal.Signals(-status).name}"
    return re.sub(r" @ 0x\w+", "", lines[0])[:300] if lines else f"ffmpeg ended with {status}"


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
        status = self.process.wait()
        self._complaints.seek(0)
        return complaint_of(status, self._complaints.read(10_000))

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
