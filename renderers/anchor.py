"""Motion of one head re-anchored to a picture of another, so that it keeps the picture's identity.

A motion's numbers are absolute: where its head looked on the whole, how its brows rest. A picture
has its own. What is left to decide is which of the two rests a channel should have:

====================================  ==========================================================
channels                              anchored value
====================================  ==========================================================
head rotation                         the motion's turn from its own mean, on the picture's pose
jaw, smile                            the motion's own (absolute)
blink                                 the picture's open eye, the motion's closed one
lips that a smile draws apart         the motion's change, and what of the picture's own the
(``WITH_SMILE``)                      anchored smile leaves
gaze                                  the same as below, from the camera where the picture looks
                                      far to a side of it
all others (brows, squint, ..)        the motion's change from its rest, on the picture's own
====================================  ==========================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    MOTION_DIM,
    NUM_POSE,
    Motion,
    Reals,
    expression_index,
)
from dimcli.core.rotations import Rotations

TURN_DEGREES = (14.0, 20.0)
"""Beside its own pose a picture is turned by up to the first as asked, and never beyond the second:
what one picture shows of a head ends there."""
ROLL_DEGREES = (25.0, 35.0)
"""The same for what stays in the picture's plane."""

GAZE_PER_DEGREE = 0.034
"""By so much of eyeLookIn and eyeLookOut eyes stay on the camera for each degree that the head
turns: fitted to a speaker who turns by 20 degrees and looks into it (r 0.98)."""
ASIDE = (0.2, 0.35)
"""Where eyes look past the camera by less than the first, a picture's gaze is kept, and from the
second on it is brought back to the camera."""

LONGEST_PX, FAR_OFF = 1 << 20, 10.0
"""What a motion file says beyond these of its video's sides, and of a face's place in its own
sizes, is no video's."""

ABSOLUTE = ("mouthSmile",)
BLINK = ("eyeBlink",)
WITH_SMILE = ("mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthDimple", "cheekSquint")


def _columns(prefixes: tuple[str, ...]) -> NDArray[np.int64]:
    """Columns of ``values`` whose expression starts with one of ``prefixes``."""
    found = [n for n, name in enumerate(ARKIT_EXPRESSIONS) if name.startswith(prefixes)]
    return np.array(found) + NUM_POSE


def rest_of(values: Reals) -> Reals:
    """A motion's rest, float32 [56]: its mean head rotation, its usual (median) expression.

    ``values`` float32 [N, 56] in the ``arkit`` space.
    """
    rest = np.median(values, axis=0).astype(np.float32)
    rest[HEAD] = Rotations.of_vectors(values[:, HEAD]).mean().vectors
    return rest


def at_camera(own: Reals) -> Reals:
    """A picture's ``own`` frame [56] with eyes that look far to a side brought to the camera."""
    outwards, inwards = (
        [expression_index(f"eyeLook{way}{side}") for side in ("Left", "Right")]
        for way in ("Out", "In")
    )
    sides = np.asarray([1, -1], np.float32)  # outwards is to the image's right for the left eye
    gaze = (own[outwards] - own[inwards]) * sides
    aside = float(gaze.mean()) + GAZE_PER_DEGREE * float(np.degrees(own[HEAD][1]))
    low, high = ASIDE
    gaze = (gaze - aside * np.clip((abs(aside) - low) / (high - low), 0, 1)) * sides
    looking = own.copy()
    looking[outwards], looking[inwards] = np.maximum(gaze, 0), np.maximum(-gaze, 0)
    return looking


def anchor(values: Reals, reference_values: Reals, rest: Reals | None = None) -> Reals:
    """``values`` [N, 56] as the person in a picture would make them, float32 [N, 56].

    ``reference_values`` [56] is the picture's own motion frame and ``rest`` [56] the motion's rest,
    :func:`rest_of` it when None. Both are in the ``arkit`` space. The module's docstring says what
    happens to each channel. A motion that rests gives the picture's pose, brows and gaze.
    """
    values = np.asarray(values, np.float32).reshape(-1, MOTION_DIM)
    own = at_camera(np.asarray(reference_values, np.float32))
    rest = rest_of(values) if rest is None else np.asarray(rest, np.float32)
    anchored = own + (values - rest)
    turned = Rotations.of_vectors(values[:, HEAD]) * Rotations.of_vectors(rest[HEAD]).inverse
    anchored[:, HEAD] = (turned * Rotations.of_vectors(own[HEAD])).vectors
    anchored[:, JAW] = values[:, JAW]
    smile = _columns(ABSOLUTE)
    anchored[:, smile] = values[:, smile]
    blink = _columns(BLINK)
    closing = np.maximum(values[:, blink] - rest[blink], 0) / np.maximum(1 - rest[blink], 0.1)
    anchored[:, blink] = own[blink] + closing * (1 - own[blink])
    kept = np.clip(values[:, smile].mean(1) / max(float(own[smile].mean()), 0.1), 0, 1)
    drawn = _columns(WITH_SMILE)
    anchored[:, drawn] = own[drawn] * kept[:, None] + values[:, drawn] - rest[drawn]
    anchored[:, EXPRESSION] = np.clip(anchored[:, EXPRESSION], 0, 1)
    return anchored.astype(np.float32)


def places(motion: Motion) -> Reals | None:
    """Where a tracked head is in each frame beside its usual place, float32 [N, 3]: right and down
    in sizes of its face, and the log of how much larger the face is. None for motion that was not
    tracked in a video: it has no ``camera``, or that of another tracker.
    """
    width, height = (motion.meta.get(side) for side in ("width", "height"))
    camera = motion.camera
    if motion.space != "arkit" or camera is None:
        return None
    if not all(isinstance(side, int) and 0 < side < LONGEST_PX for side in (width, height)):
        return None
    if not (camera[:, 2] > 0).all():
        return None
    usual = np.median(camera, axis=0)
    sides = np.asarray([width, height], float)
    way = (camera[:, :2] - usual[:2]) * sides / (usual[2] * sides.mean())
    nearer = np.log(camera[:, 2:] / usual[2])
    return np.asarray(np.hstack([way, nearer]).clip(-FAR_OFF, FAR_OFF), np.float32)


def within_reach(values: Reals, reference_values: Reals) -> tuple[Reals, NDArray[np.bool_]]:
    """``values`` [N, 56] turned no further than a picture can be, and where [N] they were beyond.

    Turns from the picture's own pose (``reference_values`` [56]) end smoothly
    (:data:`TURN_DEGREES`, :data:`ROLL_DEGREES`); smaller ones stay as they are, to the bit.
    """
    own = Rotations.of_vectors(np.asarray(reference_values, float)[HEAD])
    turned = Rotations.of_vectors(values[:, HEAD]) * own.inverse
    in_plane = turned.quaternions.copy()
    in_plane[:, :2] = 0
    in_plane[np.linalg.norm(in_plane, axis=1) < 1e-6] = (0, 0, 0, 1)
    roll = Rotations.of_quaternions(in_plane)
    swing, swing_beyond = _limited(turned * roll.inverse, TURN_DEGREES)
    roll, roll_beyond = _limited(roll, ROLL_DEGREES)
    changed = (swing.angles + roll.angles > 0) & ((swing * roll * turned.inverse).angles > 1e-6)
    limited = np.array(values, np.float32)
    limited[changed, HEAD] = (swing * roll * own).vectors[changed]
    return limited, swing_beyond | roll_beyond


def _limited(turns: Rotations, degrees: tuple[float, float]) -> tuple[Rotations, NDArray[np.bool_]]:
    """Turns whose angle ends smoothly between the two ``degrees``, and which were beyond them."""
    free, most = np.radians(degrees)
    angle = turns.angles
    shorter = free + (most - free) * np.tanh(np.maximum(angle - free, 0) / (most - free))
    scale = np.where(angle > free, shorter / np.maximum(angle, 1e-9), 1.0)
    return Rotations.of_vectors(turns.vectors * scale[:, None]), angle > most
