"""Calls spread over processes: of this machine, which end when their parent does, however that
ends, or of a cluster, by Dask (https://distributed.dask.org).

Processes take different GPUs, where there are several: each has a number, as ``torchrun`` gives
its own, by which :func:`dimcli.core.device.choose_device` chooses.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dimcli.core.config import require_choice
from dimcli.core.errors import DimError, InputError, needing
from dimcli.core.installing import install

Result = TypeVar("Result")
Call = tuple[Callable[..., Result], tuple[Any, ...]]
ENGINES = ("local", "dask")
_PLACE = "LOCAL_RANK"
_ANSWER_S = 10


@dataclass(frozen=True)
class Engine:
    """Where calls are made: ``local``, by so many ``workers`` here, or ``dask``, by the workers of
    the ``scheduler`` at an address, or in the file that it wrote. Raises InputError."""

    workers: int = 1
    name: str = "local"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        require_choice("--engine", self.name, ENGINES)
        if self.name == "local" and self.scheduler is not None:
            raise InputError(f"--scheduler {self.scheduler}: is of --engine dask")
        if self.name == "dask":
            _dask()
            if self.scheduler is None:
                raise InputError(
                    "--scheduler: missing; the address that `dask scheduler` says, or the file "
                    "that its --scheduler-file names"
                )

    @property
    def here(self) -> bool:
        """Whether everything happens in this process."""
        return self.name == "local" and self.workers <= 1


HERE = Engine()
"""This process."""


def each_done(calls: Sequence[Call[Result]], engine: Engine) -> Generator[Result]:
    """Results of ``function(*arguments)`` for each call, in the order in which they are done.

    With one worker here everything happens in this process; with more, in fresh ones (a fork would
    copy this process's threads in an unknown state). Raises what a call raises, and DimError where
    a process dies; what a worker of Dask died of is done again by another one. When the caller
    stops early, the processes are ended, and what waits at the scheduler is withdrawn.
    """
    if engine.scheduler is not None:
        return _each_by_dask(calls, engine.scheduler)
    return _each_here(calls, engine.workers)


def _each_here(calls: Sequence[Call[Result]], workers: int) -> Generator[Result]:
    if workers <= 1 or len(calls) <= 1:
        for function, arguments in calls:
            yield function(*arguments)
        return
    others = set(active_children())
    context = get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(calls)),
        mp_context=context,
        initializer=_live_with_parent,
        initargs=(context.Value("i", 0),),
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


def _live_with_parent(counter: Any) -> None:
    """Leave Ctrl-C to the parent, and end when it ends: a pool's worker would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with counter.get_lock():
        os.environ.setdefault(_PLACE, str(counter.value))
        counter.value += 1
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _dask() -> ModuleType:
    """The library. Raises MissingDependencyError with the line that installs it."""
    with needing(f"--engine dask: distributed is not installed; {install('cluster')}"):
        import distributed
    return distributed


def _each_by_dask(calls: Sequence[Call[Result]], scheduler: str) -> Generator[Result]:
    from asyncio import CancelledError

    dask = _dask()
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = dask.Client(**where, timeout=_ANSWER_S, set_as_default=False)
    except Exception as error:  # whatever its protocols make of an address
        raise InputError(
            f"--scheduler {scheduler}: no Dask scheduler answers ({type(error).__name__})"
        ) from None
    remaining = iter(calls)
    running = dask.as_completed(loop=client.loop)
    try:
        while True:
            # few at a time: a queue of thousands of jobs would lie in the scheduler's memory
            room = 2 * max(1, sum(client.nthreads().values())) - running.count()
            for function, arguments in islice(remaining, max(room, 0)):
                running.add(client.submit(_on_worker, function, arguments, pure=False))
            if running.is_empty():
                break
            yield next(running).result()
    except dask.KilledWorker:
        raise DimError(
            "several workers in a row died of one and the same call, perhaps for want of memory; "
            "give them more, and run again"
        ) from None
    except ModuleNotFoundError as error:
        raise InputError(
            f"--scheduler {scheduler}: its workers lack {error.name}; install dim there as here"
        ) from None
    except (CancelledError, OSError):
        raise DimError(
            f"the Dask scheduler at {scheduler} is gone; run the same command again"
        ) from None
    finally:
        with suppress(OSError):
            client.close()


def _on_worker(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """A call in a worker of Dask, whose name ends with its number where there are several."""
    name = str(_dask().get_worker().name)
    found = re.search(r"(?:^|-)(\d+)$", name)
    os.environ.setdefault(_PLACE, found[1] if found else "0")
    return function(*arguments)
