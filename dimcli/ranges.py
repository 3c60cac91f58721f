"""Checks that name a setting, its value and what it may be."""

from __future__ import annotations

from dimcli.errors import InputError


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InputError that names the field, its value and the range, unless it is inside."""
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; expected between {low:g} and {high:g}")


def require_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise InputError that names the field, its value and the known ones, unless it is known."""
    if value not in known:
        raise InputError(f"{name} is '{value}'; expected one of {', '.join(known)}")
