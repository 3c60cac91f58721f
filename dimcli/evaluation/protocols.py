"""Methods against the truth on a split of a data set: predictions, figures and intervals.

A method sees a stimulus and a seed, never the motion it is scored against
(:class:`dimcli.data.clip.Stimulus`). What differs between the protocols, and between listeners and
speakers, is a :class:`Scorer`; everything else is one loop.

Axes: S samples, B bootstrap draws, C clips, N and T frames.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import Clip, ClipRecord, Predictor
from dimcli.data.store import ClipStore, knows_speakers
from dimcli.evaluation import official
from dimcli.evaluation.intervals import figures_of, paired_gaps, values_of, with_intervals
from dimcli.evaluation.measures.families import FAMILIES
from dimcli.evaluation.measures.family import Family
from dimcli.evaluation.metrics import MAX_FRAMES, draw_clips
from dimcli.evaluation.score_table import TITLES
from dimcli.evaluation.scorers import (
    CLUSTER_SEED,
    OfficialScorer,
    PaperScorer,
    Scorer,
    SpeakerScorer,
)
from dimcli.evaluation.scores import (
    TRUTH,
    TRUTH_FIGURES,
    Distributions,
    Evaluation,
    FamilyScores,
    Figures,
    MethodScores,
)
from dimcli.evaluation.speaker_metrics import SpeakerMeasures

Array = NDArray[np.floating[Any]]
PROTOCOLS = ("paper", "official")
UNITS = ("clip", "conversation")
SHORTEST = 3
"""Frames of the shortest clip that has figures."""
OF_THE_TRUTH = (*TRUTH_FIGURES, "closure_hits")
"""Figures that the truth has too, and that are shown of it."""


def evaluate(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    role: str = "listener",
    samples: int | None = None,
    trainings: int = 1,
    seed: int = 0,
    protocol: str = "paper",
    bootstrap: int = 1000,
    unit: str = "clip",
    reference: str | None = None,
    notes: Mapping[str, str] | None = None,
    bounds: Collection[str] = (),
    measures: SpeakerMeasures | None = None,
    families: Sequence[str] = (),
    folds: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Score ``predictors``, methods by name that generate ``role``, on all clips of ``split``.

    ``protocol`` ``paper`` is the paper's supplement A: figures are means over ``samples`` (by
    default one), sample i drawn with seed ``seed + i``. ``official`` reproduces the released code
    (:mod:`dimcli.evaluation.official`): of ``samples`` (by default ten) the nearest to the truth is
    taken. Speakers have the figures of :mod:`dimcli.evaluation.speaker_metrics`, as far as there
    are ``measures`` (default: all that are at hand). ``families`` are listeners' figures beside
    the paper's (:data:`dimcli.evaluation.measures.families.FAMILIES`). Intervals are percentiles
    (95 %) over ``bootstrap`` draws of clips, the same for every method, or of whole conversations
    as ``unit`` says. The samples may come from several ``trainings`` of a method, of each as many,
    one training's after the other's: then trainings are drawn, too, the same for every method, and
    intervals cover what others would give. ``reference`` is the method that differences are taken
    to; ``notes`` are remarks on methods, and ``bounds`` those that know more than a method can.
    ``folds`` is how many of a cross-validation answer the clips.
    Raises InputError for an empty split, an unknown name, a clip too short for a figure, or a
    prediction that is not of its clip's length.
    """
    records = store.clips(split)
    if role == "speaker":
        protocol = "speaker"
        records = [record for record in records if len(record) >= SHORTEST]
    elif protocol not in PROTOCOLS:
        raise InputError(f"protocol '{protocol}' is unknown; known: {', '.join(PROTOCOLS)}")
    if unit not in UNITS:
        raise InputError(f"bootstrap unit '{unit}' is unknown; known: {', '.join(UNITS)}")
    samples = samples_by(protocol, samples)
    if reference is not None and protocol == "official":
        raise InputError("the official protocol has no intervals; take differences in the paper's")
    _check(store, records, split, predictors, reference)
    groups = [record.id if unit == "clip" else record.conversation for record in records]
    drawn = protocol != "official" and bootstrap > 1 and len(set(groups)) > 1
    draws = draw_clips(groups, bootstrap, seed) if drawn else None
    picks = None
    if draws is not None and trainings > 1:
        each = [str(sample * trainings // samples) for sample in range(samples)]
        picks = draw_clips(each, len(draws), seed).T / samples

    distributions: Distributions | None = None
    scorer: Scorer
    if protocol == "speaker":
        scorer = SpeakerScorer(store, measures or SpeakerMeasures.of(store))
    else:
        frames = _true_frames(store, records, progress)
        distributions = Distributions.around(frames)
        scorer = PaperScorer(frames) if protocol == "paper" else OfficialScorer()
    shares: dict[str, list[list[Any]]] = {name: [] for name in (TRUTH, *predictors)}
    others = [_FamilyShares(name, FAMILIES[name](store, records)) for name in families]
    for index, record in enumerate(records):
        clip = store.load(record)
        measure = scorer.measure(clip)
        answers = {TRUTH: [clip.motion(role)]}
        for name, predictor in predictors.items():
            seeds = range(seed, seed + samples)
            answers[name] = [predict(predictor, name, clip, each, role) for each in seeds]
        for other in others:
            other.add(clip, answers)
        for name, answer in answers.items():
            chosen = scorer.choose(clip, answer)
            shares[name].append([measure(motion) for motion in chosen])
            if distributions is not None:
                distributions.add(name, chosen[0].values)
        progress("evaluating clips", index + 1, len(records))

    tallies = {name: scorer.tally(list(zip(*each, strict=True))) for name, each in shares.items()}
    values = values_of(tallies, None)
    resampled = None if draws is None else values_of(tallies, draws)

    def figures(name: str) -> Figures:
        return with_intervals(values[name], None if resampled is None else resampled[name], picks)

    def differences(name: str) -> Figures | None:
        if reference is None or name == reference:
            return None
        gaps = paired_gaps(values, name, reference)
        if resampled is None:
            return with_intervals(gaps, None)
        drawn_gaps = paired_gaps(resampled, name, reference, picks)
        return with_intervals(gaps, drawn_gaps)

    truth = {
        part: {name: figure for name, figure in each.items() if name in OF_THE_TRUTH}
        for part, each in figures(TRUTH).items()
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
        protocol=protocol,
        samples=samples,
        trainings=trainings,
        folds=folds,
        speakers_known=knows_speakers(store),
        seed=seed,
        resamples=bootstrap if draws is not None else 0,
        unit=unit,
        reference=reference,
        truth={part: each for part, each in truth.items() if each},
        methods=tuple(
            MethodScores(
                name,
                figures(name),
                differences(name),
                (notes or {}).get(name, ""),
                bound=name in bounds,
            )
            for name in predictors
        ),
        distributions=distributions,
        families=tuple(other.scores(draws, picks) for other in others),
    )


class _FamilyShares:
    """What every method adds to a family's figures, clip after clip."""

    def __init__(self, name: str, family: Family) -> None:
        self._name, self._family = name, family
        self._shares: dict[str, list[list[Any]]] = {}

    def add(self, clip: Clip, answers: Mapping[str, Sequence[Motion]]) -> None:
        measure = self._family.measure(clip)
        for name, motions in answers.items():
            self._shares.setdefault(name, []).append([measure(motion) for motion in motions])

    def scores(self, draws: Array | None, picks: Array | None) -> FamilyScores:
        figures: dict[str, Figures] = {}
        missing: dict[str, dict[str, list[str]]] = {}
        for name, shares in self._shares.items():
            tallies = self._family.tally(list(zip(*shares, strict=True)))
            shown = self._family.of_truth if name == TRUTH else self._family.columns
            found = figures_of(tallies, draws, picks)
            figures[name] = {
                part: {one: figure for one, figure in each.items() if one in shown}
                for part, each in found.items()
            }
            for part, tally in tallies.items():
                for one, why in tally.reasons.items():
                    if one in shown:
                        of_figure = missing.setdefault(why, {}).setdefault(TITLES[one], [])
                        of_figure.append(f"{name}, {part}")
        return FamilyScores(
            self._name,
            self._family.title,
            self._family.columns,
            figures,
            (*self._family.remarks, self._family.rewards, *_reasons(missing)),
        )


def _reasons(missing: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Why figures are missing, a line a reason; figures that the same methods lack stand together.
    ``missing``: by reason and figure, of whom."""
    lines = []
    for why, figures in missing.items():
        together: dict[tuple[str, ...], list[str]] = {}
        for figure, where in figures.items():
            together.setdefault(tuple(where), []).append(figure)
        parts = [
            f"{', '.join(names)} of {' and of '.join(where[:6])}" + " ..." * (len(where) > 6)
            for where, names in together.items()
        ]
        lines.append(f"–: {why}: {'; '.join(parts)}.")
    return lines


def samples_by(protocol: str, samples: int | None) -> int:
    """How many samples a clip a ``protocol`` takes, unless that is said."""
    return samples or (official.DRAWS if protocol == "official" else 1)


def predict(predictor: Predictor, name: str, clip: Clip, seed: int, role: str) -> Motion:
    """A method's answer to a clip. Raises InputError unless it has its length, rate and space."""
    motion = predictor.predict(clip.stimulus(role), seed)
    if (len(motion), motion.fps, motion.space) != (len(clip), clip.speaker.fps, clip.speaker.space):
        raise InputError(
            f"{name}: answered clip {clip.record.id} with {len(motion)} frames at "
            f"{motion.fps:g} fps in {motion.space}; expected {len(clip)} at "
            f"{clip.speaker.fps:g} in {clip.speaker.space}"
        )
    return motion


def _check(
    store: ClipStore,
    records: Sequence[ClipRecord],
    split: str,
    predictors: Mapping[str, Predictor],
    reference: str | None,
) -> None:
    if not records:
        raise InputError(f"{store.root}: the {split} split is empty")
    if not predictors:
        raise InputError("nothing to evaluate; name weights or a baseline")
    if reference is not None and reference not in predictors:
        raise InputError(
            f"reference '{reference}' is not evaluated; there are {', '.join(predictors)}"
        )
    short = [record.id for record in records if len(record) < SHORTEST]
    if short:
        raise InputError(f"clip {short[0]}: shorter than the {SHORTEST} frames that a figure needs")


def _true_frames(store: ClipStore, records: Sequence[ClipRecord], progress: Progress) -> Array:
    """True listener frames [N, 56]: all, or as many by chance as clusters have use for."""
    share = min(1.0, 2.0 * MAX_FRAMES / sum(map(len, records)))
    random = np.random.default_rng(CLUSTER_SEED)
    frames = []
    for index, record in enumerate(records):
        values = store.load(record).listener.values
        frames.append(values if share == 1.0 else values[random.random(len(values)) < share])
        progress("reading the truth", index + 1, len(records))
    return np.concatenate(frames)
