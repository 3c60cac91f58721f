"""What expressions do to the 468 face landmarks of a portrait, and to its lids and irises.

The displacements are those of the open head's face units. Lids and irises are not among them: the
eyes of a portrait are painted as layers (:mod:`renderers.portrait.eyes`).
"""

from __future__ import annotations

from functools import cache

import numpy as np

import weights
from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    JAW,
    JAW_OPEN_RAD,
    NUM_EXPRESSION,
    Reals,
)
from renderers.heads.contours import INNER_LIP_LOWER, INNER_LIP_UPPER, lips_apart
from renderers.portrait.mesh import NUM_FACE, smoothstep
from weights.canonical_face import canonical_face

NUM_UNITS = NUM_EXPRESSION + 1
JAW_UNIT = NUM_EXPRESSION
MOUTH_CLOSE = ARKIT_EXPRESSIONS.index("mouthClose")
MIDDLE = len(INNER_LIP_UPPER) // 2

LAYERED = ("eyeBlink", "eyeLook", "eyeSquint", "eyeWide")
"""Units that the eye layers show instead of the mesh."""

SMILES = np.array([ARKIT_EXPRESSIONS.index(f"mouthSmile{side}") for side in ("Left", "Right")])
CORNERS_ABOVE_CM = 0.03
"""Corners of a mouth that stops smiling stay this far above the middle of its lips' seam."""

CLOSED_GAP_CM = 0.03
OPENED_CM = 0.05
"""Lips that jaw and lips of a picture's own frame part by less are closed, however far they are."""

CLOSED_GAP = 0.01
"""Gap of closed lips, over the distance of the outer eye corners: landmarks never quite meet."""

CHIN_FROM_CM, CHIN_DROP = -5.5, 0.35
"""Below this height the jaw's unit drops by that share more: the open head's chin goes further back
than down, and in a picture only the drop is seen."""

LIP_ROUND = 0.11
"""How much more than the open head's the sides of a lower lip drop with the jaw."""


@cache
def landmark_units() -> Reals:
    """Displacements float32 [51, 468, 3] (centimetres on the canonical face, the head's axes) at 1
    of each expression and of ``jawOpen``, made alike for left and right."""
    with np.load(weights.path("open_head.npz"), allow_pickle=False) as archive:
        corners = archive["faces"][archive["landmark_face"][:NUM_FACE]]
        barycentric = archive["landmark_barycentric"][:NUM_FACE, :, None]
        rest = archive["template"][corners]
        units = archive["units"][:, corners].astype(np.float32)
        jaw_share = archive["weights"][corners][..., 3:4].astype(np.float32)
        jaw = archive["joints"][3]
    open_jaw = rest + units[JAW_UNIT] - jaw
    cosine, sine = np.cos(JAW_OPEN_RAD), np.sin(JAW_OPEN_RAD)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    units[JAW_UNIT] += jaw_share * (open_jaw @ turn.T - open_jaw)
    moved = (units * barycentric).sum(axis=2)
    points = (rest * barycentric).sum(axis=1)
    canonical = canonical_face().vertices
    to_canonical = np.linalg.norm(canonical[263] - canonical[33])
    moved *= to_canonical / np.linalg.norm(points[263] - points[33])
    for unit, name in enumerate((*ARKIT_EXPRESSIONS, "jawOpen")):
        moved[unit] *= not name.startswith(LAYERED)
    moved = _symmetric(moved.astype(np.float32))
    below_lip = np.clip((CHIN_FROM_CM - canonical[:, 1]) / 2.5, 0, 1)
    moved[JAW_UNIT, :, 1] *= 1 + CHIN_DROP * below_lip
    _round_lower_lip(moved[JAW_UNIT], canonical)
    _, lower = _lip_shares()
    for unit, name in enumerate(ARKIT_EXPRESSIONS):
        if name.startswith("mouthSmile"):  # a smile must not shut a mouth that speaks
            parting = lips_apart(moved[unit])
            moved[unit, :, 1] += lower @ np.minimum(parting, 0)
    return moved


def _round_lower_lip(jaw: Reals, face: Reals) -> None:
    """Make the ``jaw`` unit [468, 3] drop the lower lip of ``face`` [468, 3] as a whole: the open
    head's drops to a point."""
    share = np.clip(np.abs(face[:, 0]) / 2.3, 0, 1)
    below = np.clip((-4.4 - face[:, 1]) / 0.6, 0.25, 1) * (face[:, 1] < -4.35)
    jaw[:, 1] *= 1 + below * (LIP_ROUND * 4 * share * (1 - share) - 0.03)


def _symmetric(units: Reals) -> Reals:
    """Each unit averaged with the mirror image of its counterpart."""
    flip = np.asarray([-1, 1, 1], np.float32)
    vertices = canonical_face().vertices
    mirrored = np.linalg.norm(vertices[:, None] - vertices * flip, axis=-1).argmin(1)
    names = [*ARKIT_EXPRESSIONS, "jawOpen"]
    swap = str.maketrans({"<": "Right", ">": "Left"})
    other = [
        names.index(n.replace("Left", "<").replace("Right", ">").translate(swap)) for n in names
    ]
    return (units + units[other][:, mirrored] * flip) / 2


def _between_eyes(points: Reals) -> float:
    """Distance of the outer eye corners of ``points`` [468, 3]."""
    return float(np.linalg.norm(points[263] - points[33]))


@cache
def _partings() -> Reals:
    """How far each unit at 1 draws the pairs of the inner lips apart: [51, 11] centimetres."""
    return np.stack([lips_apart(unit) for unit in landmark_units()])


def _parted(units: Reals) -> Reals:
    """How far unit coefficients [T, 51] part the pairs of the inner lips, [T, 11] centimetres:
    lips that are pressed are closed, and of lips that are apart none are pressed."""
    lips = units.copy()
    lips[:, [MOUTH_CLOSE, JAW_UNIT]] = 0
    of_jaw = units - lips
    return np.maximum(lips @ _partings(), 0) + of_jaw @ _partings()


def jaw_open_of_lips(gaps: Reals, expression: Reals) -> Reals:
    """``jawOpen`` [T] in 0..1 of a face whose lips are ``gaps`` [T] apart with ``expression`` [T,
    50]: a portrait that moves so has the same gaps.

    Gaps are those of the inner lips over the distance of the outer eye corners.
    """
    units = np.pad(expression, ((0, 0), (0, 1)))
    apart = (gaps - CLOSED_GAP) * _between_eyes(canonical_face().vertices)
    of_jaw = apart - _parted(units)[:, MIDDLE]
    return np.clip(of_jaw / _partings()[JAW_UNIT, MIDDLE], 0, 1).astype(np.float32)


class FaceExpression:
    """Landmark offsets of one reference: what a frame's expression adds to the picture's own."""

    def __init__(self, own: Reals, resting: Reals) -> None:
        """``own`` [56], the picture's motion frame; ``resting`` [468, 3] its landmarks in the
        head's frame, centimetres."""
        self._units = landmark_units().reshape(NUM_UNITS, -1)
        self._wide = _between_eyes(resting) / _between_eyes(canonical_face().vertices)
        self._own = self._coefficients(own)
        self._resting = resting
        self._gap = lips_apart(resting)
        self._own_part = _parted(self._own[None])[0]
        self._upper, self._lower = _lip_shares()
        self._unsmile = self._smile_in(resting)

    def _smile_in(self, resting: Reals) -> Reals:
        """Share [2] of the picture's own smiles that its mouth corners really show: taking away
        more would turn a smile that the tracker overrates into a frown."""
        raised = resting[[291, 61], 1] - resting[[13, 14], 1].mean()
        units = self._units.reshape(NUM_UNITS, NUM_FACE, 3)[SMILES]
        by_one = units[[0, 1], [291, 61], 1] - units[:, [13, 14], 1].mean(1)
        shown = (raised - CORNERS_ABOVE_CM).mean() / by_one
        return np.clip(shown / np.maximum(self._own[SMILES], 0.05), 0.3, 1).astype(np.float32)

    def _coefficients(self, values: Reals) -> Reals:
        """Unit coefficients [51]; a closed jaw leaves ``mouthClose`` nothing to close."""
        units = np.append(values[EXPRESSION], self._jaw_unit(values))
        units[MOUTH_CLOSE] = min(units[MOUTH_CLOSE], max(0.0, units[JAW_UNIT]))
        return units.astype(np.float32)

    def offsets(self, values: Reals) -> Reals:
        """Landmark offsets [468, 3] in centimetres, head's axes, for one frame's values [56].

        Lips are as far apart as the values say, beyond what they are in the picture; those that it
        shows apart close in step with what parts them; and lips never cross.
        """
        units = self._coefficients(values)
        change = units - self._own
        change[SMILES] = np.where(
            change[SMILES] < 0, self._unsmile * change[SMILES], change[SMILES]
        )
        moved = (change @ self._units).reshape(NUM_FACE, 3)
        parted = _parted(units[None])[0]
        left = parted / np.maximum(self._own_part, OPENED_CM)
        closes = (self._own_part > OPENED_CM) & (left < 1)
        wanted = np.where(closes, left * self._gap, self._gap + parted - self._own_part)
        wanted = np.maximum(wanted, np.minimum(self._gap, CLOSED_GAP_CM))
        missing = (wanted - (self._gap + lips_apart(moved))).astype(np.float32)
        closing = np.clip((self._gap - wanted) / np.maximum(self._gap, 0.05), 0, 1)
        by_upper = 0.1 + 0.4 * closing  # the lower lip does more, but where lips meet halfway
        moved[:, 1] += self._upper @ (by_upper * missing)
        moved[:, 1] -= self._lower @ ((1 - by_upper) * missing)
        # lips that meet meet in depth too, or a nod parts them again
        ahead = lips_apart(self._resting + moved, axis=2) * closing / 2
        moved[:, 2] += self._lower @ ahead - self._upper @ ahead
        return moved

    @property
    def own_offsets(self) -> Reals:
        """What the picture's own expression does to a neutral face, [468, 3] centimetres."""
        return (self._own @ self._units).reshape(NUM_FACE, 3)

    def jaw_drop(self, values: Reals) -> float:
        """How far the lower teeth are below the closed bite, centimetres."""
        open_jaw = self._units[JAW_UNIT].reshape(NUM_FACE, 3)[14, 1]
        return float(-open_jaw) * self._jaw_unit(values)

    def _jaw_unit(self, values: Reals) -> float:
        """Coefficient of the jaw's unit. Lips open as far for the eyes' distance in every face."""
        return self._wide * float(values[JAW.start] / JAW_OPEN_RAD)


@cache
def _lip_shares() -> tuple[Reals, Reals]:
    """How each landmark [468, 11] follows the lip pairs, for the upper and the lower lip."""
    vertices = canonical_face().vertices
    upper, lower = vertices[INNER_LIP_UPPER], vertices[INNER_LIP_LOWER]
    across = np.linspace(-1, 1, len(upper))
    knots = (upper[:, 0] + lower[:, 0]) / 2
    position = np.interp(vertices[:, 0], knots, across)
    hats = np.maximum(0, 1 - np.abs(position[:, None] - across) / (across[1] - across[0]))
    beside = smoothstep(np.abs(vertices[:, 0]), knots[-1] + 0.8, knots[-1])
    middle = np.interp(vertices[:, 0], knots, (upper[:, 1] + lower[:, 1]) / 2)
    front = vertices[:, 2] > 2.0
    shares = []
    for rim, sign in ((upper, 1), (lower, -1)):
        above = sign * (vertices[:, 1] - np.interp(vertices[:, 0], knots, rim[:, 1]))
        on_side = (sign * (vertices[:, 1] - middle) > 0) & front
        share = np.exp(-((np.maximum(above, 0) / 1.1) ** 2)) * on_side * beside
        shares.append((share[:, None] * hats).astype(np.float32))
    return shares[0], shares[1]
