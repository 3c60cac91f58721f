"""Python's interpreter of pickles without its powers, and the files that are read with it.

A pickle is a program. Here its interpreter may build lists, dictionaries, numbers and texts, and
the stand-ins of :mod:`dimcli.pickles.stubs`; whatever else a file names is refused before anything
happens. The interpreter is the pure Python one: the C one takes memory for whatever index a file
mentions, and sets attributes on what it is told to.

``torch.load(weights_only=True)`` would refuse the same calls, but also the settings objects in
Lightning checkpoints and much of what old numpy wrote; so torch files go the same way. They have
two layouts: a zip archive, and a chain of pickles before 1.6. Both hold a program, and apart from
it the bytes of the storages, which the program points to by persistent ids.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np

from dimcli.core import limits
from dimcli.core.arrays import array_header, require_small_directory
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.pickles.arrays import ARRAY_GLOBALS
from dimcli.pickles.budget import Budget
from dimcli.pickles.settling import settle
from dimcli.pickles.stubs import PYTHON_GLOBALS, Global, RefusedError, config_global

_PYTHONS: Any = pickle
"""The interpreter's module, whose parts the type checker does not know."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_INTEGER_BITS = 80
"""Of an integer while a pickle is read; torch's number above has 77."""
_STEPS_AT_ONCE = 32
_OBJECT_BYTES, _MEMBER_BYTES = 500, 100
"""What an object takes, and each member of a set or a list that one is made from, about."""


def read_pickle(path: Path) -> Any:
    """What a plain pickle holds: Python 2 or 3, numpy 1 or 2; sparse matrices as scipy's, chumpy
    arrays and OrderedDicts as plain arrays and dictionaries, tensors on the CPU.

    Raises InputError that names the forbidden global where the file asks for anything else.
    """
    return _read(path, "pickle", lambda file, budget: Reader(file, budget).load())


def read_torch(path: Path) -> Any:
    """What a ``torch.save`` file holds (zip or the older layout), tensors on the CPU.

    Settings objects of known packages (omegaconf, yacs, Lightning; Lightning checkpoints have them)
    become :class:`dimcli.pickles.stubs.Record`. Raises InputError as :func:`read_pickle` does.
    """
    return _read(path, "torch.save", _load_torch)


def read_npy(path: Path) -> Any:
    """The array in a ``.npy`` file; of objects by the rules of :func:`read_pickle`, and then what
    is alone in an array without dimensions comes as it is. Raises InputError.
    """
    return _read(path, ".npy", _load_npy)


def _read(path: Path, kind: str, load: Callable[[IO[bytes], Budget], Any]) -> Any:
    path = existing_file(path, kind)
    try:
        budget = Budget.of_size(path.stat().st_size)
        with path.open("rb") as file:
            value = settle(load(file, budget), budget)
        budget.check_value(value)
        return value
    except RefusedError as refusal:
        reason = " ".join(str(refusal).split())[:300]
        raise InputError(f"{path}: refused, as it {reason}") from None
    except Exception as error:  # a damaged or hostile file may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{path}: not a readable {kind} file ({reason})") from None


def _load_npy(file: IO[bytes], budget: Budget) -> Any:
    shape, dtype = array_header(file)
    if dtype.hasobject:
        array = settle(Reader(file, budget).load(), budget)
        if not isinstance(array, np.ndarray):
            raise RefusedError(f"holds an object of type {type(array).__name__}; expected an array")
        return array if array.ndim else array.item()
    # what is read is bounded by what is there, not by what the header says
    size = Bounded(file).size - file.tell()
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > size:
        raise RefusedError(f"says it holds {shape} numbers but has only {size} bytes of them")
    file.seek(0)
    return np.load(file, allow_pickle=False)


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


_Operation = Callable[["Reader"], None]


def _bounded_integer(load: _Operation) -> _Operation:
    def bounded(reader: Reader) -> None:
        load(reader)
        if reader.stack[-1].bit_length() > _INTEGER_BITS:
            raise RefusedError(f"has an integer of more than {_INTEGER_BITS} bits")

    return bounded


def _hashing(load: _Operation, keys: slice) -> _Operation:
    """``load``, once ``keys`` of what lies on the stack have been checked; it hashes them."""

    def hashing(reader: Reader) -> None:
        reader.budget.check_keys(reader.stack[keys])
        load(reader)

    return hashing


class Reader(pickle._Unpickler):
    """Python's interpreter of pickles without its powers, and within a budget."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]

    def __init__(
        self,
        file: IO[bytes],
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
        settings: bool = False,
    ) -> None:
        """``persistent`` finds the storages of a torch file; ``settings`` makes records of the
        settings objects of known packages.
        """
        self._file = Bounded(file)
        super().__init__(cast("Any", self._file), encoding="latin1")
        self.budget = budget
        self._persistent = persistent
        self._settings = settings

    def load(self) -> Any:
        """Run the program, as the base class does, and count its operations."""
        frames = _PYTHONS._Unframer(self._file.read, self._file.readline)
        self._unframer = frames
        self.read, self.readline = frames.read, frames.readline
        self.metastack: list[list[Any]] = []
        self.stack = []
        self.append = self.stack.append
        self.proto = 0
        read, dispatch = self.read, self.dispatch
        try:
            while True:
                self.budget.spend(_STEPS_AT_ONCE)
                for _ in range(_STEPS_AT_ONCE):
                    code = read(1)
                    if not code:
                        raise EOFError("it ends early")
                    dispatch[code[0]](self)
        except _PYTHONS._Stop as stop:
            return stop.value

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; never the thing itself."""
        found = PYTHON_GLOBALS.get((module, name)) or ARRAY_GLOBALS.get((module, name))
        if found is not None:
            return found
        if module.split(".", maxsplit=1)[0] == "torch":
            if (module, name) == ("torch.storage", "_load_from_bytes"):
                return Global("torch.storage._load_from_bytes", self._storage_of_bytes)
            from dimcli.pickles.tensors import TORCH_GLOBALS  # torch is slow to import

            found = TORCH_GLOBALS.get((module, name))
        elif self._settings:
            self.budget.spend(size=_OBJECT_BYTES)
            found = config_global(module, name)
        if found is None:
            raise RefusedError(
                f"names '{module}.{name}', which could run code; only arrays, tensors and plain "
                "values are read"
            )
        return found

    def _storage_of_bytes(self, data: Any) -> Any:
        """``torch.storage._load_from_bytes``: a torch file within, which holds one storage."""
        content = data if isinstance(data, bytes) else data.encode("latin1")
        return _load_torch(io.BytesIO(content), self.budget)

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
        for argument in args:
            if isinstance(argument, str | bytes | bytearray):
                self.budget.spend(size=len(argument))
            elif isinstance(argument, Collection):
                self.budget.spend(size=_MEMBER_BYTES * len(argument))
        self.budget.spend(size=_OBJECT_BYTES)
        self.budget.check_keys(klass.hashed(*args))
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

    def _put(self) -> None:
        index = int(self.readline()[:-1])
        if not 0 <= index <= limits.PICKLE_STEPS:
            raise RefusedError("numbers its values in another way than from 0 on")
        self.memo[index] = self.stack[-1]

    def _empty_set(self) -> None:
        self.budget.spend(size=_OBJECT_BYTES)
        self.stack.append(set())

    for _code in (pickle.INT, pickle.LONG, pickle.LONG1, pickle.LONG4):
        dispatch[_code[0]] = _bounded_integer(dispatch[_code[0]])
    for _code, _keys in (
        (pickle.SETITEM, slice(-2, -1)),
        (pickle.SETITEMS, slice(None, None, 2)),
        (pickle.DICT, slice(None, None, 2)),
        (pickle.ADDITEMS, slice(None)),
        (pickle.FROZENSET, slice(None)),
    ):
        dispatch[_code[0]] = _hashing(dispatch[_code[0]], _keys)
    dispatch[pickle.PUT[0]] = _put
    dispatch[pickle.EMPTY_SET[0]] = _empty_set
    dispatch[pickle.REDUCE[0]] = _call
    dispatch[pickle.NEWOBJ[0]] = _call
    dispatch[pickle.NEWOBJ_EX[0]] = _call_with_names
    dispatch[pickle.BUILD[0]] = _build
    dispatch[pickle.BYTEARRAY8[0]] = _bytearray


def _load_torch(file: IO[bytes], budget: Budget) -> Any:
    """What the file holds, not settled yet. Raises RefusedError, or anything on a damaged file."""
    start = file.read(4)
    file.seek(0)
    return (_load_torch_zip if start == b"PK\x03\x04" else _load_torch_legacy)(file, budget)


def _load_torch_zip(file: IO[bytes], budget: Budget) -> Any:
    """``<name>/data.pkl`` and one member ``<name>/data/<key>`` for each storage."""
    from dimcli.pickles.tensors import storage_of_id

    size = Bounded(file).size
    require_small_directory(file)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        program = next((name for name in members if name.split("/")[-1] == "data.pkl"), None)
        if program is None:
            raise RefusedError(
                "is a zip archive without a data.pkl; expected one that torch.save wrote"
            )
        folder = program.removesuffix("data.pkl")
        storages: dict[str, Any] = {}
        read = 0

        def content(name: str) -> bytearray:
            """A member's bytes. All together they can't be more than the file, as none is
            compressed; overlapping members would be.
            """
            nonlocal read
            member = members[name]
            read += member.file_size
            if member.compress_type != zipfile.ZIP_STORED or read > size:
                raise RefusedError("is a compressed archive; expected one that torch.save wrote")
            data = bytearray(member.file_size)
            with archive.open(member) as stream:
                cast("io.BufferedIOBase", stream).readinto(data)
            return data

        if f"{folder}byteorder" in members and content(f"{folder}byteorder") != b"little":
            raise RefusedError("was written on a big-endian machine, which is not supported")

        def storage(pid: Any) -> Any:
            key, empty = storage_of_id(pid)
            if key not in storages:
                empty.fill(content(f"{folder}data/{key}"))
                storages[key] = empty
            return storages[key]

        program_bytes = bytes(content(program))
        return Reader(io.BytesIO(program_bytes), budget, storage, settings=True).load()


def _load_torch_legacy(file: IO[bytes], budget: Budget) -> Any:
    """Three small pickles, the object, the list of storage keys, then each storage's bytes."""
    from dimcli.pickles.tensors import storage_of_id

    if Reader(file, budget).load() != _LEGACY_MAGIC:
        raise RefusedError("is no file that torch.save wrote")
    if Reader(file, budget).load() != _LEGACY_PROTOCOL:
        raise RefusedError("is of another protocol than torch.save's 1001")
    system = Reader(file, budget).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("was written on a big-endian machine, which is not supported")
    storages: dict[str, Any] = {}

    def storage(pid: Any) -> Any:
        key, empty = storage_of_id(pid)
        return storages.setdefault(key, empty)

    result = Reader(file, budget, storage, settings=True).load()
    bounded = Bounded(file)
    for key in Reader(file, budget).load():
        (numel,) = struct.unpack("<q", bounded.read(8))
        wanted = storages[str(key) if isinstance(key, str | int) else ""]
        if numel != wanted.numel:
            raise RefusedError(f"has {numel} numbers in a tensor storage; expected {wanted.numel}")
        wanted.fill(bytearray(bounded.read(wanted.nbytes)))
    return result
