"""Motion to pictures of a shaded head: a head, a rasteriser and a shader, three separate parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
import torch

from renderers.base import Reference
from renderers.heads import OpenHead
from renderers.raster import Camera, Floats, OpenCVRasteriser, Picture, Rasteriser
from renderers.shading import Shader

CHUNK = 16
"""Frames posed in one call of the head; bounds memory, and amortises torch's call costs."""


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch to one thread for a while: its workers would spin on the cores that draw."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class MeshRenderer:
    """Motion to pictures of the open head; needs no reference picture."""

    def __init__(
        self,
        size: int = 512,
        *,
        head: OpenHead | None = None,
        camera: Camera | None = None,
        rasteriser: Rasteriser | None = None,
        supersample: float = 1.0,
        threads: int = 2,
    ) -> None:
        """``size``: pixels of the square picture. ``supersample``: draw this much larger, then
        shrink; edges are antialiased without it, fine texture gains a little.
        """
        self.size = (size, size)
        self.head = head or OpenHead.bundled()
        self.camera = camera or Camera()
        self.inner_size = round(size * supersample)
        self.threads = threads
        self.rasteriser = rasteriser or OpenCVRasteriser(self.camera)
        # near faces first: what they cover then fails the depth test before it costs anything
        depth = self.head.template.cpu().numpy()[self.head.faces].mean(axis=1)[:, 2]
        self._faces = np.ascontiguousarray(self.head.faces[np.argsort(-depth, kind="stable")])
        self.shader = Shader(self.head, self.camera, self.inner_size)

    def prepare(self, reference: Reference | None = None) -> None:
        """Nothing to prepare: the mesh has a face of its own."""

    def pose(self, values: Floats) -> Floats:
        """Motion ``values`` [N, 56] (arkit) to posed vertices [N, V, 3] in metres."""
        motion = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        with torch.inference_mode(), one_torch_thread():
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

    def render(self, values: Floats) -> Iterator[Picture]:
        """Motion ``values`` [N, 56] (arkit) to pictures uint8 [H, W, 3], in order.

        At most two chunks of frames are in memory at once.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[Picture]] = deque()
            try:
                for start in range(0, len(values), CHUNK):
                    posed = self.pose(values[start : start + CHUNK])
                    waiting.extend(pool.submit(self.draw, vertices) for vertices in posed)
                    while len(waiting) > CHUNK:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:  # the reader stopped early: don't draw what nobody sees
                    future.cancel()
