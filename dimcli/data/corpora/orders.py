"""The two orders of the 56 numbers of a frame, the classic trap of these corpora.

DIM's own files have pose 6 then expression 50, as this project does; LM_Listener's and
Learning2Listen's have expression 50 then pose 6. Pose is head rotation 3, then jaw rotation 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, NUM_EXPRESSION, Motion

Floats = NDArray[np.float32]

POSE_FIRST, EXPRESSION_FIRST = "pose-exp", "exp-pose"
ORDERS = (POSE_FIRST, EXPRESSION_FIRST)

_CLEARLY = 3.0
_JAW_STILL_RAD = 0.02
_FEW_FRAMES = 10


def motion_of(array: Any, *, name: str, fps: float, order: str) -> Motion:
    """Numbers of a file as a ``flame`` motion.

    ``array`` is [T, 56 or more] of which the first 56 columns count, in ``order``. ``name`` says
    in errors what it is. Raises InputError for another shape or type, no frames, NaN and infinite
    values, values that are no radians or expression weights, and columns that look as if they were
    in the other order.
    """
    values = numbers(array, name)
    if values.ndim != 2 or values.shape[1] < MOTION_DIM:
        raise InputError(f"{name} has shape {values.shape}; expected (frames, {MOTION_DIM})")
    values = values[:, :MOTION_DIM]
    if order == EXPRESSION_FIRST:
        values = np.concatenate([values[:, NUM_EXPRESSION:], values[:, :NUM_EXPRESSION]], axis=1)
    elif order != POSE_FIRST:
        raise InputError(f"--order {order}: expected one of {', '.join(ORDERS)}")
    motion = Motion(values, fps=fps, space="flame")
    if looks_reversed(motion):
        other = POSE_FIRST if order == EXPRESSION_FIRST else EXPRESSION_FIRST
        raise InputError(f"{name}: its columns look as if their order were {other} (see --order)")
    return motion


def numbers(array: Any, name: str) -> Floats:
    """``array`` as float32, if it holds real and finite numbers, at least one. Else InputError."""
    values = np.asarray(array)
    if values.dtype.kind not in "fiu":
        raise InputError(f"{name} is {values.dtype} {values.shape}; expected numbers")
    if values.size == 0:
        raise InputError(f"{name} is empty (shape {values.shape})")
    bad = ~np.isfinite(values.reshape(len(values), -1) if values.ndim else values[None, None])
    if bad.any():
        rows = bad.any(axis=1)
        raise InputError(
            f"{name} has NaN or infinite values in {int(rows.sum())} of {len(rows)} rows "
            f"(first: row {int(rows.argmax())})"
        )
    largest = float(np.abs(values).max())
    if largest > 1e4:
        raise InputError(f"{name} has values up to {largest:.3g}; damaged or something else")
    return values.astype(np.float32)


def looks_reversed(motion: Motion) -> bool:
    """Whether the columns look as if their order were the other one.

    Jaws hardly turn to the side or roll, so that two of the six pose columns barely move; where
    the last two columns of the expression do that instead, they are those of the jaw.
    """
    if len(motion) < _FEW_FRAMES:
        return False
    spread = motion.values.std(axis=0)
    jaw_side, last = float(spread[4:6].max()), float(spread[-2:].max())
    return jaw_side > _CLEARLY * last and jaw_side > _JAW_STILL_RAD
