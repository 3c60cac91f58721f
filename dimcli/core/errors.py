"""The kinds of error that reach a user, and the exit code of each.

Only :func:`dimcli.cli.main` turns these into process exits; library code raises them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class DimError(Exception):
    """Something failed and the message says what in one line. Our fault unless a subclass says."""

    exit_code = 1


class InputError(DimError):
    """The user's input is at fault: the message names the flag or file, the fault and the fix."""

    exit_code = 2


class ToldError(InputError):
    """Inputs are at fault, and the figures that were given for ``--json`` say which and why."""


class MissingDependencyError(InputError):
    """An optional package is not installed: the message carries the install line."""


@contextmanager
def needing(complaint: str) -> Iterator[None]:
    """Within the block an optional package is imported; where it isn't installed ``complaint`` is
    told, which says how to install it. Raises MissingDependencyError."""
    try:
        yield
    except ImportError:
        raise MissingDependencyError(complaint) from None


@contextmanager
def about(name: object) -> Iterator[None]:
    """Within the block the message of an InputError begins with the ``name`` of what is at fault, a
    file, say. Raises InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def printable(text: str) -> str:
    """``text`` on one line; of names of files, what cannot or should not be shown (control
    characters, bytes that are no UTF-8) is written as Python would: ``\\n``, ``\\udcff``."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)
