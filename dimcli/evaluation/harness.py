"""Methods against the truth on a split of a data set: the paper's figures, with their doubt.

A method sees a stimulus and a seed, never the listener (:class:`dimcli.data.clip.Stimulus`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dimcli.core.errors import InputError
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import ClipRecord, Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation import official
from dimcli.evaluation.metrics import draw_clips
from dimcli.evaluation.protocols import SCORERS, Plan
from dimcli.evaluation.scores import Evaluation, MethodScores

PROTOCOLS = tuple(SCORERS)
UNITS = ("clip", "conversation")


def evaluate(
    store: ClipStore,
    split: str,
    predictors: Mapping[str, Predictor],
    *,
    samples: int | None = None,
    seed: int = 0,
    protocol: str = "paper",
    bootstrap: int = 1000,
    unit: str = "clip",
    reference: str | None = None,
    notes: Mapping[str, str] | None = None,
    bounds: Collection[str] = (),
    progress: Progress = silent,
) -> Evaluation:
    """Score ``predictors``, methods by name, on all clips of ``split``.

    ``protocol`` ``paper`` is the paper's supplement A: figures are means over ``samples`` (by
    default one), sample i drawn with seed ``seed + i``. ``official`` reproduces the released code
    (:mod:`dimcli.evaluation.official`): of ``samples`` (by default ten) the nearest to the truth is
    kept. Intervals are percentiles (95 %) over ``bootstrap`` draws of clips, the same for every
    method, or of whole conversations as ``unit`` says. ``reference`` is the method that differences
    are taken to; ``notes`` are remarks on methods, and ``bounds`` those that know more than a
    method can. Raises InputError for an empty split, an unknown name, a clip too short for a
    figure, or a prediction that is not of its clip's length.
    """
    records = store.clips(split)
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol '{protocol}' is unknown; known: {', '.join(PROTOCOLS)}")
    if unit not in UNITS:
        raise InputError(f"bootstrap unit '{unit}' is unknown; known: {', '.join(UNITS)}")
    samples = samples or (official.DRAWS if protocol == "official" else 1)
    if reference is not None and protocol == "official":
        raise InputError("the official protocol has no intervals; take differences in the paper's")
    _check(store, records, split, predictors, reference)
    groups = [record.id if unit == "clip" else record.conversation for record in records]
    drawn = protocol == "paper" and bootstrap > 1 and len(set(groups)) > 1
    scored = SCORERS[protocol](
        Plan(
            store=store,
            records=records,
            predictors=predictors,
            samples=samples,
            seed=seed,
            draws=draw_clips(groups, bootstrap, seed) if drawn else None,
            reference=reference,
            progress=progress,
        )
    )
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
        resamples=bootstrap if drawn else 0,
        unit=unit,
        reference=reference,
        truth=scored.truth,
        methods=tuple(
            MethodScores(
                name,
                scored.methods[name],
                scored.differences.get(name),
                (notes or {}).get(name, ""),
                bound=name in bounds,
            )
            for name in predictors
        ),
        distributions=scored.distributions,
    )


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
    short = [record.id for record in records if len(record) < 3]
    if short:
        raise InputError(f"clip {short[0]}: shorter than the 3 frames that a figure needs")
