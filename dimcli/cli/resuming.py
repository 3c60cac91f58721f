"""Jobs that go on where they stopped: what Ctrl-C leaves of them, and the command that goes on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from dimcli.core.errors import DimError

RESUME, STATE = "--resume", "training_state.*"


class StoppedError(DimError):
    """The job was interrupted; the message says what it left, with which the same command goes on,
    given ``flag`` where there is one."""

    exit_code = 130

    def __init__(self, message: str, flag: str) -> None:
        super().__init__(message)
        self.flag = flag

    def command(self, arguments: Sequence[str]) -> str:
        """What goes on with what the command of ``arguments`` left."""
        replacing = [self.flag, "--force"] if self.flag else []
        kept = [word for word in arguments if word not in replacing]
        return shlex.join(["dim", *kept, *([self.flag] if self.flag else [])])


@contextmanager
def resumable(
    output: Path, worth: str, kept: str, flag: str = "", *, again: bool = False
) -> Iterator[None]:
    """Where Ctrl-C ends the block and ``output`` holds files called ``worth`` (a pattern), say that
    it ``kept`` something, and how to go on.

    With a ``flag`` only files that the block has written count, unless the job goes on ``again``:
    others are those of an older run, which stays as it was.
    """
    began = time.time() if flag and not again else 0.0
    try:
        yield
    except KeyboardInterrupt:
        found = output.rglob(worth) if output.is_dir() else ()
        if any(path.stat().st_mtime >= began for path in found):
            raise StoppedError(f"{output} keeps {kept}", flag) from None
        raise


def training(run: Path, *, again: bool) -> AbstractContextManager[None]:
    """A training into ``run``, or one that goes on ``again``."""
    return resumable(run, STATE, "all up to the last validation", RESUME, again=again)
