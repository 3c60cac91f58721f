"""Speakers' figures of merit: vertices of lips and upper face, and what people see of lips.

On each mesh at hand LVE and FDD, computed from displacements: vertices less those of the resting
face. On a head the truth is the data set's motion, as in the paper's Table 4; on scans it is what
was scanned. The literature's definitions stand beside those of the released code (FaceFormer's,
CodeTalker's and DIM's), which differ and must not be compared:

================  ==============================  ============================================
figure            literature                      released code
================  ==============================  ============================================
LVE, a frame      largest distance of a lip       largest **squared** distance
LVE, a corpus     mean of the clips' means        mean over **all frames** of all clips
FDD, a vertex     standard deviation over time    standard deviation of the **squared** length
                  of its displacement's length    of its displacement
FDD, a clip       |mean over vertices of          mean over vertices of truth less prediction,
                  truth less prediction|          **with its sign**: clips cancel
================  ==============================  ============================================

Sources: Fan et al. 2022 (FaceFormer, LVE; after Richard et al. 2021), Xing et al. 2023 (CodeTalker,
FDD), whose equation sums the signed differences of one clip; standard deviations are those of the
population. Lengths are in the mesh's own unit.

Of the lips, and of each kind of voices that the data set names (:mod:`dimcli.evaluation.lips`): the
share of p, b and m with closed lips within a frame (where the data set knows when they are), the
correlation of lip opening with the truth's at the best lag within two frames, and the lag itself
within OFFSET_S. The truth is in time with its sound, so that a lag to it is a lag to the sound.

Axes: S samples, C clips, B bootstrap draws, T frames, V vertices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Clip
from dimcli.data.corpora.scans import ScanMesh, true_regions
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.spoken import CLOSURES, KINDS, closures_of
from dimcli.evaluation.lips import MAX_LAG, FlameLips, closure_hits, lip_agreement, lip_opening
from renderers.heads.regions import Regions, RegionsOfMotion, regions_of_space

Array = NDArray[np.floating[Any]]


def lip_distances(truth: Array, prediction: Array) -> Array:
    """Distance of the lip vertex that is farthest off, in each frame: [T].

    ``truth`` and ``prediction`` [T, V, 3] are lip vertices or their displacements. Raises
    InputError where the shapes differ.
    """
    _same(truth, prediction)
    apart = np.asarray(prediction, float) - np.asarray(truth, float)
    return np.linalg.norm(apart, axis=2).max(axis=1)


def lip_vertex_error(truth: Array, prediction: Array) -> float:
    """LVE of one clip, the literature's: mean over frames of :func:`lip_distances`."""
    return float(lip_distances(truth, prediction).mean())


def released_lip_errors(truth: Array, prediction: Array) -> Array:
    """The released code's squared errors of the frames [T], to be averaged over all clips'."""
    return lip_distances(truth, prediction) ** 2


def dynamics(displacement: Array, *, squared: bool = False) -> Array:
    """How much each vertex moves, [V]: the standard deviation over time of its displacement's
    length, or of the ``squared`` length, from displacements [T, V, 3] from the resting face.
    """
    displacement = np.asarray(displacement, float)
    lengths = np.einsum("tvc,tvc->tv", displacement, displacement)
    if not squared:
        lengths = np.sqrt(lengths)
    return lengths.std(axis=0)


def dynamics_deviation(truth: Array, prediction: Array) -> float:
    """FDD of one clip, the literature's: from upper-face displacements [T, V, 3], never negative.

    Zero for a face that is as lively as the truth, whenever it moves.
    """
    _same(truth, prediction)
    return float(abs((dynamics(truth) - dynamics(prediction)).mean()))


def released_dynamics_deviation(truth: Array, prediction: Array) -> float:
    """FDD of one clip as the released code has it: of squared lengths, above zero where the
    prediction moves less than the truth.
    """
    _same(truth, prediction)
    return float((dynamics(truth, squared=True) - dynamics(prediction, squared=True)).mean())


def _same(truth: Array, prediction: Array) -> None:
    if truth.shape != prediction.shape or truth.ndim != 3 or truth.shape[2] != 3:
        raise InputError(
            f"vertices of shapes {truth.shape} and {prediction.shape}; expected the same "
            "(frames, vertices, 3)"
        )
    if not truth.size:
        raise InputError(f"vertices of shape {truth.shape}; expected some frames and vertices")


LIPS = "lips"
OFFSET_S = 0.4
"""Lags up to this are looked for."""

Shares = dict[tuple[str, str], tuple[float, float]]
"""By part and figure, what one clip adds: a sum, and what it is to be divided by."""


@dataclass(frozen=True)
class SpeakerMeasures:
    """What a data set's speakers can be measured by; ``remarks`` say what is missing, and why.

    ``kinds`` of voices, by name the pattern that their voices' names match: lips are given for each
    besides.
    """

    head: RegionsOfMotion | None
    scan: RegionsOfMotion | None
    opening: Callable[[Motion], NDArray[np.float32]] | None
    remarks: tuple[str, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, store: ClipStore) -> SpeakerMeasures:
        """All that is at hand. Raises InputError where nothing is."""
        remarks = []
        head: RegionsOfMotion | None = None
        try:
            head = regions_of_space(store.info.space)
        except InputError as error:
            remarks.append(str(error))
        mesh, scan = ScanMesh.load(store.root), None
        if mesh is not None and len(mesh.lips):
            try:
                scan = mesh.of_motion()
            except InputError as error:
                remarks.append(str(error))
        opening: Callable[[Motion], NDArray[np.float32]] | None = lip_opening
        if store.info.space == "flame":
            lips = FlameLips.of_imported()
            opening = lips.opening if lips else None
            if lips is None:
                remarks.append(
                    "lips of flame motion need FLAME's landmarks: `dim weights import "
                    "flame-landmarks mediapipe_landmark_embedding.npz`"
                )
        if head is None and scan is None and opening is None:
            raise InputError(f"{store.root}: nothing can be measured; {remarks[0]}")
        return cls(head, scan, opening, tuple(remarks), store.info.made_by.get(KINDS, {}))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what is measured: meshes, then the lips."""
        head = (self.head.name,) if self.head else ()
        scan = (f"{self.scan.name} scans",) if self.scan else ()
        kinds = tuple(f"{LIPS}, {name}" for name in self.kinds)
        return (*head, *scan, *((LIPS, *kinds) if self.opening else ()))

    def lip_parts(self, voice: str) -> tuple[str, ...]:
        """Names of the parts that a voice's lips belong to."""
        kinds = (name for name, pattern in self.kinds.items() if fnmatchcase(voice, pattern))
        return (LIPS, *(f"{LIPS}, {name}" for name in kinds))


class SpeakerTruth:
    """One clip; what every method's answer to it is measured against."""

    def __init__(self, measures: SpeakerMeasures, store: ClipStore, clip: Clip) -> None:
        self._measures, self._clip = measures, clip
        self._regions: dict[str, tuple[RegionsOfMotion, Regions]] = {}
        if measures.head is not None:
            moved = measures.head.moved(clip.speaker.values)
            self._regions[measures.head.name] = (measures.head, moved)
        scanned = true_regions(store, clip.record) if measures.scan is not None else None
        if measures.scan is not None and scanned is not None:
            self._regions[f"{measures.scan.name} scans"] = (measures.scan, scanned)
        self._opening = measures.opening(clip.speaker) if measures.opening else None
        self._closures = None
        if CLOSURES in store.facts(clip.record.conversation):
            self._closures = closures_of(store, clip.record)

    def shares(self, motion: Motion) -> Shares:
        """What an answer adds to every figure."""
        shares: Shares = {}
        for part, (mesh, truth) in self._regions.items():
            moved = mesh.moved(motion.values)
            frames = float(len(motion))
            released = float(released_lip_errors(truth.lips, moved.lips).sum())
            shares |= {
                (part, "lve"): (lip_vertex_error(truth.lips, moved.lips), 1.0),
                (part, "lve_released"): (released, frames),
                (part, "fdd"): (dynamics_deviation(truth.upper, moved.upper), 1.0),
                (part, "fdd_released"): (
                    released_dynamics_deviation(truth.upper, moved.upper),
                    1.0,
                ),
            }
        if self._measures.opening is not None and self._opening is not None:
            lips = self._lips(self._measures.opening(motion), self._opening)
            for part in self._measures.lip_parts(self._clip.record.speaker):
                shares |= {(part, name): share for name, share in lips.items()}
        return shares

    def _lips(
        self, opening: NDArray[np.float32], truth: NDArray[np.float32]
    ) -> dict[str, tuple[float, float]]:
        fps = self._clip.speaker.fps
        shares = {}
        if self._closures is not None and len(self._closures):
            count = float(len(self._closures))
            hits = closure_hits(opening, self._closures, fps)
            if math.isfinite(hits):
                shares["closure_hits"] = (hits * count, count)
        farthest = min(round(OFFSET_S * fps), len(opening) // 3)
        wide = lip_agreement(opening, truth, max_lag=farthest)
        near = lip_agreement(opening, truth, max_lag=min(MAX_LAG, farthest))
        shares["lip_correlation"] = (near.correlation, 1.0)
        # lips that hardly go with the sound at any lag have none
        if wide.correlation > 0:
            shares["lip_offset_ms"] = (1000 * abs(wide.lag) / fps, 1.0)
            shares["lip_shift_ms"] = (1000 * wide.lag / fps, 1.0)
        return shares


@dataclass(frozen=True)
class RatioTally:
    """What all clips add to one part, of one method: by figure the sums, and what they are divided
    by, [S, C] each.
    """

    ratios: Mapping[str, tuple[Array, Array]]

    @classmethod
    def by_part(cls, shares: Sequence[Sequence[Shares]]) -> dict[str, RatioTally]:
        """From shares by sample, then clip; figures that a sample has no share in are left out."""
        ratios: dict[str, dict[str, tuple[Array, Array]]] = {}
        for part, name in sorted({key for sample in shares for one in sample for key in one}):
            nothing = (0.0, 0.0)
            pairs = np.array(
                [[one.get((part, name), nothing) for one in sample] for sample in shares]
            )
            if (pairs[..., 1].sum(axis=1) > 0).all():
                ratios.setdefault(part, {})[name] = (pairs[..., 0], pairs[..., 1])
        return {part: cls(by_name) for part, by_name in ratios.items()}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure for each sample and draw, [S, B], draws [B, C] or all clips once; NaN where
        a draw has nothing to divide by.
        """
        figures: dict[str, Array] = {}
        for name, (sums, counts) in self.ratios.items():
            times = np.ones((1, sums.shape[1])) if draws is None else draws
            with np.errstate(invalid="ignore"):
                figures[name] = (sums @ times.T) / (counts @ times.T)
        return figures
