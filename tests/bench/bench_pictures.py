"""Whether motion of others keeps a picture's person: every motion at hand on every picture.

``python -m tests.bench pictures``. Pictures are the examples and, where they are, the real ones
(DIM_CLIPS or ``../shared/clips``); motions are tracked on the example and the clips, and the
bundled listener's answers to the same people. The first DIM_SECONDS (4) of each are drawn on each
picture as ``dim render`` does, with DIM_SIZE (384) pixels, and tracked. ``differs`` is how far the
face's rigid points, turned to the front, are from the picture's own, root mean square in cm of a
face: the median, the 99th percentile and the worst frame of all motions. Then the open head, turned
to the side, with a frontal motion that nods. DIM_SHEET is a folder for a contact sheet of each
picture.
"""

import os
import tempfile
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
    """Motion of others and of the listener, by name: the first SECONDS of each."""
    found: dict[str, dict[str, Motion]] = {"others": {}, "listener": {}}
    listener = Listener.load(find_run("listener-small"))
    clips = [REPOSITORY / "examples" / "speaker.mp4", *sorted(CLIPS.glob("*.mp4"))]
    for clip in clips:
        regions = (LEFT, RIGHT) if clip.stem.startswith("vico") else (None,)
        for side, region in enumerate(regions):
            motion = smooth_motion(track_video(clip, region=region))
            name = f"{clip.stem[:8]}{side}"
            found["others"][name] = _first(motion)
            if side == 0:
                heard = listener.perceive(Source(media.read_audio(clip, 16000), motion))
                found["listener"][clip.stem[:8]] = _first(listener.answer(heard, seed=0))
    return found


def _first(motion: Motion) -> Motion:
    count = min(len(motion), round(SECONDS * motion.fps))
    return Motion(motion.values[:count], motion.fps, motion.space, motion.valid[:count])


def measure(picture: Path, by_kind: dict[str, dict[str, Motion]]) -> None:
    """Print a picture's lines."""
    ready = load_renderer("portrait", picture, size=SIZE)
    assert ready.reference is not None
    own = seen([np.ascontiguousarray(ready.reference.resized(ready.renderer.size).image)], 25)
    rows = []
    for kind, each in by_kind.items():
        worst, at, lost = np.zeros(0), "", 0
        for name, motion in each.items():
            frames = [frame.copy() for frame in ready.frames(motion)]
            differs = seen(frames, motion.fps).differs(own)
            lost += int(np.isnan(differs).sum())
            differs = np.nan_to_num(differs)
            if differs.max() > worst.max(initial=0):
                at = f"{name}, frame {differs.argmax()}"
            worst = np.concatenate([worst, differs])
            shown = [0, len(frames) // 3, len(frames) * 2 // 3, int(differs.argmax())]
            rows.append([cv2.resize(frames[n], (192, 192)) for n in shown])
        print(
            f"{picture.name:<16} {kind:<9} {len(worst)} frames: differs {np.median(worst):.2f} "
            f"(median), {np.percentile(worst, 99):.2f}, {worst.max():.2f} ({at}); {lost} lost",
            flush=True,
        )
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
