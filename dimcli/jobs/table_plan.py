"""What the paper's tables are of: options, rows and published numbers (``paper_tables.yaml``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from dimcli.core.config import require_choice
from dimcli.evaluation.metrics import PARTS
from dimcli.evaluation.score_table import PUBLISHED, Row, ScoreTable
from dimcli.evaluation.scores import TRUTH, Figure
from dimcli.jobs.evaluate import ORACLE, ScoringOptions
from dimcli.training.ablations import ABLATIONS

NOT_COMPARABLE = (
    "Published figures are of real corpora, in FLAME coefficients: compare the order of methods "
    "with them, not the size of a figure."
)
ONE_PASS = "DIM-Listener†, one pass"
PAPERS_OBJECTIVE = "DIM-Listener†, the paper's objective"
FROM_CODES = "DIM-Speaker, not pre-trained"
TABLES = ("1", "2", "3", "4", "supplement", "dualtalk", "si184")


@dataclass(frozen=True)
class TableOptions(ScoringOptions):
    """Which table, from what, and how.

    ``data`` may be left out for ``synthetic``: then it is made in the folder. ``pretrain_data`` is
    what VQ-VAEs and pre-training learn from (default: the data). ``conversations`` limits what
    fine-tuning, and methods without pre-training, learn from: the first so many of the train split.
    Each row is trained ``trainings`` times, with a seed of its own each; ``samples`` are of each.
    ``settings`` are dotted configuration keys for every training.
    """

    table: str
    dataset: str
    output: Path
    data: Path | None = None
    pretrain_data: Path | None = None
    preset: str = "table"
    conversations: int = 0
    trainings: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    samples: int = field(default=1, kw_only=True)

    def training(self, number: int) -> TableOptions:
        """Of one training: the first in the folder itself, others beside it."""
        seed = self.seed + number
        folder = self.output / f"seed-{seed}" if number else self.output
        return replace(self, seed=seed, output=folder)


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

    ``role`` is whom the rows generate; ``notes`` say what a reader must know of the rows. The
    tables of other benchmarks are of a ``family`` of measures.
    """

    table: str
    role: str
    entries: tuple[Entry, ...]
    reference: str
    columns: tuple[str, ...]
    published: ScoreTable
    notes: tuple[str, ...] = ()
    family: str = ""

    def without(self, labels: Collection[str], note: str) -> Plan:
        """The plan without some rows, and why. The reference is then the last row, if it was one of
        them."""
        entries = tuple(entry for entry in self.entries if entry.label not in labels)
        reference = entries[-1].label if self.reference in labels else self.reference
        return replace(self, entries=entries, reference=reference, notes=(*self.notes, note))


def table_plan(table: str, dataset: str) -> Plan:
    """The plan of one of ``TABLES``: the paper's rows, DIM sampled in the paper's one pass, and the
    oracle where the corpus is ``synthetic``. Published numbers are of the ``dataset`` where the
    paper has them. The tables of other benchmarks have the rows of Table 1 beside the figures that
    those published.
    """
    require_choice("TABLE", table, TABLES)
    known = yaml.safe_load(files(__package__).joinpath("paper_tables.yaml").read_text("utf-8"))
    facts = known["tables"][table]
    published = facts["published"].get(dataset) or next(iter(facts["published"].values()))
    role = facts.get("role", "listener")
    family = facts.get("family", "")
    own = known["tables"]["1"]["published"]["vico"] if family else published
    labels = [label for label in own["rows"] if label != TRUTH]
    if role == "speaker":
        labels.append(FROM_CODES)
    else:
        labels += [ONE_PASS] if table in ("3", "supplement") else [ONE_PASS, PAPERS_OBJECTIVE]
        labels += [ORACLE] if dataset == "synthetic" else []
    columns = tuple(facts["columns"])
    rows = tuple(
        _published_row(label, published, numbers) for label, numbers in published["rows"].items()
    )
    title = f"Published: {published['source']}"
    parts = tuple(published["parts"]) if role == "speaker" or family else tuple(PARTS)
    notes = (published.get("note", NOT_COMPARABLE),)
    return Plan(
        table,
        role,
        tuple(_entry(label, known["entries"][label]) for label in labels),
        facts["reference"],
        columns,
        ScoreTable(title, rows, columns, parts, notes=notes, family=family),
        family=family,
    )


def _entry(label: str, facts: Mapping[str, Any]) -> Entry:
    name = facts.get("ablation")
    if name is None:
        return Entry(label, **facts)
    whole = name == "none"
    run, note = ("dim", "") if whole else (f"dim-{name}", ABLATIONS[name].what)
    return Entry(label, **{"method": "dim", "run": run, "note": note, **facts})


def _published_row(
    label: str, published: Mapping[str, Any], numbers: Sequence[float | None]
) -> Row:
    """``times`` says by what a printed figure is multiplied, part for part."""
    figures, parts, times = published["figures"], published["parts"], published.get("times", {})
    places = [
        (name, part, factor)
        for name in figures
        for part, factor in zip(parts, times.get(name, [1] * len(parts)), strict=True)
    ]
    by_part: dict[str, dict[str, Figure]] = {part: {} for part in parts}
    for (name, part, factor), number in zip(places, numbers, strict=True):
        if number is not None:
            by_part[part][name] = Figure(number / factor)
    return Row(label, by_part, PUBLISHED)
