"""The paper's tables from prepared data: trains what is missing, evaluates, writes.

A table's folder holds ``runs`` (shared pieces and methods, the same names in every table),
``predictions``, and a folder a table with its files. Killed at any moment and started again with
the same settings, it goes on and ends in the same bytes. What the rows are, and the published
numbers, are in ``paper_tables.yaml``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from dimcli.core.config import require_choice, with_overrides
from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.files import check_folder, new_folder, write_text
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import ROLES, Predictor
from dimcli.data.store import ClipStore, data_config, has_listeners
from dimcli.data.synthetic.rule import ReactionRule
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.evaluation.behaviour import movement_markdown, movements
from dimcli.evaluation.metrics import PARTS
from dimcli.evaluation.predictions import identity, store_predictions, stored_predictions
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.report.clips import choose, show_clips
from dimcli.evaluation.report.page import evaluation_report
from dimcli.evaluation.score_table import (
    PUBLISHED,
    Row,
    ScoreTable,
    difference_table,
    score_table,
)
from dimcli.evaluation.scores import TRUTH, Evaluation, Figure
from dimcli.evaluation.speaker_metrics import SpeakerMeasures
from dimcli.evaluation.writing import EvaluationFiles, to_markdown
from dimcli.jobs.evaluate import (
    ORACLE,
    EvaluationResult,
    ScoringOptions,
    data_notes,
    open_store,
    protocol_notes,
    require_drawn,
)
from dimcli.models.answers import load_predictor
from dimcli.models.chain import require_fit
from dimcli.models.checkpoint import MODEL, is_finished
from dimcli.models.dim.config import preset
from dimcli.models.registry import method
from dimcli.training.ablations import ABLATIONS, ONLINE, PAPER_RECIPE, ablation
from dimcli.training.loop import Progress as Training
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import StageOptions, pretrain, train_vq

SETTINGS = "experiment.json"
NOT_COMPARABLE = (
    "Published figures are of real corpora, in FLAME coefficients: compare the order of methods "
    "with them, not the size of a figure."
)
SMOKE_TEST = (
    "Preset tiny: a smoke test of seconds, which shows that everything runs. Its models learnt "
    "next to nothing, and their order says nothing; take --preset table or larger."
)
ONE_PASS = "DIM-Listener†, one pass"
PAPERS_OBJECTIVE = "DIM-Listener†, the paper's objective"
FROM_CODES = "DIM-Speaker, not pre-trained"
TABLES = ("1", "2", "3", "4", "supplement")
_SYNTHETIC_HOURS = {"tiny": 0.2}
_WHOLE_SYNTHETIC_HOURS = 10.0


@dataclass(frozen=True)
class TableOptions(ScoringOptions):
    """Which table, from what, and how.

    ``data`` may be left out for ``synthetic``: then it is made in the folder. ``pretrain_data`` is
    what VQ-VAEs and pre-training learn from (default: the data). ``conversations`` limits what
    fine-tuning, and methods without pre-training, learn from: the first so many of the train split.
    ``settings`` are dotted configuration keys for every training.
    """

    table: str
    dataset: str
    output: Path
    data: Path | None = None
    pretrain_data: Path | None = None
    preset: str = "table"
    conversations: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    samples: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Entry:
    """A row: ``label`` as the paper has it, and what answers for it.

    ``method`` is one that is trained (into ``run``, a folder's name, the same in every table) or,
    without a ``run``, one that needs no training. ``init`` is the run of the same method, on the
    pre-training data, that it goes on from. ``steps`` are sampling passes, where not the run's own.
    """

    label: str
    method: str
    run: str = ""
    ablation: str | None = None
    init: str = ""
    note: str = ""
    steps: int | None = None


@dataclass(frozen=True)
class Plan:
    """A table: its rows, the ``reference`` that differences are taken to, and what is published.

    ``role`` is whom the rows generate; ``notes`` say what a reader must know of the rows.
    """

    table: str
    role: str
    entries: tuple[Entry, ...]
    reference: str
    columns: tuple[str, ...]
    published: ScoreTable
    notes: tuple[str, ...] = ()

    def without(self, labels: Collection[str], note: str) -> Plan:
        """The plan without some rows, and why. The reference is then the last row, if it was one of
        them."""
        entries = tuple(entry for entry in self.entries if entry.label not in labels)
        reference = entries[-1].label if self.reference in labels else self.reference
        return replace(self, entries=entries, reference=reference, notes=(*self.notes, note))


def table_plan(table: str, dataset: str) -> Plan:
    """The plan of one of ``TABLES``: the paper's rows, DIM sampled in the paper's one pass, and the
    oracle where the corpus is ``synthetic``. Published numbers are of the ``dataset`` where the
    paper has them.
    """
    require_choice("TABLE", table, TABLES)
    known = yaml.safe_load(files(__package__).joinpath("paper_tables.yaml").read_text("utf-8"))
    facts = known["tables"][table]
    published = facts["published"].get(dataset) or next(iter(facts["published"].values()))
    role = facts.get("role", "listener")
    labels = [label for label in published["rows"] if label != TRUTH]
    if role == "speaker":
        labels.append(FROM_CODES)
    else:
        labels += [ONE_PASS, *([PAPERS_OBJECTIVE] if table in ("1", "2") else [])]
        labels += [ORACLE] if dataset == "synthetic" else []
    columns = tuple(facts["columns"])
    rows = tuple(
        _published_row(label, published["figures"], published["parts"], numbers)
        for label, numbers in published["rows"].items()
    )
    title = f"Published: {published['source']}"
    parts = tuple(published["parts"]) if role == "speaker" else tuple(PARTS)
    return Plan(
        table,
        role,
        tuple(_entry(label, known["entries"][label]) for label in labels),
        facts["reference"],
        columns,
        ScoreTable(title, rows, columns, parts, notes=(NOT_COMPARABLE,)),
    )


def _entry(label: str, facts: Mapping[str, Any]) -> Entry:
    name = facts.get("ablation")
    if name is None:
        return Entry(label, **facts)
    whole = name == "none"
    run, note = ("dim", "") if whole else (f"dim-{name}", ABLATIONS[name].what)
    return Entry(label, **{"method": "dim", "run": run, "note": note, **facts})


def _published_row(
    label: str, figures: list[str], parts: list[str], numbers: list[float | None]
) -> Row:
    places = [(name, part) for name in figures for part in parts]
    by_part: dict[str, dict[str, Figure]] = {part: {} for part in parts}
    for (name, part), number in zip(places, numbers, strict=True):
        if number is not None:
            by_part[part][name] = Figure(number)
    return Row(label, by_part, PUBLISHED)


def run_table(options: TableOptions, progress: Progress = silent) -> EvaluationResult:
    """Make a table. Raises InputError for what is wrong with the options, before long work."""
    plan = table_plan(options.table, options.dataset)
    with new_folder(options.output, "*.safetensors"):
        return _run(plan, options, progress)


def _run(plan: Plan, options: TableOptions, progress: Progress) -> EvaluationResult:
    store, before = _open(plan.role, options, progress)
    if plan.role == "speaker" and not has_listeners(before):
        plan = plan.without(
            [entry.label for entry in plan.entries if entry.ablation == "none"],
            f"{before.root} has speakers only, and pre-training needs dyads: name some with "
            "--pretrain-data to see DIM-Speaker pre-trained.",
        )
    if options.preset in ("paper", "released-sizes"):
        dropped = [entry.label for entry in plan.entries if entry.ablation == PAPER_RECIPE]
        plan = plan.without(dropped, "The preset has the paper's own objective.")
    _require_same_experiment(options, store, before)
    trainer = TableTrainer(plan.role, options, store, before, progress)
    predictors = {
        entry.label: _predictor(entry, plan.role, trainer.run(entry), store, options, progress)
        for entry in plan.entries
    }
    measures = SpeakerMeasures.of(store) if plan.role == "speaker" else None
    evaluation = evaluate(
        store,
        options.split,
        predictors,
        role=plan.role,
        measures=measures,
        **options.sampling(),
        reference=plan.reference,
        notes={entry.label: entry.note for entry in plan.entries},
        bounds=[entry.label for entry in plan.entries if entry.method == ORACLE],
        progress=progress,
    )
    return _write(plan, evaluation, measures, store, predictors, options, progress)


def _open(role: str, options: TableOptions, progress: Progress) -> tuple[ClipStore, ClipStore]:
    """The data set, and the one that is pre-trained on."""
    output, data = options.output, options.data
    require_drawn(options.dataset, data, reacting=options.reacting)
    check_folder(output).mkdir(parents=True, exist_ok=True)
    if data is None and options.dataset == "synthetic":
        data = output / "data"
        write_synthetic(
            data,
            hours=_SYNTHETIC_HOURS.get(options.preset, _WHOLE_SYNTHETIC_HOURS),
            recipe=Recipe(seed=1, reaction=ReactionRule() if options.reacting else None),
            progress=lambda done, total: progress("drawing dyads", done, total),
        )
    store = open_store(options.dataset, data, progress, task=role)
    if options.pretrain_data is None:
        return store, store
    before = ClipStore(options.pretrain_data)
    require_fit(data_config(before), before.root, data_config(store), store.root, hears=True)
    return store, before


def _require_same_experiment(options: TableOptions, store: ClipStore, before: ClipStore) -> None:
    """Raise InputError if the folder's runs were made with other settings."""
    settings = {
        "preset": options.preset,
        "conversations": options.conversations,
        "settings": {key: str(value) for key, value in options.settings.items()},
        "seed": options.seed,
        "data": identity(store, None),
        "pretrain_data": identity(before, None),
    }
    path = options.output / SETTINGS
    if not path.is_file():
        write_text(path, json.dumps(settings, indent=2) + "\n")
        return
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise InputError(f"{path}: damaged; delete it or name another --output")
    for name, value in settings.items():
        if stored.get(name) != value:
            raise InputError(
                f"{options.output}: its runs were made with {name} {stored.get(name)}, not "
                f"{value}; name another --output"
            )


class TableTrainer:
    """Trains the runs of a table's folder, each once, whatever is killed in between."""

    def __init__(
        self,
        role: str,
        options: TableOptions,
        store: ClipStore,
        before: ClipStore,
        progress: Progress,
    ) -> None:
        self._role, self._options = role, options
        self._data, self._before = store.root, before.root
        self._apart = before is not store or options.conversations > 0
        self._runs = options.output / "runs"
        self._runs.mkdir(exist_ok=True)
        self._progress = progress

    def run(self, entry: Entry) -> Path | None:
        """The run of an entry, trained if it was not; None for one that needs no training."""
        if not entry.run:
            return None
        run = self._runs / entry.run
        if not is_finished(run):
            options = MethodOptions(**vars(self._stage(entry.run, limited=True)))
            options = replace(options, resume=True, **self._shared_pieces(entry))
            train_method(self._data, run, entry.method, options)
        return run

    def _shared_pieces(self, entry: Entry) -> dict[str, Any]:
        """What an entry's training takes of the shared pieces, as options."""
        if entry.method == "dim":
            chosen = ablation(entry.ablation, self._role)
            pieces: dict[str, Any] = {
                "task": self._role,
                "ablation": entry.ablation,
                "pretrain_data": self._before,
            }
            if chosen.codes and not chosen.vq:
                for role in ROLES if chosen.pretraining else (self._role,):
                    pieces[f"vq_{role}"] = self._vq(role)
            if chosen.pretraining and not chosen.own_pretraining:
                pieces["pretrained"] = self._pretrained()
            return pieces
        pieces = {}
        if method(entry.method).coded:
            alone = self._apart and not entry.init
            pieces["vq_listener"] = self._vq_alone() if alone else self._vq("listener")
        if entry.init:
            pieces["init"] = self._runs / entry.init
            if not is_finished(pieces["init"]):
                whole = MethodOptions(**vars(self._stage(entry.init)))
                # for as long as DIM's pre-training
                config = preset(self._options.preset, "pretrain")
                training = with_overrides(config, whole.settings()).training
                train_method(
                    self._before,
                    pieces["init"],
                    entry.method,
                    replace(
                        whole,
                        steps=training.steps,
                        epochs=training.epochs,
                        vq_listener=pieces["vq_listener"],
                    ),
                )
        return pieces

    def _vq(self, role: str) -> Path:
        run = self._runs / f"vq_{role}"
        if not is_finished(run):
            train_vq(self._before, run, role, self._stage(run.name))
        return run

    def _vq_alone(self) -> Path:
        """A listener's VQ-VAE that knows nothing of the pre-training data."""
        run = self._runs / "vq_alone"
        if not is_finished(run):
            train_vq(self._data, run, "listener", self._stage(run.name, limited=True))
        return run

    def _pretrained(self) -> Path:
        run = self._runs / "pretrain"
        if not is_finished(run):
            vq = self._vq("speaker"), self._vq("listener")
            pretrain(self._before, run, *vq, self._stage(run.name))
        return run

    def _stage(self, name: str, *, limited: bool = False) -> StageOptions:
        def report(now: Training) -> None:
            self._progress(f"training {name}", now.step, now.steps)

        settings = dict(self._options.settings)
        if limited and self._options.conversations:
            settings["training.conversations"] = self._options.conversations
        return StageOptions(
            preset=self._options.preset,
            overrides=settings,
            seed=self._options.seed,
            resume=(self._runs / name).is_dir(),
            device=self._options.device,
            progress=report,
        )


def _predictor(
    entry: Entry,
    role: str,
    run: Path | None,
    store: ClipStore,
    options: TableOptions,
    progress: Progress,
) -> Predictor:
    """An entry's predictions for the split: stored ones, or new ones."""
    seeds = range(options.seed, options.seed + options.samples)
    online = entry.ablation == ONLINE
    sampled = f"-{entry.steps}" if entry.steps else ""
    words: tuple[object, ...] = (entry.method, options.split, seeds)
    words += ("online" if online else "whole clips",)
    words += (entry.steps,) if entry.steps else ()
    origin = identity(store, run / MODEL if run else None, *words)
    path = options.output / "predictions" / f"{entry.run or entry.method}{sampled}.safetensors"
    stored = stored_predictions(path, origin)
    if stored is not None:
        return stored
    predictor = load_predictor(
        run or entry.method, store, role, options.device, online=online, steps=entry.steps
    )
    return store_predictions(
        path,
        predictor,
        store,
        options.split,
        seeds=seeds,
        origin=origin,
        progress=progress,
        stage=f"predicting {entry.label}",
    )


def _write(
    plan: Plan,
    evaluation: Evaluation,
    measures: SpeakerMeasures | None,
    store: ClipStore,
    predictors: Mapping[str, Predictor],
    options: TableOptions,
    progress: Progress,
) -> EvaluationResult:
    what = f"Table {plan.table}" if plan.table != "supplement" else "The supplement's table"
    scores = score_table(
        evaluation,
        title=f"{what} on {evaluation.dataset}, {evaluation.split}, {evaluation.clips} clips",
        columns=plan.columns,
        parts=tuple(PARTS) if measures is None else measures.parts,
        notes=(
            *plan.notes,
            *protocol_notes(evaluation),
            *data_notes(store),
            *(measures.remarks if measures else ()),
            *([SMOKE_TEST] if options.preset == "tiny" else []),
        ),
    )
    differences = difference_table(evaluation, scores)
    tables = (scores, *([differences] if differences else []), plan.published)
    folder = options.output / f"table-{plan.table}"
    folder.mkdir(exist_ok=True)
    names = EvaluationFiles().in_folder(folder)
    pages = [to_markdown(table) for table in tables]
    if evaluation.space == "arkit" and plan.role == "listener":
        moved = movements(store, options.split, predictors, seed=options.seed)
        pages.insert(-1, movement_markdown(moved))
    write_text(folder / "table.md", "\n".join(pages))

    def report() -> str:
        shown = 0 if plan.role == "speaker" else options.clips
        chosen = choose(store.clips(options.split), shown) if shown else []
        return evaluation_report(
            evaluation,
            scores,
            show_clips(store, chosen, predictors, options.seed, progress),
            weights={entry.label: entry.run or "needs no training" for entry in plan.entries},
            command=options.command,
            published=plan.published,
        )

    *written, page = names.write(evaluation, scores, report, force=True)
    return EvaluationResult(evaluation, tables, (*written, folder / "table.md", page))
