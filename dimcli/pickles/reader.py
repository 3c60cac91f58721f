"""Python's interpreter of pickles without its powers; :mod:`dimcli.pickles` is made of it.

It is the pure Python one: the C one takes memory for whatever index a file mentions, and sets
attributes on what it is told to.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections.abc import Callable
from typing import IO, Any, ClassVar, cast

from dimcli.pickles.arrays import ARRAY_GLOBALS
from dimcli.pickles.stubs import PYTHON_GLOBALS, Global, RefusedError


class Bounded:
    """A file whose reads never ask for more than is left of it, whatever lengths it claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        here = file.tell()
        self.size = file.seek(0, io.SEEK_END)
        file.seek(here)

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes."""
        left = self.size - self.file.tell()
        return self.file.read(left if count < 0 else min(count, left))

    def readline(self) -> bytes:
        """Up to the end of a line."""
        return self.file.readline()


class Reader(pickle._Unpickler):
    """Python's interpreter of pickles without its powers."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    read: Callable[[int], bytes]

    def __init__(
        self,
        file: IO[bytes],
        persistent: Callable[[Any], Any] | None = None,
        settings: bool = False,
    ) -> None:
        """``persistent`` finds the storages of a torch file; ``settings`` makes records of the
        settings objects of known packages.
        """
        super().__init__(cast("Any", Bounded(file)), encoding="latin1")
        self._persistent = persistent
        self._settings = settings

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; never the thing itself."""
        found = PYTHON_GLOBALS.get((module, name)) or ARRAY_GLOBALS.get((module, name))
        if found is not None:
            return found
        if module.split(".", maxsplit=1)[0] == "torch":
            from dimcli.pickles.tensors import TORCH_GLOBALS

            if (module, name) == ("torch.storage", "_load_from_bytes"):
                from dimcli.pickles.torch_files import storage_of_bytes

                return Global("torch.storage._load_from_bytes", storage_of_bytes)
            found = TORCH_GLOBALS.get((module, name))
        elif self._settings:
            from dimcli.pickles.tensors import config_global

            found = config_global(module, name)
        if found is None:
            raise RefusedError(
                f"names '{module}.{name}', which could run code; only arrays, tensors and plain "
                "values are read"
            )
        return found

    def persistent_load(self, pid: Any) -> Any:
        """The storage that a torch file points to."""
        if self._persistent is None:
            raise RefusedError("asks for an object from outside of it (a persistent id)")
        return self._persistent(pid)

    def get_extension(self, code: int) -> None:
        """Extension codes stand for names that the process registered."""
        raise RefusedError(f"names the registered extension {code}")

    def _instantiate(self, klass: Any, args: Any) -> None:
        if not isinstance(klass, Global) or not isinstance(args, tuple | list):
            raise RefusedError(f"calls something that is not a name but {type(klass).__name__}")
        self.stack.append(klass.called(*args))

    def _call(self) -> None:
        args = self.stack.pop()
        self._instantiate(self.stack.pop(), args)

    def _call_with_names(self) -> None:
        if self.stack.pop():
            raise RefusedError("makes an object from named arguments")
        self._call()

    def _build(self) -> None:
        state = self.stack.pop()
        kind = type(self.stack[-1])
        accept = getattr(self.stack[-1], "accept", None)
        if accept is None:
            raise RefusedError(f"sets attributes of an object of type {kind.__name__}")
        accept(state)

    def _bytearray(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.stack.append(bytearray(self.read(min(length, sys.maxsize))))

    dispatch[pickle.REDUCE[0]] = _call
    dispatch[pickle.NEWOBJ[0]] = _call
    dispatch[pickle.NEWOBJ_EX[0]] = _call_with_names
    dispatch[pickle.BUILD[0]] = _build
    dispatch[pickle.BYTEARRAY8[0]] = _bytearray
