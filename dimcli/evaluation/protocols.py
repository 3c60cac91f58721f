"""How predictions become figures: the paper's way, and the released code's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress
from dimcli.data.clip import Clip, ClipRecord, Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation import official
from dimcli.evaluation.distributions import Distributions
from dimcli.evaluation.metrics import CLUSTERS, MAX_FRAMES, PARTS, ClipTruth, Clusters, Share, Tally
from dimcli.evaluation.scores import CONFIDENCE, TRUTH, TRUTH_FIGURES, Figure, Figures

Array = NDArray[np.floating[Any]]

_CLUSTER_SEED = 0
_STAGE = "evaluating clips"


@dataclass(frozen=True)
class Plan:
    """What to score, and how.

    ``draws`` [B, C] says how often each of the C ``records`` is in each bootstrap draw, or None.
    """

    store: ClipStore
    records: Sequence[ClipRecord]
    predictors: Mapping[str, Predictor]
    samples: int
    seed: int
    draws: Array | None
    reference: str | None
    progress: Progress


@dataclass(frozen=True)
class Scored:
    """Figures of the truth and of every method; differences to the reference by method."""

    truth: Figures
    methods: dict[str, Figures]
    distributions: Distributions
    differences: dict[str, Figures] = field(default_factory=dict)


def score_paper(plan: Plan) -> Scored:
    """Supplement A: every sample is a prediction, its figures are averaged, clips drawn again."""
    frames = _true_frames(plan)
    distributions = Distributions.around(frames)
    clusters = {
        part: Clusters.fit([frames[:, columns]], CLUSTERS[part], seed=_CLUSTER_SEED)
        for part, columns in PARTS.items()
    }
    counts = {TRUTH: 1} | dict.fromkeys(plan.predictors, plan.samples)
    shares: dict[str, dict[str, list[list[Share]]]] = {
        name: {part: [[] for _ in range(count)] for part in PARTS} for name, count in counts.items()
    }
    for index, record in enumerate(plan.records):
        clip = plan.store.load(record)
        truths = {
            part: ClipTruth(
                clip.listener.values[:, cut], clip.speaker.values[:, cut], clusters[part]
            )
            for part, cut in PARTS.items()
        }
        for name, values in _answers(plan, clip):
            for sample, motion in enumerate(values):
                for part, cut in PARTS.items():
                    shares[name][part][sample].append(truths[part].share(motion[:, cut]))
            distributions.add(name, values[0])
        plan.progress(_STAGE, index + 1, len(plan.records))
    tallies = {
        name: {part: Tally.of(by_sample) for part, by_sample in by_part.items()}
        for name, by_part in shares.items()
    }
    figures = {
        name: {part: _figures(tally, plan.draws) for part, tally in by_part.items()}
        for name, by_part in tallies.items()
    }
    truth = {
        part: {name: figure for name, figure in found.items() if name in TRUTH_FIGURES}
        for part, found in figures.pop(TRUTH).items()
    }
    differences = {
        name: {
            part: _differences(tally, tallies[plan.reference][part], tallies[TRUTH][part], plan)
            for part, tally in tallies[name].items()
        }
        for name in plan.predictors
        if plan.reference is not None and name != plan.reference
    }
    return Scored(truth, figures, distributions, differences)


def score_official(plan: Plan) -> Scored:
    """The released code's way: of all samples the one nearest to the truth, no intervals."""
    distributions = Distributions.around(_true_frames(plan))
    truths: list[Array] = []
    speakers: list[Array] = []
    chosen: dict[str, list[Array]] = {name: [] for name in plan.predictors}
    for index, record in enumerate(plan.records):
        clip = plan.store.load(record)
        truth, speaker = official.aligned(clip.listener.values, clip.speaker.values)
        truths.append(truth)
        speakers.append(speaker)
        for name, values in _answers(plan, clip):
            draws = [official.aligned(motion, clip.speaker.values)[0] for motion in values]
            best = draws[official.choose(truth, draws)]
            distributions.add(name, best)
            if name != TRUTH:
                chosen[name].append(best)
        plan.progress(_STAGE, index + 1, len(plan.records))
    methods = {
        name: _bare(official.scores(truths, arrays, speakers)) for name, arrays in chosen.items()
    }
    return Scored(_bare(official.truth_scores(truths)), methods, distributions)


SCORERS: dict[str, Callable[[Plan], Scored]] = {"paper": score_paper, "official": score_official}


def predict(predictor: Predictor, name: str, clip: Clip, seed: int) -> Motion:
    """A method's answer to a clip. Raises InputError unless it has its length, rate and space."""
    motion = predictor.predict(clip.stimulus(), seed)
    if (len(motion), motion.fps, motion.space) != (len(clip), clip.speaker.fps, clip.speaker.space):
        raise InputError(
            f"{name}: answered clip {clip.record.id} with {len(motion)} frames at "
            f"{motion.fps:g} fps in {motion.space}; expected {len(clip)} at "
            f"{clip.speaker.fps:g} in {clip.speaker.space}"
        )
    return motion


def _answers(plan: Plan, clip: Clip) -> list[tuple[str, list[Array]]]:
    """The truth, then every method's samples of a clip: [T, 56] each."""
    answers: list[tuple[str, list[Array]]] = [(TRUTH, [clip.listener.values])]
    for name, predictor in plan.predictors.items():
        seeds = range(plan.seed, plan.seed + plan.samples)
        answers.append((name, [predict(predictor, name, clip, seed).values for seed in seeds]))
    return answers


def _true_frames(plan: Plan) -> Array:
    """True listener frames [N, 56]: all, or as many by chance as clusters have use for."""
    share = min(1.0, 2.0 * MAX_FRAMES / sum(map(len, plan.records)))
    random = np.random.default_rng(_CLUSTER_SEED)
    frames = []
    for index, record in enumerate(plan.records):
        values = plan.store.load(record).listener.values
        frames.append(values if share == 1.0 else values[random.random(len(values)) < share])
        plan.progress("reading the truth", index + 1, len(plan.records))
    return np.concatenate(frames)


def _bare(scores: dict[str, dict[str, float]]) -> Figures:
    return {
        part: {name: Figure(value) for name, value in found.items()}
        for part, found in scores.items()
    }


def _figures(tally: Tally, draws: Array | None) -> dict[str, Figure]:
    drawn = tally.figures(draws) if draws is not None else None
    return {
        name: figure_of(by_sample[:, 0], None if drawn is None else drawn[name].mean(axis=0))
        for name, by_sample in tally.figures().items()
    }


def _differences(tally: Tally, reference: Tally, truth: Tally, plan: Plan) -> dict[str, Figure]:
    """Paired: both methods are drawn on the same clips, so what clips have in common falls out."""

    def gaps(draws: Array | None) -> dict[str, Array]:
        ours, theirs, true = (one.figures(draws) for one in (tally, reference, truth))
        found = {}
        for name, values in ours.items():
            one, other = values.mean(axis=0), theirs[name].mean(axis=0)
            if name in TRUTH_FIGURES:
                one, other = abs(one - true[name][0]), abs(other - true[name][0])
            found[name] = one - other
        return found

    drawn = gaps(plan.draws) if plan.draws is not None else None
    return {
        name: figure_of(value, None if drawn is None else drawn[name])
        for name, value in gaps(None).items()
    }


def figure_of(by_sample: Array, drawn: Array | None) -> Figure:
    """A figure from its values by sample [S], and by bootstrap draw [B], if there were any."""
    std = float(by_sample.std(ddof=1)) if len(by_sample) > 1 else None
    value = float(by_sample.mean())
    if drawn is None:
        return Figure(value, std)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # Drawn clips repeat, which lowers an entropy and raises an absolute gap: where that bias would
    # leave the figure itself outside its interval, the interval is widened to hold it.
    return Figure(value, std, min(float(low), value), max(float(high), value))
