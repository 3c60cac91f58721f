"""The paper's tables from prepared data: trains what is missing, evaluates, writes.

A table's folder holds ``runs`` (shared pieces and methods, the same names in every table),
``predictions``, and a folder a table with its files; further trainings have ``seed-N`` with their
runs and predictions. Killed at any moment and started again with
the same settings, it goes on and ends in the same bytes. What the rows are, and the published
numbers, is in :mod:`dimcli.jobs.table_plan`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.files import check_folder, new_folder, write_text
from dimcli.core.limits import LARGEST_SEED
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import Predictor
from dimcli.data.store import ClipStore, data_config, has_listeners
from dimcli.data.synthetic.rule import ReactionRule
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.evaluation.behaviour import movement_markdown, movements
from dimcli.evaluation.metrics import PARTS
from dimcli.evaluation.predictions import identity
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.report.clips import choose, show_clips
from dimcli.evaluation.report.page import evaluation_report
from dimcli.evaluation.score_table import difference_table, family_tables, score_table
from dimcli.evaluation.scores import Evaluation
from dimcli.evaluation.speaker_metrics import SpeakerMeasures
from dimcli.evaluation.writing import EvaluationFiles, to_markdown
from dimcli.jobs.evaluate import (
    ORACLE,
    EvaluationResult,
    data_notes,
    open_store,
    protocol_notes,
    require_drawn,
)
from dimcli.jobs.table_plan import Plan, TableOptions, table_plan
from dimcli.jobs.table_training import TableTrainer, Trained
from dimcli.models.chain import require_fit
from dimcli.training.ablations import PAPER_RECIPE

SETTINGS = "experiment.json"
_TITLES = {
    "supplement": "The supplement's table",
    "dualtalk": "DualTalk's table",
    "si184": "SI-184's table",
}
SMOKE_TEST = (
    "Preset tiny: a smoke test of seconds, which shows that everything runs. Its models learnt "
    "next to nothing, and their order says nothing; take --preset table or larger."
)
_SYNTHETIC_HOURS = {"tiny": 0.2}
_WHOLE_SYNTHETIC_HOURS = 10.0


def run_table(options: TableOptions, progress: Progress = silent) -> EvaluationResult:
    """Make a table. Raises InputError for what is wrong with the options, before long work."""
    plan = table_plan(options.table, options.dataset)
    last = options.seed + options.trainings + options.samples - 2
    if last > LARGEST_SEED:
        raise InputError(f"--seed {options.seed}: the last would be {last}, over {LARGEST_SEED}")
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
    if not store.clips("train"):
        if before is store:
            raise InputError(
                f"{store.root}: has clips to test on only; name with --pretrain-data what the rows "
                "are trained on"
            )
        plan = replace(plan, notes=(*plan.notes, f"All rows are trained on {before.root}."))
    _require_same_experiment(options, store, before)
    trainings = [options.training(number) for number in range(options.trainings)]
    answers: dict[str, list[Predictor]] = {entry.label: [] for entry in plan.entries}
    for training in trainings:
        trainer = TableTrainer(plan.role, training, store, before, progress)
        for entry in plan.entries:
            answers[entry.label].append(trainer.predictor(entry))
    predictors = {
        label: Trained(tuple(each), options.samples, options.seed)
        for label, each in answers.items()
    }
    measures = SpeakerMeasures.of(store) if plan.role == "speaker" else None
    evaluation = evaluate(
        store,
        options.split,
        predictors,
        role=plan.role,
        measures=measures,
        **options.sampling() | {"samples": options.samples * options.trainings},
        trainings=options.trainings,
        reference=plan.reference,
        notes={entry.label: entry.note for entry in plan.entries},
        bounds=[entry.label for entry in plan.entries if entry.method == ORACLE],
        families=[plan.family] if plan.family else [],
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


def _write(
    plan: Plan,
    evaluation: Evaluation,
    measures: SpeakerMeasures | None,
    store: ClipStore,
    predictors: Mapping[str, Predictor],
    options: TableOptions,
    progress: Progress,
) -> EvaluationResult:
    what = _TITLES.get(plan.table, f"Table {plan.table}")
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
    further = family_tables(evaluation)
    tables = (scores, *([differences] if differences else []), *further, plan.published)
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

    *written, page = names.write(evaluation, scores, report, further, force=True)
    return EvaluationResult(evaluation, tables, (*written, folder / "table.md", page))
