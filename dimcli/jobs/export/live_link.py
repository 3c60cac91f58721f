"""ARKit motion as the CSV that Epic's Live Link Face app records.

A header of 63 names, then a row a frame: timecode ``HH:MM:SS:FF.fff`` (FF counts frames, fff
thousandths of one), the number 61, 52 blendshapes in 0..1 and nine angles. Readers of such files
should match columns by name; ours are in the order of the app's protocol.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from dimcli.core.files import atomic_output
from dimcli.core.motion import Motion
from dimcli.live.live_link import ANGLES, SHAPES, angles, shapes

HEADER = ("Timecode", "BlendShapeCount", *SHAPES, *ANGLES)
DECIMALS = 8


def write_live_link(
    motion: Motion, path: Path, *, angle_scale: float = 1.0, force: bool = False
) -> None:
    """Write arkit ``motion`` to ``path``; InputError for another space or as writing files does.

    Angles are radians times ``angle_scale``: yaw + turns the nose to the image's right, pitch +
    the chin down, roll + counter-clockwise in the image.
    """
    motion.require_space("arkit")
    columns = np.concatenate([shapes(motion.values), angles(motion.values) * angle_scale], axis=1)
    with (
        atomic_output(path, force=force) as temporary,
        temporary.open("w", newline="", encoding="ascii") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for index, row in enumerate(columns.tolist()):
            numbers = [f"{value:.{DECIMALS}f}" for value in row]
            writer.writerow([timecode(index, motion.fps), len(SHAPES) + len(ANGLES), *numbers])


def timecode(frame: int, fps: float) -> str:
    """When ``frame`` (from 0) is, as ``HH:MM:SS:FF.fff`` at the nearest whole frame rate."""
    rate = max(1, round(fps))
    thousandths = round(frame / fps * rate * 1000)
    frames, fraction = divmod(thousandths, 1000)
    seconds, frames = divmod(frames, rate)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{frames:02d}.{fraction:03d}"
