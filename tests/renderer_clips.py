"""Made clips to train renderers on, of people who do not exist."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from dimcli.core.motion import expression_index
from dimcli.media import VideoWriter, read_frames, read_picture
from dimcli.tracking.landmarks import observe_picture
from dimcli.training.renderer.objective import LossConfig, Preset, RendererTraining
from renderers.base import Reference
from renderers.portrait.portrait import PortraitRenderer
from renderers.trained.pirenderer.networks import PIRendererConfig

REPOSITORY = Path(__file__).parent.parent
SIDE, FPS = 240, 10.0

SMALL_PAPER = Preset(
    PIRendererConfig(
        latent=16, mapping_layers=1, warp_width=8, warp_down=3, warp_up=2, edit_width=8,
        edit_layers=2, edit_blocks=1, widest=16,
    ),
    RendererTraining(
        steps=2, batch_size=1, warp_only=1, validate_every=2,
        loss=LossConfig(pixel=1.0, warp_pixel=1.0, warp=0.0, final=0.0, style=0.0),
    ),
)  # fmt: skip
"""The preset ``paper`` in small, for tests."""


def write_clip(path: Path, frames: Iterable[np.ndarray], fps: float = FPS) -> Path:
    """A clip of ``frames``."""
    with VideoWriter(path, fps=fps, force=True) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def talker(count: int) -> list[np.ndarray]:
    """The example's speaker, [count, SIDE, SIDE, 3]."""
    found = []
    for frame in read_frames(REPOSITORY / "examples" / "speaker.mp4", fps=FPS):
        found.append(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        if len(found) == count:
            break
    return found


def somebody_else(count: int) -> list[np.ndarray]:
    """The example's listener, who nods and blinks, [count, SIDE, SIDE, 3]."""
    image = read_picture(REPOSITORY / "examples" / "listener.png")
    image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    seen = observe_picture(image)
    portrait = PortraitRenderer()
    portrait.prepare(Reference(image, seen.landmarks, seen.values))
    values = np.repeat(seen.values[None], count, 0)
    values[:, 0] += 0.08 * np.sin(np.arange(count) / 4)
    values[:, expression_index("eyeBlinkLeft")] += 0.3 * (np.arange(count) % 25 < 3)
    return list(portrait.render(values))
