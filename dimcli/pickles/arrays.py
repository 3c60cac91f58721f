"""Stand-ins for the arrays of numpy, scipy and chumpy; see :mod:`dimcli.pickles.stubs`.

numpy's, scipy's and torch's own unpickling trusts the shapes, type descriptions and indices that a
file claims. Here they are checked, and the arrays made anew.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from dimcli.core import limits
from dimcli.core.documents import shortened
from dimcli.pickles.stubs import Global, RefusedError, Settle


class DTypeStub:
    """``numpy.dtype``: one plain number or string type."""

    def __init__(self, code: Any, *_flags: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?[?a-zA-Z]\d{0,9}", code):
            raise RefusedError(f"has arrays of type {shortened(code)}; expected numbers or strings")
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufcSUO":
            raise RefusedError(f"has arrays of type {code!r}; expected numbers or strings")

    def accept(self, state: Any) -> None:
        """``(version, byte order, subarray, names, fields, ...)``."""
        order, *compound = state[1:5]
        if order not in ("<", ">", "=", "|") or compound != [None] * 3:
            raise RefusedError("has arrays of records; expected numbers or strings")
        self.dtype = self.dtype.newbyteorder(order)

    def settle(self, settle: Settle) -> Any:
        """The numpy type."""
        return self.dtype


def raw_bytes(data: Any) -> bytes:
    """Bytes of what may be a Python 2 string (read as latin1)."""
    if isinstance(data, str):
        return data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise RefusedError(
            f"has an array whose data is of type {type(data).__name__}; expected bytes"
        )
    return bytes(data)


_MOST_AXES = 32


def checked_shape(shape: Any) -> tuple[int, ...]:
    """``shape`` if it is one. Its product is bounded before anything is made of it."""
    shape = (shape,) if isinstance(shape, int) else shape
    if (
        not isinstance(shape, tuple | list)
        or len(shape) > _MOST_AXES
        or not all(isinstance(length, int) and length >= 0 for length in shape)
    ):
        raise RefusedError(f"has an array of shape {shortened(shape)}")
    return tuple(shape)


def plain_array(data: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray[Any, Any]:
    """An array of its own from raw bytes, when they are as many as the shape says."""
    shape = checked_shape(shape)
    content = raw_bytes(data)
    count = math.prod(shape)
    if len(content) != count * dtype.itemsize or (count and not content):
        raise RefusedError(
            f"has an array of shape {str(shape)[:60]} and type {dtype} in {len(content)} bytes"
        )
    if not content:
        return np.empty(shape, dtype)
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


class ArrayStub:
    """``numpy.ndarray``; ``parts`` are its shape, type, whether Fortran ordered, and data."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def accept(self, state: Any) -> None:
        """``(version, shape, dtype, fortran, data)``; the oldest have no version."""
        self.parts = tuple(state[-4:])

    def settle(self, settle: Settle) -> Any:
        """The array."""
        if len(self.parts) != 4 or not isinstance(self.parts[1], DTypeStub):
            raise RefusedError("has an array without shape, type and data")
        shape, kind, fortran, data = checked_shape(self.parts[0]), *self.parts[1:]
        if kind.dtype.kind != "O":
            return plain_array(data, kind.dtype, shape, bool(fortran))
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise RefusedError(
                "has an object array whose elements are not as many as its shape says"
            )
        array = np.empty(len(data), object)
        for index, element in enumerate(data):
            array[index] = settle(element)
        return array.reshape(shape, order="F" if fortran else "C")


def new_array(kind: Any, *_unused: Any) -> ArrayStub:
    """``numpy.core.multiarray._reconstruct``."""
    if not isinstance(kind, Global) or kind.name != "numpy.ndarray":
        raise RefusedError(f"has an array of class {getattr(kind, 'name', type(kind).__name__)!r}")
    return ArrayStub()


def array_of_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> ArrayStub:
    """``numpy.core.numeric._frombuffer``."""
    return ArrayStub(shape, dtype, order == "F", data)


def scalar(dtype: Any, data: Any = b"") -> Any:
    """``numpy.core.multiarray.scalar``; numpy's own would unpickle an object's data."""
    if not isinstance(dtype, DTypeStub) or dtype.dtype.kind == "O":
        raise RefusedError("has a numpy scalar that is not a number or a string")
    return plain_array(data, dtype.dtype, (), False)[()]


class SparseStub:
    """A compressed sparse matrix of scipy."""

    def __init__(self, layout: str) -> None:
        self.layout = layout
        self.state: Any = None

    def accept(self, state: Any) -> None:
        """The attributes of the matrix."""
        self.state = state

    def settle(self, settle: Settle) -> Any:
        """The matrix, its indices checked."""
        from scipy import sparse

        state = settle(self.state)
        names = ("data", "indices", "indptr")
        if not isinstance(state, dict) or not all(
            isinstance(state.get(name), np.ndarray) and state[name].dtype.kind in "iuf"
            for name in names
        ):
            raise RefusedError("has a sparse matrix without data, indices and indptr")
        shape = checked_shape(state.get("_shape") or state.get("shape") or ())
        if math.prod(shape) * 8 > limits.PICKLE_BYTES:
            raise RefusedError(f"has a sparse matrix of shape {shape}")
        kind = {"csc": sparse.csc_matrix, "csr": sparse.csr_matrix}[self.layout]
        matrix = kind(tuple(state[name] for name in names), shape=shape)
        matrix.check_format(full_check=True)
        return matrix


class ChumpyStub:
    """A chumpy array: ``Ch`` has its value under ``x``, ``Select`` picks from another one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None

    def accept(self, state: Any) -> None:
        """The attributes of the array."""
        self.state = state

    def settle(self, settle: Settle) -> Any:
        """The value as a plain array."""
        state = settle(self.state)
        if isinstance(state, dict):
            if isinstance(state.get("x"), np.ndarray):
                return state["x"]
            picks = state.get("idxs")
            if isinstance(state.get("a"), np.ndarray) and isinstance(picks, np.ndarray):
                picked = state["a"].ravel()[picks.astype(np.int64).ravel()]
                shape = state.get("preferred_shape")
                return picked if shape is None else picked.reshape(shape)
        raise RefusedError(f"has a chumpy expression '{self.name}' that holds no array")


def _array_globals() -> dict[tuple[str, str], Global]:
    found = {
        ("numpy", "ndarray"): Global("numpy.ndarray"),
        ("numpy", "dtype"): Global("numpy.dtype", DTypeStub),
    }
    for core in ("numpy.core", "numpy._core"):
        for module, name, make in (
            ("multiarray", "_reconstruct", new_array),
            ("multiarray", "scalar", scalar),
            ("numeric", "_frombuffer", array_of_buffer),
        ):
            found[f"{core}.{module}", name] = Global(f"{core}.{module}.{name}", make)
    for layout in ("csc", "csr"):
        for module in (f"scipy.sparse.{layout}", f"scipy.sparse._{layout}"):
            for kind in ("matrix", "array"):
                name = f"{layout}_{kind}"
                found[module, name] = Global(
                    f"{module}.{name}", lambda *_, layout=layout: SparseStub(layout)
                )
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        full = f"{module}.{name}"
        found[module, name] = Global(full, lambda *_, full=full: ChumpyStub(full))
    return found


ARRAY_GLOBALS = _array_globals()
"""What every file may name besides, as numpy 1 and 2, and old and new scipy spell it."""
