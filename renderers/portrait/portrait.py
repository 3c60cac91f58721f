"""Zero-shot portrait: one picture moves as motion says, without training.

The picture is a mesh with depth (:mod:`renderers.portrait.mesh`). Turning it and adding the face
units' displacements says where each part of it goes; rasterised at reduced resolution this is a
backward motion field, and the picture is sampled once through it at full resolution. Eyes and the
inside of the mouth are layers, painted where the picture shows none.

Where a turned head covers what is behind it, or uncovers what nobody has seen, the field jumps, at
the coarseness it is drawn with: a jagged edge. Smoothed until no step is left, the jump becomes a
short way on which what is being covered is drawn narrower, and what is uncovered is stretched
evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Picture, Reals
from dimcli.core.progress import ahead
from renderers.base import Reference
from renderers.heads.contours import EYES
from renderers.portrait.background import (
    Cutout,
    MovingPerson,
    filled,
    opacity,
    over,
    person_part,
    shows_person,
    unmixed,
)
from renderers.portrait.expression import FaceExpression
from renderers.portrait.eyes import Eye, eye_state
from renderers.portrait.mesh import (
    NUM_FACE,
    Box,
    FlowRaster,
    HeadMesh,
    HeadTurn,
    Placement,
    Shift,
    smoothstep,
)
from renderers.portrait.mouth import LIPS, Mouth, fit_lips
from weights.canonical_face import canonical_face

FLOW_SAMPLES = 256
"""Longest side of the motion field, in samples; the head's box is at most this fine."""

SHARP_PIXELS = 900_000
"""Head boxes of more pixels are sampled linearly: twice as fast, and their pixels are finer than
anything in them."""

LIP_SAMPLES = 128
"""The same for the lips, which are drawn again on their own."""

FLOW_BLUR = 1.1
"""Smoothing of the field, in samples: soft where a nose passes over a cheek, instead of jagged."""


LEAN = (0.08, 0.06)
"""A head leaves its place by less than this share of its face's size, and grows or shrinks by less
than this: its shoulders stay where they are."""

ROOM_CM = 6.0
"""How far beyond the picture a head that its border cuts off may look for itself."""


class PortraitRenderer:
    """Renders motion in the ``arkit`` space with one picture. Implements ``base.Renderer``."""

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        background: Callable[[Picture], Picture] | None = None,
        *,
        transparent: bool = False,
    ) -> None:
        """``size``: width and height of the frames; the picture's own when None. ``background``
        makes what is shown behind the person [H, W, 3] of what the picture has there;
        ``transparent`` shows nothing there, and frames have four channels."""
        self.remarks: tuple[str, ...] = ()
        self._background, self._transparent = background, transparent
        self._asked_size = size
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        if self._size is None:
            raise RuntimeError("the size is the picture's: call prepare first")
        return self._size

    def prepare(self, reference: Reference) -> None:
        """Take in the picture; everything that does not depend on the motion happens here."""
        reference = reference.resized(self._asked_size)
        self._size = (reference.image.shape[1], reference.image.shape[0])
        self._image: Picture = np.ascontiguousarray(reference.image)
        landmarks = fit_lips(self._image, reference.landmarks.astype(np.float32))
        self._own = reference.values.astype(np.float32)
        self._mesh = HeadMesh(landmarks)
        self._cutout = self._cut_out(reference)
        self._frame, self._behind = self._image, self._image
        if self._cutout is not None:
            self._behind = self._cutout.behind
            if self._background is not None:
                self._behind = self._background(self._behind)
                self._frame = over(self._cutout.person, self._behind)
            if self._transparent:
                self._frame = np.dstack(
                    [unmixed(self._cutout.person), opacity(self._cutout.person)]
                )
        self._turn = HeadTurn(self._own, landmarks, self._mesh.scale, self._size)
        self._expression = FaceExpression(self._own, self._mesh.resting)
        self._raster = FlowRaster(self._mesh, self._mesh.triangles)
        self._face_raster = FlowRaster(self._mesh, canonical_face().triangles)
        width, height = self._size
        picture = (slice(0, height), slice(0, width))
        self._box = Box.around(self._mesh.points, picture, FLOW_SAMPLES)
        self._eyes = {side: Eye(self._image, landmarks, EYES[side]) for side in EYES}
        white = np.mean([eye.white() for eye in self._eyes.values()], axis=0)
        own = self._expression.own_offsets
        self._mouth = Mouth(self._image, landmarks, self._mesh, own, np.asarray(white, np.float32))
        if self._box is not None:
            self._fade = self._border_fade(self._box)
            pixels = np.meshgrid(np.arange(self._box.width), np.arange(self._box.height))
            corner = np.asarray([self._box.left, self._box.top], np.float32) + 0.5
            self._pixels = np.stack(pixels, -1).astype(np.float32) + corner
            self._source, self._room = self._source_of(self._box)
            large = self._box.width * self._box.height > SHARP_PIXELS
            self._sampling = cv2.INTER_LINEAR if large else cv2.INTER_CUBIC
            self._person: MovingPerson | None = None
            if self._cutout is not None and not self._transparent:
                behind = np.ascontiguousarray(self._behind[self._box.window])
                person = np.asarray(self._source, np.float32)
                self._person = MovingPerson(person, self._room, behind, self._sampling)

    def _cut_out(self, reference: Reference) -> Cutout | None:
        matte = reference.matte
        if matte is not None and shows_person(matte, reference.landmarks[:, :2]):
            return Cutout(self._image, matte, self._mesh.scale)
        if self._background is not None or self._transparent:
            raise InputError("--background: the person cannot be told from what is behind them")
        if matte is not None:
            self.remarks += (
                "the person cannot be told from what is behind them, which moves with the head",
            )
        return None

    def render(
        self, values: NDArray[np.float32], places: NDArray[np.float32] | None = None
    ) -> Iterator[Picture]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order; [H, W,
        4] where they are transparent. For ``places`` see :func:`renderers.anchor.places`."""
        values = np.asarray(values, np.float32)

        def frame(index: int) -> Picture:
            shift = None if places is None else self.shift(values[index], places[index])
            return self.draw(values[index], self.place(values[index], shift))

        # who asks for a frame at a time (a stream) needs no threads
        yield from (ahead if len(values) > 1 else map)(frame, range(len(values)))

    @property
    def mesh(self) -> HeadMesh:
        """The picture's mesh."""
        return self._mesh

    def place(self, values: Reals, shift: Shift | None = None) -> Placement:
        """Where one frame's ``values`` [56] put the mesh, moved by ``shift``."""
        return self._mesh.place(self._turn(values), self._expression.offsets(values), shift)

    def shift(self, values: Reals, place: Reals) -> Shift:
        """What brings the face of one frame's ``values`` [56] to a ``place`` [3] beside its own in
        the picture: a face that turns has left it a little already. Large ways end smoothly."""
        placed = self.place(values)
        pivot = placed.pose.pivot[:2] * np.asarray([1, -1], np.float32)
        (centre, size), (own, own_size) = face_box(placed.points), face_box(self._mesh.points)
        nearer = np.log(own_size / size) + place[2]
        scale = np.exp(LEAN[1] * np.tanh(nearer / LEAN[1]))
        way = own + place[:2] * own_size - (pivot + scale * (centre - pivot))
        right, down = LEAN[0] * own_size * np.tanh(way / own_size / LEAN[0])
        return Shift(float(scale), float(right), float(down))

    def draw(self, values: Reals, placement: Placement) -> Picture:
        """The frame [H, W, 3 or 4] of ``values`` [56] that :meth:`place` has placed."""
        frame = self._frame.copy()
        if self._box is None:
            return frame
        offsets = self._expression.offsets(values)
        flow, streaks = self._flow(placement, self._box)
        whole = frame[self._box.window]
        # what is painted below has three channels
        view = np.ascontiguousarray(whole[..., :3]) if self._transparent else whole
        painted = []
        for side, eye in self._eyes.items():
            state = eye_state(values, self._own, side)
            part = self._drawn_part(placement, eye.reach())
            if state.at_rest or part is None:
                continue
            place = self._pixels[part] + flow[part]
            lids = eye.lids(place, state)
            flow[part] += lids.rise[..., None] * eye.up
            painted.append((eye, part, place, lids, state))
        if self._person is not None:
            self._person.draw(view, flow)
        else:
            moved = cv2.remap(
                self._source,
                flow + self._room if self._room else flow,
                None,
                self._sampling | cv2.WARP_RELATIVE_MAP,
                dst=None if self._transparent else view,
                borderMode=cv2.BORDER_REPLICATE,
            )
            if self._transparent:
                view[:] = unmixed(moved)
        if streaks is not None:
            take_streaks(view, streaks, self._mesh.scale)
        for eye, part, place, lids, state in painted:
            eye.draw(view[part], place, lids, state)
        corner = (self._box.left, self._box.top)
        jaw_drop = self._expression.jaw_drop(values)
        self._mouth.draw(view, corner, placement, offsets, jaw_drop)
        if self._transparent:
            whole[:] = np.dstack([view, opacity(moved)])
        return frame

    def _source_of(self, box: Box) -> tuple[Picture | Floats, int]:
        """The part of the picture (or of its cut-out person, float32 [h, w, 4]) that frames are
        sampled from, and how much room it has around.

        A head that the picture's border cuts off brings in what the picture does not have. There
        the picture fades into the colours along its border.
        """
        inside = self._image[box.window]
        head = self._mesh.points[self._mesh.headness > 0]
        low, high = head.min(0), head.max(0)
        if (low > 0).all() and (high < np.asarray(self.size)).all():
            cutout = self._cutout
            return inside if cutout is None else cutout.person[box.window].copy(), 0
        room = max(2, round(ROOM_CM * self._mesh.scale))
        sides = (room,) * 4
        known = cv2.copyMakeBorder(
            np.ones(inside.shape[:2], np.uint8), *sides, cv2.BORDER_CONSTANT, value=0
        )
        wider = filled(cv2.copyMakeBorder(inside, *sides, cv2.BORDER_REPLICATE), known > 0)
        if self._cutout is not None:
            alpha = self._cutout.person[box.window][..., 3]
            alpha, behind = (
                cv2.copyMakeBorder(np.ascontiguousarray(part), *sides, cv2.BORDER_REPLICATE)
                for part in (alpha, self._cutout.behind[box.window])
            )
            return person_part(wider, behind, alpha), room
        return np.ascontiguousarray(wider), room

    def _flow(self, placement: Placement, box: Box) -> tuple[Reals, Reals | None]:
        """Backward motion [height, width, 2] px of every pixel in the head's box, and where it
        draws streaks [rows, columns]."""
        drawn = self._raster.draw(placement, box)
        right, down, head = cv2.split(drawn)
        kept = head + (1 - head) * self._fade
        motion = cv2.merge([right * kept, down * kept])
        smooth = cv2.GaussianBlur(motion, (0, 0), FLOW_BLUR, borderType=cv2.BORDER_REPLICATE)
        step = box.width / box.columns
        smooth_folds(smooth, motion, step)
        flow = cv2.resize(smooth, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        self._sharpen_lips(flow, placement, box)
        return flow, streaked(smooth, step)

    def _sharpen_lips(self, flow: Reals, placement: Placement, box: Box) -> None:
        """Draw the motion around the lips again, finer: between them it jumps."""
        lips = placement.points[LIPS]
        fine = Box.around(lips, box.window, LIP_SAMPLES, margin=0.8 * self._mesh.scale)
        if fine is None:
            return
        drawn = self._face_raster.draw(placement, fine)[..., :2]
        sharp = cv2.resize(
            np.ascontiguousarray(drawn), (fine.width, fine.height), interpolation=cv2.INTER_LINEAR
        )
        edge = max(1.0, 0.7 * self._mesh.scale)
        columns, rows = np.arange(fine.width) + 0.5, np.arange(fine.height) + 0.5
        across = smoothstep(np.minimum(columns, fine.width - columns), 0, edge)
        down = smoothstep(np.minimum(rows, fine.height - rows), 0, edge)
        rows_in, columns_in = fine.window
        part = flow[
            rows_in.start - box.top : rows_in.stop - box.top,
            columns_in.start - box.left : columns_in.stop - box.left,
        ]
        part += (down[:, None] * across)[..., None] * (sharp - part)

    def _drawn_part(self, placement: Placement, corners: Reals) -> tuple[slice, slice] | None:
        """Rows and columns of the head's box where ``corners`` [K, 2] px of the picture are now."""
        assert self._box is not None
        rest = self._mesh.points[:NUM_FACE]
        low, high = corners.min(0), corners.max(0)
        near = ((rest >= low) & (rest <= high)).all(1)
        if not near.any():
            return None
        moved = placement.points[:NUM_FACE][near] - rest[near]
        origin = np.asarray([self._box.left, self._box.top], np.float32)
        first = np.floor(low + moved.min(0) - origin).astype(int)
        last = np.ceil(high + moved.max(0) - origin).astype(int) + 1
        left, top = np.maximum(first, 0).tolist()
        right, bottom = np.minimum(last, [self._box.width, self._box.height]).tolist()
        if right <= left or bottom <= top:
            return None
        return slice(top, bottom), slice(left, right)

    def _border_fade(self, box: Box) -> Reals:
        """Share [rows, columns] of the surroundings' motion that is left close to the picture's
        border: the border itself rests, but where a head reaches it."""
        width, height = self.size
        columns = box.left + (np.arange(box.columns) + 0.5) * box.width / box.columns
        rows = box.top + (np.arange(box.rows) + 0.5) * box.height / box.rows
        still = 1.5 * box.width / box.columns
        way = self._mesh.scale * 5
        across = smoothstep(np.minimum(columns, width - columns), still, still + way)
        down = smoothstep(np.minimum(rows, height - rows), still, still + way)
        return down[:, None] * across


FOLDS = (0.6, 1.5)
"""By how much the place in the picture runs ahead of the drawn one, from sample to sample as a
share of their distance: above 1 more is skipped than shown. Between these the smoothing comes."""

STRETCHES = (0.45, 0.7)
"""The same where it falls behind: at 0.5 the picture is drawn twice as large, at 1 it stands."""

STREAKS = (0.3, 0.6)
"""Stretches in which the grain of the picture becomes streaks."""

STREAK_CM, STREAK_STEPS = 0.14, 18.0
"""Width of the smoothing that takes streaks away, and the colour difference that it leaves."""

SPREAD = 2.8
"""Smoothing across folds and stretches, in samples."""


def face_box(points: Reals) -> tuple[Reals, float]:
    """Middle [2] of the box around the face in ``points`` [V, 2], and the mean of its sides."""
    low, high = points[:NUM_FACE].min(0), points[:NUM_FACE].max(0)
    return (low + high) / 2, float((high - low).mean())


def smooth_folds(smooth: Reals, drawn: Reals, step: float) -> None:
    """Smooth ``smooth`` [rows, columns, 2] px further where ``drawn``, the motion as drawn with
    samples ``step`` px apart, folds or stretches the picture."""
    across, down = np.zeros((2, *drawn.shape[:2]), np.float32)
    to_right, to_below = cv2.split(drawn)
    across[:, :-1] = (to_right[:, 1:] - to_right[:, :-1]) / step
    down[:-1] = (to_below[1:] - to_below[:-1]) / step
    uneven = (across > FOLDS[0]) | (across < -STRETCHES[0])
    uneven |= (down > FOLDS[0]) | (down < -STRETCHES[0])
    left, top, columns, rows = cv2.boundingRect(uneven.view(np.uint8))
    if columns == 0:
        return
    found = (slice(top, top + rows), slice(left, left + columns))
    rough = np.zeros(drawn.shape[:2], np.float32)
    for run in (across[found], down[found]):
        folds = np.maximum(smoothstep(run, *FOLDS), smoothstep(-run, *STRETCHES))
        rough[found] = np.maximum(rough[found], folds)
    near = round(4 * SPREAD) + 4
    part = (
        slice(max(0, top - near), top + rows + near),
        slice(max(0, left - near), left + columns + near),
    )
    share = cv2.GaussianBlur(cv2.dilate(rough[part], np.ones((9, 9), np.uint8)), (0, 0), SPREAD)
    wide = cv2.GaussianBlur(drawn[part], (0, 0), SPREAD)
    smooth[part] += share[..., None] * (wide - smooth[part])


def streaked(smooth: Reals, step: float) -> Reals | None:
    """How much [rows, columns] the motion ``smooth`` [rows, columns, 2] px, with samples ``step``
    px apart, draws the picture's grain into streaks. None when nowhere."""
    across, down = cv2.split(smooth)
    share = np.zeros(smooth.shape[:2], np.float32)
    share[:, 1:-1] = across[:, :-2] - across[:, 2:]
    share[1:-1] = np.maximum(share[1:-1], down[:-2] - down[2:])
    share /= 2 * step
    if share.max() <= STREAKS[0]:
        return None
    return cv2.GaussianBlur(smoothstep(share, *STREAKS), (0, 0), 1.5)


def take_streaks(view: Picture, share: Reals, scale: float) -> None:
    """Smooth the streaks of ``view`` [h, w, 3], which ``share`` [rows, columns] says where they
    are, but no edges. ``scale``: pixels a centimetre."""
    height, width = view.shape[:2]
    grid = np.asarray([share.shape[1] / width, share.shape[0] / height])
    left, top, columns, rows = cv2.boundingRect((share > 0.02).astype(np.uint8))
    if columns == 0:
        return
    first = np.floor(np.asarray([left, top]) / grid).astype(int)
    last = np.ceil(np.asarray([left + columns, top + rows]) / grid).astype(int)
    part = (slice(first[1], last[1]), slice(first[0], last[0]))
    streaks = view[part]
    enlarged = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)[part]
    smooth = cv2.GaussianBlur(streaks, (0, 0), STREAK_CM * scale)
    apart = cv2.absdiff(smooth, streaks).max(-1).astype(np.float32) / STREAK_STEPS
    weight = enlarged * np.exp(-apart * apart)
    mixed = streaks + weight[..., None] * (smooth.astype(np.float32) - streaks)
    streaks[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
