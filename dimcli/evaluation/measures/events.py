"""Behaviour as a measure: the events that people see, of the truth and of each prediction.

Definitions are those of :mod:`dimcli.evaluation.behaviour`: on motion in the ``arkit`` space, or on
a video that was tracked (again). Figures a minute are means over clips, all others medians over the
clips that have one. Angles are degrees, times seconds; the gap between the lips is a share of the
distance of the outer eye corners. The nearer to the truth's the better.

Source: the figures of this project's page on real listeners, measured on ViCo's clips.

Falsely rewarded: a method that moves as much as people do, whenever it likes, has all of these but
those of the answers; and medians of few short clips are coarse (two nods in 15 s are 8 a minute).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.motion import Motion, Reals
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.behaviour import answer_figures, gaze_figures, measure
from dimcli.evaluation.measures.family import Family, MeanTally, Shares, Tally, mean_over
from renderers.heads.regions import lip_gap

Array = NDArray[np.floating[Any]]

PARTS: dict[str, tuple[str, ...]] = {
    "eyes": (
        *("blinks_a_minute", "blink_width_s"),
        *("gaze_away_share", "gaze_aversions_a_minute", "gaze_away_s"),
    ),
    "head": (
        *("nods_a_minute", "nod_degrees", "nod_hz", "pitch_nod_band_degrees"),
        *("yaw_std_degrees", "pitch_std_degrees", "roll_std_degrees"),
        *("head_speed_mean", "head_speed_p95", "still_share", "pitch_jitter_degrees"),
    ),
    "mouth": (
        *("smile_mean", "smile_std", "lip_gap_mean", "lip_gap_p95", "lip_gap_std"),
        *("openings_a_minute", "opening_s", "opening_height"),
    ),
    "answers to the speaker": (
        *("nods_at_pauses_a_minute", "nods_elsewhere_a_minute"),
        *("nod_after_pause_s", "nod_after_nod_s"),
    ),
}
COLUMNS = tuple(name for names in PARTS.values() for name in names)
ANSWERS_TO_VOICE = ("nods_at_pauses_a_minute", "nods_elsewhere_a_minute", "nod_after_pause_s")
RATE = "_a_minute"
NO_OCCASION = "nothing of the kind happens"
NO_VOICE = "the sound's features do not say when the speaker talks"


def describe(
    motion: Motion,
    speaker: Motion | None = None,
    active: Reals | None = None,
    gap: Reals | None = None,
) -> Shares:
    """All figures of one motion in the ``arkit`` space, by part and name.

    ``speaker`` and ``active`` [T] (whether the speaker is heard) are what it answers; ``gap`` [T]
    is the lips' as a video shows it, by default the open head's.
    """
    if gap is None:
        gap = lip_gap(torch.from_numpy(motion.values)).numpy()
    figures = measure(motion, gap).as_dict() | gaze_figures(motion)
    if speaker is not None or active is not None:
        figures |= answer_figures(motion, speaker, active)
    shares: Shares = {}
    for part, names in PARTS.items():
        for name in names:
            if name not in figures:
                continue
            value = figures[name]
            unheard = active is None and name in ANSWERS_TO_VOICE
            reason = NO_VOICE if unheard else NO_OCCASION
            shares[part, name] = value if np.isfinite(value) else reason
    return shares


@dataclass(frozen=True)
class EventTally:
    """Figures a minute as means, others as medians over the clips that have them."""

    means: MeanTally

    @classmethod
    def by_part(cls, shares: Sequence[Sequence[Shares]]) -> dict[str, EventTally]:
        """From shares by sample, then clip."""
        return {part: cls(means) for part, means in MeanTally.by_part(shares).items()}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Of figures that no clip has."""
        return {
            name: why
            for name, why in self.means.reasons.items()
            if not np.isfinite(self.means.values[name]).any()
        }

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [S, B]."""
        return {
            name: (mean_over if name.endswith(RATE) else median_over)(values, draws)
            for name, values in self.means.values.items()
        }


def median_over(values: Array, draws: Array | None) -> Array:
    """Medians [S, B] of ``values`` [S, C] over the clips that have one, drawn so often."""
    draws = np.ones((1, values.shape[1])) if draws is None else np.asarray(draws, float)
    medians = np.full((len(values), len(draws)), np.nan)
    for row, found in zip(medians, values, strict=True):
        there = np.flatnonzero(np.isfinite(found))
        order = there[np.argsort(found[there], kind="stable")]
        if not len(order):
            continue
        reached = np.cumsum(draws[:, order], axis=1)
        half = reached[:, -1:] / 2
        low, high = (reached < half).sum(axis=1), (reached <= half).sum(axis=1)
        ends = [found[order[np.minimum(at, len(order) - 1)]] for at in (low, high)]
        row[:] = np.where(half[:, 0] > 0, (ends[0] + ends[1]) / 2, np.nan)
    return medians


class Behaving(Family):
    """The events that people see."""

    title = "behaviour"
    columns = COLUMNS
    of_truth = COLUMNS
    rewards = (
        "Rewards falsely: whoever moves as much as people do, whenever that is, has all of these "
        "but the answers to the speaker."
    )
    ways = (
        "Figures a minute: means over clips; others: medians over the clips that have one. The "
        "nearer to the ground truth's the better."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del records
        self._space = store.info.space

    @property
    def remarks(self) -> tuple[str, ...]:
        """How clips are put together."""
        return (self.ways,)

    def measure(self, clip: Clip) -> Callable[[Motion], Shares]:
        """Figures of a prediction."""
        if self._space != "arkit":
            why = f"the {self._space} space has no lids, smiles and lips as numbers (dim convert)"
            return lambda motion: {
                (part, name): why for part, names in PARTS.items() for name in names
            }
        return lambda motion: describe(motion, clip.speaker, clip.activity)

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a part."""
        return EventTally.by_part(shares)
