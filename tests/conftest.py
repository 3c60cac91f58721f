"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Let Ctrl-C through: xdist's workers ignore it, and what they start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
