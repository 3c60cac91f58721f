"""ffmpeg as a child process, with an end whatever happens to us, and what it says of a file.

The binary is that of ``imageio-ffmpeg``, which brings no ``ffprobe``: what a video or sound file
holds is read from what ``ffmpeg -i`` says about it. Children run in their own session, so that
Ctrl-C reaches this process alone, which then ends them.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file

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


FALLBACK_FPS = 30.0
"""For files that give no usable rate, as browser recordings (WebM) do."""

# mkv-style containers without a rate report their clock (1k tbr) instead
_HIGHEST_FPS = 480.0


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds, as displayed: rotation tags and non-square pixels are applied."""

    path: Path
    width: int
    height: int
    fps: float
    duration_s: float
    has_audio: bool
    container: str = ""
    """ffmpeg's name for the file format."""


def _is_cut_short(path: Path) -> bool:
    """Whether an mp4 or mov ends before its last box does (a broken download or recording)."""
    size = path.stat().st_size
    position, has_index, has_media = 0, False, False
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            (length,) = struct.unpack(">I", header[:4])
            kind = header[4:8]
            if position == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return False
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            has_index |= kind in (b"moov", b"moof")
            has_media |= kind == b"mdat"
            if length == 0:
                break
            if length < 8:
                return False
            position += length
    return position > size or not (has_index or not has_media)


def _parse_fps(stream: str) -> float:
    """Frames a second from a stream line: the average, or the nominal rate where they agree."""

    def rate(unit: str) -> float | None:
        found = re.search(rf"([\d.]+)(k?) {unit}\b", stream)
        return float(found[1]) * (1000 if found[2] else 1) if found else None

    average, nominal = rate("fps"), rate("tbr")
    fps = average or nominal or FALLBACK_FPS
    if average and nominal and 0.9 <= average / nominal < 1:
        fps = nominal
    if fps > _HIGHEST_FPS:
        return FALLBACK_FPS
    ntsc = round(fps * 1.001) / 1.001
    # ffmpeg prints two digits, so 30000/1001 arrives as 29.97
    return ntsc if fps != round(fps) and abs(ntsc - fps) < 0.006 else fps


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def probe_video(path: Path) -> VideoInfo:
    """What is in a video file. Raises InputError where it is missing, empty, cut short, no video.

    ``duration_s`` is the container's; the number of frames :func:`read_frames` gives can differ
    from ``duration_s * fps`` where sound and picture have different lengths.
    """
    path = existing_file(path, "video")
    report = run(command(*reading(path))).stderr.decode("utf-8", "replace")
    if _is_cut_short(path):
        raise InputError(f"{path}: the file is cut short; copy or download it again")
    if "Input #0" not in report:
        raise InputError(f"{path}: not a video that ffmpeg can read; expected mp4, mov, webm, ...")
    container = report.split("Input #0, ", 1)[1].split(", from", 1)[0]
    streams = re.split(r"\n  Stream #0:", report.split("Input #0", 1)[1])[1:]
    videos = [s for s in streams if ": Video:" in s.split("\n")[0] and "(attached pic)" not in s]
    if not videos:
        raise InputError(f"{path}: has no picture, only sound; expected a video")
    if container == "image2" or container.endswith("_pipe"):
        raise InputError(f"{path}: is a still picture; expected a video")
    line = videos[0].split("\n")[0]
    size = re.search(r"[ ,](\d{2,5})x(\d{2,5})\b", line)
    if not size:
        raise InputError(f"{path}: its picture size cannot be read; the file is broken")
    width, height = int(size[1]), int(size[2])
    pixel = re.search(r"SAR (\d+):(\d+)", line)
    if pixel and int(pixel[1]) and int(pixel[2]):
        width = max(1, round(width * int(pixel[1]) / int(pixel[2])))
    turned = re.search(r"display ?matrix: rotation of (-?[\d.]+) degrees", videos[0], re.IGNORECASE)
    if turned and round(float(turned[1]) / 90) % 2:
        width, height = height, width
    duration = re.search(r"Duration: (\d+:\d+:[\d.]+)", report)
    duration_s = _seconds(duration[1]) if duration else _measured_duration_s(path)
    if duration_s <= 0:
        raise InputError(f"{path}: has no frames; the file is cut short or broken")
    has_audio = any(": Audio:" in stream.split("\n")[0] for stream in streams)
    return VideoInfo(path, width, height, _parse_fps(line), duration_s, has_audio, container)


def _measured_duration_s(path: Path) -> float:
    """Length of a file whose header does not say, by passing its packets through."""
    done = run(command(*reading(path), "-map", "0:V:0", "-c", "copy", "-f", "null", "-"))
    times = re.findall(r"time=(\d+:\d+:[\d.]+)", done.stderr.decode("utf-8", "replace"))
    return _seconds(times[-1]) if times else 0.0


def has_audio(path: Path) -> bool:
    """Whether a file, of any kind, holds sound. Raises InputError where it cannot be read."""
    path = existing_file(path, "video or sound")
    report = run(command(*reading(path))).stderr.decode("utf-8", "replace")
    if "Input #0" not in report:
        raise InputError(f"{path}: its sound cannot be read; expected wav, mp3, m4a, mp4, ...")
    return ": Audio:" in report
