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
from dimcli.core import manifest
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file, new_folder


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
        what="the FLAME head (2020 is EMOCA's): flame motion as a mesh, and dim convert",
        file="generic_model.pkl (FLAME 2020) or flame2023.pkl",
        page=FLAME_PAGE,
        licence="free for research after registration; read the page",
        target="flame.safetensors",
        function="renderers.heads.flame_files:import_model",
    ),
    "flame-landmarks": Kind(
        what="landmarks on the FLAME head: dim convert matches the heads by them",
        file="mediapipe_landmark_embedding.npz, landmark_embedding.npy (DECA), "
        "flame_static_embedding.pkl or flame_dynamic_embedding.npy (RingNet)",
        page=FLAME_PAGE,
        licence="research only",
        target="flame_landmarks.safetensors",
        function="renderers.heads.flame_files:import_landmarks",
        adds=True,
    ),
    "flame-masks": Kind(
        what="regions of the FLAME head: dim convert looks for the face in its own",
        file="FLAME_masks.pkl",
        page=FLAME_PAGE,
        licence="free for research after registration; read the page",
        target="flame_masks.safetensors",
        function="renderers.heads.flame_files:import_masks",
    ),
    "pirender": Kind(
        what="PIRenderer as published: where training the photoreal renderer's preset paper starts",
        file="epoch_..._checkpoint.pt (in face.zip)",
        page="https://github.com/RenYurui/PIRender",
        licence="none stated; ask its authors for more than research",
        target="pirender.safetensors",
        function="renderers.trained.pirenderer.published:import_pirender",
    ),
    "vgg19": Kind(
        what="VGG-19: the perceptual loss of the paper's renderer",
        file="vgg19-dcbb9e9d.pth",
        page="https://download.pytorch.org/models",
        licence="BSD-3, as torchvision",
        target="vgg19.safetensors",
        function="renderers.trained.backbones:import_vgg19",
    ),
    "emoca": Kind(
        what="dim extract --tracker emoca: the paper's tracker",
        file="EMOCA_v2_lr_mse_20 (the folder, or detail/checkpoints/*.ckpt in it)",
        page="https://emoca.is.tue.mpg.de",
        licence="research only, after registration; read the page",
        target="emoca.safetensors",
        function="dimcli.tracking.encoders:import_emoca",
    ),
    "deca": Kind(
        what="dim extract --tracker deca",
        file="deca_model.tar",
        page="https://github.com/yfeng95/DECA",
        licence="research only; read the page",
        target="deca.safetensors",
        function="dimcli.tracking.encoders:import_deca",
    ),
    "smirk": Kind(
        what="dim extract --tracker smirk",
        file="SMIRK_em1.pt",
        page="https://github.com/georgeretsi/smirk",
        licence="MIT for the code; read the page for the weights",
        target="smirk.safetensors",
        function="dimcli.tracking.encoders:import_smirk",
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
    if not Path(file).is_dir():  # some come as a folder, and who wants a file says so
        file = existing_file(file, kind)
    folder = folder or weights.user_folder()
    facts = KINDS[kind]
    target = folder / facts.target
    if target.exists() and not (force or facts.adds):
        raise InputError(
            f"{kind}: already imported, as {target}; pass --force to replace it with {file}"
        )
    module, name = facts.function.split(":")
    convert: Callable[[Path, Path], Path] = getattr(import_module(module), name)
    with new_folder(folder, "*.*"):
        folder.mkdir(parents=True, exist_ok=True)
        path = convert(file, folder)
        manifest.record(folder, [path])
    return path


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
