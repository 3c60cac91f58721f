"""Whether motion of others keeps a picture's person: every motion at hand on every picture.

``python -m tests.bench pictures``. Pictures are the examples and, where they are, the real ones
(DIM_CLIPS or ``../shared/clips``); motions are tracked on the example and the clips, and the
bundled listener's answers to the same people. The first DIM_SECONDS (4) of each are drawn on each
picture as ``dim render`` does, with DIM_SIZE (384) pixels, and tracked. ``differs`` is how far the
face's rigid points, turned to the front, are from the picture's own, root mean square in cm of a
face: the median, the 99th percentile and the worst frame of all motions. People who talk differ
from themselves, too: ``real`` are the clips' own frames, beside their usual face. Then the open
head, turned to the side, with a frontal motion that nods. DIM_SHEET is a folder for a contact sheet
of each picture.
"""

import os
import tempfile
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from dimcli import media
from dimcli.core.motion import Motion
from dimcli.jobs.generate import Listener, Source
from dimcli.jobs.render import load_renderer
from dimcli.models.config import find_run
from dimcli.tracking.landmarks import track_video
from dimcli.tracking.postprocessing import smooth_motion
from tests.pictures import nodding, profile, seen

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
SECONDS = float(os.environ.get("DIM_SECONDS", "4"))
SIZE = int(os.environ.get("DIM_SIZE", "384"))
SHEET = os.environ.get("DIM_SHEET")
LEFT, RIGHT = (0, 0, 256, 256), (256, 0, 256, 256)
TURNS = (-35, 25, 35, 45)


def pictures() -> list[Path]:
    """The pictures at hand."""
    own = [REPOSITORY / "examples" / "listener.png", REPOSITORY / "dimcli/web/page/faces/ben.jpg"]
    return [*own, *sorted(CLIPS.glob("portraits/*"))]


def motions() -> dict[str, dict[str, Motion]]:
    """Motion of others and of the listener, by name: the first SECONDS of each. Prints how those
    who are tracked differ from themselves."""
    found: dict[str, dict[str, Motion]] = {"others": {}, "listener": {}}
    listener = Listener.load(find_run("listener-small"))
    clips = [REPOSITORY / "examples" / "speaker.mp4", *sorted(CLIPS.glob("*.mp4"))]
    for clip in clips:
        regions = (LEFT, RIGHT) if clip.stem.startswith("vico") else (None,)
        for side, region in enumerate(regions):
            motion = smooth_motion(track_video(clip, region=region))
            name = f"{clip.stem[:8]}{side}"
            found["others"][name] = first = _first(motion)
            frames = islice(media.read_frames(media.probe_video(clip), region=region), len(first))
            real = seen(frames, motion.fps)
            print(_line(name, "real", {"": real.differs(real)}), flush=True)
            if side == 0:
                heard = listener.perceive(Source(media.read_audio(clip, 16000), motion))
                found["listener"][clip.stem[:8]] = _first(listener.answer(heard, seed=0))
    return found


def _first(motion: Motion) -> Motion:
    count = min(len(motion), round(SECONDS * motion.fps))
    return Motion(motion.values[:count], motion.fps, motion.space, motion.valid[:count])


def _line(name: str, kind: str, by_motion: dict[str, np.ndarray]) -> str:
    """What there is to say of how frames [T] of motions differ; NaN where no face was found."""
    worst = max(by_motion, key=lambda name: np.nanmax(by_motion[name]))
    every = np.concatenate(list(by_motion.values()))
    median, most, last = np.nanpercentile(every, [50, 99, 100])
    lost = np.isnan(every).sum()
    return (
        f"{name:<14} {kind:<9} {len(every)} frames, {lost} without a face: differs "
        f"{median:.2f}, {most:.2f}, {last:.2f} ({worst} {np.nanargmax(by_motion[worst])})"
    )


def measure(picture: Path, by_kind: dict[str, dict[str, Motion]]) -> None:
    """Print a picture's lines."""
    ready = load_renderer("portrait", picture, size=SIZE)
    assert ready.reference is not None
    own = seen([np.ascontiguousarray(ready.reference.resized(ready.renderer.size).image)], 25)
    rows = []
    for kind, each in by_kind.items():
        differs = {}
        for name, motion in each.items():
            frames = [frame.copy() for frame in ready.frames(motion)]
            differs[name] = seen(frames, motion.fps).differs(own)
            worst = int(np.nanargmax(differs[name]))
            shown = [0, len(frames) // 3, len(frames) * 2 // 3, worst]
            rows.append([cv2.resize(frames[at], (192, 192)) for at in shown])
        print(_line(picture.stem, kind, differs), flush=True)
    if SHEET:
        sheet = np.vstack([np.hstack(row) for row in rows])
        cv2.imwrite(str(Path(SHEET) / f"{picture.stem}.png"), sheet[..., ::-1])


def turned(degrees: float, folder: Path) -> None:
    """Print how a profile of ``degrees`` nods."""
    path = folder / "profile.png"
    image = profile(degrees)
    cv2.imwrite(str(path), image[..., ::-1])
    motion = nodding(0, frames=100)
    found = seen(load_renderer("portrait", path).frames(motion), motion.fps)
    own = seen([image], motion.fps)
    asked, nods = np.degrees(motion.values[:, 0]), found.degrees[:, 0]
    away = found.degrees[:, 1] - own.degrees[0, 1] - np.degrees(motion.values[:, 1])
    print(
        f"profile of {own.degrees[0, 1]:.0f} degrees: nods r {np.corrcoef(asked, nods)[0, 1]:.3f}, "
        f"gain {np.polyfit(asked, nods, 1)[0]:.2f}; yaw off by {np.abs(away).max():.1f} at most; "
        f"differs {found.differs(own).max():.2f}"
    )


def main() -> None:
    """All pictures, then profiles."""
    by_kind = motions()
    for picture in pictures():
        measure(picture, by_kind)
    with tempfile.TemporaryDirectory() as folder:
        for degrees in TURNS:
            turned(degrees, Path(folder))


if __name__ == "__main__":
    main()
