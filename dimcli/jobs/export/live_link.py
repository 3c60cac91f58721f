"""ARKit motion as the CSV that Epic's Live Link Face app records.

A header of 63 names, then a row a frame: timecode ``HH:MM:SS:FF.fff`` (FF counts frames, fff
thousandths of one), the number 61, 52 blendshapes in 0..1 and nine angles. Readers of such files
should match columns by name; ours are in the order of the app's protocol.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dimcli.core.files import atomic_output
from dimcli.core.motion import ARKIT_EXPRESSIONS, HEAD, JAW, JAW_OPEN_RAD, Motion
from renderers.heads.open_head import OpenHead

SHAPES: tuple[str, ...] = tuple(
    """
    EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft
    EyeWideLeft EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight
    EyeSquintRight EyeWideRight JawForward JawLeft JawRight JawOpen MouthClose MouthFunnel
    MouthPucker MouthLeft MouthRight MouthSmileLeft MouthSmileRight MouthFrownLeft MouthFrownRight
    MouthDimpleLeft MouthDimpleRight MouthStretchLeft MouthStretchRight MouthRollLower
    MouthRollUpper MouthShrugLower MouthShrugUpper MouthPressLeft MouthPressRight
    MouthLowerDownLeft MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight BrowDownLeft
    BrowDownRight BrowInnerUp BrowOuterUpLeft BrowOuterUpRight CheekPuff CheekSquintLeft
    CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut
    """.split()  # noqa: SIM905 - as a list it would take 52 lines
)
ANGLES = (
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll"),
    *("RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
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
    columns = np.concatenate([shapes(motion), angles(motion) * angle_scale], axis=1)
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


def shapes(motion: Motion) -> NDArray[np.float64]:
    """The 52 blendshapes of :data:`SHAPES` in 0..1, [T, 52]; no tracker of ours sees the tongue."""
    known = {name.lower(): motion.column(name) for name in ARKIT_EXPRESSIONS}
    known["jawopen"] = motion.values[:, JAW.start] / JAW_OPEN_RAD
    known["tongueout"] = np.zeros(len(motion), np.float32)
    return np.stack([known[name.lower()] for name in SHAPES], axis=1).clip(0, 1).astype(float)


def angles(motion: Motion) -> NDArray[np.float64]:
    """Yaw, pitch and roll of the head and of both eyes in the head, radians, [T, 9].

    Euler angles in the order yaw, then pitch, then roll about axes that turn along; the eyes'
    are those of the open head's joints.
    """
    with torch.inference_mode():
        joints = OpenHead.bundled().joint_rotations(torch.from_numpy(motion.values)).numpy()
    head = Rotation.from_rotvec(motion.values[:, HEAD].astype(float))
    eyes = [Rotation.from_matrix(joints[:, joint].astype(float)) for joint in (3, 4)]
    return np.concatenate([turn.as_euler("YXZ") for turn in (head, *eyes)], axis=1)
