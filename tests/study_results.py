"""Results files as the page of a study makes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from dimcli.evaluation.study import PAIRS, Study, sessions

Rate = Callable[[str, str, int], float]
"""Stimulus, method and criterion to a score."""
_studies: dict[str, Study] = {}


@cache
def _orders(id: str) -> list[list[tuple[str, tuple[str, ...]]]]:
    return sessions(_studies[id])


def complete_results(
    study: Study, person: int, rate: Rate = lambda *_: 3, name: str = ""
) -> dict[str, Any]:
    """All answers of participant ``person``, from 1, who scores as ``rate`` says; of two videos the
    one with the higher score is chosen. Attention checks are passed."""
    _studies[study.id] = study
    answers = []
    for question, shown in _orders(study.id)[person - 1]:
        answer: Any = list(study.checks.get(question, ()))
        if shown:
            scores = [[rate(*study.videos[one], c) for c in range(2)] for one in shown]
            whole = np.clip(np.rint(scores), 0, 5).astype(int).tolist()
            answer = dict(zip(shown, whole, strict=True))
            if study.mode == PAIRS:
                answer = [int(scores[1][c] > scores[0][c]) for c in range(2)]
        answers.append({"question": question, "shown": list(shown), "answer": answer})
    return {
        "format": "dim-study-results",
        "version": 1,
        "study": study.id,
        "participant": name or f"p{person}",
        "session": person,
        "answers": answers,
    }
