"""What a mesh looks like: ``textured`` (the head's own skin), ``clay`` or ``wireframe``.

Clay and wireframe need nothing but the mesh, so they suit every head. Legend: V vertices, F faces,
E edges, H W picture.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from renderers.heads.open_head import Head, OpenHead
from renderers.mesh.raster import FAR_M, Camera, Floats, Fragments, Picture
from renderers.mesh.shading import Light, Shader, backdrop, light_ramp, lit_colours, smooth_edges

LOOKS = ("textured", "clay", "wireframe")

CLAY = np.array([206, 200, 194], np.float32)
WIRE = np.array([28, 46, 74], np.float32)
WIRE_SHARE = 0.4
"""How much of a wire's own colour covers the clay under it."""
HIDDEN_M = 0.0025
"""An edge this far behind what a pixel shows is hidden."""


class Shading(Protocol):
    """Decides what a rasteriser interpolates, and makes a picture of it."""

    def attributes(self, vertices: Floats) -> Floats:
        """Three numbers in 0..1 for each of the posed ``vertices`` [V, 3], [V, 3]."""
        ...

    def shade(self, fragments: Fragments, vertices: Floats) -> Picture:
        """Colour uint8 [H, W, 3] of the ``fragments`` of posed ``vertices`` [V, 3]."""
        ...


class ClayShader:
    """One matt colour under the same light as the textured head, with the mesh's edges if asked."""

    def __init__(self, head: Head, camera: Camera, size: int, *, wires: bool = False) -> None:
        """``size``: pixels of the square pictures."""
        self.camera = camera
        self.backdrop = backdrop(size)
        self._colours = (light_ramp() / 128 * CLAY).clip(0, 255).astype(np.uint8)
        vertices = int(head.faces.max()) + 1
        weld = getattr(head, "weld", np.arange(vertices))
        open_air = getattr(head, "occlusion", np.ones(vertices, np.float32))
        self.light = Light(head.faces, weld, open_air)
        self._edges = edges_of(head.faces) if wires else None

    def attributes(self, vertices: Floats) -> Floats:
        """Light, three times; see :class:`Shading`."""
        return np.repeat(self.light.level(vertices)[:, None], 3, axis=1)

    def shade(self, fragments: Fragments, vertices: Floats) -> Picture:
        """See :class:`Shading`."""
        lit = lit_colours(fragments.attributes[..., 0], self._colours)
        empty = cv2.compare(fragments.depth, FAR_M - 1e-3, cv2.CMP_GE)
        picture = smooth_edges(cv2.copyTo(self.backdrop, empty, lit), fragments.depth)
        if self._edges is None:
            return picture
        cover = self._wires(fragments, vertices)[..., None] * np.float32(WIRE_SHARE / 255)
        return (picture * (1 - cover) + WIRE * cover).astype(np.uint8)

    def _wires(self, fragments: Fragments, vertices: Floats) -> Picture:
        """How much of each pixel the visible edges cover, uint8 [H, W]."""
        assert self._edges is not None
        size = len(fragments.depth)
        points = self.camera.project(vertices, size)
        middle = points[self._edges].mean(axis=1)
        column, row = middle[:, :2].astype(int).clip(0, size - 1).T
        shown = middle[:, 2] < fragments.depth[row, column] + HIDDEN_M
        lines = np.rint(points[self._edges[shown], :2] * 16).astype(np.int32)
        cover = np.zeros((size, size), np.uint8)
        cv2.polylines(cover, list(lines), False, 255, 1, cv2.LINE_AA, shift=4)
        return cover


def edges_of(faces: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every edge of the ``faces`` [F, 3] once, as pairs of vertices [E, 2]."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def make_shader(look: str, head: Head, camera: Camera, size: int) -> Shading:
    """The shader of a ``look``. InputError for a look that is unknown or that the head lacks."""
    if look not in LOOKS:
        raise InputError(f"--look {look}: unknown; known: {', '.join(LOOKS)}")
    if look != "textured":
        return ClayShader(head, camera, size, wires=look == "wireframe")
    if not isinstance(head, OpenHead):
        raise InputError("--look textured: this head has no texture; use clay or wireframe")
    return Shader(head, camera, size)
