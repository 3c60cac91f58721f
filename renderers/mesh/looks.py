"""What a mesh looks like: ``textured`` (the head's own skin), ``clay`` or ``wireframe``.

The shading is one: light per vertex, texture per pixel, antialiased edges. Clay and wireframe need
nothing but the mesh, so they suit every head. Legend: V vertices, F faces, E edges, H W picture.
Lengths in metres, colours RGB.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Picture
from renderers.heads.open_head import REGIONS, Head, OpenHead
from renderers.mesh.raster import FAR_M, Camera, Fragments


def unit(x: float, y: float, z: float) -> Floats:
    """A direction of length one, float32 [3]."""
    vector = np.array([x, y, z], np.float32)
    return vector / np.float32(np.linalg.norm(vector))


KEY = unit(-0.55, 0.55, 0.85)
FILL = unit(0.8, 0.1, 0.5)
HALF = unit(*(KEY + unit(0, 0, 1)).tolist())
"""Half way between the key light and the viewer: where a mirror would show the light."""

GLINT_LEVEL = 0.8
"""Light above which a surface shows a highlight rather than more of its own colour."""

TEXELS_PER_PIXEL = 0.5
"""Share of the full texture that a 512 px picture can show."""

EDGE_JUMP_M = 0.002
"""Depth difference between neighbouring pixels that makes an edge; a sloping cheek has less."""

EYE_GLINT = unit(-0.22, 0.12, 1.0)
"""Where a cornea shows the key light; lower than ``HALF``, which the upper lid would cover."""
CORNEA_FORWARD = 0.4
CORNEA_RADIUS_M = 0.0078
EYE_GLINT_RADIUS_M = 0.0010


def light_ramp() -> NDArray[np.uint8]:
    """Colour of 256 levels of light, 128 = 1: reddish in the shade, white when lit, [1, 256, 3]."""
    level = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    shade = np.array([0.30, 0.20, 0.19], np.float32)
    lit = np.array([1.06, 1.03, 1.00], np.float32)
    highlight = np.float32(1.45)
    bend = np.array([0.85, 1.0, 1.05], np.float32)
    ramp = shade + (lit - shade) * np.minimum(level / GLINT_LEVEL, 1) ** bend
    ramp += (highlight - lit) * np.maximum(level - GLINT_LEVEL, 0) / (1 - GLINT_LEVEL)
    return np.clip(ramp * 128, 0, 255).astype(np.uint8)[None]


def backdrop(size: int) -> Picture:
    """A soft grey-blue gradient [size, size, 3]."""
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    radius = np.sqrt(grid[None] ** 2 + 0.8 * (grid[:, None] + 0.25) ** 2)[..., None]
    near, far = np.array([176, 186, 194], np.float32), np.array([92, 104, 116], np.float32)
    return (near + (far - near) * np.clip(radius / 1.5, 0, 1)).astype(np.uint8)


def smooth_edges(picture: Picture, depth: Floats) -> Picture:
    """Antialias where the depth jumps: blend ``picture`` with its own blur there, [H, W, 3]."""
    jump = np.zeros(depth.shape, np.uint8)
    edge = cv2.compare(cv2.absdiff(depth[:, 1:], depth[:, :-1]), EDGE_JUMP_M, cv2.CMP_GT)
    jump[:, 1:] |= edge
    jump[:, :-1] |= edge
    edge = cv2.compare(cv2.absdiff(depth[1:], depth[:-1]), EDGE_JUMP_M, cv2.CMP_GT)
    jump[1:] |= edge
    jump[:-1] |= edge
    return cv2.copyTo(cv2.GaussianBlur(picture, (3, 3), 0), jump, picture)


class Light:
    """Soft key and fill light and a highlight, per vertex, on a mesh of fixed ``faces``."""

    def __init__(self, faces: NDArray[np.int32], weld: NDArray[np.int64], open_air: Floats) -> None:
        """``weld`` [V]: vertices with the same number are one point of the surface (seams of the
        uv map); ``open_air`` [V]: how much of the sky each vertex sees, 0..1.
        """
        self.faces, self.weld, self.open_air = faces, weld, open_air
        corners = weld[faces]
        columns = np.tile(np.arange(len(corners)), 3)
        ones = np.ones(columns.size, np.float32)
        shape = (int(weld.max()) + 1, len(corners))
        # sums the normals of the faces around each welded vertex
        self._gather = csr_matrix((ones, (corners.T.ravel(), columns)), shape)

    def normals(self, vertices: Floats) -> Floats:
        """Smooth unit normals [V, 3] of posed ``vertices`` [V, 3], seams of the uv map closed."""
        first, second, third = (vertices[self.faces[:, corner]] for corner in range(3))
        smooth = self._gather @ np.cross(second - first, third - first)
        smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
        return smooth[self.weld].astype(np.float32)

    def level(self, vertices: Floats) -> Floats:
        """Light 0..1 at each of the posed ``vertices`` [V, 3], [V]."""
        normal = self.normals(vertices)
        key = np.clip(normal @ KEY + 0.2, 0, None) / 1.2 * (0.35 + 0.65 * self.open_air)
        fill = np.clip(normal @ FILL + 0.5, 0, None) / 1.5 * self.open_air
        light = 0.04 + 0.12 * self.open_air + 0.58 * key + 0.24 * fill
        shine = np.clip(normal @ HALF, 0, None) ** 20 * self.open_air
        light = np.minimum(light, GLINT_LEVEL) + 0.09 * shine
        return np.clip(light, 0, 1).astype(np.float32)


def lit_colours(level: Floats, ramp: NDArray[np.uint8]) -> Picture:
    """Light 0..1 [H, W] to its colour of :func:`light_ramp`, uint8 [H, W, 3], 128 = 1."""
    return cv2.LUT(cv2.merge([cv2.convertScaleAbs(level, alpha=255)] * 3), ramp)


class Shader:
    """Soft key and fill light, highlights and baked ambient light on the head's own texture."""

    def __init__(self, head: OpenHead, camera: Camera, size: int) -> None:
        """``size``: pixels of the square pictures; decides how large the texture is kept."""
        self.head = head
        self.camera = camera
        texture = cv2.imdecode(head.texture_jpeg, cv2.IMREAD_COLOR_RGB)
        scale = min(1.0, TEXELS_PER_PIXEL * size / 512)
        self.texture = cv2.resize(texture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self.backdrop = backdrop(size)
        self._ramp = light_ramp()
        self.light = Light(head.faces, head.weld, head.occlusion)
        self._eyes = [
            np.flatnonzero(head.vertex_region == REGIONS.index(name))
            for name in ("eye_left", "eye_right")
        ]
        both = head.uv[np.concatenate(self._eyes)]
        self._eye_uv = (both.min(axis=0), both.max(axis=0))
        middle = (self._eye_uv[0] + self._eye_uv[1]) / 2
        self._pupils = [
            eye[np.argmin(np.linalg.norm(head.uv[eye] - middle, axis=1))] for eye in self._eyes
        ]

    def attributes(self, vertices: Floats) -> Floats:
        """Texture u, v and light of posed ``vertices`` [V, 3], all in 0..1, [V, 3]."""
        return np.column_stack([self.head.uv, self.light.level(vertices)]).astype(np.float32)

    def shade(self, fragments: Fragments, vertices: Floats) -> Picture:
        """Colour uint8 [H, W, 3] of the ``fragments`` of posed ``vertices`` [V, 3]."""
        height, width = self.texture.shape[:2]
        u, v, light = cv2.split(fragments.attributes)
        skin = cv2.remap(self.texture, u * width, v * height, cv2.INTER_LINEAR)
        lit = cv2.multiply(skin, lit_colours(light, self._ramp), scale=1 / 128)
        empty = cv2.compare(fragments.depth, FAR_M - 1e-3, cv2.CMP_GE)
        picture = smooth_edges(cv2.copyTo(self.backdrop, empty, lit), fragments.depth)
        self._reflect_key_light(picture, fragments, vertices)
        return picture

    def _reflect_key_light(self, picture: Picture, fragments: Fragments, vertices: Floats) -> None:
        """Draw the key light's reflection on both eyes, in place, where no lid covers it."""
        size = len(picture)
        for eye, pupil in zip(self._eyes, self._pupils, strict=True):
            ball = vertices[eye]
            centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
            # the cornea is a smaller sphere that sits forward in the eyeball
            cornea = centre + CORNEA_FORWARD * (vertices[pupil] - centre)
            place = cornea + CORNEA_RADIUS_M * EYE_GLINT
            x, y, _ = self.camera.project(place, size).tolist()
            row, column = round(y), round(x)
            if not (0 <= row < size and 0 <= column < size):
                continue
            seen = fragments.attributes[row, column, :2]
            if (seen > self._eye_uv[0]).all() and (seen < self._eye_uv[1]).all():
                radius = EYE_GLINT_RADIUS_M * size / self.camera.height_m
                at_x, at_y, at_radius = (round(number * 16) for number in (x, y, radius))
                white = (252, 252, 250)
                cv2.circle(
                    picture, (at_x, at_y), at_radius, white, cv2.FILLED, cv2.LINE_AA, shift=4
                )


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
