"""Motion to pictures of a shaded head: a rasteriser and a shader, two separate parts.

The rasteriser turns a posed mesh into :class:`Fragments` (three numbers a pixel: texture u and v,
and light); the shader turns fragments into colour. :class:`OpenCVRasteriser` needs nothing but
OpenCV 5; another one (pytorch3d, on a GPU) fits behind :class:`Rasteriser`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from renderers.heads import REGIONS, OpenHead

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

FAR_M = 10.0
NEAR_M = 0.05
CHUNK = 16
"""Frames posed in one call of the head; bounds memory, and amortises torch's call costs."""


@dataclass(frozen=True)
class Camera:
    """A perspective camera on the z axis that looks at the head.

    ``height_m`` of the scene fills the picture at the depth of ``centre_m`` (x, y, z in metres);
    ``fov_rad`` is the vertical angle, small enough to keep the perspective of a portrait lens.
    """

    height_m: float = 0.37
    centre_m: tuple[float, float, float] = (0.0, 0.012, 0.04)
    fov_rad: float = math.radians(18)

    @property
    def distance_m(self) -> float:
        """From the centre to the camera."""
        return self.height_m / 2 / math.tan(self.fov_rad / 2)

    @property
    def world_to_camera(self) -> Floats:
        """4 x 4: the camera looks along its own -z."""
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, 3] = -np.array(self.centre_m, np.float32)
        matrix[2, 3] -= self.distance_m
        return matrix

    def project(self, points: Floats, size: int) -> Floats:
        """World ``points`` [..., 3] to pixels (x right, y down) and depth in metres, [..., 3]."""
        offset = points - np.array(self.centre_m, np.float32)
        depth = self.distance_m - offset[..., 2]
        scale = size / 2 / math.tan(self.fov_rad / 2) / depth
        x = size / 2 + offset[..., 0] * scale
        y = size / 2 - offset[..., 1] * scale
        return np.stack([x, y, depth], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Fragments:
    """What a rasteriser leaves: one record a pixel.

    ``attributes`` float32 [H, W, 3]: the three vertex attributes, interpolated; zero where empty.
    ``depth`` float32 [H, W]: metres from the camera; at least ``FAR_M`` where empty.
    """

    attributes: Floats
    depth: Floats


class Rasteriser(Protocol):
    """Finds which triangle each pixel sees and interpolates its vertices' attributes there."""

    def rasterise(
        self, vertices: Floats, faces: NDArray[np.int32], attributes: Floats, size: int
    ) -> Fragments:
        """``vertices`` [V, 3] metres, ``faces`` [F, 3], ``attributes`` [V, 3] in 0..1."""
        ...


class OpenCVRasteriser:
    """``cv2.triangleRasterize`` with a depth test."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        settings = cv2.TriangleRasterizeSettings().setCullingMode(cv2.RASTERIZE_CULLING_CW)
        self._settings = settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)

    def rasterise(
        self, vertices: Floats, faces: NDArray[np.int32], attributes: Floats, size: int
    ) -> Fragments:
        """See :class:`Rasteriser`."""
        colour = np.zeros((size, size, 3), np.float32)
        depth = np.full((size, size), FAR_M, np.float32)
        cv2.triangleRasterize(
            vertices,
            faces,
            attributes,
            colour,
            depth,
            self.camera.world_to_camera,
            self.camera.fov_rad,
            NEAR_M,
            FAR_M,
            self._settings,
        )
        return Fragments(colour, depth)


def light_ramp() -> NDArray[np.float32]:
    """Colour of the light for 256 levels of brightness: reddish in the shade, white when lit."""
    level = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    shade = np.array([0.30, 0.20, 0.19], np.float32)
    lit = np.array([1.06, 1.03, 1.00], np.float32)
    glint = np.array([1.45, 1.45, 1.45], np.float32)
    diffuse = shade + (lit - shade) * np.minimum(level / GLINT_LEVEL, 1) ** np.array(
        [0.85, 1.0, 1.05], np.float32
    )
    return diffuse + (glint - lit) * np.maximum(level - GLINT_LEVEL, 0) / (1 - GLINT_LEVEL)


GLINT_LEVEL = 0.8
"""Brightness above which the light is a highlight."""


def backdrop(size: int) -> Picture:
    """A soft grey-blue gradient [size, size, 3]."""
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    radius = np.sqrt(grid[None] ** 2 + 0.8 * (grid[:, None] + 0.25) ** 2)[..., None]
    near, far = np.array([176, 186, 194], np.float32), np.array([92, 104, 116], np.float32)
    return (near + (far - near) * np.clip(radius / 1.5, 0, 1)).astype(np.uint8)


def smooth_edges(picture: Picture, depth: Floats) -> Picture:
    """Antialias where the depth jumps: blend ``picture`` with its own blur there, [H, W, 3]."""
    across = cv2.absdiff(depth[:, 1:], depth[:, :-1])
    down = cv2.absdiff(depth[1:], depth[:-1])
    jump = np.zeros(depth.shape, np.uint8)
    edge = cv2.compare(across, EDGE_JUMP_M, cv2.CMP_GT)
    jump[:, 1:] |= edge
    jump[:, :-1] |= edge
    edge = cv2.compare(down, EDGE_JUMP_M, cv2.CMP_GT)
    jump[1:] |= edge
    jump[:-1] |= edge
    return cv2.copyTo(cv2.GaussianBlur(picture, (3, 3), 0), jump, picture)


EDGE_JUMP_M = 0.002
"""Depth difference between neighbouring pixels that makes an edge; a sloping cheek has less."""


class Shader:
    """Light per vertex (soft key, fill, rim, highlight), texture per pixel."""

    def __init__(self, head: OpenHead, camera: Camera, size: int, texture: Picture) -> None:
        """``texture``: RGB uint8 in the head's uv map; kept only as large as ``size`` needs."""
        self.head = head
        self.camera = camera
        height, width = texture.shape[:2]
        scale = min(1.0, TEXELS_PER_PIXEL * size / 512)
        if scale < 1:
            new = (round(width * scale), round(height * scale))
            texture = cv2.resize(texture, new, interpolation=cv2.INTER_AREA)
        self.texture = texture
        self.backdrop = backdrop(size)
        self._ramp = np.clip(light_ramp() * 128, 0, 255).astype(np.uint8)[None]
        self._eyes = [
            np.flatnonzero(head.vertex_region == REGIONS.index(name))
            for name in ("eye_left", "eye_right")
        ]
        both = head.uv[np.concatenate(self._eyes)]
        middle = (both.min(axis=0) + both.max(axis=0)) / 2
        self._pupils = [
            eye[np.argmin(np.linalg.norm(head.uv[eye] - middle, axis=1))] for eye in self._eyes
        ]
        self._eye_uv = (both.min(axis=0), both.max(axis=0))
        corners = head.weld[head.faces]
        rows = corners.T.ravel()
        columns = np.tile(np.arange(len(corners)), 3)
        ones = np.ones(len(rows), np.float32)
        self._gather = csr_matrix((ones, (rows, columns)), (head.weld.max() + 1, len(corners)))

    def normals(self, vertices: Floats) -> Floats:
        """Smooth unit normals [V, 3] of posed ``vertices`` [V, 3], seams of the uv map closed."""
        first, second, third = (vertices[self.head.faces[:, corner]] for corner in range(3))
        flat = np.cross(second - first, third - first)
        smooth = self._gather @ flat
        smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
        return smooth[self.head.weld].astype(np.float32)

    def attributes(self, vertices: Floats) -> Floats:
        """Texture u, v and light of posed ``vertices`` [V, 3], all in 0..1, [V, 3]."""
        normal = self.normals(vertices)
        open_air = self.head.occlusion
        key = np.clip(normal @ KEY + 0.2, 0, None) / 1.2 * (0.35 + 0.65 * open_air)
        fill = np.clip(normal @ FILL + 0.5, 0, None) / 1.5 * open_air
        light = 0.04 + 0.12 * open_air + 0.58 * key + 0.24 * fill
        shine = np.clip(normal @ HALF, 0, None) ** 20 * open_air
        light = np.minimum(light, GLINT_LEVEL) + 0.09 * shine
        return np.column_stack([self.head.uv, np.clip(light, 0, 1)]).astype(np.float32)

    def shade(self, fragments: Fragments) -> Picture:
        """Colour uint8 [H, W, 3] of ``fragments``."""
        height, width = self.texture.shape[:2]
        u, v, light = cv2.split(fragments.attributes)
        skin = cv2.remap(self.texture, u * width, v * height, cv2.INTER_LINEAR)
        level = cv2.convertScaleAbs(light, alpha=255)
        colour = cv2.multiply(skin, cv2.LUT(cv2.merge([level] * 3), self._ramp), scale=1 / 128)
        empty = cv2.compare(fragments.depth, FAR_M - 1e-3, cv2.CMP_GE)
        return smooth_edges(cv2.copyTo(self.backdrop, empty, colour), fragments.depth)

    def glints(self, picture: Picture, fragments: Fragments, vertices: Floats) -> None:
        """Draw the key light's reflection on both eyes, in place, where no lid covers it."""
        size = len(picture)
        for eye, pupil in zip(self._eyes, self._pupils, strict=True):
            ball = vertices[eye]
            centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
            # the cornea is a smaller sphere that sits forward in the eyeball
            place = centre + CORNEA_FORWARD * (vertices[pupil] - centre) + CORNEA_RADIUS_M * HALF
            x, y, _ = self.camera.project(place, size).tolist()
            row, column = round(y), round(x)
            if not (0 <= row < size and 0 <= column < size):
                continue
            seen = fragments.attributes[row, column, :2]
            if (seen > self._eye_uv[0]).all() and (seen < self._eye_uv[1]).all():
                radius = GLINT_RADIUS_M * size / self.camera.height_m
                fixed = [round(number * 16) for number in (x, y, radius)]
                white = (252, 252, 250)
                cv2.circle(picture, fixed[:2], fixed[2], white, cv2.FILLED, cv2.LINE_AA, shift=4)


CORNEA_FORWARD = 0.4
CORNEA_RADIUS_M = 0.0078
GLINT_RADIUS_M = 0.0010


def unit(x: float, y: float, z: float) -> Floats:
    """A direction of length one."""
    vector = np.array([x, y, z], np.float32)
    return vector / np.float32(np.linalg.norm(vector))


KEY = unit(-0.55, 0.55, 0.85)
FILL = unit(0.8, 0.1, 0.5)
HALF = unit(*(KEY + unit(0, 0, 1)))
TEXELS_PER_PIXEL = 0.5
"""Share of the full texture that a 512 px picture can show."""


class MeshRenderer:
    """Motion to pictures of the open head; needs no reference picture."""

    def __init__(
        self,
        size: int = 512,
        *,
        head: OpenHead | None = None,
        camera: Camera | None = None,
        supersample: float = 1.0,
        threads: int = 2,
    ) -> None:
        """``size``: pixels of the square picture. ``supersample``: antialiasing, at least 1."""
        self.size = (size, size)
        self.head = head or OpenHead.bundled()
        self.camera = camera or Camera()
        self.inner_size = round(size * supersample)
        self.threads = threads
        self.rasteriser: Rasteriser = OpenCVRasteriser(self.camera)
        texture = cv2.imdecode(self.head.texture_jpeg, cv2.IMREAD_COLOR_RGB)
        self.shader = Shader(self.head, self.camera, self.inner_size, texture)

    def pose(self, values: Floats) -> Floats:
        """Motion ``values`` [N, 56] to posed vertices [N, V, 3]."""
        with torch.inference_mode():
            return self.head.vertices(torch.from_numpy(np.ascontiguousarray(values))).numpy()

    def draw(self, vertices: Floats) -> Picture:
        """One picture uint8 [H, W, 3] of posed ``vertices`` [V, 3]."""
        attributes = self.shader.attributes(vertices)
        fragments = self.rasteriser.rasterise(
            vertices, self.head.faces, attributes, self.inner_size
        )
        picture = self.shader.shade(fragments)
        self.shader.glints(picture, fragments, vertices)
        if self.inner_size == self.size[0]:
            return picture
        return cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)

    def render(self, values: Floats) -> Iterator[Picture]:
        """Motion ``values`` [N, 56] to pictures uint8 [H, W, 3], in order, a few frames ahead."""
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[Picture]] = deque()
            for start in range(0, len(values), CHUNK):
                for vertices in self.pose(values[start : start + CHUNK]):
                    waiting.append(pool.submit(self.draw, vertices))
                while len(waiting) > CHUNK:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
