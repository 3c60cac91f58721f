"""Values of an LMDB file by key, read without the LMDB library.

That library maps the file into memory and follows what it finds there: a damaged file ends the
process. Here every page number, offset and size is checked against the file before it is used.
Read is the main database of version 1 files (``data.mdb``), as any 64-bit little-endian machine
writes them: a B+ tree of pages whose keys are in order of their bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = struct.Struct("<QHHHH")
"""Of a page: its number, padding, flags, and where its list of nodes ends and its nodes begin."""
_META = struct.Struct("<IIQQ")
_DATABASE = struct.Struct("<IHHQQQQQ")
"""Page size (of the first), flags, depth, pages of three kinds, entries, root."""
_LAST = struct.Struct("<QQ")
"""Last page, and number of the transaction."""
_NODE = struct.Struct("<HHHH")
"""Size of the value in two parts, low first; flags; size of the key, which follows."""
_BRANCH, _LEAF = 1, 2
_FAR = 1
"""Flag of a node whose value is on pages of its own; the number of the first stands for it."""
_PAGE_SIZES = tuple(2**power for power in range(9, 17))
_NONE = 2**64 - 1
_DEEPEST = 32


class _Node(NamedTuple):
    """An entry of a page; its value begins at ``end``."""

    key: bytes
    size: int
    flags: int
    end: int

    @property
    def child(self) -> int:
        """Of a branch: the page below, whose number takes the places of size and flags."""
        return self.size | self.flags << 32


class LmdbFile:
    """An open file; a context manager."""

    def __init__(self, path: Path) -> None:
        """``path`` is the file, or the folder that holds ``data.mdb``. Raises InputError where it
        is no LMDB file."""
        self._path = existing_file(path / "data.mdb" if path.is_dir() else path, "LMDB")
        self._size = self._path.stat().st_size
        self._file = self._path.open("rb")
        try:
            self._page_size, self._root = self._newest()
        except (InputError, struct.error):
            self._file.close()
            raise InputError(f"{self._path}: not an LMDB file of version 1") from None

    def __enter__(self) -> LmdbFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, key: str, largest: int) -> bytes | None:
        """The value of ``key``; None where there is none. Raises InputError for a damaged file, and
        for a value of more than ``largest`` bytes."""
        wanted, number = key.encode(), self._root
        if number == _NONE:
            return None
        for _ in range(_DEEPEST):
            page = self._read(number * self._page_size, self._page_size)
            kind = _HEADER.unpack_from(page)[2]
            nodes = list(self._nodes(page))
            if kind & _LEAF:
                found = next((node for node in nodes if node.key == wanted), None)
                return None if found is None else self._value(page, found, largest)
            if not kind & _BRANCH or not nodes:
                break
            # the first node of a branch has no key: it counts as the least
            number = max((n for n in nodes[1:] if n.key <= wanted), default=nodes[0]).child
        raise self._damaged()

    def _newest(self) -> tuple[int, int]:
        """Page size, and the root of the main database, after the last finished transaction."""
        found, page_size = [], 0
        for number in (0, 1):
            start = number * page_size + _HEADER.size
            meta = self._read(start, _META.size + 2 * _DATABASE.size + _LAST.size)
            magic, version, *_ = _META.unpack_from(meta)
            page_size, *_ = _DATABASE.unpack_from(meta, _META.size)
            *_, root = _DATABASE.unpack_from(meta, _META.size + _DATABASE.size)
            _, transaction = _LAST.unpack_from(meta, _META.size + 2 * _DATABASE.size)
            if (magic, version) != (_MAGIC, _VERSION) or page_size not in _PAGE_SIZES:
                raise self._damaged()
            found.append((transaction, root))
        return page_size, max(found)[1]

    def _nodes(self, page: bytes) -> Iterator[_Node]:
        """A page's nodes, in the order of their keys."""
        end = _HEADER.unpack_from(page)[3]
        if end > len(page):
            raise self._damaged()
        for at in range(_HEADER.size, end - 1, 2):
            place = int.from_bytes(page[at : at + 2], "little") + _NODE.size
            if place > len(page):
                raise self._damaged()
            low, high, flags, length = _NODE.unpack_from(page, place - _NODE.size)
            key = page[place : place + length]
            yield _Node(key, low | high << 16, flags, place + length)

    def _value(self, page: bytes, node: _Node, largest: int) -> bytes:
        if node.size > largest:
            raise InputError(
                f"{self._path}: a value of {node.size / 1e6:.0f} MB; expected at most "
                f"{largest / 1e6:.0f} MB"
            )
        if not node.flags & _FAR:
            value = page[node.end : node.end + node.size]
        else:
            number = int.from_bytes(page[node.end : node.end + 8], "little")
            content = self._read(number * self._page_size, _HEADER.size + node.size)
            value = content[_HEADER.size :]
        if len(value) != node.size:
            raise self._damaged()
        return value

    def _read(self, start: int, size: int) -> bytes:
        if start + size > self._size:
            raise self._damaged()
        self._file.seek(start)
        return self._file.read(size)

    def _damaged(self) -> InputError:
        return InputError(f"{self._path}: damaged, or cut short")
