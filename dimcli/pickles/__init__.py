"""The one reader of other people's pickles: arrays, tensors and plain values, nothing else.

A pickle is a program. Here its interpreter (:mod:`dimcli.pickles.reader`) may build lists,
dictionaries, numbers and texts, and the stand-ins of :mod:`dimcli.pickles.stubs`; whatever else a
file names is refused before anything happens.

``torch.load(weights_only=True)`` would refuse the same calls, but also the settings objects in
Lightning checkpoints and much of what old numpy wrote; so torch files go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.pickles.reader import Bounded, Reader
from dimcli.pickles.stubs import RefusedError, settle


def read_pickle(path: Path) -> Any:
    """What a plain pickle holds: Python 2 or 3, numpy 1 or 2; sparse matrices as scipy's, chumpy
    arrays and OrderedDicts as plain arrays and dictionaries, tensors on the CPU.

    Raises InputError that names the forbidden global where the file asks for anything else.
    """
    return _read(path, "pickle", lambda file: Reader(file).load())


def read_torch(path: Path) -> Any:
    """What a ``torch.save`` file holds (zip or the older layout), tensors on the CPU.

    Settings objects of known packages (omegaconf, yacs, Lightning; Lightning checkpoints have them)
    become :class:`dimcli.pickles.stubs.Record`. Raises InputError as :func:`read_pickle` does.
    """
    from dimcli.pickles.torch_files import load_torch

    return _read(path, "torch.save", load_torch)


def read_npy(path: Path) -> Any:
    """The array in a ``.npy`` file; of objects by the rules of :func:`read_pickle`, and then what
    is alone in an array without dimensions comes as it is. Raises InputError.
    """
    return _read(path, ".npy", _load_npy)


def _read(path: Path, kind: str, load: Callable[[IO[bytes]], Any]) -> Any:
    path = existing_file(path, kind)
    try:
        with path.open("rb") as file:
            return settle(load(file))
    except RefusedError as refusal:
        reason = " ".join(str(refusal).split())[:300]
        raise InputError(f"{path}: refused, as it {reason}") from None
    except Exception as error:  # a damaged or hostile file may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{path}: not a readable {kind} file ({reason})") from None


def _load_npy(file: IO[bytes]) -> Any:
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = header(file)
    if dtype.hasobject:
        array = settle(Reader(file).load())
        if not isinstance(array, np.ndarray):
            raise RefusedError(f"holds an object of type {type(array).__name__}; expected an array")
        return array if array.ndim else array.item()
    # what is read is bounded by what is there, not by what the header says
    size = Bounded(file).size - file.tell()
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > size:
        raise RefusedError(f"says it holds {shape} numbers but has only {size} bytes of them")
    file.seek(0)
    return np.load(file, allow_pickle=False)
