"""What commands show: one progress display on a terminal, plain lines elsewhere, one-line ends.

Everything for people goes to standard error, so that ``--json`` on standard output stays clean.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dimcli.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID


def say(message: str) -> None:
    """One line for people."""
    print(message, file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """One line for people about why the command ends."""
    say("error: " + " ".join(message.split()))


def print_json(figures: dict[str, Any]) -> None:
    """Figures for programs, on standard output."""
    print(json.dumps(figures, indent=2))


@contextmanager
def progress_display() -> Iterator[Progress]:
    """A progress callback: bars that name the stages on a terminal, a line a stage elsewhere."""
    if not sys.stderr.isatty():
        yield _plain_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with RichProgress(*columns, console=Console(stderr=True)) as bars:

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bars.stop_task(task)
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _plain_lines(every_s: float = 10.0) -> Progress:
    """Progress as lines: when a stage begins, and again every ``every_s`` seconds."""
    last: dict[str, float] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage not in last:
            say(f"{stage} ...")
        elif now - last[stage] < every_s:
            return
        else:
            say(f"{stage}: {done}" + (f" of {total}" if total else ""))
        last[stage] = now

    return report


def seconds(value: float) -> str:
    """A duration for people: ``12.4 s`` or ``3 min 20 s``."""
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {value % 60:.0f} s"
