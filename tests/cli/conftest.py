"""Run the real command line in this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dimcli.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Dim = Callable[..., Ended]


@pytest.fixture
def dim(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path) -> Dim:
    """``dim("extract", "clip.mp4")`` in an empty folder; the exit code and both outputs."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        captured = capsys.readouterr()
        return Ended(code if isinstance(code, int) else 1, captured.out, captured.err)

    return run
