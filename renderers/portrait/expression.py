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
    expression_index,
)
from renderers.heads.contours import INNER_LIP_LOWER, INNER_LIP_UPPER, lips_apart
from renderers.portrait.mesh import NUM_FACE, smoothstep
from weights.canonical_face import canonical_face

NUM_UNITS = NUM_EXPRESSION + 1
JAW_UNIT = NUM_EXPRESSION

LAYERED = ("eyeBlink", "eyeLook", "eyeSquint", "eyeWide")
"""Units that the eye layers show instead of the mesh."""

SMILES = np.array([ARKIT_EXPRESSIONS.index(f"mouthSmile{side}") for side in ("Left", "Right")])
CORNERS_ABOVE_CM = 0.03
"""Corners of a mouth that stops smiling stay this far above the middle of its lips' seam."""

STILL_TALK = 0.12
"""A mouth that is open with less than this of jaw, smile and lips is so at rest, and stays so."""

CLOSED_GAP_CM = 0.03

JAW_LIFT, JAW_LIFT_BY, JAW_SHARE = 0.155, 0.03, 0.9
"""The tracker's ``jawOpen`` starts late: lips are 0.9 cm apart at 0.05, 1.3 cm at 0.2. So a jaw
that starts to open opens this much more, half of it at that score, and by this share from there.
The least scores get less: they are noise, and lips should not flutter."""

BROAD_JAW, BROAD_JAW_LIFT = 0.4, 0.15
"""What a broad face's jaw opens more, in share and at the start."""

CHIN_FROM_CM, CHIN_DROP = -5.5, 0.35
"""Below this height the jaw's unit drops by that share more: the open head's chin goes further back
than down, and in a picture only the drop is seen."""

LIP_ROUND = 0.11
"""How much more than the open head's the sides of a lower lip drop with the jaw."""

JAW_WITH_SMILE = 0.45
"""Share by which a full smile opens the jaw further: the tracker reads the jaw off the face's
length against its width, and a smile makes it wide."""


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


def jaw_unit(angle_rad: float, breadth: float = 0.0) -> float:
    """Coefficient of the ``jawOpen`` unit for a jaw angle: more than its share at small ones, and
    in broad faces (``breadth`` 0..1, see :func:`breadth_of`)."""
    score = angle_rad / JAW_OPEN_RAD
    lift = JAW_LIFT + BROAD_JAW_LIFT * breadth
    started = score**2 / (score**2 + JAW_LIFT_BY**2) * np.sign(score)
    return (JAW_SHARE + BROAD_JAW * breadth) * score + lift * float(started)


def breadth_of(resting: Reals) -> float:
    """How broad a face is, 0..1, of its landmarks [468, 3] in the head's frame: the tracker hardly
    sees the jaw of one whose nose is less than 0.58 of its width from its chin."""
    long = np.linalg.norm(resting[4, :2] - resting[152, :2])
    wide = np.linalg.norm(resting[234, :2] - resting[454, :2])
    return float(np.clip((0.58 - long / wide) / 0.06, 0, 1))


def _talk(values: Reals) -> float:
    """How much of what opens a mouth a frame's values hold: jaw, smile, raised and lowered lips."""
    lips = [
        values[expression_index(f"mouth{part}{side}")] * share / 2
        for part, share in (("Smile", 0.5), ("UpperUp", 1.0), ("LowerDown", 1.0))
        for side in ("Left", "Right")
    ]
    return float(2 * values[JAW.start] / JAW_OPEN_RAD + sum(lips))


class FaceExpression:
    """Landmark offsets of one reference: what a frame's expression adds to the picture's own."""

    def __init__(self, own: Reals, resting: Reals) -> None:
        """``own`` [56], the picture's motion frame; ``resting`` [468, 3] its landmarks in the
        head's frame, centimetres."""
        self._units = landmark_units().reshape(NUM_UNITS, -1)
        self._breadth = breadth_of(resting)
        self._own = self._coefficients(own)
        self._resting = resting
        self._gap = lips_apart(resting)
        self._own_part = lips_apart(self.own_offsets)
        self._own_talk = _talk(own)
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
        smile = float(values[EXPRESSION][SMILES].mean())
        jaw = jaw_unit(float(values[JAW.start]), self._breadth) * (1 + JAW_WITH_SMILE * smile)
        units = np.append(values[EXPRESSION], jaw)
        close = expression_index("mouthClose") - EXPRESSION.start
        units[close] = min(units[close], max(0.0, units[JAW_UNIT]))
        return units.astype(np.float32)

    def offsets(self, values: Reals) -> Reals:
        """Landmark offsets [468, 3] in centimetres, head's axes, for one frame's values [56].

        Lips that the picture shows apart close when what parts them goes; lips never cross.
        """
        change = self._coefficients(values) - self._own
        change[SMILES] = np.where(
            change[SMILES] < 0, self._unsmile * change[SMILES], change[SMILES]
        )
        moved = (change @ self._units).reshape(NUM_FACE, 3)
        parting = self._own_part + lips_apart(moved)
        unexplained = np.maximum(self._gap - self._own_part, 0)
        kept = 1.0
        if self._own_talk > STILL_TALK:
            kept = float(np.clip(_talk(values) / self._own_talk, 0, 1))
        further = np.maximum(parting - self._own_part, 0)
        wanted = parting + np.minimum(self._gap - self._own_part, 0)
        wanted = wanted + np.hypot(further, unexplained * kept) - further
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
        return float(-open_jaw) * jaw_unit(float(values[JAW.start]), self._breadth)


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
