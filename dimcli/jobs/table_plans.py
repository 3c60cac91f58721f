"""What each of the paper's tables compares, as runs that can be trained and shared."""

from __future__ import annotations

from dataclasses import dataclass

from dimcli.core.config import require_choice
from dimcli.training.ablations import ABLATIONS

TABLES = ("1", "2", "3", "supplement")


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


def _dim(label: str, name: str) -> Entry:
    run = "dim" if name == "none" else f"dim-{name}"
    note = "" if name == "none" else ABLATIONS[name].what
    return Entry(label, "dim", run, name, note=note)


DIM = "DIM-Listener†"
_DIM = _dim(DIM, "none")
_RANDOM = Entry("Random", "random")
_MIRROR = Entry("Mirror", "mirror")
_NEAREST_AUDIO = Entry("Nearest Audio", "nearest-audio", "nearest-audio")
_NEAREST_MOTION = Entry("Nearest Motion", "nearest-motion", "nearest-motion")
_ELP = Entry("ELP", "elp", "elp")
_RLHG = Entry("RLHG", "rlhg", "rlhg")
_L2L = Entry("L2L", "l2l", "l2l")
_L2L_TOO = Entry(
    "L2L†", "l2l", "l2l-pretrained", init="l2l-before", note="first trained where DIM is"
)
ONE_PASS = Entry(
    "DIM-Listener†, one pass", "dim", "dim", "none", note="sampled as in the paper", steps=1
)
ORACLE = Entry("oracle", "oracle", note="draws anew from the rule behind synthetic listeners")

_PLANS: dict[str, tuple[str, tuple[Entry, ...]]] = {
    "1": (DIM, (_RANDOM, _NEAREST_AUDIO, _NEAREST_MOTION, _ELP, _RLHG, _L2L, _L2L_TOO, _DIM)),
    "2": (DIM, (_RANDOM, _MIRROR, _NEAREST_MOTION, _ELP, _RLHG, _L2L, _L2L_TOO, _DIM)),
    "3": (
        DIM,
        (
            _DIM,
            _dim("without VQ", "no-vq"),
            _dim("without DIM pre-training", "no-pretraining"),
            _dim("frozen VQ decoder", "frozen-decoder"),
            _dim("without contrastive loss", "no-contrast"),
            _dim("without two branches", "one-branch"),
        ),
    ),
    "supplement": (
        "A+V",
        (
            _dim("V", "motion-only"),
            _dim("A", "audio-only"),
            _dim("A+V", "none"),
            _dim("online", "online"),
        ),
    ),
}
COLUMNS = {
    "1": ("fd", "p_fd", "mse", "sid", "var", "rpcc"),
    "2": ("fd", "p_fd", "mse", "sid", "var", "rpcc"),
    "3": ("mse", "fd", "p_fd", "sid", "var"),
    "supplement": ("mse", "fd", "p_fd", "sid", "var"),
}
"""The columns of each table; P-FD, SID and Var of the last two are ours."""


@dataclass(frozen=True)
class Plan:
    """A table: its rows, and the ``reference`` that differences are taken to."""

    table: str
    entries: tuple[Entry, ...]
    reference: str
    columns: tuple[str, ...]


def table_plan(table: str, *, synthetic: bool) -> Plan:
    """The plan of one of ``TABLES``: the paper's rows, DIM sampled in the paper's one pass, and the
    oracle where the corpus is ``synthetic``."""
    require_choice("--table", table, TABLES)
    reference, entries = _PLANS[table]
    extra = (ONE_PASS, *([ORACLE] if synthetic else []))
    return Plan(table, (*entries, *extra), reference, COLUMNS[table])
