"""Mesh frames a second at 256 and 512 px, and the same through pytorch3d where it is installed.

    python -m tests.bench mesh

After `make test-pytorch3d`, `.venv-pytorch3d/bin/python -m tests.bench mesh` shows both, on the
CPU; a few frames are enough for pytorch3d, which needs seconds for each.
"""

import os
import time

import numpy as np
import torch

from dimcli.core.motion import EXPRESSION, HEAD, JAW, MOTION_DIM
from renderers.mesh.mesh import MeshRenderer
from renderers.mesh.raster import Camera, has_pytorch3d, make_rasteriser

FRAMES = 200
SLOW_FRAMES = 3
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


def through_pytorch3d(size: int, values: np.ndarray) -> float:
    """Frames a second of the same renderer with pytorch3d's rasteriser, on the CPU."""
    rasteriser = make_rasteriser("pytorch3d", Camera(), torch.device("cpu"))
    renderer = MeshRenderer(size, rasteriser=rasteriser, threads=1)
    start = time.perf_counter()
    count = sum(1 for _ in renderer.render(values[:SLOW_FRAMES]))
    return count / (time.perf_counter() - start)


def main() -> None:
    values = moving_head()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    for size in (256, 512):
        line = f"{size} px: {ours(size, values):.0f} frames/s (head, raster, shading; 2 threads)"
        if has_pytorch3d():
            line += f"; through pytorch3d: {through_pytorch3d(size, values):.2f}"
        else:
            line += "; pytorch3d is not installed here"
        print(line, flush=True)


if __name__ == "__main__":
    main()
