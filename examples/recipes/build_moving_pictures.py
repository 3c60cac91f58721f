"""Make ``listener.webp``, the README's moving picture, and ``old_and_new.mp4``: two speakers, each
with the listener of an earlier version and today's on their right.

    git worktree add EARLIER 2c37b85^
    python -m examples.recipes.build_moving_pictures --old EARLIER

The earlier version is a checkout of its own, and not a run alone: its code knows what the numbers
of its motion meant.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from PIL import Image

from dimcli.core.motion import Picture
from dimcli.jobs.generate import generate_videos
from dimcli.jobs.visualize import write_label
from dimcli.media import VideoWriter, read_frames
from weights import path

HERE = Path(__file__).parent.parent
SIDE, SECONDS, FPS = 256, 8.0, 25
WEBP_EVERY = 2
"""Frames of the video for one of the moving picture."""
SEED = 4
VOICE = "natural-9001.ogg"


def frames_of(video: Path) -> list[Picture]:
    """The first seconds of a video as squares of SIDE pixels."""
    frames = read_frames(video, fps=FPS)
    count = round(SECONDS * FPS)
    return [
        cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        for frame, _ in zip(frames, range(count), strict=False)
    ]


def listener(speaker: Path, checkout: Path, folder: Path) -> Path:
    """The video of a ``checkout``'s bundled listener to ``speaker``, made by its own code."""
    output = folder / "listener.mp4"
    command = [sys.executable, "-m", "dimcli", "generate-listener", str(speaker)]
    command += ["--ref", str(HERE / "listener.png"), "-o", str(output), "--seed", str(SEED)]
    subprocess.run([*command, "--force"], cwd=checkout, check=True)
    return output


def second_speaker(folder: Path) -> Path:
    """The example's speaker with another voice, which no training has."""
    picture, output = folder / "face.png", folder / "second.mp4"
    first = next(read_frames(HERE / "speaker.mp4"))
    cv2.imwrite(str(picture), cv2.cvtColor(first, cv2.COLOR_RGB2BGR))
    generate_videos("speaker", path("held-out-speech") / VOICE, picture, output)
    return output


def main(old: Annotated[Path, typer.Option(help="Checkout of the earlier version.")]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speakers = [HERE / "speaker.mp4", second_speaker(folder)]
        rows = []
        for speaker in speakers:
            columns = {
                "speaker": frames_of(speaker),
                "before": frames_of(listener(speaker, old, folder)),
                "now": frames_of(listener(speaker, HERE.parent, folder)),
            }
            rows.append(columns)
            if speaker == speakers[0]:
                pairs = zip(columns["speaker"], columns["now"], strict=False)
                stills = [Image.fromarray(np.hstack(pair)) for pair in pairs][::WEBP_EVERY]
                stills[0].save(
                    HERE / "listener.webp",
                    save_all=True,
                    append_images=stills[1:],
                    duration=1000 * WEBP_EVERY // FPS,
                    loop=0,
                    quality=70,
                    method=6,
                )
    with VideoWriter(HERE / "old_and_new.mp4", fps=FPS, force=True) as writer:
        for columns in rows:
            for frames in zip(*columns.values(), strict=False):
                for frame, label in zip(frames, columns, strict=True):
                    write_label(frame, label)
                writer.write(np.hstack(frames))


if __name__ == "__main__":
    typer.run(main)
