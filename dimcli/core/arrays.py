"""numpy's ``.npy`` and ``.npz`` files: their headers are believed only within limits.

What a file says of its sizes is checked before anything is inflated or allocated; nothing in it is
executed.
"""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file

_BROKEN = (
    *(ValueError, TypeError, OSError, EOFError, AttributeError, MemoryError, RuntimeError),
    *(LookupError, ArithmeticError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
"""What numpy and zipfile raise on a file that is no archive of arrays, or a broken one."""


class BrokenFileError(InputError):
    """A file is not of the kind that was expected, or damaged."""


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that the ``.npy`` content of ``file`` claims. Raises ValueError where that is
    no shape; ``file`` then is where the numbers begin.
    """
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if len(shape) > 32 or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("no shape")
    if any(side >= 2**62 for side in shape):
        raise ValueError("a side of more than 62 bits")
    return shape, dtype


def read_array(path: Path, kind: str, *, mapped: bool = False) -> NDArray[Any]:
    """The plain array of a ``.npy`` file, which holds as many numbers as it says.

    ``mapped`` leaves it on the disk. Raises InputError.
    """
    path = existing_file(path, kind)
    try:
        with path.open("rb") as file:
            shape, dtype = array_header(file)
            there = os.fstat(file.fileno()).st_size - file.tell()
            if dtype.kind not in "biufcSU" or math.prod(shape) * dtype.itemsize > there:
                raise ValueError("not as many numbers as it says")
        array: NDArray[Any] = np.load(path, "r" if mapped else None, allow_pickle=False)
    except _BROKEN:
        raise InputError(f"{path}: not a whole .npy file of plain numbers") from None
    return array


def read_archive(
    path: Path,
    kind: str,
    wanted: Collection[str] = (),
    largest: int = limits.ARRAYS_BYTES,
) -> dict[str, NDArray[Any]]:
    """The plain arrays of a ``.npz`` file by name, of at most ``largest`` bytes together; those of
    ``wanted`` where it names any. Raises InputError.
    """
    path = existing_file(path, kind)
    with path.open("rb") as file:
        return archive_arrays(file, str(path), kind, wanted, largest)


def archive_arrays(
    content: IO[bytes], name: str, kind: str, wanted: Collection[str], largest: int
) -> dict[str, NDArray[Any]]:
    """The arrays of an open ``.npz`` file, which errors call ``name``: see :func:`read_archive`."""
    arrays: dict[str, NDArray[Any]] = {}
    left = largest
    try:
        require_small_directory(content)
        with zipfile.ZipFile(content) as archive:
            for member in archive.infolist():
                array = member.filename.removesuffix(".npy")
                if wanted and array not in wanted:
                    continue
                with archive.open(member) as file:
                    shape, dtype = array_header(file)
                if dtype.kind not in "biufcSU":
                    raise ValueError("not plain numbers")
                left -= math.prod(shape) * dtype.itemsize
                if left < 0:
                    raise InputError(
                        f"{name}: its arrays take more than {largest / 1e6:.0f} MB, the limit for "
                        f"a {kind} file"
                    )
                with archive.open(member) as file:
                    arrays[array] = npy.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except _BROKEN:
        raise BrokenFileError(f"{name}: not a {kind} file") from None
    return arrays


def require_small_directory(path_or_file: Path | IO[bytes]) -> None:
    """Raise ValueError where a zip archive lists so many members that the list fills the memory."""
    if isinstance(path_or_file, Path):
        with path_or_file.open("rb") as file:
            require_small_directory(file)
        return
    end = zipfile._EndRecData(path_or_file)  # type: ignore[attr-defined]
    if end is None or not 0 <= end[zipfile._ECD_SIZE] <= limits.ARCHIVE_LISTING_BYTES:  # type: ignore[attr-defined]
        raise ValueError("no zip archive, or one of too many members")
