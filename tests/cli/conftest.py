"""Run the real command line in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dimcli.cli import main
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic


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


@pytest.fixture(scope="session")
def made_dyads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of what ``dim prepare synthetic`` writes, to train something on."""
    data = tmp_path_factory.mktemp("dyads") / "data"
    write_synthetic(data, conversations=6, recipe=Recipe(seed=1, conversation_s=6.0, clip_s=3.0))
    return data
