"""Files that their owners give out under a licence, and that the user brings along.

Each is checked and converted once into the user's folder (:func:`weights.user_folder`); nothing of
it is shipped. :data:`KINDS` says what each is for, where it comes from and what reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import weights
from dimcli.errors import InputError
from dimcli.files import existing_file


@dataclass(frozen=True)
class Kind:
    """A kind of file that can be imported."""

    what: str
    """What it is for."""
    file: str
    """What its owners call the file."""
    page: str
    """Where its owners give it out."""
    licence: str
    """What they ask for, in a few words."""
    target: str
    """Name of the converted file in the user's folder."""
    function: str
    """``module:name`` of what reads it: ``(file, folder) -> path`` of the converted file."""
    adds: bool = False
    """Whether it adds to what is there already, from several files."""


FLAME_PAGE = "https://flame.is.tue.mpg.de"

KINDS: dict[str, Kind] = {
    "flame": Kind(
        what="the FLAME head: motion in the flame space as a mesh, and dim convert",
        file="generic_model.pkl (FLAME 2020), flame2023.pkl",
        page=FLAME_PAGE,
        licence="free for research after registration; read the page",
        target="flame.safetensors",
        function="dimcli.flame_files:import_model",
    ),
    "flame-landmarks": Kind(
        what="landmarks on the FLAME head: a better fit in dim convert",
        file="landmark_embedding.npy (DECA), mediapipe_landmark_embedding.npz (EMOCA), "
        "flame_static_embedding.pkl, flame_dynamic_embedding.npy (RingNet)",
        page=FLAME_PAGE,
        licence="research only",
        target="flame_landmarks.safetensors",
        function="dimcli.flame_files:import_landmarks",
        adds=True,
    ),
    "flame-masks": Kind(
        what="regions of the FLAME head (face, lips, neck, ...)",
        file="FLAME_masks.pkl",
        page=FLAME_PAGE,
        licence="free for research after registration; read the page",
        target="flame_masks.safetensors",
        function="dimcli.flame_files:import_masks",
    ),
}
"""Every kind by the name that ``dim weights import`` takes."""


def import_file(kind: str, file: Path, *, folder: Path | None = None, force: bool = False) -> Path:
    """Check and convert ``file`` into ``folder``, by default the user's; where it is now.

    Raises InputError for an unknown kind, a file that is not of it, and without ``force`` when one
    is there already.
    """
    if kind not in KINDS:
        raise InputError(f"KIND {kind}: unknown; known: {', '.join(sorted(KINDS))}")
    file = existing_file(file, kind)
    folder = folder or weights.user_folder()
    facts = KINDS[kind]
    target = folder / facts.target
    if target.exists() and not (force or facts.adds):
        raise InputError(
            f"{kind}: already imported, as {target}; pass --force to replace it with {file}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    module, name = facts.function.split(":")
    convert: Callable[[Path, Path], Path] = getattr(import_module(module), name)
    return convert(file, folder)


def find_imported(kind: str) -> Path | None:
    """The converted file of ``kind`` in the user's folder, if it was imported."""
    path = weights.user_folder() / KINDS[kind].target
    return path if path.exists() else None


def imported(kind: str, wanted_for: str) -> Path:
    """The converted file of ``kind``. Raises InputError that says how to get it; ``wanted_for``
    begins that sentence: ``--head flame``, say.
    """
    path = find_imported(kind)
    if path is None:
        facts = KINDS[kind]
        raise InputError(f"{wanted_for} needs {kind}, which is not imported: {how_to_get(facts)}")
    return path


def how_to_get(facts: Kind) -> str:
    """One line: the owners' page, the file, and the command that imports it."""
    kind = next(name for name, known in KINDS.items() if known is facts)
    return f"get {facts.file} from {facts.page}, then `dim weights import {kind} FILE`"
