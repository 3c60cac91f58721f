"""Mesh frames a second at 256 and 512 px, and pytorch3d's rasteriser on the same meshes.

    python -m tests.bench mesh

The pytorch3d figure is its rasteriser alone, on the CPU, with one frame (it needs seconds).
"""

import importlib.util
import math
import os
import time

import numpy as np

from dimcli.motion import EXPRESSION, HEAD, JAW, MOTION_DIM
from renderers.mesh import MeshRenderer
from renderers.raster import Camera

FRAMES = 200
ROUNDS = 3


def moving_head() -> np.ndarray:
    """Motion [FRAMES, 56] of a head that nods, turns and talks."""
    generator = np.random.default_rng(0)
    time_s = np.arange(FRAMES)[:, None] / 25
    values = np.zeros((FRAMES, MOTION_DIM), np.float32)
    values[:, HEAD] = 0.2 * np.sin(time_s * [3.1, 1.7, 1.1])
    values[:, JAW.start] = 0.1 + 0.1 * np.sin(time_s[:, 0] * 20)
    values[:, EXPRESSION] = generator.uniform(0, 0.2, MOTION_DIM - EXPRESSION.start)
    return values


def ours(size: int, values: np.ndarray) -> float:
    """Best frames a second of a few rounds."""
    renderer = MeshRenderer(size)
    for _ in renderer.render(values[:8]):
        pass
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        count = sum(1 for _ in renderer.render(values))
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def pytorch3d_rasteriser(size: int, values: np.ndarray) -> float:
    """Frames a second of pytorch3d's ``MeshRasterizer`` on the CPU."""
    import torch
    from pytorch3d.renderer import FoVPerspectiveCameras, MeshRasterizer, RasterizationSettings
    from pytorch3d.structures import Meshes

    renderer = MeshRenderer(size)
    camera = Camera()
    x, y, z = camera.centre_m
    turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))[None]
    shift = torch.tensor([[x, -y, z + camera.distance_m]])
    rasteriser = MeshRasterizer(
        FoVPerspectiveCameras(R=turn, T=shift, fov=math.degrees(camera.fov_rad)),
        RasterizationSettings(image_size=size),
    )
    vertices = torch.from_numpy(renderer.pose(values[:1]))
    faces = torch.from_numpy(renderer.head.faces.astype(np.int64))[None]
    start = time.perf_counter()
    rasteriser(Meshes(vertices, faces))
    return 1 / (time.perf_counter() - start)


def main() -> None:
    values = moving_head()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    for size in (256, 512):
        line = f"{size} px: {ours(size, values):.0f} frames/s (head, raster, shading; 2 threads)"
        if importlib.util.find_spec("pytorch3d"):
            line += f"; pytorch3d rasteriser alone: {pytorch3d_rasteriser(size, values):.2f}"
        else:
            line += "; pytorch3d is not installed here"
        print(line, flush=True)


if __name__ == "__main__":
    main()
