"""``python -m dimcli.web.worker``: one video in a process of its own, which a cancel ends.

Standard input holds what is asked for as JSON; each line of standard output is where the work is
(``stage``, ``done``, ``total``) or its end (``remarks``, or ``error``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

EVERY_S = 0.2
"""Between two lines of a stage."""


def main() -> None:
    """Make the video, telling where it is. The server that asked may be gone: then it ends, too."""
    signal.signal(signal.SIGTERM, _stop)
    asked = json.loads(sys.stdin.read())
    if hasattr(os, "nice"):
        os.nice(10)  # a live session comes first
    from dimcli.core.errors import DimError

    try:
        from dimcli.data.gains import NAMES, Gains
        from dimcli.jobs.generate import generate_videos

        options = asked["options"]
        factors = {name: options.pop(name) for name in NAMES if name in options}
        (made,) = generate_videos(
            asked["kind"],
            Path(asked["source"]),
            Path(asked["picture"]),
            Path(asked["output"]),
            progress=Lines(),
            gains=Gains(**factors),
            **options,
        )
        _tell(remarks=list(made.remarks), duration_s=made.duration_s, taken_s=made.taken_s)
    except DimError as error:
        _tell(error=str(error))
    except Exception as error:
        _tell(error=f"our fault: {type(error).__name__}: {error}")


class Lines:
    """Progress as lines, not more often than somebody can read them."""

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Tell where the work is."""
        now = time.monotonic()
        if stage != self._last[0] or now - self._last[1] > EVERY_S or done == total:
            self._last = stage, now
            _tell(stage=stage, done=done, total=total)


def _tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # what was half-written is gone; the threads that load libraries are not
