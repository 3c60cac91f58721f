"""Clips that ffmpeg makes, for the tests of reading and writing them."""

import contextlib
import subprocess
from pathlib import Path

import imageio_ffmpeg

from dimcli import media

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def make(path, *arguments):
    subprocess.run([FFMPEG, "-v", "error", "-y", *map(str, arguments), str(path)], check=True)
    return path


def source(size="64x48", rate=25, seconds=2.0, kind="testsrc"):
    return ("-f", "lavfi", "-i", f"{kind}=s={size}:r={rate}:d={seconds}")


TONE = ("-f", "lavfi", "-i", "sine=f=440:r=44100:d=3")


def frames_of(path, **how):
    return list(media.read_frames(path, **how))


def report(path):
    done = subprocess.run(
        [FFMPEG, "-hide_banner", "-i", str(path)], check=False, capture_output=True
    )
    return done.stderr.decode()


def children():
    """Command lines of the ffmpeg processes that run on this machine."""
    lines = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.add((path.parent.name, path.read_bytes().decode("utf-8", "replace")))
    return {line for line in lines if Path(FFMPEG).name in line[1]}
