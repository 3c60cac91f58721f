"""ARKit motion as Epic's Live Link Face says it: 52 blend shapes and nine angles, in its order."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import HEAD, JAW_OPEN_RAD, JAW_PITCH, Floats, expression_index
from dimcli.core.rotations import Rotations

if TYPE_CHECKING:
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


_COLUMNS = [
    JAW_PITCH if name == "JawOpen" else expression_index(name[0].lower() + name[1:])
    for name in SHAPES[:-1]  # all but the tongue, which no tracker of ours sees
]


def shapes(values: Floats) -> NDArray[np.float64]:
    """The 52 blendshapes of :data:`SHAPES` in 0..1, [T, 52], of ``arkit`` motion [T, 56]."""
    known = values[:, _COLUMNS].astype(float)
    known[:, SHAPES.index("JawOpen")] /= JAW_OPEN_RAD
    return np.pad(known, ((0, 0), (0, 1))).clip(0, 1)


def angles(values: Floats) -> NDArray[np.float64]:
    """Yaw, pitch and roll of the head and of both eyes in the head, radians, [T, 9], of ``arkit``
    motion [T, 56].

    Euler angles in the order yaw, then pitch, then roll about axes that turn along; the eyes'
    are those of the open head's joints.
    """
    import torch

    with torch.inference_mode():
        eyes = _head().eye_turns(torch.from_numpy(values))
    turns = np.stack([values[:, HEAD], *(eye.numpy() for eye in eyes)], axis=1).astype(float)
    return Rotations.of_vectors(turns).yaw_pitch_roll.reshape(len(values), -1)


@cache
def _head() -> OpenHead:
    from renderers.heads.open_head import OpenHead

    return OpenHead.bundled()
