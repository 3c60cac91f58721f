"""Kinds of runs: what was trained, and the sections of a run's configuration that are its own."""

from __future__ import annotations

SECTIONS = {
    "vq": ("vq", "dim", "training", "generation"),
    "dim": ("vq", "dim", "training", "generation"),
    "nearest": ("inputs", "nearest", "training"),
    "rlhg": ("inputs", "rlhg", "training"),
    "l2l": ("vq", "inputs", "l2l", "training", "generation"),
    "elp": ("vq", "inputs", "elp", "training", "generation"),
    "faceformer": ("inputs", "faceformer", "training"),
    "codetalker": ("inputs", "codetalker", "training", "generation"),
    "meshtalk": ("inputs", "meshtalk", "training", "generation"),
}
KINDS = tuple(SECTIONS)
SPEAKER_KINDS = ("faceformer", "codetalker", "meshtalk")
"""Kinds of runs, besides DIM's, that generate speakers."""
TWO_STAGE = ("codetalker", "meshtalk")
"""Methods that learn a space of motion first, then to speak in it."""
PRIOR = "prior"
"""The stage that learns that space."""
