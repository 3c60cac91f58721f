"""UniLS' LVE, MHD, FDD, PDD and JDD: distances of a head's vertices, in millimetres.

Vertices are posed without shape and head rotation, [T, V, 3] in millimetres. Smaller is better.

- **LVE**: root of the mean over frames of the largest squared distance of a lip vertex.
- **MHD**: root of the mean over frames and all vertices of the squared distance.
- **FDD**: 100 times the mean over upper-face vertices of |std(x + y + z) of the prediction less
  the truth's|, std over time with T - 1. **PDD**, **JDD**: the same of the head's three rotations
  and of the jaw's, in radians. Of the frames in which the target speaks (S_) or does not (L_).

Lists of vertices may name one twice, which then counts twice, as UniLS' own do.

Source: xg-chu/UniLS (CVPR 2026, arXiv 2512.09327) ``core/models/modules/metrics.py``. Falsely
rewarded: FDD, PDD and JDD compare amounts, so that motion at the wrong time scores 0; LVE and MHD
are smallest for a face that keeps still at the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.motion import HEAD, JAW_PITCH, Bools, Floats, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import SHORT, Family, MeanTally, Shares, Tally
from renderers.heads.regions import whole_head

Array = NDArray[np.floating[Any]]
_PER_CENT = 100.0


def lip_error(truth: Array, prediction: Array) -> float:
    """LVE of lip vertices [T, L, 3]."""
    return float(np.sqrt(_squares(truth, prediction).max(axis=1).mean(dtype=float)))


def head_error(truth: Array, prediction: Array) -> float:
    """MHD of all vertices [T, V, 3]."""
    return float(np.sqrt(_squares(truth, prediction).mean(dtype=float)))


def dynamics_error(truth: Array, prediction: Array) -> float:
    """FDD of vertices [T, U, 3], or PDD and JDD of rotations [T, R, 1]; NaN of one frame."""
    if len(truth) < 2:
        return float("nan")
    one, other = (
        np.asarray(m).sum(axis=2, dtype=float).std(axis=0, ddof=1) for m in (truth, prediction)
    )
    return float(_PER_CENT * np.abs(other - one).mean())


def _squares(truth: Array, prediction: Array) -> Array:
    apart = np.asarray(prediction) - np.asarray(truth)
    return np.einsum("tvi,tvi->tv", apart, apart)


class UniLS(Family):
    """UniLS' vertex distances, on the head that shows the data's space."""

    title = "UniLS' distances"
    columns = ("lve_mm", "mhd_mm", "fdd_mm", "pdd", "jdd")
    of_truth = ()
    rewards = (
        "Rewards falsely: LVE and MHD the mean face; FDD, PDD and JDD compare amounts of motion, "
        "so that motion at the wrong time scores 0."
    )
    units = "LVE, MHD and FDD (times 100) in millimetres; PDD and JDD (times 100) in radians."

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del records
        self._store = store
        self._regions = whole_head(store.info.space)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Units."""
        return (self.units,)

    def measure(self, clip: Clip) -> Callable[[Motion], Shares]:
        """Distances of a prediction, over the frames of speech apart where they are known."""
        voice = self._store.listener_voice(clip.record)
        kept: dict[str, slice | Bools] = {"": slice(None)}
        if voice is not None:
            kept = {", speaking": voice, ", listening": ~voice}
        true = self._vertices(clip.listener)

        def share(motion: Motion) -> Shares:
            moved, found = self._vertices(motion), Shares()
            values, truth = motion.values, clip.listener.values
            for variant, frames in kept.items():
                part = self._regions.name + variant
                a, b = true[frames], moved[frames]
                if len(a) < 2:
                    found |= {(part, name): SHORT for name in self.columns}
                    continue
                upper, lips = self._regions.upper, self._regions.lips
                heads = (each[frames, HEAD][..., None] for each in (truth, values))
                jaws = (each[frames, JAW_PITCH][:, None, None] for each in (truth, values))
                found |= {
                    (part, "lve_mm"): lip_error(a[:, lips], b[:, lips]),
                    (part, "mhd_mm"): head_error(a, b),
                    (part, "fdd_mm"): dynamics_error(a[:, upper], b[:, upper]),
                    (part, "pdd"): dynamics_error(*heads),
                    (part, "jdd"): dynamics_error(*jaws),
                }
            return found

        return share

    def _vertices(self, motion: Motion) -> Floats:
        upright = torch.from_numpy(np.array(motion.values, np.float32))
        upright[:, HEAD] = 0
        with torch.inference_mode():
            posed = [self._regions.head.vertices(part) for part in upright.split(64)]
        return np.asarray(1000.0 * torch.cat(posed).numpy(), np.float32)

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a variant."""
        return MeanTally.by_part(shares)
