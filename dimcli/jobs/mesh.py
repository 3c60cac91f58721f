"""The mesh renderer of every job: which head shows motion of which space, and how it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats

if TYPE_CHECKING:
    from renderers.mesh.mesh import MeshRenderer

MESH_SIZE = 512
HEADS = {"arkit": "open", "flame": "flame"}
"""The head that shows motion of each space."""


@dataclass(frozen=True)
class MeshStyle:
    """How a mesh video looks: ``size`` of a tile in pixels, ``head``, ``look`` and ``rasteriser``
    by name, ``turntable_s`` the seconds of a full turn of the head (0 for none)."""

    head: str = "auto"
    size: int | None = None
    look: str | None = None
    turntable_s: float = 0.0
    rasteriser: str = "auto"
    device: str = "auto"


def require_head(head: str, space: str, path: Path) -> None:
    """Raise InputError unless ``head`` shows motion of ``space``; ``path`` is the motion's file."""
    spaces = {name: of for of, name in HEADS.items()}
    if head not in ("auto", *spaces):
        raise InputError(f"--head {head}: unknown; known: auto, {', '.join(spaces)}")
    if head not in ("auto", HEADS[space]):
        raise InputError(
            f"--head {head}: {path} is in the '{space}' space, which --head {HEADS[space]} shows; "
            f"convert it with `dim convert {path} --to {spaces[head]}`"
        )


def mesh_renderer(
    space: str, style: MeshStyle, shape: Floats | None = None, *, fps: float = 1.0
) -> MeshRenderer:
    """A renderer of the head that shows motion of ``space``, of ``fps`` frames a second; ``shape``
    [S] is a person's. InputError that says how to get that head where it isn't here.
    """
    from dimcli.core.device import choose_device
    from renderers.heads.flame import load_head
    from renderers.mesh.mesh import MeshRenderer
    from renderers.mesh.raster import Camera, make_rasteriser

    camera = Camera()
    turn = 2 * math.pi / (style.turntable_s * fps) if style.turntable_s else 0.0
    return MeshRenderer(
        style.size or MESH_SIZE,
        head=load_head(HEADS[space], shape),
        camera=camera,
        rasteriser=make_rasteriser(style.rasteriser, camera, choose_device(style.device)),
        look=style.look,
        turn_rad=turn,
    )
