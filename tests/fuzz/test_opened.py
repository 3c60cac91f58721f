"""A file that names other files opens none of them, and the main job talks to nobody.

Seen by ``strace`` in every process, and, where there is none, by what Python and PyAV tell of
themselves and by what ffmpeg is started with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.media.ffmpeg import FORMATS

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
MAIN_JOB = (
    "generate-listener",
    "speaker.mp4",
    "--ref",
    "face.png",
    "--size",
    "64",
    "-o",
    "out.mp4",
)


STRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-s", "4000")
"""Stops at the calls that it is asked for, and at no others."""


def can_trace() -> bool:
    found = shutil.which("strace")
    if found is None:
        return False
    return subprocess.run([*STRACE, "true"], capture_output=True, check=False).returncode == 0


traced = pytest.mark.skipif(not can_trace(), reason="strace is missing, or may not trace here")

LISTS = {
    "a.m3u8": "#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
    "b.mp4": "#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "c.mp4": "ffconcat version 1.0\nfile {secret}\n",
    "d.wav": "# a comment\nffconcat version 1.0\nfile {secret}\n",
    "e.mkv": '<?xml version="1.0"?><MPD><Period><BaseURL>{secret}</BaseURL></Period></MPD>',
    "f.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "g.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{secret}"/></svg>',
}
PREFIXED = ("file:secret.mp4", "concat:secret.mp4|secret.mp4", "subfile,,start,0,,:secret.mp4")
SMALL = "--size 64 -o out.mp4"
COMMANDS = (
    "extract NAME -o out.npz",
    f"generate-speaker NAME --renderer mesh {SMALL}",
    f"generate-listener NAME --renderer mesh {SMALL}",
    f"generate-listener speaker.mp4 --ref NAME {SMALL}",
    f"generate-listener speaker.mp4 --renderer mesh --audio NAME {SMALL}",
    f"generate-speaker speaker.mp4 --ref face.png --background NAME {SMALL}",
    f"generate-dyad speaker.mp4 NAME --renderer mesh {SMALL}",
    f"visualize motion.npz --audio NAME {SMALL}",
    f"visualize motion.npz NAME {SMALL}",
    f"render motion.npz --ref NAME {SMALL}",
    f"render motion.npz --ref face.png --audio NAME {SMALL}",
    "live --from NAME --to file -o out.npz --seconds 1",
    "measure NAME",
    "train-renderer NAME --preset tiny --steps 1 -o run",
)
"""What takes the path of a picture, a video or a sound; the first two with every name."""
FOLDERS = (
    "study make lists lists -o study",
    "prepare clips lists --fps 25 -o data",
    "prepare speech lists -o data",
    "generate-speaker lists --renderer mesh --size 64 -o out",
)
"""What takes a folder of them: here of those that name others."""

WATCH = """
import json, os, sys
seen = {"codes": [], "opened": [], "connected": [], "started": [], "inside": []}

def hook(event, given):
    if event == "open":
        seen["opened"].append(str(given[0]))
    elif event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        seen["connected"].append(event)
    elif event == "subprocess.Popen":
        seen["started"].append([str(word) for word in given[1]])

sys.addaudithook(hook)
import av

plain = av.open
def opened(file, *more, **options):
    def inside(url, flags, options):
        if url == file:
            return open(url.removeprefix("file:"), "rb")
        seen["inside"].append(url)
        raise OSError(url)
    return plain(file, *more, io_open=inside, **options)
av.open = opened

from dimcli.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as ended:
        seen["codes"].append(ended.code)
print(json.dumps(seen), flush=True)
os._exit(0)  # as the command line does: a library's thread that still runs would abort
"""
"""Command lines, and what they opened themselves: ``inside`` is what a file made PyAV open."""


@pytest.fixture
def folder(tmp_path: Path, short_speaker: Path, examples: Path) -> Path:
    """A folder with what the main job needs and a clip that no command is told of."""
    shutil.copy(short_speaker, tmp_path / "speaker.mp4")
    shutil.copy(short_speaker, tmp_path / "secret.mp4")
    shutil.copy(examples / "listener.png", tmp_path / "face.png")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "DIM_HOME": str(folder / "home")}


def run(folder: Path, commands: Sequence[Sequence[str]], *tracer: str) -> dict[str, Any]:
    """Run commands in one process; what it says it opened."""
    given = (*tracer, sys.executable, "-c", WATCH, json.dumps(commands))
    ended = subprocess.run(
        given, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def trace(folder: Path, commands: Sequence[Sequence[str]]) -> tuple[list[int], str]:
    """How commands ended, and what all their processes opened and connected to."""
    log = folder / "trace"
    calls = "trace=open,openat,openat2,creat,connect,sendto,sendmsg,bind"
    seen = run(folder, commands, *STRACE, "-e", calls, "-o", str(log))
    return seen["codes"], log.read_text(errors="replace")


@pytest.fixture
def lists(folder: Path) -> list[list[str]]:
    """Each command with each list of files, and with names that have a protocol in front."""
    (folder / "lists").mkdir()
    for name, content in LISTS.items():
        for path in (folder / name, folder / "lists" / name):
            path.write_text(content.format(secret=folder / "secret.mp4"))
    (folder / "lists" / "d.TextGrid").write_text("x")
    Motion(np.zeros((10, MOTION_DIM), np.float32), fps=25).save(folder / "motion.npz")
    named = [
        [name if word == "NAME" else word for word in command.split()]
        for at, command in enumerate(COMMANDS)
        for name in ((*LISTS, *PREFIXED) if at < 2 else ("b.mp4", "c.mp4", PREFIXED[1]))
    ]
    return [*named, *(command.split() for command in FOLDERS)]


@traced
def test_a_list_of_files_opens_none_of_them_in_any_process(
    folder: Path, lists: list[list[str]]
) -> None:
    codes, log = trace(folder, lists)
    assert codes == [2] * len(lists)
    assert all(f'{name}"' in log for name in LISTS), "the trace sees what is opened"
    assert not re.search(r'secret\.mp4".* = \d', log)
    assert "AF_INET" not in log


def test_a_list_of_files_opens_none_of_them_in_this_process(
    folder: Path, lists: list[list[str]]
) -> None:
    seen = run(folder, lists)
    assert seen["codes"] == [2] * len(lists)
    assert not any("secret.mp4" in path for path in seen["opened"])
    assert seen["inside"] == seen["connected"] == []


def test_the_main_job_connects_to_nothing_and_limits_what_ffmpeg_reads(folder: Path) -> None:
    seen = run(folder, [MAIN_JOB])
    assert (seen["codes"], seen["connected"], seen["inside"]) == ([0], [], [])
    inputs = 0
    for command in seen["started"]:
        for place in (at for at, word in enumerate(command) if word == "-i"):
            source = command[place + 1]
            if source.endswith("speaker.mp4"):
                inputs += 1
                limits = command[place - 4 : place]
                assert limits == ["-protocol_whitelist", "file", "-format_whitelist", FORMATS]
            else:  # frames from us, or what we wrote ourselves
                assert source == "pipe:0" or source.endswith("silent.mp4")
    assert inputs >= 3, "pictures, sound, and the sound of the result"


@traced
def test_the_main_job_makes_no_connection_in_any_process(folder: Path) -> None:
    codes, log = trace(folder, [MAIN_JOB])
    assert codes == [0]
    assert "AF_INET" not in log and "AF_UNIX" not in log
    opened = re.findall(r'"([^"]*)"[^"\n]* = \d', log)
    assert sum("speaker.mp4" in path for path in opened) >= 3, "by us, by PyAV and by ffmpeg"
    ours = {Path(path).name for path in opened if path.startswith(f"{folder}/")}
    assert ours <= {"speaker.mp4", "face.png", "silent.mp4", "whole.mp4", "lock"} | {
        name for name in ours if name.endswith(".part")
    }
