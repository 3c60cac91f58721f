"""Motion to pictures of a shaded head: a head, a rasteriser and a shader, three separate parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dimcli.core.device import one_thread
from dimcli.core.motion import MOTION_DIM, Floats, Picture
from renderers.base import Reference
from renderers.heads.open_head import Head, OpenHead
from renderers.mesh.looks import make_shader
from renderers.mesh.raster import Camera, OpenCVRasteriser, Rasteriser

CHUNK = 16
"""Frames posed in one call of the head; bounds memory, and amortises torch's call costs."""

TURNTABLE_Z_M = 0.0
"""Where the turntable stands: its axis goes through the head's joint, near the middle."""


class MeshRenderer:
    """Motion to pictures of a head, by default the open one; needs no reference picture."""

    remarks: tuple[str, ...] = ()

    def __init__(
        self,
        size: int = 512,
        *,
        head: Head | None = None,
        camera: Camera | None = None,
        rasteriser: Rasteriser | None = None,
        look: str | None = None,
        turn_rad: float = 0.0,
        supersample: float = 1.0,
        threads: int = 2,
    ) -> None:
        """``size``: pixels of the square picture. ``supersample``: draw this much larger, then
        shrink; edges are antialiased without it, fine texture gains a little. ``look``: one of
        :data:`renderers.mesh.looks.LOOKS`, by default textured where the head has a texture, else
        clay. ``turn_rad``: how far the head turns from one frame to the next, as on a turntable.
        """
        self.size = (size, size)
        self.head = head or OpenHead.bundled()
        self.camera = camera or Camera()
        self.inner_size = round(size * supersample)
        self.threads = threads
        self.rasteriser = rasteriser or OpenCVRasteriser(self.camera)
        self.turn_rad = turn_rad
        # near faces first: what they cover then fails the depth test before it costs anything
        rest = self.pose(np.zeros((1, MOTION_DIM), np.float32))[0]
        depth = rest[self.head.faces].mean(axis=1)[:, 2]
        self._faces = np.ascontiguousarray(self.head.faces[np.argsort(-depth, kind="stable")])
        look = look or ("textured" if isinstance(self.head, OpenHead) else "clay")
        self.shader = make_shader(look, self.head, self.camera, self.inner_size)

    def prepare(self, reference: Reference | None = None) -> None:
        """Nothing to prepare: the mesh has a face of its own."""

    def pose(self, values: Floats) -> Floats:
        """Motion ``values`` [N, 56] of the head's space to posed vertices [N, V, 3] in metres."""
        motion = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        with torch.inference_mode(), one_thread():
            return self.head.vertices(motion).numpy()

    def draw(self, vertices: Floats) -> Picture:
        """One picture uint8 [H, W, 3] of posed ``vertices`` [V, 3]."""
        fragments = self.rasteriser.rasterise(
            vertices, self._faces, self.shader.attributes(vertices), self.inner_size
        )
        picture = self.shader.shade(fragments, vertices)
        if self.inner_size == self.size[0]:
            return picture
        return cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)

    def _turn(self, vertices: Floats, first: int) -> Floats:
        """The turntable's position at frames ``first``, ... for ``vertices`` [N, V, 3]."""
        if not self.turn_rad:
            return vertices
        angle = self.turn_rad * np.arange(first, first + len(vertices))
        turns = Rotation.from_euler("y", angle[:, None]).as_matrix().astype(np.float32)
        axis = np.array([self.camera.centre_m[0], 0, TURNTABLE_Z_M], np.float32)
        turned = (vertices - axis) @ turns.transpose(0, 2, 1) + axis
        return turned.astype(np.float32, copy=False)

    def render(self, values: Floats, places: Floats | None = None) -> Iterator[Picture]:
        """Motion ``values`` [N, 56] of the head's space to pictures uint8 [H, W, 3], in order. The
        head stays in its place.

        At most two chunks of frames are in memory at once.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[Picture]] = deque()
            try:
                for start in range(0, len(values), CHUNK):
                    posed = self._turn(self.pose(values[start : start + CHUNK]), start)
                    waiting.extend(pool.submit(self.draw, vertices) for vertices in posed)
                    while len(waiting) > CHUNK:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:  # the reader stopped early: don't draw what nobody sees
                    future.cancel()
