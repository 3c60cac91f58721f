"""The numbers of the paper's tables, as printed, to stand beside those measured here.

Source: DIM: Dyadic Interaction Modeling for Social Behavior Generation, ECCV 2024
(arXiv 2403.09069), Tables 1 to 3, and Table 1 of its supplement. They were measured on real corpora
in EMOCA's FLAME coefficients: compare the order of methods with them, never the size of a figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from dimcli.evaluation.score_table import PAPER_FIGURES, PUBLISHED, Row
from dimcli.evaluation.scores import Figure

PARTS = ("expression", "pose")
Numbers = dict[str, tuple[float | None, ...]]

SOURCES = {
    "1": "Table 1 of the paper, ViCo",
    "2": "Table 2 of the paper, LM_Listener",
    "3": "Table 3 of the paper, ViCo",
    "3-lm_listener": "Table 3 of the paper, LM_Listener",
    "supplement": "Table 1 of the paper's supplement, ViCo",
}

# expression and pose of FD, P-FD, MSE, SID, Var, rPCC
_TABLE_1: Numbers = {
    "Random": (72.88, 0.12, 75.82, 0.12, 2.05, 0.03, 4.68, 3.83, 1.49, 0.02, 0.09, 0.17),
    "Nearest Audio": (65.77, 0.10, 68.84, 0.10, 1.77, 0.03, 4.81, 3.93, 1.49, 0.02, 0.07, 0.11),
    "Nearest Motion": (42.41, 0.06, 45.33, 0.06, 1.27, 0.02, 4.62, 3.74, 1.49, 0.02, 0.08, 0.12),
    "ELP": (47.17, 0.08, 47.48, 0.08, 0.98, 0.02, 1.76, 1.66, 1.49, 0.02, 0.09, 0.01),
    "RLHG": (39.02, 0.07, 40.18, 0.07, 0.86, 0.01, 3.62, 3.17, 1.52, 0.02, 0.08, 0.02),
    "L2L": (33.93, 0.06, 35.88, 0.06, 0.93, 0.01, 2.77, 2.66, 0.83, 0.02, 0.06, 0.08),
    "L2L†": (31.03, 0.06, 33.02, 0.06, 0.87, 0.01, 3.53, 3.05, 0.83, 0.02, 0.06, 0.09),
    "ground truth": (None, None, None, None, None, None, 5.03, 4.07, 0.93, 0.01, None, None),
    "DIM-Listener†": (23.88, 0.06, 24.39, 0.06, 0.70, 0.01, 3.71, 2.35, 1.53, 0.02, 0.06, 0.03),
}
_TABLE_2: Numbers = {
    "Random": (63.37, 0.10, 67.14, 0.10, 2.14, 0.03, 4.06, 3.49, 1.57, 0.01, 0.08, 0.06),
    "Mirror": (69.25, 0.16, 87.11, 0.19, 1.95, 0.03, 4.06, 3.54, 1.51, 0.01, 0.74, 0.86),
    "Nearest Motion": (56.00, 0.07, 58.94, 0.08, 2.04, 0.02, 3.94, 3.46, 1.62, 0.01, 0.13, 0.13),
    "ELP": (22.06, 0.01, 22.09, 0.01, 0.45, 0.01, 5.07, 3.64, 0.49, 0.01, 0.09, 0.04),
    "RLHG": (30.50, 0.02, 31.74, 0.02, 0.69, 0.01, 3.84, 3.65, 0.94, 0.01, 0.09, 0.03),
    "L2L": (23.56, 0.02, 23.94, 0.02, 0.75, 0.01, 3.50, 3.00, 0.58, 0.01, 0.12, 0.04),
    "L2L†": (21.63, 0.02, 22.03, 0.02, 0.73, 0.01, 3.50, 3.00, 0.67, 0.01, 0.14, 0.03),
    "ground truth": (None, None, None, None, None, None, 4.97, 3.69, 0.78, 0.01, None, None),
    "DIM-Listener†": (12.49, 0.01, 12.95, 0.02, 0.29, 0.01, 4.53, 2.93, 0.94, 0.01, 0.04, 0.02),
}
# MSE and FD on ViCo, then on LM_Listener; the table names no part, the sizes are expression's
_TABLE_3: Numbers = {
    "DIM-Listener†": (0.62, 24.15, 0.27, 12.94),
    "without VQ": (0.92, 42.52, 0.66, 33.07),
    "without DIM pre-training": (0.75, 33.84, 0.60, 27.43),
    "frozen VQ decoder": (0.81, 39.63, 0.69, 31.93),
    "without contrastive loss": (0.65, 28.47, 0.32, 17.92),
    "without two branches": (0.72, 30.92, 0.47, 21.27),
}
# expression and pose of MSE, then of FD
_SUPPLEMENT: Numbers = {
    "V": (0.85, 0.01, 32.8, 0.07),
    "A": (0.97, 0.02, 46.9, 0.08),
    "A+V": (0.70, 0.01, 23.9, 0.06),
    "online": (0.79, 0.01, 28.4, 0.06),
}


def published_rows(table: str, dataset: str = "vico") -> tuple[str, tuple[Row, ...]]:
    """Where a table's numbers come from, and its rows; Table 3 has a column for each ``dataset``
    (``lm_listener``, and ViCo's for any other)."""
    if table == "3":
        other = dataset == "lm_listener"
        cut = slice(2, 4) if other else slice(0, 2)
        rows = tuple(
            _row(label, ("mse", "fd"), numbers[cut], ("expression",))
            for label, numbers in _TABLE_3.items()
        )
        return SOURCES["3-lm_listener" if other else "3"], rows
    known: dict[str, tuple[tuple[str, ...], Numbers]] = {
        "1": (PAPER_FIGURES, _TABLE_1),
        "2": (PAPER_FIGURES, _TABLE_2),
        "supplement": (("mse", "fd"), _SUPPLEMENT),
    }
    figures, found = known[table]
    return SOURCES[table], tuple(_row(label, figures, row) for label, row in found.items())


def _row(
    label: str,
    figures: Sequence[str],
    numbers: Sequence[float | None],
    parts: Sequence[str] = PARTS,
) -> Row:
    places = [(name, part) for name in figures for part in parts]
    by_part: dict[str, dict[str, Figure]] = {part: {} for part in parts}
    for (name, part), number in zip(places, numbers, strict=True):
        if number is not None:
            by_part[part][name] = Figure(number)
    return Row(label, by_part, PUBLISHED)
