"""The arrays of one conversation on disk: a ``.safetensors`` file in a data set.

The layout of such files is simple and fixed: 8 bytes with the length of a JSON header that says
where each array lies, then the arrays. Training reads thousands of short windows a second; mapping
a file and going through its header (which holds the notes on every clip) for each of them takes
longer than reading the rows, and mapped pages count as memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats

CONVERSATIONS = "conversations"
"""The folder of a data set that holds them."""

_KINDS = {"F32": "<f4", "F16": "<f2"}
_LARGEST_HEADER = 100_000_000
"""The format's own limit."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a file's arrays lie, and which state of the file that is true of.

    ``first_byte``, ``frames`` and ``kinds``, a number's type, are of each array, in the order of
    the reader's ``widths``.
    """

    state: tuple[int, int]
    first_byte: tuple[int, ...]
    frames: tuple[int, ...]
    kinds: tuple[str, ...]


def conversation_path(root: Path, conversation: str) -> Path:
    """Where a conversation's arrays lie."""
    return Path(root) / CONVERSATIONS / f"{conversation}.safetensors"


class ConversationReader:
    """Reads rows of the arrays in a data set's conversation files.

    ``widths`` are the columns that each array must have. Files are opened for each reading and
    where their arrays lie is remembered: some hundred bytes a conversation.
    """

    def __init__(self, root: Path, widths: dict[str, int]) -> None:
        self.root = Path(root)
        self.widths = dict(widths)
        self._layouts: dict[str, _Layout] = {}

    def rows(
        self, conversation: str, first: int, last: int, keys: Collection[str] = ()
    ) -> dict[str, Floats]:
        """Rows ``first`` to ``last`` (exclusive), float32 [last - first, width], of each array, or
        of those that ``keys`` names.

        Raises InputError that names the file when it is missing, damaged, too short or holds
        values that are not finite.
        """
        path = conversation_path(self.root, conversation)
        try:
            if path.exists() and not path.is_file():
                raise _Damaged("it is no ordinary file")
            with path.open("rb", buffering=0) as file:
                layout = self._layout(conversation, path, file)
                arrays = {}
                for place, (key, width) in enumerate(self.widths.items()):
                    if keys and key not in keys:
                        continue
                    if layout.frames[place] < last:
                        shape = (layout.frames[place], width)
                        raise InputError(
                            f"{path}: {key} has shape {shape}; expected at least ({last}, {width})"
                        )
                    kind = np.dtype(layout.kinds[place])
                    file.seek(layout.first_byte[place] + kind.itemsize * width * first)
                    count = (last - first) * width
                    if kind.itemsize * count > os.fstat(file.fileno()).st_size:
                        raise _Damaged("it is cut short")
                    values = np.fromfile(file, kind, count)
                    if len(values) != count:
                        raise _Damaged("it is cut short")
                    arrays[key] = values.reshape(last - first, width).astype("<f4", copy=False)
        except (OSError, _Damaged) as error:
            raise InputError(f"{path}: cannot be read ({error}); prepare it again") from None
        for key, array in arrays.items():
            if not np.abs(array).max(initial=0.0) <= limits.LARGEST_NUMBER:
                raise InputError(
                    f"{path}: {key} has NaN, infinite or huge values; prepare it again"
                )
        return arrays

    def _layout(self, conversation: str, path: Path, file: BinaryIO) -> _Layout:
        status = os.fstat(file.fileno())
        state = (status.st_size, status.st_mtime_ns)
        known = self._layouts.get(conversation)
        if known is None or known.state != state:
            known = self._layouts[conversation] = self._read_layout(path, file, state)
        return known

    def _read_layout(self, path: Path, file: BinaryIO, state: tuple[int, int]) -> _Layout:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LARGEST_HEADER, state[0] - 8):
            raise _Damaged("no header")
        try:
            header = json.loads(file.read(length))  # bounded by the file
            header.pop("__metadata__", None)
            shapes = {key: tuple(entry["shape"]) for key, entry in header.items()}
            starts = {key: 8 + length + entry["data_offsets"][0] for key, entry in header.items()}
            ends = [8 + length + entry["data_offsets"][1] for entry in header.values()]
            types = {key: entry["dtype"] for key, entry in header.items()}
            known = types and set(types.values()) <= set(_KINDS)
            whole = all(
                type(number) is int and number >= 0
                for number in (*starts.values(), *ends, *(n for s in shapes.values() for n in s))
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise _Damaged("its header is broken") from None
        if not whole or not known or max(ends, default=0) > state[0]:
            raise _Damaged("its header does not fit")
        missing = set(self.widths) - set(shapes)
        if missing:
            raise InputError(f"{path}: lacks {', '.join(sorted(missing))}")
        for key, width in self.widths.items():
            if len(shapes[key]) != 2 or shapes[key][1] != width:
                raise InputError(
                    f"{path}: {key} has shape {shapes[key]}; expected (frames, {width})"
                )
        return _Layout(
            state,
            first_byte=tuple(starts[key] for key in self.widths),
            frames=tuple(shapes[key][0] for key in self.widths),
            kinds=tuple(_KINDS[types[key]] for key in self.widths),
        )


class _Damaged(Exception):  # noqa: N818  nobody outside sees it
    """What is wrong with a file."""
