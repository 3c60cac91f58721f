"""Portrait frames a second, and how truly the tracker gives back what a portrait was asked to do.

    python -m tests.bench portrait

Speed: turning, blinking and talking at the picture's own size; the example portrait at 512 px, at
1024 px, and the real portraits where they are (DIM_CLIPS or ``../shared/clips``). Fidelity: the
same portraits rendered to video and tracked; correlation and slope (tracked over asked) by channel.
"""

import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from dimcli.core.motion import HEAD, JAW_OPEN_RAD, expression_index
from dimcli.media import VideoWriter, read_picture
from dimcli.tracking.landmarks import observe_picture, track_video
from renderers.base import Reference
from renderers.portrait.portrait import PortraitRenderer

REPOSITORY = Path(__file__).parent.parent.parent
FPS = 25
FRAMES = 150
ROUNDS = 3
COLUMNS = {"pitch": 0, "yaw": 1, "roll": 2, "jaw": 3} | {
    name: expression_index(f"{name}Left") for name in ("mouthSmile", "eyeBlink")
}


def portraits() -> dict[str, Reference]:
    """The example and, where they are, the real portraits."""
    clips = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
    paths = [REPOSITORY / "examples" / "listener.png", *sorted(clips.glob("portraits/*"))]
    found = {}
    for path in paths:
        image = read_picture(path)
        seen = observe_picture(image)
        found[path.name] = Reference(image, seen.landmarks, seen.values)
    return found


def motion(own: np.ndarray) -> np.ndarray:
    """Motion [FRAMES, 56] about the picture's ``own`` frame: turns, blinks, smiles, a jaw."""
    seconds = np.arange(FRAMES) / FPS
    values = np.repeat(own[None], FRAMES, 0)
    for axis, (degrees, hertz) in enumerate(((8, 0.5), (10, 0.35), (8, 0.6))):
        values[:, axis] += np.radians(degrees) * np.sin(2 * np.pi * hertz * seconds)
    values[:, 3] = JAW_OPEN_RAD * 0.4 * np.sin(2 * np.pi * 0.8 * seconds).clip(0)
    smile = 0.4 + 0.35 * np.sin(2 * np.pi * 0.45 * seconds)
    blink = np.exp(-(((seconds[:, None] - [0.5, 1.3, 2.4, 4.1, 5.0]) / 0.09) ** 2)).max(1)
    for side in ("Left", "Right"):
        values[:, expression_index(f"mouthSmile{side}")] = smile
        values[:, expression_index(f"eyeBlink{side}")] += 0.6 * blink
    return values.astype(np.float32)


def speed(reference: Reference, size: tuple[int, int] | None = None) -> str:
    """Best of a few rounds, and the CPU time a frame takes."""
    renderer = PortraitRenderer(size)
    started = time.perf_counter()
    renderer.prepare(reference)
    prepared = time.perf_counter() - started
    values = motion(reference.values)
    wall, spent = [], []
    for _ in range(ROUNDS):
        started, cpu = time.perf_counter(), time.process_time()
        for _frame in renderer.render(values):
            pass
        wall.append(time.perf_counter() - started)
        spent.append(time.process_time() - cpu)
    width, height = renderer.size
    return (
        f"{width}x{height}: {FRAMES / min(wall):.0f} frames/s, "
        f"{1000 * min(spent) / FRAMES:.1f} ms CPU a frame, prepared in {1000 * prepared:.0f} ms"
    )


def fidelity(reference: Reference) -> str:
    """PSNR of the picture's own frame; correlation and slope of what the tracker sees."""
    renderer = PortraitRenderer()
    renderer.prepare(reference)
    own = next(renderer.render(reference.values[None]))
    error = np.mean((own.astype(float) - reference.image) ** 2)
    psnr = "exact" if error == 0 else f"{10 * np.log10(255**2 / error):.1f} dB"
    values = motion(reference.values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.mp4"
        with VideoWriter(path, fps=FPS) as writer:
            for image in renderer.render(values):
                writer.write(image)
        tracked = track_video(path).values
    parts = []
    for name, column in COLUMNS.items():
        asked, seen = values[:, column], tracked[: len(values), column]
        correlation, slope = np.corrcoef(asked, seen)[0, 1], np.polyfit(asked, seen, 1)[0]
        parts.append(f"{name} {correlation:.3f} x{slope:.2f}")
    turned = np.degrees(np.abs(values[:, HEAD] - reference.values[HEAD]).max(0)).round(1)
    return f"own frame {psnr}; turns to {turned.tolist()} deg; " + ", ".join(parts)


def main() -> None:
    """Print speed, then fidelity."""
    print(f"{cv2.getNumThreads()} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    found = portraits()
    example = found["listener.png"]
    print("listener.png", speed(example, (512, 512)))
    print("listener.png", speed(example, (1024, 1024)))
    for name, reference in found.items():
        print(name, speed(reference))
    for name, reference in found.items():
        print(name, fidelity(reference))


if __name__ == "__main__":
    main()
