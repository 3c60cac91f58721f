"""How long work tells its caller where it is, and work that goes on beside other work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(stage, done, total)``; ``total`` is None while it isn't known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Ignore progress: the default of library functions."""


class Background(Generic[Result]):
    """Calls ``work()`` in a daemon thread at once; :meth:`result` waits and returns or raises.

    A daemon, unlike an executor's thread: Ctrl-C ends the process without waiting for it.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._value: Result | None = None
        self._error: BaseException | None = None
        context = copy_context()  # what the caller set for its calls holds there, too
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error

    def raise_if_failed(self) -> None:
        """Raise what ``work`` raised, if it has by now; does not wait."""
        if self._error is not None:
            raise self._error

    def result(self) -> Result:
        """What ``work`` returned; raises what it raised."""
        self._thread.join()
        self.raise_if_failed()
        return self._value  # type: ignore[return-value]


WORKERS = 2


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``work(item)`` of each of ``items``, in their order, which ``WORKERS`` threads do ahead: as
    many results wait for the caller, and no more, however many items there are."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(WORKERS) as workers:
        for item in items:
            waiting.append(workers.submit(work, item))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
