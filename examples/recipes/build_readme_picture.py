"""Make ``readme.jpg``: the speaker, the listener and the same motion on the open head, over time.

python -m examples.recipes.build_readme_picture
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from dimcli.core.motion import Motion
from dimcli.jobs.generate import generate_videos
from dimcli.media import read_frames
from renderers.mesh.mesh import MeshRenderer
from weights import DEFAULT_LISTENER

HERE = Path(__file__).parent.parent
SIDE = 256
SEED = 4


def moments(motion: Motion) -> list[int]:
    """Frames worth showing: at rest, a blink, the deepest nod, the widest smile; in order."""
    lids = motion.column("eyeBlinkLeft")
    smile = motion.column("mouthSmileLeft") - lids
    pitch = motion.head[:, 0] - np.median(motion.head[:, 0])
    nod = pitch - 10 * lids
    return sorted(
        {int(np.argmin(abs(pitch) + lids)), *(int(np.argmax(v)) for v in (lids, nod, smile))}
    )


def tile(frame: np.ndarray) -> np.ndarray:
    """A frame as one square of the picture."""
    return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        video, kept = Path(name) / "out.mp4", Path(name) / "motion.npz"
        generate_videos(
            "listener",
            HERE / "speaker.mp4",
            HERE / "listener.png",
            video,
            weights=DEFAULT_LISTENER,
            seed=SEED,
            save_motion=kept,
        )
        motion = Motion.load(kept)
        shown = moments(motion)
        speaker = [frame for i, frame in enumerate(read_frames(HERE / "speaker.mp4")) if i in shown]
        listener = [frame for i, frame in enumerate(read_frames(video)) if i in shown]
        mesh = list(MeshRenderer(size=2 * SIDE).render(motion.values[shown]))
    rows = [np.hstack([tile(frame) for frame in frames]) for frames in (speaker, listener, mesh)]
    picture = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(HERE / "readme.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
