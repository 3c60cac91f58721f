"""Files that their owners give out under a licence, and that the user brings along.

Each is checked and converted once into the user's folder (:func:`weights.user_folder`); nothing of
it is shipped. ``registry.yaml`` says what each is for and where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import weights
from dimcli.core import manifest
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file, new_folder
from dimcli.core.tensors import read_arrays, save_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

READERS = {
    "flame": "renderers.heads.flame_files:read_model",
    "flame-landmarks": "renderers.heads.flame_files:read_landmarks",
    "flame-masks": "renderers.heads.flame_files:read_masks",
    "pirender": "renderers.trained.pirenderer.published:read_checkpoint",
    "vgg19": "renderers.trained.backbones:read_vgg19",
    "emoca": "dimcli.tracking.encoders:read_emoca",
    "deca": "dimcli.tracking.encoders:read_deca",
    "smirk": "dimcli.tracking.encoders:read_smirk",
}
"""By the name of a kind ``module:function``: from a file to what is kept of it, tensors by name."""

ADDED_TO = ("flame-landmarks",)
"""Kinds whose files add to what was imported before."""


@dataclass(frozen=True)
class Kind:
    """A kind of file that can be imported."""

    name: str
    """What ``dim weights import`` calls it."""
    what: str
    """What it is for."""
    file: str
    """What its owners call the file."""
    page: str
    """Where its owners give it out."""
    licence: str
    """What they ask for, in a few words."""

    @property
    def target(self) -> str:
        """Name of the converted file in the user's folder."""
        return f"{self.name.replace('-', '_')}.safetensors"

    @property
    def how_to_get(self) -> str:
        """One line: the owners' page, the file, and the command that imports it."""
        return f"get {self.file} from {self.page}, then `dim weights import {self.name} FILE`"


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    return {name: Kind(name, **facts) for name, facts in weights.registry()["importable"].items()}


def import_file(kind: str, file: Path, *, folder: Path | None = None, force: bool = False) -> Path:
    """Check and convert ``file`` into ``folder``, by default the user's; where it is now.

    Raises InputError for an unknown kind, a file that is not of it, and without ``force`` when one
    is there already.
    """
    if kind not in kinds():
        raise InputError(f"KIND {kind}: unknown; known: {', '.join(sorted(kinds()))}")
    if not Path(file).is_dir():  # some come as a folder, and who wants a file says so
        file = existing_file(file, kind)
    folder = folder or weights.user_folder()
    target = folder / kinds()[kind].target
    there = target.exists()
    if there and not (force or kind in ADDED_TO):
        raise InputError(
            f"{kind}: already imported, as {target}; pass --force to replace it with {file}"
        )
    module, name = READERS[kind].split(":")
    read: Callable[[Path], Mapping[str, Tensor | NDArray[Any]]]
    read = getattr(import_module(module), name)
    facts = {"kind": kind, "source": file.name}
    if file.is_file():
        facts["source_sha256"] = manifest.sha256(file)
    with new_folder(folder, "*.*"):
        folder.mkdir(parents=True, exist_ok=True)
        tensors = read(file)
        if there and kind in ADDED_TO:
            tensors = {**read_arrays(target), **tensors}
        save_tensors(tensors, target, notes=facts)
        manifest.record(folder, [target])
    return target


def find_imported(kind: str) -> Path | None:
    """The converted file of ``kind`` in the user's folder, if it was imported."""
    path = weights.user_folder() / kinds()[kind].target
    return path if path.exists() else None


def imported(kind: str, wanted_for: str) -> Path:
    """The converted file of ``kind``. Raises InputError that says how to get it; ``wanted_for``
    begins that sentence: ``--head flame``, say.
    """
    path = find_imported(kind)
    if path is None:
        how = kinds()[kind].how_to_get
        raise InputError(f"{wanted_for} needs {kind}, which is not imported: {how}")
    return path
