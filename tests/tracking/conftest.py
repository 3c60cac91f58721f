"""A moving head that nobody owns: the open head, rendered once."""

import numpy as np
import pytest

from dimcli.core.motion import MOTION_DIM, expression_index
from dimcli.media import VideoWriter
from renderers.mesh.mesh import MeshRenderer

FPS = 25
FRAMES = 50


@pytest.fixture(scope="session")
def values():
    """Motion [50, 56] of two seconds: nods, turns, an opening jaw and a blink at frame 25."""
    seconds = np.arange(FRAMES) / FPS
    motion = np.zeros((FRAMES, MOTION_DIM), np.float32)
    motion[:, 0] = 0.1 * np.sin(2 * np.pi * seconds)
    motion[:, 1] = 0.3 * np.sin(np.pi * seconds)
    motion[:, 2] = 0.1 * np.cos(2 * np.pi * seconds)
    motion[:, 3] = 0.2 * np.abs(np.sin(3 * np.pi * seconds))
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        motion[24:28, expression_index(name)] = (0.6, 1, 1, 0.5)
    return motion


@pytest.fixture(scope="session")
def heads(values):
    """Frames uint8 [256, 256, 3] of that motion."""
    return list(MeshRenderer(size=256).render(values))


@pytest.fixture
def film(tmp_path):
    """Writes frames as a clip and says where."""

    def make(frames, name="clip.mp4", fps=FPS):
        with VideoWriter(tmp_path / name, fps=fps) as writer:
            for frame in frames:
                writer.write(np.ascontiguousarray(frame))
        return tmp_path / name

    return make
