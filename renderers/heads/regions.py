"""Which vertices are lips and which are the upper face, and how motion moves them.

On the open head the regions are ours. **Lips**: the skin within MediaPipe's outer lip contour, and
the lips' inside as far as the sealing of the lips shows it. **Upper face**: the skin above the tip
of the nose that brows, lids or cheeks move by a tenth or more of the most that they move any.
On FLAME they are the owners' masks, which the user imports; on other meshes the user's own lists.
The gap between the lips (:func:`lip_gap`) is the distance of the inner lips (MediaPipe's landmarks
13 and 14) over that of the outer eye corners (33 and 263), as the tracker measures it in pictures
(:func:`dimcli.tracking.postprocessing.lip_gap`).

Legend: T frames, L lip vertices, U vertices of the upper face. Lengths are metres on the heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core import limits
from dimcli.core.documents import read_text
from dimcli.core.errors import InputError
from dimcli.core.motion import ARKIT_EXPRESSIONS, HEAD, Floats
from renderers.heads.contours import OUTER_LIP_LOWER, OUTER_LIP_UPPER
from renderers.heads.flame import FlameHead, read_arrays
from renderers.heads.open_head import OpenHead
from weights.importing import find_imported, kinds

Indices = NDArray[np.int64]

UPPER_UNITS = ("brow", "eyeBlink", "eyeSquint", "eyeWide", "cheekSquint")
"""Beginnings of the names of the face units that move the upper face."""
UPPER_SHARE = 0.1
LIP_MARGIN_M = 0.0015
"""The lips' region reaches so far beyond the contour of the landmarks."""
LIP_DEPTH_M = 0.02
"""What lies farther than this behind the foremost point of the lips is the mouth's inside."""
FLAME_LIPS = ("lips",)
FLAME_UPPER = ("forehead", "eye_region")
"""Names of FLAME's masks."""
NOSE_TIP = 4
CHUNK = 256
"""Frames posed at once."""


@dataclass(frozen=True)
class Regions:
    """Displacements from the resting face: ``lips`` [T, L, 3], ``upper`` [T, U, 3]."""

    lips: Floats
    upper: Floats


class RegionsOfMotion(Protocol):
    """A mesh whose lips and upper face motion moves."""

    @property
    def name(self) -> str:
        """What people call the mesh."""
        ...

    def moved(self, values: Floats) -> Regions:
        """How motion ``values`` [T, 56] displaces them; the head's rotation is left out."""
        ...


@dataclass(frozen=True)
class HeadRegions:
    """The regions of a head that is posed: ``head`` has the lips' vertices, ``count`` of them,
    first, then the upper face's.
    """

    name: str
    head: OpenHead | FlameHead
    count: int

    @classmethod
    def of(
        cls, name: str, head: OpenHead | FlameHead, lips: Indices, upper: Indices
    ) -> HeadRegions:
        """Of a whole head and vertex numbers on it."""
        both = torch.from_numpy(np.concatenate([lips, upper]))
        return cls(name, head.restricted(both), len(lips))

    def moved(self, values: Floats) -> Regions:
        """Displacements in metres."""
        upright = torch.from_numpy(np.array(values, np.float32))
        upright[:, HEAD] = 0
        with torch.inference_mode():
            rest = self.head.vertices(torch.zeros_like(upright[:1]))
            parts = [self.head.vertices(part) - rest for part in upright.split(CHUNK)]
        moved = torch.cat(parts).numpy()
        return Regions(moved[:, : self.count], moved[:, self.count :])


def open_head_lips(head: OpenHead) -> Indices:
    """Vertices of the open head's lips, in order."""
    contour = np.concatenate([OUTER_LIP_UPPER, OUTER_LIP_LOWER[-2:0:-1]])
    points = head.landmarks(head.template[None])[0].numpy()
    template = head.template.numpy()
    outline = points[contour, :2]
    middle = outline.mean(axis=0)
    away = outline - middle
    outline = outline + away / np.linalg.norm(away, axis=1, keepdims=True) * LIP_MARGIN_M
    front = template[:, 2] > points[contour, 2].max() - LIP_DEPTH_M
    skin = head.vertex_region == 0
    near = np.flatnonzero(skin & front)
    inside = [cv2.pointPolygonTest(outline, template[v, :2].tolist(), False) > 0 for v in near]
    return near[inside]


def open_head_upper_face(head: OpenHead) -> Indices:
    """Vertices of the open head's upper face, in order."""
    size = np.linalg.norm(head.units.numpy().reshape(len(head.units), -1, 3), axis=2)
    rows = [i for i, name in enumerate(ARKIT_EXPRESSIONS) if name.startswith(UPPER_UNITS)]
    share = (size[rows] / size[rows].max(axis=1, keepdims=True)).max(axis=0)
    nose = head.landmarks(head.template[None])[0, NOSE_TIP].numpy()
    above = head.template.numpy()[:, 1] > nose[1]
    return np.flatnonzero((head.vertex_region == 0) & above & (share >= UPPER_SHARE))


@dataclass(frozen=True)
class WholeHead:
    """A head, and which of its vertices are ``lips`` and which the ``upper`` face."""

    name: str
    head: OpenHead | FlameHead
    lips: Indices
    upper: Indices


def regions_of_space(space: str) -> RegionsOfMotion:
    """The head that shows motion of ``space``, posed in its regions only.

    Raises InputError that says what to import where the flame head or its masks are missing.
    """
    whole = whole_head(space)
    return HeadRegions.of(whole.name, whole.head, whole.lips, whole.upper)


def whole_head(space: str) -> WholeHead:
    """The head that shows motion of ``space``, with its regions. Raises InputError as above."""
    if space == "arkit":
        open_head = OpenHead.bundled()
        lips, upper = open_head_lips(open_head), open_head_upper_face(open_head)
        return WholeHead("open head", open_head, lips, upper)
    needed = {kind: find_imported(kind) for kind in ("flame", "flame-masks")}
    for kind, path in needed.items():
        if path is None:
            raise InputError(
                f"vertex errors of flame motion need {kind}: {kinds()[kind].how_to_get}"
            )
    assert needed["flame"] is not None and needed["flame-masks"] is not None
    masks = read_arrays(needed["flame-masks"])
    lips, upper = (flame_mask(masks, names) for names in (FLAME_LIPS, FLAME_UPPER))
    return WholeHead("FLAME", FlameHead.load(needed["flame"]), lips, upper)


def flame_mask(masks: dict[str, NDArray[np.int32]], names: tuple[str, ...]) -> Indices:
    """Vertices of FLAME's regions ``names``, in order. Raises InputError for an absent one."""
    missing = [name for name in names if name not in masks]
    if missing:
        raise InputError(f"FLAME's masks lack {', '.join(missing)}; import FLAME_masks.pkl again")
    return np.unique(np.concatenate([masks[name] for name in names])).astype(np.int64)


def read_region(path: Path, vertices: int) -> Indices:
    """Vertex numbers in a text file (``lve.txt``: numbers from 0 between commas or blanks).

    Raises InputError where the file is something else, or points outside of the ``vertices``.
    """
    try:
        text = read_text(path, "region", limits.TABLE_BYTES)
        found = np.array([int(each) for each in text.replace(",", " ").split()], np.int64)
    except (ValueError, OverflowError):
        raise InputError(f"{path}: not a list of vertex numbers between commas") from None
    if not len(found) or found.min() < 0 or found.max() >= vertices:
        raise InputError(f"{path}: expected vertex numbers from 0 to {vertices - 1}")
    return np.unique(found)


UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14
CLOSED = 0.015
"""Lips closer than this (1.2 mm on the open head) are closed."""


@dataclass(frozen=True)
class _LipPoints:
    """The few vertices that the two lip landmarks hang on."""

    head: OpenHead
    weights: Tensor
    interocular: float


@cache
def _lip_points(device: torch.device) -> _LipPoints:
    head = OpenHead.bundled()
    corners = head.landmark_corners[[UPPER_LIP_INNER, LOWER_LIP_INNER]]
    weights = head.landmark_barycentric[[UPPER_LIP_INNER, LOWER_LIP_INNER]]
    points = head.restricted(corners.flatten()).to(device)
    return _LipPoints(points, weights.to(device), head.interocular)


def lip_gap(values: Tensor) -> Tensor:
    """Gap of the lips of motion ``values`` [T, 56] in the arkit space: [T], negative where they
    press on each other. Differentiable.
    """
    points = _lip_points(values.device)
    still = torch.cat([torch.zeros_like(values[:, HEAD]), values[:, HEAD.stop :]], dim=1)
    corners = points.head.vertices(still).unflatten(1, (2, 3))
    lips = (corners * points.weights[..., None]).sum(dim=2)
    return (lips[:, 0, 1] - lips[:, 1, 1]) / points.interocular
