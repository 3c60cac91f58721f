"""One evaluation from names to files: what ``dim eval`` does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import weights
from dimcli.audio import NO_SOUND
from dimcli.core.errors import InputError
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import ROLES, Predictor
from dimcli.data.corpora import DATASETS
from dimcli.data.corpora.held_out import HELD_OUT, REACTING, held_out_speech, held_out_synthetic
from dimcli.data.folds import Folds
from dimcli.data.store import ClipStore, data_config, speakers_note
from dimcli.data.workers import HERE, Engine
from dimcli.evaluation.measures.families import FAMILIES
from dimcli.evaluation.metrics import PARTS
from dimcli.evaluation.predictions import KeptPredictor, predict_elsewhere
from dimcli.evaluation.protocols import SHORTEST, evaluate, samples_by
from dimcli.evaluation.report.clips import choose, show_clips
from dimcli.evaluation.report.page import evaluation_report
from dimcli.evaluation.score_table import (
    ScoreTable,
    difference_table,
    family_tables,
    gain,
    score_table,
)
from dimcli.evaluation.scores import Evaluation
from dimcli.evaluation.speaker_metrics import SpeakerMeasures
from dimcli.evaluation.writing import EvaluationFiles
from dimcli.models.answers import load_folded, load_predictor
from dimcli.models.chain import require_fit
from dimcli.models.config import find_run, read_data_config
from dimcli.models.registry import methods, untrained

SILENT = "This data has no sound: methods that were trained to hear get zeros."
SPEAKERS_REACT = (
    "Speakers react to their listeners here: what a speaker does after an answer tells of it, and "
    "the oracle knows that too."
)
_WORKERS = 4
ORACLE = "oracle"
NOTES = {
    "listener": {
        ORACLE: "knows the hidden events behind the speaker, which no method sees: the best that "
        "can be said without seeing the listener",
        "random": "somebody else's listening: realistic, unrelated to this speaker",
        "mean": "stands still: what smallest squared errors reward",
    },
    "speaker": {
        "random": "somebody saying something else",
        "mean": "stands still",
        "loudness": "follows the volume: what lip sync has to beat",
    },
}
"""What to know about methods that need no training."""
NO_INTERVALS = (
    "No intervals, so no method is marked as the best: nothing says how sure these figures are. "
    "They need two clips or more, and --bootstrap; with few clips train by dim finetune --folds N "
    "and give --folds here, too."
)


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How methods are scored; see :func:`dimcli.evaluation.protocols.evaluate`.

    The report shows ``clips`` clips of listeners and the ``command``. Synthetic dyads that are made
    for it have ``reacting`` speakers or not.
    """

    split: str = "test"
    reacting: bool = False
    samples: int | None = None
    seed: int = 0
    bootstrap: int = 1000
    unit: str = "clip"
    device: str = "auto"
    clips: int = 2
    command: str = ""

    def sampling(self) -> dict[str, Any]:
        """What :func:`dimcli.evaluation.protocols.evaluate` takes of them by name."""
        return {name: getattr(self, name) for name in ("samples", "seed", "bootstrap", "unit")}


@dataclass(frozen=True)
class EvaluationOptions(ScoringOptions):
    """What to evaluate, and how.

    ``weights`` and ``baselines`` are names or run directories, or ``LABEL=NAME``; with neither,
    the bundled listener beside what needs no training. ``folds`` tests every clip, by the model of
    the fold that has not seen it (:mod:`dimcli.data.folds`). ``measures`` are ``paper``, ``all`` or
    families of figures beside the paper's. ``data`` may be left out for the
    ``synthetic`` ``dataset``. ``task`` is whom methods generate, one of ROLES. ``reference``
    defaults to the first of the weights.
    """

    dataset: str | None = None
    task: str = "listener"
    data: Path | None = None
    weights: Sequence[str] = ()
    baselines: Sequence[str] = ()
    protocol: str = "paper"
    measures: Sequence[str] = ("paper",)
    reference: str | None = None
    online: bool = False
    folds: bool = False
    engine: Engine = HERE
    files: EvaluationFiles = field(default_factory=EvaluationFiles)
    force: bool = False


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation, its tables for people, the files that hold it, and ``gains``: whether trained
    listeners are nearer to the true one than the bundled one is, in words."""

    evaluation: Evaluation
    tables: tuple[ScoreTable, ...]
    written: tuple[Path, ...]
    gains: tuple[str, ...] = ()


def run_evaluation(options: EvaluationOptions, progress: Progress = silent) -> EvaluationResult:
    """Evaluate and write files. Raises InputError before long work where it can."""
    options.files.check(force=options.force)
    speakers = options.task == "speaker"
    if speakers and options.protocol != "paper":
        raise InputError(
            f"--protocol {options.protocol}: is of listeners; of speakers both definitions are "
            "given side by side"
        )
    if speakers and options.online:
        raise InputError("--online: is of listeners")
    families = _families(options)
    store = open_store(
        options.dataset, options.data, progress, task=options.task, reacting=options.reacting
    )
    measures = SpeakerMeasures.of(store) if speakers else None
    names, left_out = named_methods(options, store)
    split, remarks = options.split, measures.remarks if measures else ()
    folds = _folds(options, store) if options.folds else None
    load = partial(_predictors, options, names, store.root, folds)
    store, predictors = load()
    if folds:
        split = "test"
        remarks += (folds.claim(store),)
    with TemporaryDirectory() as folder:
        answering = predictors
        if not options.engine.here:
            count = samples_by(options.protocol, options.samples)
            made = cache(
                partial(
                    predict_elsewhere,
                    load,
                    [record for record in store.clips(split) if len(record) >= SHORTEST],
                    Path(folder),
                    role=options.task,
                    seeds=range(options.seed, options.seed + count),
                    engine=options.engine,
                    progress=progress,
                )
            )
            answering = {name: KeptPredictor(Path(folder), name, made) for name in names}
        evaluation = evaluate(
            store,
            split,
            answering,
            role=options.task,
            protocol=options.protocol,
            **options.sampling(),
            reference=_reference(options, names),
            notes={label: NOTES[options.task].get(name, "") for label, name in names.items()},
            bounds=[label for label, name in names.items() if name == ORACLE],
            measures=measures,
            families=families,
            folds=folds.count if folds else 0,
            progress=progress,
        )
    gains = _gains(options, names, evaluation)
    scores = score_table(
        evaluation,
        parts=tuple(PARTS) if measures is None else measures.parts,
        notes=(
            *left_out,
            *remarks,
            *data_notes(store),
            *protocol_notes(evaluation),
            *gains,
        ),
    )
    differences = difference_table(evaluation, scores)

    def report() -> str:
        shown = [] if speakers else choose(store.clips(split), options.clips)
        return evaluation_report(
            evaluation,
            scores,
            show_clips(store, shown, predictors, options.seed, progress),
            weights={label: describe(name) for label, name in names.items()},
            command=options.command,
        )

    further = family_tables(evaluation)
    written = options.files.write(evaluation, scores, report, further, force=options.force)
    tables = (*((scores, differences) if differences else (scores,)), *further)
    return EvaluationResult(evaluation, tables, tuple(written), gains)


def _families(options: EvaluationOptions) -> tuple[str, ...]:
    """The families of figures that are asked for, beside the paper's."""
    asked = options.measures
    unknown = [name for name in asked if name not in ("paper", "all", *FAMILIES)]
    if unknown:
        raise InputError(
            f"--measures {unknown[0]}: unknown; known: paper, {', '.join(FAMILIES)}, all"
        )
    found = tuple(name for name in FAMILIES if name in asked or "all" in asked)
    if found and (options.task != "listener" or options.protocol != "paper"):
        raise InputError(
            f"--measures {found[0]}: is of listeners, one prediction at a time; leave out "
            "--task speaker and --protocol official"
        )
    return found


def _predictors(
    options: EvaluationOptions, names: dict[str, str], data: Path, folds: Folds | None
) -> tuple[ClipStore, dict[str, Predictor]]:
    """The data set and what answers from it, by label: here, or in a process that predicts."""
    task, device, store = options.task, options.device, ClipStore(data)
    if folds is None:
        return store, {
            label: load_predictor(name, store, task, device, online=options.online)
            for label, name in names.items()
        }
    answering = {
        label: load_folded(name, store, folds, task, device) for label, name in names.items()
    }
    return ClipStore(data, dict.fromkeys(folds.of, "test")), answering


def _folds(options: EvaluationOptions, store: ClipStore) -> Folds:
    """The folds that the first of the weights that is no bundled one was trained in."""
    if options.online or options.protocol != "paper":
        raise InputError("--folds: goes neither with --online nor with --protocol official")
    for one in options.weights:
        name = label_and_name(one)[1]
        if name not in weights.registry()["runs"]:
            return Folds.read(find_run(name, "--weights"), store)
    raise InputError("--folds: needs --weights RUN, a run of dim finetune --folds N")


def _gains(
    options: EvaluationOptions, names: dict[str, str], evaluation: Evaluation
) -> tuple[str, ...]:
    """What to say of trained listeners beside the bundled one, where that one is evaluated, too."""
    base = next((one for one, name in names.items() if name == weights.DEFAULT_LISTENER), None)
    trained = [
        label
        for label, name in names.items()
        if label != base and untrained(name, options.task) is None
    ]
    if base is None or options.task != "listener" or options.protocol != "paper":
        return ()
    return tuple(gain(evaluation, label, base) for label in trained)


def require_drawn(dataset: str | None, data: Path | None, *, reacting: bool) -> None:
    """Raise InputError if ``reacting`` is asked of dyads that are not drawn for the command."""
    if reacting and (data is not None or dataset != "synthetic"):
        raise InputError(
            "--reacting: is of dyads drawn for this command: take --dataset synthetic and no "
            "--data; `dim prepare synthetic --reacting` makes such data"
        )


def open_store(
    dataset: str | None,
    data: Path | None,
    progress: Progress = silent,
    *,
    task: str = "listener",
    reacting: bool = False,
) -> ClipStore:
    """The data set at ``data``, checked to be of the corpus ``dataset`` (None: any will do).

    Without ``data``, for ``synthetic``, a small held-out corpus of the ``task`` that is made once
    and kept, with ``reacting`` speakers or not. Synthetic speakers are what ``dim prepare speech``
    makes.
    """
    require_drawn(dataset, data, reacting=reacting)
    if dataset is not None and dataset not in DATASETS:
        raise InputError(f"--dataset {dataset}: unknown; known: {', '.join(DATASETS)}")
    if data is None:
        if dataset != "synthetic":
            raise InputError(
                f"--data: needed for {dataset or 'an evaluation'}; name the folder that "
                f"`dim prepare {dataset or 'CORPUS'}` wrote, or take --dataset synthetic"
            )
        engine = Engine(min(_WORKERS, os.cpu_count() or 1))
        if task == "listener":
            recipe = REACTING if reacting else HELD_OUT
            return held_out_synthetic(recipe, engine=engine, progress=progress)
        if reacting:
            raise InputError("--reacting: is of listeners; held-out speech has none")
        return held_out_speech(engine=engine, progress=progress)
    store = ClipStore(data)
    corpus = store.info.made_by.get("prepare")
    accepted = {dataset, "speech"} if (dataset, task) == ("synthetic", "speaker") else {dataset}
    if dataset is not None and corpus not in accepted:
        raise InputError(
            f"{data}: was prepared from '{corpus}', not '{dataset}'; "
            f"pass --dataset {corpus} or another --data"
        )
    return store


def named_methods(
    options: EvaluationOptions, store: ClipStore
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Labels of methods to names or run directories, in the order they were given; and, where none
    was given, why the bundled weights are not among them."""
    given = [*options.weights, *options.baselines]
    left_out: tuple[str, ...] = ()
    names = methods(options.task, untrained=True)
    if not given:
        speakers = options.task == "speaker"
        bundled = weights.DEFAULT_SPEAKER if speakers else weights.DEFAULT_LISTENER
        given = [name for name in names if name != ORACLE]
        given += [ORACLE] if ORACLE in names and _is_synthetic(store) else []
        try:
            trained = read_data_config(weights.resolve(bundled))
            require_fit(trained, bundled, data_config(store), store.root, hears=True)
            given.insert(0, bundled)
        except InputError as error:
            left_out = (f"Left out {bundled}: {error}",)
    named: dict[str, str] = {}
    for one in given:
        label, name = label_and_name(one)
        label = label if label in names else Path(label).name or label
        if label in named:
            raise InputError(f"two methods are called '{label}'; write LABEL={name} for one")
        named[label] = name
    return named, left_out


def label_and_name(one: str) -> tuple[str, str]:
    """What ``LABEL=NAME`` says, and a name alone: a path may hold an equals sign, a label holds no
    slash."""
    label, equals, name = one.partition("=")
    return (label, name) if equals and "/" not in label else (one.rstrip("/"), one)


def describe(name: str) -> str:
    """What a method is, for the record: weights by their hash."""
    if any(untrained(name, role) for role in ROLES):
        return "needs no training"
    model = find_run(name, "--weights") / "model.safetensors"
    with model.open("rb") as file:
        return f"{name}, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def protocol_notes(evaluation: Evaluation) -> tuple[str, ...]:
    """What a reader of the numbers must know, in a few lines."""
    if evaluation.protocol == "official":
        return (
            f"Official protocol: the best of {evaluation.samples} draws a clip, CHOSEN BY ITS "
            "DISTANCE TO THE TRUTH, and pooled SID. Not comparable with one prediction a clip.",
        )
    lines = []
    if evaluation.resamples:
        of = "clips" if evaluation.unit == "clip" else "conversations"
        draws = evaluation.resamples
        if evaluation.trainings > 1:
            of = f"{evaluation.trainings} trainings and over {of}"
        lines.append(f"Below each figure its 95 % interval: bootstrap over {of} ({draws} draws).")
    else:
        lines.append(NO_INTERVALS)
    if evaluation.protocol == "speaker":
        lines.append(
            "LVE: largest distance of a lip vertex, mean over frames, then clips; released: "
            "squared, over all frames together. FDD: size of the deviation of the upper face's "
            "dynamics, mean over clips; released: of squared lengths, with its sign, above zero "
            "is too still."
        )
        return tuple(lines)
    if evaluation.samples > 1:
        trained = f" of {evaluation.trainings} trainings" if evaluation.trainings > 1 else ""
        lines.append(f"±: standard deviation over {evaluation.samples} samples a clip{trained}.")
    lines.append("↓ smaller is better; SID and Var: the nearer to the ground truth's the better.")
    return tuple(lines)


def data_notes(store: ClipStore) -> tuple[str, ...]:
    """What a reader must know of the data: that nobody knows who speaks, that it has no sound, or
    speakers who react."""
    silent = store.info.audio_encoder == NO_SOUND.name
    return (
        *filter(None, [speakers_note(store)]),
        *([SILENT] if silent else []),
        *([SPEAKERS_REACT] if store.info.made_by.get("reacting") else []),
    )


def _reference(options: EvaluationOptions, names: dict[str, str]) -> str | None:
    if options.protocol != "paper" or len(names) < 2:
        return options.reference
    return options.reference or next(iter(names))


def _is_synthetic(store: ClipStore) -> bool:
    return store.info.made_by.get("prepare") == "synthetic"
