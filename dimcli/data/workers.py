"""Calls spread over processes, which end when their parent does, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from dimcli.core.errors import DimError

Result = TypeVar("Result")
Call = tuple[Callable[..., Result], tuple[Any, ...]]


def each_done(calls: Sequence[Call[Result]], workers: int) -> Generator[Result]:
    """Results of ``function(*arguments)`` for each call, in the order in which they are done.

    With one worker everything happens here; with more, in fresh processes (a fork would copy this
    process's threads in an unknown state). Raises what a call raises, and DimError where a process
    dies. When the caller stops early, the processes are ended.
    """
    if workers <= 1 or len(calls) <= 1:
        for function, arguments in calls:
            yield function(*arguments)
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(calls)), mp_context=get_context("spawn"), initializer=_live_with_parent
    )
    remaining = iter(calls)
    running: set[Future[Result]] = set()
    try:
        while True:
            # few at a time: a queue of thousands of jobs would be copied at once
            for function, arguments in islice(remaining, 2 * workers - len(running)):
                running.add(pool.submit(function, *arguments))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise DimError(
            "a worker process died, perhaps for want of memory; run again with fewer --workers"
        ) from None
    finally:
        # first those whose work nobody wants any more, so that the pool has nothing to wait for
        for process in set(active_children()) - others if running else ():
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _live_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends: a pool's worker would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
