"""How methods' listeners move, beside the true ones: what frame distributions cannot tell.

FD, P-FD, MSE, SID and Var do not change when a clip's frames are shuffled (together with the
truth's), so a listener who trembles can score as well as one who nods. These figures are of motion
over time, from :mod:`dimcli.evaluation.behaviour`, and therefore in the ``arkit`` space only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import EXPRESSION, HEAD, Motion
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation.behaviour import measure
from dimcli.evaluation.scores import CONFIDENCE, TRUTH

Floats = NDArray[np.float64]

FIGURES = {
    "head speed, degrees a second": 1,
    "pitch jitter 5-12 Hz, degrees": 3,
    "expression speed, 1/s": 3,
    "nods a minute": 1,
    "blinks a minute": 1,
}
"""What is measured of a clip, and the decimals that it is written with."""


@dataclass(frozen=True)
class Movement:
    """A method's figures: means over clips [5] and their bootstrap intervals [5]."""

    name: str
    mean: Floats
    low: Floats
    high: Floats


def movements(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    seed: int,
    resamples: int = 1000,
) -> list[Movement]:
    """The truth's and every predictor's movement over the clips of ``split``, one sample each."""
    found: dict[str, list[Floats]] = {name: [] for name in (TRUTH, *predictors)}
    for record in store.clips(split):
        clip = store.load(record)
        found[TRUTH].append(_describe(clip.listener))
        for name, predictor in predictors.items():
            found[name].append(_describe(predictor.predict(clip.stimulus(), seed)))
    random = np.random.default_rng(seed)
    count = len(found[TRUTH])
    draws = random.integers(count, size=(resamples, count))
    edges = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    result = []
    for name, rows in found.items():
        values = np.stack(rows)
        low, high = np.quantile(values[draws].mean(axis=1), edges, axis=0)
        result.append(Movement(name, values.mean(axis=0), low, high))
    return result


def movement_markdown(rows: list[Movement]) -> str:
    """The table as Markdown: a line a method, intervals behind the figures."""
    lines = [
        "### How they move",
        "",
        "| | " + " | ".join(FIGURES) + " |",
        "| --- |" + " ---: |" * len(FIGURES),
    ]
    for row in rows:
        cells = [
            f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
            for digits, mean, low, high in zip(
                FIGURES.values(), row.mean, row.low, row.high, strict=True
            )
        ]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    note = (
        "The nearer to the ground truth's the better. Means over clips, one sample each; FD and "
        "its like do not see the order of frames."
    )
    return "\n".join([*lines, "", note, ""])


def _describe(motion: Motion) -> Floats:
    values = motion.values.astype(float)
    speed = np.abs(np.diff(values, axis=0)) * motion.fps
    seen = measure(motion)
    return np.array(
        [
            np.degrees(speed[:, HEAD].mean()),
            seen.pitch_jitter_degrees,
            speed[:, EXPRESSION].mean(),
            seen.nods_a_minute,
            seen.blinks_a_minute,
        ]
    )
