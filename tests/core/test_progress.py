"""Work that is done ahead, beside the caller's own."""

import time
from collections.abc import Iterator
from itertools import count, islice

import pytest

from dimcli.core.progress import WORKERS, ahead


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    def slow_if_even(item: int) -> int:
        time.sleep(0.02 * (item % 2 == 0))
        return -item

    assert list(ahead(slow_if_even, range(7))) == [-item for item in range(7)]


def test_no_more_items_are_taken_than_the_workers_need() -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    results = ahead(lambda item: item, numbers())
    assert list(islice(results, 5)) == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + WORKERS


def test_what_work_raises_reaches_the_caller_in_its_turn() -> None:
    results = ahead(lambda item: 1 // item, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
