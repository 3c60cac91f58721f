"""How much of what a model gives a face does: factors on its head, smile, brows, blinks and gaze.

A gain of 1 changes nothing, to the bit. The others scale about a face at rest that looks at the
other person:

======  =========================================================================================
gain    what it scales
======  =========================================================================================
head    the head's rotation from the straight look at the other (0: the head is still). A picture
        keeps its own pose: there motion counts from its mean.
smile   ``mouthSmile`` and what comes with it: ``cheekSquint``, ``mouthDimple``
brows   ``browDown``, ``browInnerUp``, ``browOuterUp``
blinks  how far the lids close over where they were before, and under 1 the squint and the dip of
        the eyes that come with a blink (0: no blinks). What lids hold for longer than a blink,
        as they follow a look down, is kept.
gaze    ``eyeLook*``: how far eyes look away (0: straight ahead)
======  =========================================================================================

Head works in both spaces of motion, the others in ``arkit``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dimcli.core.config import require_choice
from dimcli.core.errors import InputError
from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    HEAD,
    LARGEST_TURN_RAD,
    NUM_POSE,
    Floats,
    Motion,
    expression_index,
)
from dimcli.data.clip import ATTITUDES

LARGEST_GAIN = 2.0
LARGEST_BLINKS = 1.5
"""Lids that already meet cannot close further."""
BLINK_LONGEST_S = 0.5
"""Lids that are down for longer do not blink."""
_CLOSING = 0.1
"""From this much on lids that close take squint and look down with them."""
_GLIDE_S = 0.25
"""A gain that is changed while the face moves comes nearer to the new one by 63 % in this time."""


def _columns(*prefixes: str) -> list[int]:
    return [NUM_POSE + i for i, name in enumerate(ARKIT_EXPRESSIONS) if name.startswith(prefixes)]


_SCALED = {
    "smile": _columns("mouthSmile", "cheekSquint", "mouthDimple"),
    "brows": _columns("brow"),
    "gaze": _columns("eyeLook"),
}
_SIDES = [
    [expression_index(f"{name}{side}") for name in ("eyeBlink", "eyeSquint", "eyeLookDown")]
    for side in ("Left", "Right")
]


def _turn(values: Floats, gain: float | Floats) -> None:
    """Scale the head's turn in ``values`` [T, 56], in place."""
    values[:, HEAD] = (values[:, HEAD] * gain).clip(-LARGEST_TURN_RAD, LARGEST_TURN_RAD)


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Factors from 0 to 2 (blinks: 1.5) on what a face does; see the module.

    Raises InputError, named as the commands' options are, for a value out of range.
    """

    head: float = 1.0
    smile: float = 1.0
    brows: float = 1.0
    blinks: float = 1.0
    gaze: float = 1.0

    def __post_init__(self) -> None:
        for name, gain in zip(NAMES, self.factors, strict=True):
            largest = LARGEST_BLINKS if name == "blinks" else LARGEST_GAIN
            if not 0 <= gain <= largest:  # not so for NaN, either
                raise InputError(f"--{name} {gain:g}: expected 0 to {largest:g}, 1 for as it is")

    @property
    def factors(self) -> tuple[float, ...]:
        """The gains in the order of :data:`NAMES`."""
        return tuple(float(getattr(self, name)) for name in NAMES)

    def require_space(self, space: str) -> None:
        """Raise InputError where a gain cannot be given to motion of ``space``."""
        for name, gain in zip(NAMES, self.factors, strict=True):
            if space != "arkit" and name != "head" and gain != 1:
                raise InputError(
                    f"--{name} {gain:g}: is for weights of the 'arkit' space, and these are of "
                    f"'{space}', whose expressions have no such name; only --head works there"
                )

    def apply(self, motion: Motion) -> Motion:
        """``motion`` with these gains, as :class:`GainedFace` gives it. Raises InputError."""
        self.require_space(motion.space)
        if motion.space == "arkit":
            return replace(motion, values=GainedFace(self, motion.fps).apply(motion.values))
        values = motion.values.copy()
        _turn(values, self.head)
        return replace(motion, values=values)


NAMES = tuple(field.name for field in fields(Gains))
AS_IS = Gains()
"""They change nothing."""


@dataclass(frozen=True, kw_only=True)
class FaceSettings(Gains):
    """What a face may do, live: gains, and how it feels about the other person."""

    attitude: str = "unknown"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("--attitude", self.attitude, ATTITUDES)


class GainedFace:
    """Gives gains to motion of the ``arkit`` space as it comes; how it is cut into pieces makes no
    difference. ``gains`` may be set at any time: the face glides to what is new.
    """

    def __init__(self, gains: Gains, fps: float) -> None:
        self.gains = gains
        self._given = np.asarray(gains.factors)
        self._kept = math.exp(-1 / (_GLIDE_S * fps))
        self._before = max(1, round(BLINK_LONGEST_S * fps))
        self._lids: Floats | None = None

    def apply(self, values: Floats) -> Floats:
        """The next frames [T, 56] with the gains, float32 [T, 56]."""
        out = np.array(values, np.float32)
        if not len(out):
            return out
        factors = self._glide(len(out))
        resting = self._resting(out)
        if (factors == 1).all():
            return out
        head, smile, brows, blinks, gaze = factors.T[:, :, None].astype(np.float32)
        for (lid, *drawn), rest in zip(_SIDES, resting, strict=True):
            above = out[:, lid] - rest[:, 0]
            closing = np.clip(above / _CLOSING, 0, 1)[:, None]
            out[:, lid] += (blinks[:, 0] - 1) * above
            out[:, drawn] += (np.minimum(blinks, 1) - 1) * closing * (out[:, drawn] - rest[:, 1:])
        for columns, gain in zip(_SCALED.values(), (smile, brows, gaze), strict=True):
            out[:, columns] *= gain
        _turn(out, head)
        changed = [column for columns in (*_SCALED.values(), *_SIDES) for column in columns]
        out[:, changed] = out[:, changed].clip(0, 1)
        return out

    def _glide(self, frames: int) -> Floats:
        """The gains of the next ``frames`` [T, 5]."""
        wanted = np.asarray(self.gains.factors)
        left = self._kept ** np.arange(1, frames + 1)[:, None] * (self._given - wanted)
        left[np.abs(left) < 1e-4] = 0
        self._given = wanted + left[-1]
        return wanted + left

    def _resting(self, values: Floats) -> list[Floats]:
        """What lids, squint and look down [T, 3] of each side were at least over the longest
        blink."""
        watched = values[:, [column for side in _SIDES for column in side]]
        if self._lids is None:
            self._lids = np.repeat(watched[:1], self._before, axis=0)
        past = np.concatenate([self._lids, watched])
        self._lids = past[-self._before :]
        least = sliding_window_view(past, self._before + 1, axis=0).min(axis=-1)
        return np.split(least, len(_SIDES), axis=1)
