"""The end of reading a pickle: stand-ins become what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from dimcli.pickles.budget import Budget
from dimcli.pickles.stubs import Record, RefusedError, size_of

_CONTAINER_BYTES = 500
"""What a container or an array takes, beside its content."""


def settle(value: Any, budget: Budget) -> Any:
    """``value`` with every stand-in replaced by what it stands for, as often as it occurs; what
    that takes is taken from ``budget``.
    """
    done: dict[int, tuple[Any, Any]] = {}

    def walk(value: Any) -> Any:
        if value is None or isinstance(value, str | bytes | int | float | complex | np.generic):
            return value
        if id(value) in done:
            return done[id(value)][1]
        budget.spend(size=_CONTAINER_BYTES)
        result: Any
        if isinstance(value, dict):
            result = {}
            done[id(value)] = value, result
            for key, content in value.items():
                result[walk(key)] = walk(content)
        elif isinstance(value, list):
            result = []
            done[id(value)] = value, result
            result.extend(walk(element) for element in value)
        elif isinstance(value, tuple):
            result = tuple(walk(element) for element in value)
        elif isinstance(value, set | frozenset):
            result = type(value)(walk(element) for element in value)
        elif isinstance(value, Record):
            done[id(value)] = value, value
            result = value.settle(walk)
        elif hasattr(type(value), "settle"):
            result = value.settle(walk)
            budget.spend(size=size_of(result))
        else:
            result = value
        done[id(value)] = value, result
        return result

    try:
        return walk(value)
    except RecursionError:
        raise RefusedError("is nested too deep") from None
