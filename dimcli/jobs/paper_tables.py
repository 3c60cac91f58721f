"""The paper's tables from prepared data: trains what is missing, evaluates, writes.

A table's folder holds ``runs`` (shared pieces and methods, the same names in every table),
``predictions``, and a folder a table with its files. Killed at any moment and started again with
the same settings, it goes on and ends in the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore, replace_text
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.evaluation.files import EvaluationFiles
from dimcli.evaluation.harness import evaluate
from dimcli.evaluation.movement import movement_markdown, movements
from dimcli.evaluation.predictions import identity, keep_predictions, kept
from dimcli.evaluation.published import published_rows
from dimcli.evaluation.report.clips import choose, show_clips
from dimcli.evaluation.report.writing import evaluation_report, write_report
from dimcli.evaluation.score_markdown import to_markdown
from dimcli.evaluation.score_table import ScoreTable, difference_table, score_table
from dimcli.evaluation.scores import Evaluation
from dimcli.jobs.evaluate import open_store, protocol_notes
from dimcli.jobs.table_plans import ORACLE, Entry, Plan, table_plan
from dimcli.jobs.table_training import TableOptions, TableTrainer
from dimcli.models.checkpoint import MODEL
from dimcli.models.methods import load_predictor
from dimcli.training.ablations import ONLINE

SETTINGS = "experiment.json"
NOT_COMPARABLE = (
    "Published figures are of real corpora, in FLAME coefficients: compare the order of methods "
    "with them, not the size of a figure."
)
_SYNTHETIC_HOURS = {"tiny": 0.2}
_WHOLE_SYNTHETIC_HOURS = 10.0


@dataclass(frozen=True)
class TableResult:
    """The evaluation behind a table, its tables for people, and the files that hold them."""

    evaluation: Evaluation
    tables: tuple[ScoreTable, ...]
    written: tuple[Path, ...]


def run_table(options: TableOptions, progress: Progress = silent) -> TableResult:
    """Make a table. Raises InputError for what is wrong with the options, before long work."""
    plan = table_plan(options.table, synthetic=options.dataset == "synthetic")
    store, before = _open(options, progress)
    _same_experiment(options, store, before)
    trainer = TableTrainer(options, store, before, progress)
    predictors = {
        entry.label: _predictor(entry, trainer.run(entry), store, options, progress)
        for entry in plan.entries
    }
    evaluation = evaluate(
        store,
        options.split,
        predictors,
        samples=options.samples,
        seed=options.seed,
        bootstrap=options.bootstrap,
        unit=options.unit,
        reference=plan.reference,
        notes={entry.label: entry.note for entry in plan.entries},
        bounds=[entry.label for entry in plan.entries if entry == ORACLE],
        progress=progress,
    )
    return _write(plan, evaluation, store, predictors, options, progress)


def _open(options: TableOptions, progress: Progress) -> tuple[ClipStore, ClipStore]:
    """The data set, and the one that is pre-trained on."""
    output, data = options.output, options.data
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; -o names the table's folder")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder; make it first")
    output.mkdir(exist_ok=True)
    if data is None and options.dataset == "synthetic":
        data = output / "data"
        write_synthetic(
            data,
            hours=_SYNTHETIC_HOURS.get(options.preset, _WHOLE_SYNTHETIC_HOURS),
            recipe=Recipe(seed=1),
            progress=lambda done, total: progress("drawing dyads", done, total),
        )
    store = open_store(options.dataset, data, progress)
    return store, ClipStore(options.pretrain_data) if options.pretrain_data else store


def _same_experiment(options: TableOptions, store: ClipStore, before: ClipStore) -> None:
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
        replace_text(path, json.dumps(settings, indent=2) + "\n")
        return
    stored = json.loads(path.read_text())
    for name, value in settings.items():
        if stored.get(name) != value:
            raise InputError(
                f"{options.output}: its runs were made with {name} {stored.get(name)}, not "
                f"{value}; name another --output"
            )


def _predictor(
    entry: Entry, run: Path | None, store: ClipStore, options: TableOptions, progress: Progress
) -> Predictor:
    """An entry's answers to the split: kept ones, or made now."""
    seeds = range(options.seed, options.seed + options.samples)
    online = entry.ablation == ONLINE
    sampled = f"-{entry.steps}" if entry.steps else ""
    words: tuple[object, ...] = (entry.method, options.split, seeds)
    words += ("online" if online else "whole clips",)
    words += (entry.steps,) if entry.steps else ()
    made_from = identity(store, run / MODEL if run else None, *words)
    path = options.output / "predictions" / f"{entry.run or entry.method}{sampled}.safetensors"
    found = kept(path, made_from)
    if found is not None:
        return found
    predictor = load_predictor(
        run or entry.method, store, options.device, online=online, steps=entry.steps
    )
    return keep_predictions(
        path,
        predictor,
        store,
        options.split,
        seeds=seeds,
        made_from=made_from,
        progress=progress,
        stage=f"predicting {entry.label}",
    )


def _write(
    plan: Plan,
    evaluation: Evaluation,
    store: ClipStore,
    predictors: Mapping[str, Predictor],
    options: TableOptions,
    progress: Progress,
) -> TableResult:
    source, rows = published_rows(plan.table, options.dataset)
    what = f"Table {plan.table}" if plan.table != "supplement" else "The supplement's table"
    scores = score_table(
        evaluation,
        title=f"{what} on {evaluation.dataset}, {evaluation.split}, {evaluation.clips} clips",
        columns=plan.columns,
        notes=protocol_notes(evaluation),
    )
    published = ScoreTable(f"Published: {source}", rows, plan.columns, notes=(NOT_COMPARABLE,))
    differences = difference_table(evaluation, scores)
    tables = (scores, *([differences] if differences else []), published)
    folder = options.output / f"table-{plan.table}"
    files = EvaluationFiles().in_folder(folder)
    written = files.write(evaluation, scores, force=True)
    pages = [to_markdown(table) for table in tables]
    if evaluation.space == "arkit":
        moved = movements(store, options.split, predictors, seed=options.seed)
        pages.insert(-1, movement_markdown(moved))
    replace_text(folder / "table.md", "\n".join(pages))
    chosen = choose(store.clips(options.split), options.clips)
    html = evaluation_report(
        evaluation,
        scores,
        show_clips(store, chosen, predictors, options.seed, progress),
        weights={entry.label: entry.run or "needs no training" for entry in plan.entries},
        command=options.command,
        published=published,
    )
    assert files.report is not None
    write_report(files.report, html, force=True)
    return TableResult(evaluation, tables, (*written, folder / "table.md", files.report))
