"""What a study's answers say: the paper's table, differences by a model, agreement.

Intervals of the table are of a bootstrap over participants and videos, both drawn with
replacement (Owen 2007), as both stand for more than were at hand. Whether two methods differ is
asked of a model of statsmodels (extra ``study``) and of nothing else:

- ratings: a linear mixed model of a participant's difference between the two methods on a video,
  with crossed random effects of participants and videos, y[p, v] = d + a[p] + b[v] + e[p, v], by
  REML. d is tested with Satterthwaite's degrees of freedom, as few videos need.
- pairs: the Bradley-Terry model (1952), logit P(first wins) = s[first] - s[second] + c, c being
  what standing first is worth; errors are clustered by participant and by video (Cameron, Gelbach
  and Miller 2011).

Bounds of differences hold together for all pairs of methods of a criterion (Bonferroni).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from dimcli.core.errors import MissingDependencyError
from dimcli.core.installing import install
from dimcli.evaluation.score_table import Row, ScoreTable
from dimcli.evaluation.scores import CONFIDENCE, Array, Figure
from dimcli.evaluation.study import PAIRS, RATING, Answers, Excluded, Study, ratings

OVERALL, AVERAGE = "overall", "average"
_ALIKE = 1e-12
"""Mean squared residual of answers that are all alike."""


@dataclass(frozen=True)
class Difference:
    """How far ``method`` is above ``other``: scores of a rating, log-odds of pairs.

    ``low`` and ``high`` hold for all pairs of methods together; ``p`` is corrected for their
    number. They are None where all answers are alike, and so is ``value`` where one side won every
    comparison.
    """

    method: str
    other: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class StudyScores:
    """The figures of a study.

    ``agreement`` is Krippendorff's alpha by criterion; None where it is undefined (one participant,
    or the same answer everywhere). ``differences`` by criterion are None without the model.
    """

    study: Study
    participants: int
    excluded: tuple[Excluded, ...]
    resamples: int
    seed: int
    table: ScoreTable
    differences: dict[str, tuple[Difference, ...]] | None
    agreement: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """All figures, as JSON can hold them."""
        return {
            "study": self.study.id,
            "mode": self.study.mode,
            "participants": self.participants,
            "excluded": [
                {"file": str(one.path), "participant": one.participant, "reason": one.reason}
                for one in self.excluded
            ],
            "resamples": self.resamples,
            "seed": self.seed,
            "methods": {
                row.name: {
                    part: {name: asdict(figure) for name, figure in figures.items()}
                    for part, figures in row.figures.items()
                }
                for row in self.table.rows
            },
            "differences": None
            if self.differences is None
            else {part: [asdict(one) for one in found] for part, found in self.differences.items()},
            "agreement": self.agreement,
        }

    @property
    def difference_table(self) -> ScoreTable | None:
        """The differences as a table; None where there are none."""
        if not self.differences:
            return None
        rows = [
            Row(
                f"{method} - {other}",
                {
                    part: {AVERAGE: Figure(one.value, low=one.low, high=one.high)}
                    for part, found in self.differences.items()
                    for one in found
                    if (one.method, one.other) == (method, other) and one.value is not None
                },
            )
            for method, other in combinations(self.study.methods, 2)
        ]
        rating = self.study.mode == RATING
        notes = [
            f"Above zero: the first is rated higher. Intervals are of "
            f"{'a linear mixed model' if rating else 'the Bradley-Terry model'}, "
            f"{round(100 * CONFIDENCE)} % for all pairs of methods together. "
            "* the interval excludes zero."
        ]
        if any(one.low is None for found in self.differences.values() for one in found):
            notes.append(
                "Without an interval: all answers are alike, or one side won every comparison."
            )
        return ScoreTable(
            "Differences" if rating else "Differences in log-odds",
            tuple(rows),
            (AVERAGE,),
            self.table.parts,
            tuple(notes),
            differences_of=replace(self.table, columns=(AVERAGE,)),
        )


def score_study(
    study: Study,
    answers: Sequence[Answers],
    excluded: Sequence[Excluded] = (),
    *,
    resamples: int = 2000,
    seed: int = 0,
    model: bool = True,
) -> StudyScores:
    """The figures of the ``answers`` that count. Raises MissingDependencyError where ``model`` is
    asked for and statsmodels is not installed."""
    given = ratings(study, answers)
    values = np.concatenate([given.mean(axis=3, keepdims=True), given], axis=3)
    parts = (OVERALL, *study.criteria)
    drawn = _drawn_means(values, resamples, seed)
    differences = None
    if model and len(answers) > 1 and len(study.stimuli) > 1:
        differences = _differences(study, answers, values, parts)
    rows = tuple(
        Row(name, {p: _row(study, values, drawn, m, i) for i, p in enumerate(parts)})
        for m, name in enumerate(study.methods)
    )
    # of each unit that was judged, by everybody: [participants, units, criteria]
    if study.mode == PAIRS:
        units = _choices(study, answers)
    else:
        units = given.reshape(len(given), -1, len(study.criteria))
    agreement = {part: _alpha(units[..., at]) for at, part in enumerate(study.criteria)}
    return StudyScores(
        study,
        len(answers),
        tuple(excluded),
        resamples,
        seed,
        _table(study, len(answers), rows, parts, agreement, resamples, differences is not None),
        differences,
        agreement,
    )


def _table(
    study: Study,
    participants: int,
    rows: tuple[Row, ...],
    parts: tuple[str, ...],
    agreement: dict[str, float | None],
    resamples: int,
    modelled: bool,
) -> ScoreTable:
    what = "scores from 0 to 5" if study.mode == RATING else "share of comparisons won"
    alphas = ", ".join(
        f"{part} {'undefined' if value is None else f'{value:.2f}'}"
        for part, value in agreement.items()
    )
    notes = [
        "Overall is the mean of the criteria.",
        f"Agreement of participants, Krippendorff's alpha: {alphas}.",
    ]
    if resamples:
        notes.append(
            f"Intervals are of a bootstrap over participants and videos, {resamples} draws; "
            "whether two methods differ is said by their difference, not by whether these overlap."
        )
    if not modelled:
        notes.append("There are no differences between methods here, as no model was fitted.")
    columns = (*study.stimuli, AVERAGE)
    title = f"{study.title}, {participants} participants, {what}"
    return ScoreTable(title, rows, columns, parts, tuple(notes), larger_better=columns)


def _drawn_means(values: Array, resamples: int, seed: int) -> tuple[Array, Array]:
    """Bootstrap draws of ``values`` [P, V, M, C]: means over participants by video [B, V, M, C],
    and over participants and videos [B, M, C]."""
    people, videos = values.shape[:2]
    rng = np.random.default_rng(seed)
    by_person = rng.multinomial(people, np.full(people, 1 / people), size=resamples) / people
    by_video = rng.multinomial(videos, np.full(videos, 1 / videos), size=resamples) / videos
    means = np.einsum("bp,pvmc->bvmc", by_person, values, optimize=True)
    return means, np.einsum("bv,bvmc->bmc", by_video, means)


def _row(
    study: Study, values: Array, drawn: tuple[Array, Array], method: int, part: int
) -> dict[str, Figure]:
    """A method's figures of one criterion: a stimulus each, and their average."""
    own = values[:, :, method, part]
    columns = [
        (name, own[:, at], drawn[0][:, at, method, part]) for at, name in enumerate(study.stimuli)
    ]
    columns.append((AVERAGE, own, drawn[1][:, method, part]))
    tail = (1 - CONFIDENCE) / 2
    figures = {}
    for name, numbers, draws in columns:
        low, high = np.quantile(draws, [tail, 1 - tail]) if draws.size else (None, None)
        figures[name] = Figure(
            float(numbers.mean()),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
        )
    return figures


def _alpha(units: Array) -> float | None:
    """Krippendorff's alpha of complete data, raters by units [N, U], with squared differences: the
    interval metric; of ones and zeros the nominal one. One less the observed over the expected
    disagreement.
    """
    expected = units.var(ddof=1) if units.size > 1 else 0.0
    if len(units) < 2 or not expected:
        return None
    return float(1 - units.var(axis=0, ddof=1).mean() / expected)


def _choices(study: Study, answers: Sequence[Answers]) -> Array:
    """Of each comparison whether the first of the two as the key lists them was chosen:
    [participants, questions, criteria]."""
    return np.array(
        [
            [one.given[question][shown[0]] for question, shown in study.questions.items()]
            for one in answers
        ],
        dtype=float,
    )


def _differences(
    study: Study, answers: Sequence[Answers], values: Array, parts: tuple[str, ...]
) -> dict[str, tuple[Difference, ...]]:
    """Every pair of methods in every part, with simultaneous bounds."""
    _statsmodels()
    tests = len(list(combinations(study.methods, 2)))
    found: dict[str, tuple[Difference, ...]] = {}
    for index, part in enumerate(parts):
        if study.mode == PAIRS:
            chosen = range(len(study.criteria)) if index == 0 else [index - 1]
            estimates = _bradley_terry(study, answers, chosen)
        else:
            estimates = {
                (one, other): _mixed(values[:, :, a, index] - values[:, :, b, index])
                for (a, one), (b, other) in combinations(enumerate(study.methods), 2)
            }
        found[part] = tuple(
            _difference(names, estimate, tests) for names, estimate in estimates.items()
        )
    return found


@dataclass(frozen=True)
class _Estimate:
    """``value`` with its standard ``error`` (None: unknown) and degrees of freedom."""

    value: float | None
    error: float | None = None
    freedom: float = 1.0


def _difference(names: tuple[str, str], estimate: _Estimate, tests: int) -> Difference:
    value = estimate.value
    if value is None or not estimate.error:
        return Difference(*names, value)
    reach = float(stats.t.isf((1 - CONFIDENCE) / 2 / tests, estimate.freedom)) * estimate.error
    p = 2 * float(stats.t.sf(abs(value) / estimate.error, estimate.freedom))
    return Difference(*names, value, value - reach, value + reach, min(1.0, p * tests))


def _mixed(differences: Array) -> _Estimate:
    """The mean of ``differences`` [P, V] by a mixed model with crossed random effects.

    The search begins at the moment estimates of the two-way layout, which are REML's own wherever
    none is below zero (Searle, Casella and McCulloch 1992, chapter 4); an effect whose estimate is
    below zero has no variance and is left out, as REML on the bound would have it.
    """
    models = _statsmodels()
    mean, count = float(differences.mean()), differences.size
    index = np.divmod(np.arange(count), differences.shape[1])
    sums, freedoms, effects = [], [], []
    rest = differences - mean
    for axis, name in enumerate(("participant", "video")):
        means = differences.mean(axis=1 - axis) - mean
        sums.append(float((means**2).sum()) * differences.shape[1 - axis])
        freedoms.append(differences.shape[axis] - 1)
        rest = rest - np.expand_dims(means, 1 - axis)
        effects.append((name, differences.shape[axis], index[axis]))
    left, freedom = float((rest**2).sum()), freedoms[0] * freedoms[1]
    if left <= _ALIKE * count:  # no answer says more than the participant and the video do
        return _Estimate(mean)
    kept = [axis for axis in (0, 1) if sums[axis] / freedoms[axis] > left / freedom]
    for axis in {0, 1} - set(kept):
        left, freedom = left + sums[axis], freedom + freedoms[axis]
    residual = left / freedom
    if not kept:
        return _Estimate(mean, float(np.sqrt(residual / count)), freedom)
    start = [
        (sums[axis] / freedoms[axis] - residual) / differences.shape[1 - axis] / residual
        for axis in kept
    ]
    chosen = [effects[axis] for axis in kept]
    model = models.MixedLM(
        differences.ravel(),
        np.ones((count, 1)),
        np.zeros(count),
        exog_vc=models.VCSpec(
            [name for name, _, _ in chosen],
            [[[str(one) for one in range(levels)]] for _, levels, _ in chosen],
            [[np.eye(levels)[which]] for _, levels, which in chosen],
        ),
    )
    begin = models.MixedLMParams.from_components(
        fe_params=np.array([mean]), cov_re=np.zeros((0, 0)), vcomp=np.array(start)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of variances near zero, which are no fault
        fitted = model.fit(reml=True, start_params=begin, method=["bfgs", "lbfgs"])
    # Satterthwaite: Var(mean) P V = the sum of the effects' mean squares, less the residual for
    # all but one, each mean square with its own degrees of freedom
    scale = float(fitted.scale)
    squares = [
        scale + differences.shape[1 - axis] * float(variance)
        for axis, variance in zip(kept, fitted.vcomp, strict=True)
    ]
    total = sum(squares) - scale * (len(kept) - 1)
    spread = sum(square**2 / freedoms[axis] for axis, square in zip(kept, squares, strict=True))
    spread += (len(kept) - 1) * scale**2 / freedom
    return _Estimate(float(fitted.fe_params[0]), float(fitted.bse_fe[0]), total**2 / spread)


def _bradley_terry(
    study: Study, answers: Sequence[Answers], criteria: Sequence[int]
) -> dict[tuple[str, str], _Estimate]:
    """Differences in strength of every pair of methods, over the comparisons of ``criteria``."""
    models = _statsmodels()
    place = {name: index for index, name in enumerate(study.methods)}
    stimuli = {name: index for index, name in enumerate(study.stimuli)}
    design, won, groups = [], [], []
    for person, one in enumerate(answers):
        for question, answer in one.given.items():
            first, second = one.shown[question]
            row = np.zeros(len(place) + 1)
            row[place[study.videos[first][1]]] += 1
            row[place[study.videos[second][1]]] -= 1
            row[-1] = 1
            for criterion in criteria:
                design.append(row)
                won.append(answer[first][criterion])
                groups.append((person, stimuli[study.videos[first][0]]))
    pairs = list(combinations(study.methods, 2))
    exog = np.array(design)[:, 1:]  # the first method's strength is zero
    by_person, by_video = np.array(groups).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = models.GLM(np.array(won, float), exog, family=models.families.Binomial())
        try:
            fitted = model.fit()
            covariances = models.cov_cluster_2groups(fitted, by_person, by_video)
        except (models.PerfectSeparationError, np.linalg.LinAlgError):
            return {names: _Estimate(None) for names in pairs}
    freedom = min(len(answers), len(stimuli)) - 1
    estimates = {}
    for names in pairs:
        contrast = np.zeros(len(place) + 1)
        contrast[[place[name] for name in names]] = 1, -1
        contrast = contrast[1:]
        value = float(contrast @ fitted.params)
        # the two-way estimate may come out below each one-way one, which it cannot be
        error = float(np.sqrt(max(contrast @ each @ contrast for each in covariances)))
        fits = np.isfinite(error) and abs(value) < _SEPARATED
        estimates[names] = _Estimate(value, error, freedom) if fits else _Estimate(None)
    return estimates


_SEPARATED = 15.0
"""Log-odds beyond which a strength has no bound: one side won every comparison."""


class _Statsmodels:
    """What of statsmodels is used."""

    def __init__(self) -> None:
        from statsmodels.genmod import families
        from statsmodels.genmod.generalized_linear_model import GLM
        from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec
        from statsmodels.stats.sandwich_covariance import cov_cluster_2groups
        from statsmodels.tools.sm_exceptions import PerfectSeparationError

        self.families, self.GLM, self.PerfectSeparationError = families, GLM, PerfectSeparationError
        self.cov_cluster_2groups = cov_cluster_2groups
        self.MixedLM, self.MixedLMParams, self.VCSpec = MixedLM, MixedLMParams, VCSpec


def _statsmodels() -> Any:
    try:
        return _Statsmodels()
    except ImportError:
        raise MissingDependencyError(
            f"the model of the differences needs statsmodels: {install('study')}; or "
            "pass --no-model for the table alone"
        ) from None
