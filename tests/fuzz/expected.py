"""Faults that are known and not mended yet, with their reasons: to be emptied."""

from __future__ import annotations

import re

from tests.fuzz.runs import Outcome

EXPECTED: tuple[tuple[str, str], ...] = ()
"""A pattern of a fault's text, and why it is so."""


def expected(outcome: Outcome) -> str:
    """Why all faults of an outcome are known; '' where one is not."""
    reasons = []
    for fault in outcome.faults:
        found = [reason for pattern, reason in EXPECTED if re.search(pattern, fault)]
        if not found:
            return ""
        reasons += found
    return "; ".join(reasons)
