"""The picture as a mesh with depth, and how far it turns.

The mesh is the face's landmarks, and rings around them for hair, neck and what is behind. Two
frames are used. Picture: pixels, x right, y down. Space: pixels too, x right, y up, z towards the
viewer, as weak perspective sees it, so that a point in space is drawn at (x, -y).

Heads turn so that the tracker sees in the frames what the motion asked. The numbers of that were
found by turning pictures by known angles and tracking the frames (the benchmark
``tests/bench/bench_portrait.py`` repeats the check).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD, Reals, expression_index
from dimcli.core.rotations import Rotations
from renderers.heads.contours import FACE_OVAL, fit_similarity
from weights.canonical_face import canonical_face

NUM_FACE = 468
PIVOT_CM = (0.0, -4.5, -4.0)
"""Where the head turns, in the canonical face's frame: between the atlas and the mid-neck."""

TILT_PIVOT_CM = (0.0, -8.0, -4.0)
"""Where it turns when it tilts to the side: that bends the whole neck."""

SKULL_DEPTH_CM = -4.0
NECK_DEPTH_CM = -1.5
RING_RADII = (1.07, 1.16, 1.27, 1.4, 1.55, 1.75, 2.0, 2.3, 2.65)
"""Radii of the rings, as multiples of the face oval's own radius in the same direction."""

FULL_UNTIL = {"up": 1.65, "side": 1.35, "down": 1.0}
REST_FROM = {"up": 2.65, "side": 2.4, "down": 1.9}
"""Between these radii the share of the head's motion falls from one to zero."""

HEAD_UNTIL = {"up": 1.65, "side": 1.3, "down": 1.1}
HEAD_GONE = {"up": 2.1, "side": 1.8, "down": 1.6}
"""Up to the first radius the picture's border holds no head back; from the second it does."""

EXPRESSION_REACH = 0.35
"""How far beyond the oval, in oval radii, the skin still follows the face's expression."""

TRUST_TRACKED_DEPTH = 0.5
"""Share of the tracker's own depth; the rest is the canonical face's, which is never noisy."""


def smoothstep(value: NDArray[np.floating], low: float, high: float) -> Reals:
    """0 below ``low``, 1 above ``high``, smooth between them."""
    share = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def sampled(layer: NDArray[Any], place: Reals, method: int = cv2.INTER_LINEAR) -> NDArray[Any]:
    """``layer`` [H, W, ...] at ``place`` [h, w, 2] (x, y); its edge goes on beyond it."""
    place = place.astype(np.float32)
    return cv2.remap(layer, place, None, method, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class Shift:
    """Where a head is that did not stay in its place: ``scale`` times as large about its pivot, and
    moved by ``right`` and ``down`` px. Motion has no such numbers; a tracked clip does."""

    scale: float = 1.0
    right: float = 0.0
    down: float = 0.0


@dataclass(frozen=True)
class Pose:
    """A motion: ``rotation`` [3, 3] (times a scale) about the mesh's pivot, which goes to ``pivot``
    [3]."""

    rotation: Reals
    pivot: Reals

    def of(self, offsets: Reals) -> Reals:
        """Where points go that lie at ``offsets`` [..., 3] from the pivot."""
        return offsets @ self.rotation.T + self.pivot


@dataclass(frozen=True)
class Placement:
    """Where the mesh is in one frame: ``points`` [V, 2] picture px, ``depth`` [V] towards us, and
    the ``pose`` of the head without its expression."""

    points: Reals
    depth: Reals
    pose: Pose


class HeadMesh:
    """Vertices are the 468 landmarks, then the rings outwards, 36 to a ring as the oval has.

    ``rest`` [V, 3] in space; ``share`` [V], how much of the head's motion a vertex takes;
    ``headness`` [V], 1 on the head and 0 around it; ``triangles`` int32 [F, 3]; ``scale`` pixels a
    centimetre; ``axes`` [3, 3], the head's rotation in the picture; ``pivot`` [3] in space.
    """

    def __init__(self, landmarks: Reals) -> None:
        """``landmarks`` float32 [478, 3] of the reference picture, as in :class:`Reference`."""
        face = canonical_face()
        tracked = landmarks[:NUM_FACE] * np.asarray([1, -1, -1], np.float32)
        self.scale, self.axes = fit_similarity(face.vertices, tracked)
        fitted = self.scale * face.vertices @ self.axes.T
        fitted += tracked.mean(0) - fitted.mean(0)
        origin = fitted[0] - self.scale * self.axes @ face.vertices[0]
        pivot = origin + self.scale * self.axes @ np.asarray(PIVOT_CM)
        self.pivot = pivot.astype(np.float32)
        lower = np.asarray(TILT_PIVOT_CM) - np.asarray(PIVOT_CM)
        self._to_tilt_pivot = (self.scale * self.axes @ lower).astype(np.float32)
        surface = tracked.copy()
        surface[:, 2] += (1 - TRUST_TRACKED_DEPTH) * (fitted - tracked)[:, 2]
        rings, shares, head = self._rings(surface)
        self.rest = np.concatenate([surface, rings]).astype(np.float32)
        self.share = np.concatenate([np.ones(NUM_FACE, np.float32), shares])
        self.triangles = np.concatenate([face.triangles, self._ring_triangles()]).astype(np.int32)
        radii = np.repeat(np.asarray(RING_RADII, np.float32), len(FACE_OVAL))
        self._ring_reach = 1 - smoothstep(radii, 1.0, 1.0 + EXPRESSION_REACH)[:, None]
        self.headness = np.concatenate([np.ones(NUM_FACE, np.float32), head])
        self.points = self.rest[:, :2] * np.asarray([1, -1], np.float32)

    @property
    def resting(self) -> Reals:
        """The picture's landmarks [468, 3] in the head's own frame, centimetres."""
        return (self.rest[:NUM_FACE] - self.pivot) @ self.axes / self.scale

    def _rings(self, surface: Reals) -> tuple[Reals, Reals, Reals]:
        """Ring vertices [R * 36, 3], their shares of the head's motion and their headness."""
        oval = surface[FACE_OVAL]
        centre = oval[:, :2].mean(0)
        spokes = oval[:, :2] - centre
        direction = spokes / np.linalg.norm(spokes, axis=1, keepdims=True)
        head_up = self.axes[:2, 1] / np.linalg.norm(self.axes[:2, 1])
        upness = direction @ head_up
        up, down = smoothstep(upness, 0.0, 0.9), smoothstep(-upness, 0.1, 0.9)
        side = 1 - up - down

        def by_direction(table: dict[str, float]) -> Reals:
            return up * table["up"] + side * table["side"] + down * table["down"]

        full, rest = by_direction(FULL_UNTIL), by_direction(REST_FROM)
        head_until, head_gone = by_direction(HEAD_UNTIL), by_direction(HEAD_GONE)
        above = (1 - down) * (SKULL_DEPTH_CM - PIVOT_CM[2]) + down * (NECK_DEPTH_CM - PIVOT_CM[2])
        back = self.pivot[2] + self.scale * above
        depth_until = np.where(upness > 0, 1.3 + 0.5 * up, 1.3)
        points, shares, headness = [], [], []
        for radius in RING_RADII:
            sink = np.clip((radius - 1) / (depth_until - 1), 0, 1)
            sink = sink * sink * (3 - 2 * sink)
            depth = oval[:, 2] + np.minimum(back - oval[:, 2], 0) * sink
            points.append(np.column_stack([centre + radius * spokes, depth]))
            fall = np.clip((radius - full) / (rest - full), 0, 1)
            shares.append(1 - fall * fall * (3 - 2 * fall))
            left = np.clip((radius - head_until) / (head_gone - head_until), 0, 1)
            headness.append(1 - left * left * (3 - 2 * left))
        return (
            np.concatenate(points).astype(np.float32),
            np.concatenate(shares).astype(np.float32),
            np.concatenate(headness).astype(np.float32),
        )

    @staticmethod
    def _ring_triangles() -> NDArray[np.int32]:
        count = len(FACE_OVAL)
        rows = [FACE_OVAL] + [
            NUM_FACE + ring * count + np.arange(count) for ring in range(len(RING_RADII))
        ]
        parts = []
        for inner, outer in pairwise(rows):
            inner_next, outer_next = np.roll(inner, -1), np.roll(outer, -1)
            parts.append(np.stack([inner, outer, inner_next], 1))
            parts.append(np.stack([inner_next, outer, outer_next], 1))
        return np.concatenate(parts).astype(np.int32)

    def place(self, rotation: Reals, offsets: Reals, shift: Shift | None = None) -> Placement:
        """The mesh turned by ``rotation`` [3, 3] (relative to the picture) with expression
        ``offsets`` [468, 3], centimetres in the head's own frame, and moved by ``shift``."""
        moved = offsets @ (self.scale * self.axes.T)
        around = moved[np.tile(FACE_OVAL, len(RING_RADII))] * self._ring_reach
        local = self.rest - self.pivot + np.concatenate([moved, around])
        pose = self.pose(rotation, shift or Shift())
        posed = pose.of(local)
        target = self.rest + self.share[:, None] * (posed - self.rest)
        return Placement(target[:, :2] * np.asarray([1, -1], np.float32), posed[:, 2], pose)

    def pose(self, rotation: Reals, shift: Shift = Shift()) -> Pose:
        """Where ``rotation`` [3, 3], relative to the picture, and ``shift`` take the head."""
        tilt = np.arctan2(rotation[1, 0] - rotation[0, 1], rotation[0, 0] + rotation[1, 1])
        cosine, sine = np.cos(tilt), np.sin(tilt)
        lower = self._to_tilt_pivot[:2]
        swing = lower - np.array([[cosine, -sine], [sine, cosine]]) @ lower
        moved = np.array([swing[0] + shift.right, swing[1] - shift.down, 0])
        scaled = (shift.scale * rotation).astype(np.float32)
        return Pose(scaled, (self.pivot + moved).astype(np.float32))


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture in whole pixels, and the grid of motion samples laid over it."""

    left: int
    top: int
    width: int
    height: int
    columns: int
    rows: int

    @classmethod
    def around(
        cls, points: Reals, region: tuple[slice, slice], longest: int, margin: float = 0.0
    ) -> Box | None:
        """The part of a ``region`` (rows, columns) of the picture that ``points`` [K, 2] span,
        ``margin`` px wider; at most ``longest`` samples a side. None when they lie outside it."""
        down, across = region
        low = np.maximum(np.floor(points.min(0) - margin), (across.start, down.start)).astype(int)
        high = np.minimum(np.ceil(points.max(0) + margin), (across.stop, down.stop)).astype(int)
        width, height = (high - low).tolist()
        if width < 2 or height < 2:
            return None
        step = max(1.0, max(width, height) / longest)
        columns, rows = max(2, round(width / step)), max(2, round(height / step))
        return cls(int(low[0]), int(low[1]), width, height, columns, rows)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the box in the picture."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


class FlowRaster:
    """Draws a placed mesh as backward motion: for each sample, where in the picture it comes from.

    The nearer surface wins, so a turned nose covers the cheek behind it.
    """

    _FAR = 2e4  # px: so far that the rasteriser's perspective is none

    def __init__(
        self, mesh: HeadMesh, triangles: NDArray[np.int32], origin: Reals | None = None
    ) -> None:
        """``triangles`` int32 [F, 3]: those of ``mesh`` to draw. ``origin`` [V, 2]: where in the
        picture its vertices come from, the mesh's own places when None."""
        self._points = mesh.points if origin is None else origin
        self._headness = mesh.headness
        self._triangles = np.ascontiguousarray(triangles)
        self._settings = cv2.TriangleRasterizeSettings()
        self._settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
        self._settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)

    def draw(self, placement: Placement, box: Box) -> Reals:
        """Field [rows, columns, 3]: the way in pixels (x, y) from a drawn sample back to where the
        picture has it, and whether it is of the head (1) or of what is around it (0)."""
        grid = np.asarray([box.columns / box.width, box.rows / box.height], np.float32)
        half = np.asarray([box.columns / 2, box.rows / 2], np.float32)
        centred = (placement.points - np.asarray([box.left, box.top], np.float32)) * grid - half
        distance = self._FAR - (placement.depth - placement.depth.mean()) * grid.mean()
        vertices = np.empty((len(centred), 3), np.float32)
        vertices[:, 0] = centred[:, 0] * distance / self._FAR
        vertices[:, 1] = -centred[:, 1] * distance / self._FAR
        vertices[:, 2] = -distance
        back = np.zeros((len(centred), 3), np.float32)
        back[:, :2] = self._points - placement.points
        back[:, 2] = self._headness
        flow = np.zeros((box.rows, box.columns, 3), np.float32)
        depth = np.full((box.rows, box.columns), 2 * self._FAR, np.float32)
        cv2.triangleRasterize(
            vertices,
            self._triangles,
            back,
            flow,
            depth,
            np.eye(4, dtype=np.float32),
            2 * float(np.arctan(half[1] / self._FAR)),
            1.0,
            2 * self._FAR,
            self._settings,
        )
        return flow


SMILES = [expression_index(f"mouthSmile{side}") for side in ("Left", "Right")]
BLINKS = [expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]

TRACKER_VIEW_RAD = float(np.radians(63))
"""Vertical view angle of the camera that the tracker takes every picture to be made with."""

TURN_SHIFT_CM = 4.2
TURN_SEEN = (0.8, 0.9, 1.0)
"""Shares of a turn about x, y, z that the tracker measures in portraits turned so (medians over six
pictures at +-6 and +-12 degrees), once the shift is accounted for."""

TURN_GAIN_LIMIT = 1.45
"""No more than this even for a face that fills the picture."""

SIGHT_SHARE = 0.55
"""Share of the angle between picture axis and face by which the tracker's axes are turned."""

TURN_FREE_RAD = 0.17
"""Turns far beyond this are not enlarged further: a picture has no other side to show."""


SMILE_AS_PITCH_RAD = float(np.radians(3.6))
JAW_AS_PITCH_RAD = float(np.radians(0.35))
BLINK_AS_PITCH_RAD = float(np.radians(0.8))
"""What the tracker takes for a nod when no head moves: a full smile's raised cheeks, an open jaw,
half of what it sees in a blink (medians over seven pictures). The head turns back by as much."""


def _seen_as_pitch(values: Reals) -> float:
    """Turn about x, radians, that the tracker sees in a frame's smile, jaw and blink."""
    return float(
        SMILE_AS_PITCH_RAD * values[SMILES].mean()
        + JAW_AS_PITCH_RAD * np.tanh(values[JAW.start] / (0.3 * JAW_OPEN_RAD))
        + BLINK_AS_PITCH_RAD * values[BLINKS].mean()
    )


class HeadTurn:
    """Turns of one reference picture's head.

    The tracker assumes a camera of :data:`TRACKER_VIEW_RAD`. A head that turns also moves to the
    side, and to a camera so close that is a turn the other way; so heads turn further than asked,
    the more the larger they are in the picture, and by what the tracker fails to see of a turned
    picture (``TURN_SEEN``). Its axes are those of its line of sight to the face.
    """

    def __init__(self, own: Reals, landmarks: Reals, scale: float, size: tuple[int, int]) -> None:
        """``own`` [56] the picture's frame; ``landmarks`` [478, 3] px; ``scale`` px a centimetre;
        ``size`` (width, height) of the picture."""
        self._from_own = Rotations.of_vectors(own[HEAD]).inverse
        self._own_nod = _seen_as_pitch(own)
        focal = size[1] / 2 / np.tan(TRACKER_VIEW_RAD / 2)
        distance_cm = max(12.0, focal / scale)
        seen = 1 - np.array([1, 1, 0]) * TURN_SHIFT_CM / distance_cm
        self._gain = np.minimum(1 / (seen * np.array(TURN_SEEN)), TURN_GAIN_LIMIT)
        right, down = landmarks[:, :2].mean(0) - np.array(size) / 2
        sight = Rotations.of_vectors(SIGHT_SHARE * np.array([-down, right, 0]) / focal)
        self._from_sight = sight.inverse.matrices

    def __call__(self, values: Reals) -> Reals:
        """Rotation [3, 3] from the picture to one frame's ``values`` [56]."""
        asked = (Rotations.of_vectors(values[HEAD]) * self._from_own).vectors
        asked[0] -= _seen_as_pitch(values) - self._own_nod
        asked = self._from_sight @ asked
        turned = asked + (self._gain - 1) * TURN_FREE_RAD * np.tanh(asked / TURN_FREE_RAD)
        return Rotations.of_vectors(turned).matrices.astype(np.float32)
