"""What a pickle may cost: steps, bytes, depth, and which keys are hashed.

A few bytes of a pickle can stand for work without end: an array is made again and again from the
same bytes, a list holds the same list twice and so on thirty times, a dictionary hashes a tuple
nested as deep as the file is long. Everything here is counted against one budget for a file, that
of pickles within it included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from dimcli.core import limits
from dimcli.pickles.stubs import Global, Record, RefusedError, size_of

_TUPLE_KEY_STEPS = 500
"""Of a tuple as a key: hashes of tuples can be made to collide, so few of them are allowed."""
_KEY_DEPTH = 3


@dataclass
class Budget:
    """What is left to a file of its steps, and of the bytes that it may take in ``memory``."""

    memory: int
    steps: int = field(default_factory=lambda: limits.PICKLE_STEPS)

    @classmethod
    def of_size(cls, size: int) -> Budget:
        """That of a file of ``size`` bytes."""
        return cls(max(limits.PICKLE_BYTES, limits.PICKLE_GROWTH * size))

    def spend(self, steps: int = 0, size: int = 0) -> None:
        """Take ``steps`` and ``size`` bytes from it. Raises RefusedError where it is used up."""
        self.steps -= steps
        self.memory -= size
        if self.steps < 0:
            raise RefusedError(f"takes more than {limits.PICKLE_STEPS} steps")
        if self.memory < 0:
            raise RefusedError("grows to many times its size in memory")

    def check_keys(self, keys: Iterable[Any], depth: int = _KEY_DEPTH) -> None:
        """Raise RefusedError for what may not be a key of a dictionary or a member of a set."""
        for key in keys:
            if isinstance(key, tuple) and depth:
                self.spend(_TUPLE_KEY_STEPS + len(key))
                self.check_keys(key, depth - 1)
            elif isinstance(key, str | bytes):
                self.spend(size=len(key))
            elif not (key is None or isinstance(key, int | float | np.integer | Global | Record)):
                kind = "nested tuple" if isinstance(key, tuple) else type(key).__name__
                raise RefusedError(f"has keys of type {kind}; expected numbers or texts")

    def check_value(self, value: Any) -> None:
        """Raise RefusedError where a value is nested deep, holds itself, has huge integers, or has
        very many parts once each is counted wherever it stands.
        """
        costs: dict[int, tuple[int, int, int]] = {}

        def cost(value: Any, depth: int) -> tuple[int, int, int]:
            """Parts, bytes and height of a value that lies ``depth`` containers deep."""
            found = costs.get(id(value))
            height = found[2] if found else 0
            if depth + height > limits.DOCUMENT_DEPTH:
                raise RefusedError(f"is nested deeper than {limits.DOCUMENT_DEPTH}")
            if found:
                return found
            count, size = 1, size_of(value)
            for part in parts_of(value):
                if type(part) in (float, int):
                    count += 1
                    if type(part) is int and part.bit_length() > 64:
                        raise RefusedError("has an integer of more than 64 bits")
                    continue
                inner = cost(part, depth + 1)
                count, size, height = count + inner[0], size + inner[1], max(height, inner[2] + 1)
            if count > limits.PICKLE_STEPS:
                raise RefusedError(f"has more than {limits.PICKLE_STEPS} parts")
            if size > self.memory:
                raise RefusedError("grows to many times its size in memory")
            costs[id(value)] = count, size, height
            return costs[id(value)]

        cost([value], -1)


def parts_of(value: Any) -> Iterable[Any]:
    """What a container holds; nothing for what is none."""
    if isinstance(value, dict):
        return chain(value, value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return value.ravel().tolist()
    return ()
