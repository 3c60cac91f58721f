"""Methods against the truth on a split of a data set: predictions, figures and intervals.

A method sees a stimulus and a seed, never the motion it is scored against
(:class:`dimcli.data.clip.Stimulus`). What differs between the protocols, and between listeners and
speakers, is a :class:`Scorer`; everything else is one loop.

Axes: S samples, B bootstrap draws, C clips, N and T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import Clip, ClipRecord, Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation import official
from dimcli.evaluation.measures.families import FAMILIES
from dimcli.evaluation.measures.family import Family
from dimcli.evaluation.metrics import (
    CLUSTERS,
    MAX_FRAMES,
    PARTS,
    ClipTruth,
    Clusters,
    Share,
    Tally,
    draw_clips,
)
from dimcli.evaluation.score_table import TITLES
from dimcli.evaluation.scores import (
    CONFIDENCE,
    LARGER_BETTER,
    NEAREST_ZERO,
    TRUTH,
    TRUTH_FIGURES,
    Distributions,
    Evaluation,
    FamilyScores,
    Figure,
    Figures,
    MethodScores,
)
from dimcli.evaluation.speaker_metrics import RatioTally, SpeakerMeasures, SpeakerTruth

Array = NDArray[np.floating[Any]]
Values = dict[str, dict[str, Array]]
"""By part and figure, [S, B]."""

PROTOCOLS = ("paper", "official")
UNITS = ("clip", "conversation")
SHORTEST = 3
"""Frames of the shortest clip that has figures."""
OF_THE_TRUTH = (*TRUTH_FIGURES, "closure_hits")
"""Figures that the truth has too, and that are shown of it."""
_CLUSTER_SEED = 0


class AnyTally(Protocol):
    """What all clips add to one part of one method's figures."""

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [S, B] for ``draws`` [B, C], by default all clips once."""
        ...


class Scorer(Protocol):
    """How predictions become figures."""

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """Which of a method's samples count, as they are to be measured."""
        ...

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """A function from a prediction of the clip to what it adds to the figures."""
        ...

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, AnyTally]:
        """All of a method's shares, by sample, then clip, put together by part."""
        ...


class PaperScorer:
    """Supplement A: every sample is a prediction and its figures are averaged."""

    def __init__(self, frames: Array) -> None:
        """``frames`` [N, 56] are true listener frames."""
        self._clusters = {
            part: Clusters.fit([frames[:, columns]], CLUSTERS[part], seed=_CLUSTER_SEED)
            for part, columns in PARTS.items()
        }

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """All."""
        return samples

    def measure(self, clip: Clip) -> Callable[[Motion], dict[str, Share]]:
        """Shares by part."""
        listener, speaker = clip.listener.values, clip.speaker.values
        truths = {
            part: ClipTruth(listener[:, columns], speaker[:, columns], self._clusters[part])
            for part, columns in PARTS.items()
        }
        return lambda motion: {
            part: truth.share(motion.values[:, PARTS[part]]) for part, truth in truths.items()
        }

    def tally(self, shares: Sequence[Sequence[dict[str, Share]]]) -> dict[str, Tally]:
        """One tally a part."""
        return {
            part: Tally.of([[share[part] for share in sample] for sample in shares])
            for part in PARTS
        }


class OfficialScorer:
    """The released code's way: of all samples the one nearest to the truth, no intervals."""

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """The nearest to the truth, without its first frame."""
        truth, _ = official.aligned(clip.listener.values, clip.speaker.values)
        draws = [official.aligned(one.values, clip.speaker.values)[0] for one in samples]
        best = draws[official.choose(truth, draws)]
        return [Motion(best, fps=clip.listener.fps, space=clip.listener.space)]

    def measure(self, clip: Clip) -> Callable[[Motion], tuple[Array, Array, Array]]:
        """The truth, the prediction and the speaker as they are."""
        truth, speaker = official.aligned(clip.listener.values, clip.speaker.values)
        return lambda motion: (truth, motion.values, speaker)

    def tally(
        self, shares: Sequence[Sequence[tuple[Array, Array, Array]]]
    ) -> dict[str, _WholeFigures]:
        """The released code's figures of all clips."""
        truth, prediction, speaker = zip(*shares[0], strict=True)
        scores = official.scores(truth, prediction, speaker)
        return {part: _WholeFigures(figures) for part, figures in scores.items()}


@dataclass(frozen=True)
class _WholeFigures:
    """Figures of all clips at once, which cannot be drawn again."""

    values: dict[str, float]

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [1, 1]."""
        assert draws is None
        return {name: np.array([[value]]) for name, value in self.values.items()}


class SpeakerScorer:
    """Speakers, whose figures are sums over clips divided by sums over clips."""

    def __init__(self, store: ClipStore, measures: SpeakerMeasures) -> None:
        self._store, self._measures = store, measures

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """All."""
        return samples

    def measure(self, clip: Clip) -> Callable[[Motion], dict[tuple[str, str], tuple[float, float]]]:
        """Sums and what they are divided by, by part and figure."""
        return SpeakerTruth(self._measures, self._store, clip).shares

    def tally(self, shares: Sequence[Sequence[Any]]) -> dict[str, RatioTally]:
        """One tally a part."""
        return RatioTally.by_part(shares)


def evaluate(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    role: str = "listener",
    samples: int | None = None,
    seed: int = 0,
    protocol: str = "paper",
    bootstrap: int = 1000,
    unit: str = "clip",
    reference: str | None = None,
    notes: Mapping[str, str] | None = None,
    bounds: Collection[str] = (),
    measures: SpeakerMeasures | None = None,
    families: Sequence[str] = (),
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
    as ``unit`` says. ``reference`` is the method that differences are taken to; ``notes`` are
    remarks on methods, and ``bounds`` those that know more than a method can. Raises InputError for
    an empty split, an unknown name, a clip too short for a figure, or a prediction that is not of
    its clip's length.
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
    values = _values(tallies, None)
    resampled = None if draws is None else _values(tallies, draws)

    def figures(name: str) -> Figures:
        return _figures(values[name], None if resampled is None else resampled[name])

    def differences(name: str) -> Figures | None:
        if reference is None or name == reference:
            return None
        gaps = _differences(values, name, reference)
        drawn_gaps = None if resampled is None else _differences(resampled, name, reference)
        return _figures(gaps, drawn_gaps)

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
        families=tuple(other.scores(draws) for other in others),
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

    def scores(self, draws: Array | None) -> FamilyScores:
        figures: dict[str, Figures] = {}
        missing: dict[str, dict[str, str]] = {}
        for name, shares in self._shares.items():
            tallies = self._family.tally(list(zip(*shares, strict=True)))
            shown = self._family.of_truth if name == TRUTH else self._family.columns
            found = figures_of(tallies, draws)
            figures[name] = {
                part: {one: figure for one, figure in each.items() if one in shown}
                for part, each in found.items()
            }
            for part, tally in tallies.items():
                for one, why in tally.reasons.items():
                    if one in shown:
                        missing.setdefault(f"{TITLES[one]}: {why}", {})[f"{name}, {part}"] = ""
        return FamilyScores(
            self._name,
            self._family.title,
            self._family.columns,
            figures,
            (*self._family.remarks, self._family.rewards, *_reasons(missing)),
        )


def _reasons(missing: Mapping[str, Collection[str]]) -> list[str]:
    """Why figures are missing, a line a reason."""
    return [
        f"–: {why}: {'; '.join(list(where)[:6])}" + ("; ..." if len(where) > 6 else "") + "."
        for why, where in missing.items()
    ]


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
    random = np.random.default_rng(_CLUSTER_SEED)
    frames = []
    for index, record in enumerate(records):
        values = store.load(record).listener.values
        frames.append(values if share == 1.0 else values[random.random(len(values)) < share])
        progress("reading the truth", index + 1, len(records))
    return np.concatenate(frames)


def _values(
    tallies: Mapping[str, Mapping[str, AnyTally]], draws: Array | None
) -> dict[str, Values]:
    """Every figure of every method, the truth among them."""
    return {
        name: {part: tally.figures(draws) for part, tally in by_part.items()}
        for name, by_part in tallies.items()
    }


def _figures(values: Values, resampled: Values | None) -> Figures:
    """Figures with their intervals from [S, 1] by part and figure, and [S, B]."""
    return {
        part: {
            name: figure_of(
                by_sample[:, 0], None if resampled is None else resampled[part][name].mean(axis=0)
            )
            for name, by_sample in by_name.items()
        }
        for part, by_name in values.items()
    }


def figures_of(tallies: Mapping[str, AnyTally], draws: Array | None) -> Figures:
    """Figures of one method from its tallies by part, with intervals over ``draws`` [B, C]."""
    values = {part: tally.figures() for part, tally in tallies.items()}
    if draws is None:
        return _figures(values, None)
    return _figures(values, {part: tally.figures(draws) for part, tally in tallies.items()})


def figure_of(by_sample: Array, drawn: Array | None) -> Figure:
    """A figure from its values by sample [S], and by bootstrap draw [B], if there were any."""
    std = float(by_sample.std(ddof=1)) if len(by_sample) > 1 else None
    value = float(by_sample.mean())
    drawn = None if drawn is None else drawn[np.isfinite(drawn)]
    if drawn is None or not len(drawn):
        return Figure(value, std)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # Drawn clips repeat, which lowers an entropy and raises an absolute gap: where that bias would
    # leave the figure itself outside its interval, the interval is widened to hold it.
    return Figure(value, std, min(float(low), value), max(float(high), value))


def _differences(values: Mapping[str, Values], method: str, reference: str) -> Values:
    """How much worse a method is than the reference: [1, B], below zero where it is better.

    Paired: both are drawn on the same clips, so that what clips have in common falls out.
    """
    ours, theirs, truth = values[method], values[reference], values[TRUTH]
    gaps: Values = {}
    for part, by_name in ours.items():
        for name in (each for each in by_name if each in theirs.get(part, {})):
            one, other = (each[part][name].mean(axis=0) for each in (ours, theirs))
            if name in TRUTH_FIGURES:
                true = truth[part][name][0]
                one, other = abs(one - true), abs(other - true)
            elif name in NEAREST_ZERO:
                one, other = abs(one), abs(other)
            gap = other - one if name in LARGER_BETTER else one - other
            gaps.setdefault(part, {})[name] = gap[None]
    return gaps
