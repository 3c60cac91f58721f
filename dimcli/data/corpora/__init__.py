"""Readers of corpora as their owners distribute them, one file each."""

from typing import Literal, get_args

Dataset = Literal[
    "vico",
    "lm_listener",
    "l2l",
    "candor",
    "dualtalk",
    "si184",
    "unilstalk",
    "react",
    "clips",
    "biwi",
    "vocaset",
    "synthetic",
]
"""What data can be of, by the names of ``dim prepare``."""
DATASETS: tuple[str, ...] = get_args(Dataset)
