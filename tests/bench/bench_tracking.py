"""Tracking speed, decoding included, beside the vendor's own runtime.

``python -m tests.bench tracking``. The clip is the first real one of 512 px (DIM_CLIPS or
``../shared/clips``), else the shipped example. The vendor's runtime runs in an environment of its
own, because it brings much along: ``python -m venv /tmp/mp && /tmp/mp/bin/pip install mediapipe
opencv-python-headless``, then set DIM_MEDIAPIPE=/tmp/mp/bin/python. The best of three runs counts:
other work on the machine only ever slows them down, and CPU time tells how much there was to do.
Importing is not counted; making the networks and ending ffmpeg is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import weights

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
VENDOR = os.environ.get("DIM_MEDIAPIPE")
RUNS = 3

OURS = """
from pathlib import Path
from dimcli.tracking.landmarks import track_video
before = cpu()
started = time.perf_counter()
frames = len(track_video(Path(sys.argv[1])))
seconds = time.perf_counter() - started
"""

THEIRS = """
import cv2, mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
mode = sys.argv[3]
options = vision.FaceLandmarkerOptions(
    base_options=BaseOptions(model_asset_path=sys.argv[2]),
    running_mode=vision.RunningMode[mode],
    output_face_blendshapes=True,
    output_facial_transformation_matrixes=True,
)
before = cpu()
started = time.perf_counter()
tracker = vision.FaceLandmarker.create_from_options(options)
clip = cv2.VideoCapture(sys.argv[1])
frames = 0
while True:
    read, frame = clip.read()
    if not read:
        break
    rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
    tracker.detect(image) if mode == "IMAGE" else tracker.detect_for_video(image, frames * 40)
    frames += 1
seconds = time.perf_counter() - started
tracker.close()
"""

CPU = """
import json, resource, sys, time
def cpu():
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(who)[:2]) for who in whose)
"""

REPORT = """
print(json.dumps([frames, seconds, cpu() - before]))
"""


def example_clip() -> Path:
    """A clip of 512 px with one face."""
    real = CLIPS / "sadtalker_WDA_KatieHill_000.mp4"
    return real if real.is_file() else REPOSITORY / "examples" / "speaker.mp4"


def measure(python: str, program: str, *arguments: str | Path) -> str:
    """Frames a second of the best run, and its CPU time for each frame."""
    runs = []
    for _ in range(RUNS):
        done = subprocess.run(
            [python, "-c", CPU + program + REPORT, *map(str, arguments)],
            capture_output=True,
            check=False,
            text=True,
            cwd=REPOSITORY,
        )
        if done.returncode != 0:
            return f"did not run: {done.stderr.strip().splitlines()[-1]}"
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    frames, seconds, cpu = min(runs, key=lambda run: run[1])
    return f"{frames / seconds:6.0f} frames/s   {1000 * cpu / frames:5.1f} ms CPU a frame"


def main() -> None:
    """Print one line for each tracker."""
    clip, bundle = example_clip(), weights.path("face_landmarker.task")
    print(f"{clip.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"dim                        {measure(sys.executable, OURS, clip)}")
    if VENDOR is None:
        print("mediapipe                  not measured: set DIM_MEDIAPIPE (see this file)")
        return
    for mode in ("IMAGE", "VIDEO"):
        print(f"mediapipe, {mode} mode      {measure(VENDOR, THEIRS, clip, bundle, mode)}")


if __name__ == "__main__":
    main()
