"""What commands show: one progress display on a terminal, plain lines elsewhere, one-line ends.

Everything for people goes to standard error, so that ``--json`` on standard output stays clean.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dimcli.core.errors import printable
from dimcli.core.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

    from dimcli.jobs.extract import MotionResult
    from dimcli.jobs.render import VideoResult


_LONGEST = 300
"""Characters of what is said: names from a file may be of any length."""


def say(message: str) -> None:
    """One line for people; of several processes that train together only the first speaks."""
    _show(_cut(message))


def say_whole(message: str) -> None:
    """One line for people that is of use whole only: a command to be copied."""
    _show(message)


def _cut(line: str) -> str:
    if len(line) <= _LONGEST:
        return line
    # the fault and its fix stand at the ends
    return f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


def _show(message: str) -> None:
    if _speaks():
        with suppress(OSError):  # who reads it went away, or its disk is full: the work goes on
            print(printable(message), file=sys.stderr, flush=True)


def _speaks() -> bool:
    return os.environ.get("RANK", "0") == "0"  # set by torchrun


def fail(message: str, *, as_json: bool = False) -> None:
    """One line for people about why the command ends; ``as_json``: and for programs."""
    line = _cut(" ".join(message.split()))
    _show(f"error: {line}")
    if as_json:
        print_json({"error": line})


def show_usage(usage: str) -> None:
    """Help that nobody asked for by name, as it is."""
    print(usage, file=sys.stderr, flush=True)


def print_json(figures: dict[str, Any]) -> None:
    """Figures for programs, on standard output."""
    if _speaks():
        print(json.dumps(figures, indent=2))


@contextmanager
def progress_display() -> Iterator[Progress]:
    """A progress callback: bars that name the stages on a terminal, a line a stage elsewhere."""
    if not sys.stderr.isatty() or not _speaks():
        yield _plain_lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
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
    """Progress as lines: when a stage begins, and again every ``every_s`` seconds, with the time
    that is left if it goes on as it went."""
    last: dict[str, float] = {}
    began: dict[str, tuple[float, int]] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage not in last:
            say(f"{stage} ...")
            began[stage] = now, done
        elif now - last[stage] < every_s:
            return
        else:
            since, first = began[stage]
            left = (now - since) * (total - done) / (done - first) if total and done > first else 0
            about = f", about {seconds(left)} left" if left > every_s else ""
            say(f"{stage}: {done}" + (f" of {total}" if total else "") + about)
        last[stage] = now

    return report


def seconds(value: float) -> str:
    """A duration for people: ``12.4 s`` or ``3 min 20 s``."""
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {value % 60:.0f} s"


def report_videos(videos: VideoResult | list[VideoResult], **_: bool) -> dict[str, Any]:
    """Say which videos were written, how long each is and how long it took; the same as figures."""
    videos = videos if isinstance(videos, list) else [videos]
    for video in videos:
        for remark in video.remarks:
            say(f"note: {remark}")
        say(f"wrote {video.path}, {seconds(video.duration_s)}, {seconds(video.taken_s)} taken")
    return {
        "videos": [
            {
                "path": str(video.path),
                "duration_s": video.duration_s,
                "frames": video.frames,
                "taken_s": round(video.taken_s, 3),
                "remarks": list(video.remarks),
                **({} if video.seed is None else {"seed": video.seed}),
            }
            for video in videos
        ]
    }


def report_motion(result: MotionResult, **_: bool) -> dict[str, Any]:
    """Say which motion file was written and in how much of it a face was seen; as figures, too."""
    motion = result.motion
    seen = float(motion.valid.mean())
    say(
        f"wrote {result.path}, {seconds(motion.duration_s)} at {motion.fps:g} frames a second, "
        f"face seen in {100 * seen:.1f} % of {len(motion)} frames, {seconds(result.taken_s)} taken"
    )
    if result.features is not None:
        say(f"wrote {result.features}, the features of its sound")
    return {
        "path": str(result.path),
        "features": None if result.features is None else str(result.features),
        "frames": len(motion),
        "fps": motion.fps,
        "space": motion.space,
        "valid_share": seen,
        "taken_s": round(result.taken_s, 3),
    }
