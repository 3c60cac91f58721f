"""Speaking faces against the truth: vertices of lips and upper face, and what people see of lips.

A method sees the sound and a seed, nothing of the motion (:class:`dimcli.data.clip.Stimulus`).

- On each mesh at hand LVE and FDD, by the literature's and the released code's definitions
  (:mod:`dimcli.evaluation.vertex_metrics`). On a head the truth is the data set's motion, as in the
  paper's Table 4; on scans it is what was scanned.
- Of the lips, and of each kind of voices that the data set names: the share of p, b and m with
  closed lips within a frame (where the data set knows when they are), the correlation of lip
  opening with the truth's at the best lag within two frames, and the lag itself within OFFSET_S.
  The truth is in time with its sound, so that a lag to it is a lag to the sound.

Axes: S samples, C clips, B bootstrap draws.
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
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import Clip, Predictor
from dimcli.data.corpora.scan_mesh import ScanMesh, true_regions
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.spoken import CLOSURES, KINDS, closures_of
from dimcli.evaluation.distributions import Distributions
from dimcli.evaluation.lips import MAX_LAG, closure_hits, lip_agreement, lip_opening
from dimcli.evaluation.metrics import draw_clips
from dimcli.evaluation.protocols import figure_of
from dimcli.evaluation.scores import (
    LARGER_BETTER,
    NEAREST_ZERO,
    TRUTH,
    Evaluation,
    Figures,
    MethodScores,
)
from dimcli.evaluation.vertex_metrics import (
    dynamics_deviation,
    lip_vertex_error,
    released_dynamics_deviation,
    released_lip_errors,
)
from renderers.heads.regions import Regions, RegionsOfMotion, regions_of_space

Array = NDArray[np.floating[Any]]

VERTEX_FIGURES = ("lve", "lve_released", "fdd", "fdd_released")
LIP_FIGURES = ("closure_hits", "lip_correlation", "lip_offset_ms", "lip_shift_ms")
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
            from dimcli.evaluation.flame_lips import FlameLips

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
        found: Shares = {}
        for part, (mesh, truth) in self._regions.items():
            made = mesh.moved(motion.values)
            frames = float(len(motion))
            released = float(released_lip_errors(truth.lips, made.lips).sum())
            found |= {
                (part, "lve"): (lip_vertex_error(truth.lips, made.lips), 1.0),
                (part, "lve_released"): (released, frames),
                (part, "fdd"): (dynamics_deviation(truth.upper, made.upper), 1.0),
                (part, "fdd_released"): (
                    released_dynamics_deviation(truth.upper, made.upper),
                    1.0,
                ),
            }
        if self._measures.opening is not None and self._opening is not None:
            lips = self._lips(self._measures.opening(motion), self._opening)
            for part in self._measures.lip_parts(self._clip.record.speaker):
                found |= {(part, name): share for name, share in lips.items()}
        return found

    def _lips(
        self, made: NDArray[np.float32], truth: NDArray[np.float32]
    ) -> dict[str, tuple[float, float]]:
        fps = self._clip.speaker.fps
        found = {}
        if self._closures is not None and len(self._closures):
            count = float(len(self._closures))
            hits = closure_hits(made, self._closures, fps)
            if math.isfinite(hits):
                found["closure_hits"] = (hits * count, count)
        farthest = min(round(OFFSET_S * fps), len(made) // 3)
        wide = lip_agreement(made, truth, max_lag=farthest)
        near = lip_agreement(made, truth, max_lag=min(MAX_LAG, farthest))
        found["lip_correlation"] = (near.correlation, 1.0)
        # lips that hardly go with the sound at any lag have none
        if wide.correlation > 0:
            found["lip_offset_ms"] = (1000 * abs(wide.lag) / fps, 1.0)
            found["lip_shift_ms"] = (1000 * wide.lag / fps, 1.0)
        return found


@dataclass(frozen=True)
class SpeakerTally:
    """All clips' sums and what they are divided by, of one figure: [S, C] each."""

    sums: Array
    counts: Array

    def by_sample(self, draws: Array | None = None) -> Array:
        """The figure for each sample and draw, [S, B], draws [B, C] or all clips once; NaN where a
        draw has nothing to divide by.
        """
        draws = np.ones((1, self.sums.shape[1])) if draws is None else draws
        with np.errstate(invalid="ignore"):
            return (self.sums @ draws.T) / (self.counts @ draws.T)


def evaluate_speakers(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    samples: int | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    unit: str = "clip",
    reference: str | None = None,
    notes: Mapping[str, str] | None = None,
    measures: SpeakerMeasures | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score ``predictors``, methods by name, on all clips of ``split``; see
    :func:`dimcli.evaluation.harness.evaluate` for the rest.

    Raises InputError for an empty split, a wrong answer, or where nothing can be measured.
    """
    records = [record for record in store.clips(split) if len(record) >= 3]
    if not records:
        raise InputError(f"{store.root}: the {split} split is empty")
    if not predictors:
        raise InputError("nothing to evaluate; name weights or a baseline")
    if reference is not None and reference not in predictors:
        raise InputError(
            f"reference '{reference}' is not evaluated; there are {', '.join(predictors)}"
        )
    samples = samples or 1
    measures = measures or SpeakerMeasures.of(store)
    groups = [record.id if unit == "clip" else record.conversation for record in records]
    drawn = bootstrap > 1 and len(set(groups)) > 1
    draws = draw_clips(groups, bootstrap, seed) if drawn else None
    shares: dict[str, list[list[Shares]]] = {TRUTH: [[]]}
    shares |= {name: [[] for _ in range(samples)] for name in predictors}
    true_frames = [store.motion_values(record, "speaker") for record in records[:200]]
    distributions = Distributions.around(np.concatenate(true_frames))
    for index, record in enumerate(records):
        clip = store.load(record)
        truth = SpeakerTruth(measures, store, clip)
        shares[TRUTH][0].append(truth.shares(clip.speaker))
        distributions.add(TRUTH, clip.speaker.values)
        for name, predictor in predictors.items():
            for sample in range(samples):
                motion = _say(predictor, name, clip, seed + sample)
                shares[name][sample].append(truth.shares(motion))
                if sample == 0:
                    distributions.add(name, motion.values)
        progress("evaluating clips", index + 1, len(records))
    tallies = {name: _tallies(by_sample) for name, by_sample in shares.items()}
    truth_only = {
        key: tally for key, tally in tallies.pop(TRUTH).items() if key[1] == "closure_hits"
    }
    return Evaluation(
        dataset=store.info.name,
        made_by=store.info.made_by,
        split=split,
        clips=len(records),
        conversations=len({record.conversation for record in records}),
        minutes=sum(map(len, records)) / store.info.fps / 60.0,
        fps=store.info.fps,
        space=store.info.space,
        protocol="speaker",
        samples=samples,
        seed=seed,
        resamples=bootstrap if drawn else 0,
        unit=unit,
        reference=reference,
        truth=_figures(truth_only, draws),
        methods=tuple(
            MethodScores(
                name,
                _figures(tallies[name], draws),
                _differences(tallies[name], tallies[reference], draws)
                if reference is not None and name != reference
                else None,
                (notes or {}).get(name, ""),
            )
            for name in predictors
        ),
        distributions=distributions,
    )


def _say(predictor: Predictor, name: str, clip: Clip, seed: int) -> Motion:
    motion = predictor.predict(clip.stimulus("speaker"), seed)
    if (len(motion), motion.fps, motion.space) != (len(clip), clip.speaker.fps, clip.speaker.space):
        raise InputError(
            f"{name}: answered clip {clip.record.id} with {len(motion)} frames at "
            f"{motion.fps:g} fps in {motion.space}; expected {len(clip)} at "
            f"{clip.speaker.fps:g} in {clip.speaker.space}"
        )
    return motion


def _tallies(by_sample: Sequence[Sequence[Shares]]) -> dict[tuple[str, str], SpeakerTally]:
    keys = sorted({key for clips in by_sample for one in clips for key in one})
    nothing = (0.0, 0.0)
    found = {}
    for key in keys:
        pairs = np.array([[one.get(key, nothing) for one in clips] for clips in by_sample])
        if (pairs[..., 1].sum(axis=1) > 0).all():
            found[key] = SpeakerTally(pairs[..., 0], pairs[..., 1])
    return found


def _figures(tallies: Mapping[tuple[str, str], SpeakerTally], draws: Array | None) -> Figures:
    figures: Figures = {}
    for (part, name), tally in tallies.items():
        drawn = None if draws is None else _finite(tally.by_sample(draws).mean(axis=0))
        figures.setdefault(part, {})[name] = figure_of(tally.by_sample()[:, 0], drawn)
    return figures


def _differences(
    ours: Mapping[tuple[str, str], SpeakerTally],
    theirs: Mapping[tuple[str, str], SpeakerTally],
    draws: Array | None,
) -> Figures:
    """Paired, and below zero where ours is better."""
    figures: Figures = {}
    for key in ours:
        if key not in theirs:
            continue
        part, name = key

        def gap(
            draws: Array | None, key: tuple[str, str] = key, name: str = name
        ) -> NDArray[np.float64]:
            one, other = (each[key].by_sample(draws).mean(axis=0) for each in (ours, theirs))
            if name in NEAREST_ZERO:
                one, other = np.abs(one), np.abs(other)
            return np.asarray(other - one if name in LARGER_BETTER else one - other)

        drawn = None if draws is None else _finite(gap(draws))
        figures.setdefault(part, {})[name] = figure_of(gap(None), drawn)
    return figures


def _finite(drawn: Array) -> Array | None:
    kept = drawn[np.isfinite(drawn)]
    return kept if len(kept) else None


def speaker_columns(evaluation: Evaluation) -> tuple[str, ...]:
    """The figures that the evaluation has, in the order of tables."""
    there = {
        name
        for method in evaluation.methods
        for figures in method.figures.values()
        for name in figures
    }
    return tuple(name for name in (*VERTEX_FIGURES, *LIP_FIGURES) if name in there)
