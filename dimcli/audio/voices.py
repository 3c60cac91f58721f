"""Who talks when, of two people who are recorded together, each on a track of their own.

Levels are absolute: of somebody who says nothing there is no speech that they could be relative to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimcli.audio.log_mel import HOPS_A_SECOND, analyse, level_db, smooth
from dimcli.core.masks import runs, with_gaps_filled, without_short_runs
from dimcli.core.motion import Bools, Floats

ABOVE_NOISE_DB, QUIETEST_DBFS = 12.0, -65.0
BLEED_DB = 8.0
"""A voice this far below the other track at the same time is the other's, heard by the wrong
microphone."""
GAP_S, SHORTEST_S = 0.2, 0.12
"""Gaps within words are closed; shorter sounds are noises."""
VOICED, VOICED_S = 0.5, 0.08
"""What holds less of a voiced sound is no talking."""
_SMOOTH = 5
"""Windows of 10 ms whose levels are averaged."""
_NOTHING_DBFS = -200.0


@dataclass(frozen=True)
class Voice:
    """A track in windows of 10 ms: its ``level`` [H] in dBFS and its ``voicing`` [H], 0..1."""

    level: Floats
    voicing: Floats

    @classmethod
    def of(cls, samples: Floats, fps: float, frames: int) -> Voice:
        """Of mono samples [N] at SAMPLE_RATE, for so many frames; silence past their end."""
        hops = round(max(frames - 1, 0) / fps * HOPS_A_SECOND) + 1
        _, energy, voicing, _ = analyse(samples, hops)
        return cls(smooth(level_db(energy), _SMOOTH), voicing)


def talking(own: Voice, other: Voice, fps: float, frames: int) -> Bools:
    """Whether a person talks in each frame, bool [frames], by their ``own`` track, which has as
    many, and the ``other`` one's.

    Their track stands out of its noise (the 10th percentile of its level) by 12 dB, is less than
    8 dB below the other's, and holds something voiced.
    """
    hops = len(own.level)
    others = np.pad(
        other.level[:hops], (0, max(hops - len(other.level), 0)), constant_values=_NOTHING_DBFS
    )
    least = max(float(np.quantile(own.level, 0.1)) + ABOVE_NOISE_DB, QUIETEST_DBFS)
    heard = (own.level > least) & (own.level > others - BLEED_DB)
    heard = with_gaps_filled(heard, round(GAP_S * HOPS_A_SECOND), np.ones(hops, bool))
    heard = without_short_runs(heard, round(SHORTEST_S * HOPS_A_SECOND))
    for start, stop in runs(heard):
        if (own.voicing[start:stop] > VOICED).sum() < VOICED_S * HOPS_A_SECOND:
            heard[start:stop] = False
    return np.asarray(heard[np.round(np.arange(frames) / fps * HOPS_A_SECOND).astype(int)])
