"""Whether lips come back through ``dim extract`` and ``dim render``: how far, and when.

``python -m tests.bench lips``. Each talking person of the example and the clips (DIM_CLIPS or
``../shared/clips``) is tracked, drawn on their own first frame and on DIM_OTHERS (2) of the
pictures of other people, and tracked again. Of the distance of the inner lips over that of the
outer eye corners, real and drawn: Pearson's ``r`` in step, the ``lag`` in frames within two at
which it is best, the ``gain`` (slope of drawn over real) and the ratio of standard deviations.
"""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from dimcli.core.motion import Motion
from dimcli.evaluation.lips import lip_agreement
from dimcli.jobs.render import load_renderer
from dimcli.media import VideoWriter, probe_video, read_frames
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import FaceTrack, track_face
from dimcli.tracking.postprocessing import smooth_motion
from tests.bench.bench_pictures import CLIPS, LEFT, REPOSITORY, pictures

OTHERS = int(os.environ.get("DIM_OTHERS", "2"))
SIZE = 512


def drawn_and_tracked(motion: Motion, picture: Path, path: Path) -> FaceTrack:
    """What the tracker sees of ``motion`` on a ``picture``, in a video at ``path``."""
    with VideoWriter(path, fps=motion.fps, force=True) as writer:
        for frame in load_renderer("portrait", picture, size=SIZE).frames(motion):
            writer.write(frame)
    return track_face(path, keep_landmarks=True)


def compare(motion: Motion, real: np.ndarray, picture: Path, folder: Path) -> np.ndarray:
    """r, lag, gain and ratio of standard deviations of lips [T] that are drawn on ``picture``."""
    track = drawn_and_tracked(motion, picture, folder / "drawn.mp4")
    count = min(len(real), len(track.motion))
    assert track.landmarks is not None
    drawn, real = lip_gaps(track.landmarks)[:count], real[:count]
    known = np.isfinite(drawn) & np.isfinite(real)
    drawn, real = drawn[known].astype(np.float32), real[known].astype(np.float32)
    found = lip_agreement(drawn, real)
    gain = np.polyfit(real, drawn, 1)[0]
    return np.array([found.at_zero, found.lag, gain, drawn.std() / real.std()])


def main() -> None:
    """A line for each person, on their own picture and on others'."""
    clips = [REPOSITORY / "examples" / "speaker.mp4", *sorted(CLIPS.glob("*.mp4"))]
    rows: dict[str, list[np.ndarray]] = {"own": [], "others": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip in clips:
            region = LEFT if clip.stem.startswith("vico") else None
            track = track_face(clip, region=region, keep_landmarks=True)
            assert track.landmarks is not None
            motion, real = smooth_motion(track.motion), lip_gaps(track.landmarks)
            own = folder / "own.png"
            first = next(iter(read_frames(probe_video(clip), region=region)))
            cv2.imwrite(str(own), first[..., ::-1])
            others = pictures()[1 : 1 + OTHERS]
            for kind, picture in (("own", own), *(("others", each) for each in others)):
                found = compare(motion, real, picture, folder)
                rows[kind].append(found)
                print(
                    f"{clip.stem:<28} on {picture.stem:<10} r {found[0]:.2f}, lag {found[1]:+.0f}, "
                    f"gain {found[2]:.2f}, spread {found[3]:.2f}, real spread {real.std():.3f}",
                    flush=True,
                )
    for kind, each in rows.items():
        middle = np.median(each, axis=0)
        print(f"{kind}: median r {middle[0]:.2f}, gain {middle[2]:.2f}, spread {middle[3]:.2f}")


if __name__ == "__main__":
    main()
