"""Pickles written opcode by opcode, so that they may name what isn't installed here, or is hostile.

Each function gives the bytes that leave one value on the interpreter's stack.
"""

import struct
from collections.abc import Iterable

import numpy as np


def program(*parts: bytes, protocol: int = 2) -> bytes:
    """A whole pickle."""
    return b"\x80" + bytes([protocol]) + b"".join(parts) + b"."


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def text(value: str | bytes) -> bytes:
    """SHORT_BINSTRING or BINSTRING: a Python 2 ``str``."""
    content = value.encode("latin1") if isinstance(value, str) else value
    if len(content) < 256:
        return b"U" + bytes([len(content)]) + content
    return b"T" + struct.pack("<i", len(content)) + content


def number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def group(*values: bytes) -> bytes:
    """MARK ... TUPLE."""
    return b"(" + b"".join(values) + b"t"


def listing(values: Iterable[bytes]) -> bytes:
    """EMPTY_LIST, MARK ... APPENDS."""
    return b"](" + b"".join(values) + b"e"


def mapping(pairs: dict[str, bytes]) -> bytes:
    """EMPTY_DICT, MARK ... SETITEMS, with Python 2 text as keys."""
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return function + group(*arguments) + b"R"


def build(instance: bytes, state: bytes) -> bytes:
    """BUILD."""
    return instance + state + b"b"


def new(cls: bytes, state: bytes) -> bytes:
    """NEWOBJ and BUILD: a new-style object, as protocol 2 writes it."""
    return build(cls + b")\x81", state)


def old_new(cls: bytes, state: bytes) -> bytes:
    """``copy_reg._reconstructor`` and BUILD: a new-style object, as protocols 0 and 1 write it."""
    made = call(name("copy_reg", "_reconstructor"), cls, name("__builtin__", "object"), b"N")
    return build(made, state)


def dtype(kind: np.dtype) -> bytes:
    """``numpy.dtype``, as numpy on Python 2 writes it."""
    made = call(name("numpy", "dtype"), text(kind.str[1:]), number(0), number(1))
    order = "|" if kind.byteorder == "|" else "<"
    rest = [b"N", b"N", b"N", number(-1), number(-1), number(0)]
    return build(made, group(number(3), text(order), *rest))


def array(values: np.ndarray, core: str = "numpy.core.multiarray") -> bytes:
    """``numpy.ndarray``, as numpy on Python 2 writes it: the data is a ``str``."""
    made = call(name(core, "_reconstruct"), name("numpy", "ndarray"), group(number(0)), text(b"b"))
    shape = group(*(number(length) for length in values.shape))
    fortran = values.flags.f_contiguous and not values.flags.c_contiguous
    data = text(values.tobytes(order="F" if fortran else "C"))
    flag = b"\x88" if fortran else b"\x89"
    return build(made, group(number(1), shape, dtype(values.dtype), flag, data))
