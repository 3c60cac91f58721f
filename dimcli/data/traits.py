"""A listener's traits by name: how much somebody nods, blinks, smiles and moves the head."""

from __future__ import annotations

import math

from dimcli.core.errors import InputError

TRAITS = ("nods", "blinks", "smile", "head")
Traits = tuple[tuple[str, float], ...]
"""Some of them with a factor on the usual amount; a model draws the others."""
FACTORS = (0.2, 3.0)
"""What may be said of a trait: a factor on the usual amount."""
STYLES: dict[str, dict[str, float]] = {
    "reserved": {"nods": 0.6, "smile": 0.6, "head": 0.65},
    "warm": {"nods": 1.15, "smile": 1.35},
    "lively": {"nods": 1.5, "blinks": 1.1, "smile": 1.15, "head": 1.4},
}
"""Traits by a word."""


def traits_said(style: str | None, text: str | None) -> Traits:
    """Factors of a ``style`` (one of ``STYLES``) and of ``nods=1.2,smile=0.8``, which count more.

    Raises InputError for what is neither.
    """
    if style is not None and style not in STYLES:
        raise InputError(f"--style {style}: expected one of {', '.join(STYLES)}")
    return tuple(((STYLES[style] if style else {}) | _factors(text or "")).items())


def _factors(text: str) -> dict[str, float]:
    found = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, number = part.partition("=")
        try:
            factor = float(number)
        except ValueError:
            factor = math.nan
        if name not in TRAITS or not FACTORS[0] <= factor <= FACTORS[1]:
            raise InputError(
                f"--traits {part}: expected {', '.join(TRAITS)} and a factor from {FACTORS[0]:g} "
                f"to {FACTORS[1]:g}, like nods=1.2,smile=0.8"
            )
        found[name] = factor
    return found
