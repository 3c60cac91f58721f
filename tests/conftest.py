"""Fixtures shared by all tests."""

import gc
import os
import signal
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.command_line import keep_commands

REPOSITORY = Path(__file__).parent.parent

# Before torch is imported, for it and every process that a test starts: two workers whose models
# are tiny only get in each other's way with two threads each.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Let Ctrl-C through: xdist's workers ignore it, and what they start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep_commands()


def pytest_collection_finish() -> None:
    """What was imported stays: Python need not look through it for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of real clips that the repository may not ship; tests skip where it is absent."""
    folder = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder} (set DIM_CLIPS to a folder that has them)")
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of shipped examples."""
    return REPOSITORY / "examples"


@pytest.fixture(scope="session")
def short_speaker(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the shipped speaker, for tests that need some face and voice."""
    return beginning(examples / "speaker.mp4", tmp_path_factory.mktemp("short") / "speaker.mp4", 2)


def beginning(clip: Path, path: Path, seconds: float) -> Path:
    """The first ``seconds`` of ``clip``, written as ``path``."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip)]
    subprocess.run([*command, "-t", str(seconds), "-crf", "18", str(path)], check=True)
    return path
