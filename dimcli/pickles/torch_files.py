"""The two layouts of ``torch.save`` files: a zip archive, and a chain of pickles before 1.6.

Both hold a program for :mod:`dimcli.pickles.reader`, and apart from it the bytes of the storages,
which the program points to by persistent ids.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import IO, Any, cast

from dimcli.pickles.reader import Bounded, Reader
from dimcli.pickles.stubs import Global, RefusedError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def load_torch(file: IO[bytes]) -> Any:
    """What the file holds, not settled yet. Raises RefusedError, or anything on a damaged file."""
    start = file.read(4)
    file.seek(0)
    return (_load_torch_zip if start == b"PK\x03\x04" else _load_torch_legacy)(file)


def _storage_facts(pid: Any) -> tuple[str, Any]:
    """Key and empty storage of a torch file's persistent id."""
    import torch

    from dimcli.pickles.tensors import StorageStub

    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise RefusedError("asks for an object from outside of it (a persistent id)")
    _, storage_type, key, _location, numel, *view = pid
    if not isinstance(storage_type, Global):
        raise RefusedError("has a tensor storage without a type")
    if not isinstance(storage_type.value, torch.dtype) or not isinstance(numel, int) or numel < 0:
        raise RefusedError(f"has a tensor storage of type '{storage_type.name}'")
    if view and view[0] is not None:
        raise RefusedError("has a view of a storage, as torch before 0.4 wrote it")
    return str(key), StorageStub(storage_type.value, numel)


def _load_torch_zip(file: IO[bytes]) -> Any:
    """``<name>/data.pkl`` and one member ``<name>/data/<key>`` for each storage."""
    size = Bounded(file).size
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
            key, empty = _storage_facts(pid)
            if key not in storages:
                empty.fill(content(f"{folder}data/{key}"))
                storages[key] = empty
            return storages[key]

        program_bytes = bytes(content(program))
        return Reader(io.BytesIO(program_bytes), storage, settings=True).load()


def _load_torch_legacy(file: IO[bytes]) -> Any:
    """Three small pickles, the object, the list of storage keys, then each storage's bytes."""
    if Reader(file).load() != _LEGACY_MAGIC:
        raise RefusedError("is no file that torch.save wrote")
    if Reader(file).load() != _LEGACY_PROTOCOL:
        raise RefusedError("is of another protocol than torch.save's 1001")
    system = Reader(file).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("was written on a big-endian machine, which is not supported")
    storages: dict[str, Any] = {}

    def storage(pid: Any) -> Any:
        key, empty = _storage_facts(pid)
        return storages.setdefault(key, empty)

    result = Reader(file, storage, settings=True).load()
    bounded = Bounded(file)
    for key in Reader(file).load():
        (numel,) = struct.unpack("<q", bounded.read(8))
        wanted = storages[str(key)]
        if numel != wanted.numel:
            raise RefusedError(f"has {numel} numbers in a tensor storage; expected {wanted.numel}")
        wanted.fill(bytearray(bounded.read(wanted.nbytes)))
    return result


def storage_of_bytes(data: Any) -> Any:
    """``torch.storage._load_from_bytes``: a whole torch file within, which holds one storage."""
    return load_torch(io.BytesIO(data if isinstance(data, bytes) else data.encode("latin1")))
