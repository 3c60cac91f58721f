"""One eye of a portrait: lids that slide over an eyeball, and an iris that can look elsewhere.

What a motion frame asks of it is an :class:`EyeState`. Coordinates: ``along`` runs from the eye's
image-left corner (-0.5) to its image-right one (0.5), ``above`` is upwards across it; both in eye
widths, both fixed to the picture at rest. A frame asks, for every drawn pixel, where on the picture
at rest it lies, and whether it shows lid or eyeball.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Picture, Reals, expression_index
from renderers.heads.contours import EyeContour
from renderers.portrait.mesh import sampled, smoothstep

BLINK_SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.56, 0.6)
LID_OPENINGS = (1.1, 0.95, 0.66, 0.48, 0.39, 0.29, 0.15, 0.0)
"""How open an eye is at the tracker's blink scores. Measured: medians of what the tracker saw in
seven rendered portraits at each opening; the lids meet at the last, the most it says of any. Below
0.2 it sees less of a lid than moves: gentler here, for its noise there not to flutter the lids."""

WIDEST = 1.3
"""No lid opens further than this share of what the picture shows: behind it nothing is known."""

WIDE_GAIN = 0.2
LOWER_SHARE = 0.6
SQUINT_RISE = 2.5
LID_FOLLOW_UP, LID_FOLLOW_DOWN = 0.1, 0.15
"""How far the upper lid goes along with a look up or down, beyond what the blink score says."""

GAZE_REACH = np.asarray([0.18, 0.14], np.float32)
"""Shift of the iris at a full look sideways and up or down, in eye widths."""


@dataclass(frozen=True)
class EyeState:
    """What an eye does: ``upper`` and ``lower`` lid opening (1 as in the picture, 0 closed), and
    the iris's shift in eye widths, to the image's right and up."""

    upper: float = 1.0
    lower: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)

    @property
    def at_rest(self) -> bool:
        """Whether the eye is as the picture shows it."""
        return self == EyeState()

    @property
    def lid_shown(self) -> float:
        """From 0 to 1 as the upper lid closes: how much is drawn of what an open eye hides."""
        return float(smoothstep(np.asarray(1 - self.upper, np.float32), 0.12, 0.6))


def eye_state(values: Reals, own: Reals, side: str) -> EyeState:
    """What the eye on the subject's ``side`` ("Left", "Right") does for one frame's ``values``
    [56], when the picture shows it as ``own`` [56] says."""
    gaze = gaze_of(values) - gaze_of(own)
    opening = _opening(values, side) / max(_opening(own, side), 0.25)
    follow = float(gaze[1]) * (LID_FOLLOW_UP if gaze[1] > 0 else LID_FOLLOW_DOWN)
    upper = float(np.clip(opening * (1 + follow), 0, WIDEST))
    lower = 1 - LOWER_SHARE * (1 - min(opening, 1.0))
    squint = _of(values, "eyeSquint", side) - _of(own, "eyeSquint", side)
    lower = float(np.clip(lower - SQUINT_RISE * squint, -3.0, 2.5)) if opening > 0 else 0.0
    right, up = (GAZE_REACH * gaze).tolist()
    return EyeState(round(upper, 4), round(lower, 4), (round(right, 4), round(up, 4)))


def _of(values: Reals, name: str, side: str) -> float:
    return float(values[expression_index(name + side)])


def _opening(values: Reals, side: str) -> float:
    """How open the upper lid is, 1 at a blink score of zero."""
    lids = float(np.interp(_of(values, "eyeBlink", side), BLINK_SCORES, LID_OPENINGS))
    return lids + WIDE_GAIN * _of(values, "eyeWide", side)


def gaze_of(values: Reals) -> Reals:
    """Where both eyes look together: shares [2] of the furthest, to the image's right and up."""
    left_out = _of(values, "eyeLookOut", "Left") - _of(values, "eyeLookIn", "Left")
    right_out = _of(values, "eyeLookOut", "Right") - _of(values, "eyeLookIn", "Right")
    up = [_of(values, "eyeLookUp", s) - _of(values, "eyeLookDown", s) for s in ("Left", "Right")]
    return np.asarray([(left_out - right_out) / 2, sum(up) / 2], np.float32)


CLOSING_LINE = -0.05
"""Where the lids meet, as a share of the opening above the lower lid: just over it."""

LASH_BAND = 0.18
"""Skin this close to the lid's edge (eye widths) moves with it unstretched, and its lashes too."""

LASH_REACH = 0.4
"""Lashes stand up to this far over the upper lid's edge, in eye widths."""

OUTERMOST = 0.78
"""And up to here beyond the outer corner, from the eye's middle."""

LASH_SHARE = 0.86
"""Lashes are darker than this share of the skin beside them."""

LID_LIGHT = 0.98
"""Brightness of a closing lid's skin against that around the eye."""

MAX_GAZE = 0.2
"""Largest shift of the iris, in eye widths."""


@dataclass(frozen=True)
class LidMap:
    """One drawn patch: ``rise`` [h, w], how far up the picture (px) a pixel's skin comes from;
    ``ball`` and ``lid`` [h, w] in 0..1, how much it shows of the eyeball and of the lid that the
    picture hides; ``along`` and ``above`` where it is; ``edge`` its height over the upper lid's
    edge and ``height`` that of the lid, all [h, w] in eye widths."""

    rise: Reals
    ball: Reals
    lid: Reals
    along: Reals
    above: Reals
    edge: Reals
    height: Reals


class Eye:
    """An eye of the reference picture."""

    def __init__(self, image: Picture, landmarks: Reals, contour: EyeContour) -> None:
        """``image`` uint8 [H, W, 3], ``landmarks`` [478, 3] px, ``contour``: which eye."""
        points = landmarks[:, :2].astype(np.float32)
        corners = points[contour.upper[[0, -1]]]
        corners = corners[np.argsort(corners[:, 0])]
        self.width = float(np.linalg.norm(corners[1] - corners[0]))
        self.centre = corners.mean(0)
        right = (corners[1] - corners[0]) / self.width
        self.right = right.astype(np.float32)
        self.up = np.asarray([right[1], -right[0]], np.float32)
        self._knots = np.linspace(-0.62, 0.62, 125, dtype=np.float32)
        self._upper0 = self._lid(points[contour.upper])
        self._lower0 = np.minimum(self._lid(points[contour.lower]), self._upper0 - 1e-3)
        self._closed = self._lower0 + CLOSING_LINE * (self._upper0 - self._lower0)
        brow = self.local(points[contour.brow])[:, 1]
        self._brow = float(np.clip(brow.mean(), self._upper0.max() + 0.12, 0.9))
        iris = self.local(points[contour.iris])
        self._iris = iris[0]
        self._iris_radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        self.opening = float((self._upper0 - self._lower0).max())
        self._corner = self.centre - np.asarray([1.0, 1.0], np.float32) * self.width
        self._lash = min(LASH_BAND, 0.45 * (self._brow - float(self._upper0.max())))
        self._ball = self._eyeball(image)
        self._skin, self._grain = self._lid_skin(image)
        self.lash_colour = self._lash_colour(image)
        self._outwards = float(np.sign(self.local(points[contour.upper[0]])[0]))
        self._bare, self._lashes = self._without_lashes(image)

    def local(self, points: Reals) -> Reals:
        """Picture pixels [..., 2] to (along, above)."""
        offset = (points - self.centre) / self.width
        return np.stack([offset @ self.right, offset @ self.up], axis=-1).astype(np.float32)

    def _lid(self, points: Reals) -> Reals:
        """A lid's height at the knots, running out flat beyond the corners."""
        curve = self.local(points)
        curve = curve[np.argsort(curve[:, 0])]
        keep = np.concatenate([[True], np.diff(curve[:, 0]) > 1e-3])
        return through(curve[keep], self._knots).astype(np.float32)

    def _eyeball(self, image: Picture) -> Picture:
        """Patch [h, w, 3] of the picture around the eye with lids painted over by more eyeball."""
        side = int(np.ceil(2 * self.width))
        columns, rows = np.meshgrid(np.arange(side), np.arange(side))
        pixel = np.stack([columns, rows], -1).astype(np.float32)
        self._corner = np.round(self._corner)
        place = pixel + self._corner
        patch = sampled(image, place, cv2.INTER_NEAREST)
        spot = self.local(place + 0.5)
        depth = self._depth(spot)
        return uncovered(patch, spot, depth, self.width, (self._iris, self._iris_radius))

    def _lid_skin(self, image: Picture) -> tuple[Reals, Reals]:
        """Colours of a closed lid along the knots, at its edge and where it meets the skin above
        [2, 125, 3], and the picture's grain around the eye [h, w, 3]. The colours are those of the
        skin above the lashes and below the eye: its lighter part, for lashes are in it."""

        def row(curve: Reals, lifts: Reals) -> Reals:
            spots = [np.stack([self._knots, curve + lift], -1) for lift in lifts]
            place = self._picture(np.stack(spots)) - 0.5
            colours = sampled(image, place).astype(np.float32)
            order = np.argsort(colours.sum(-1), axis=0)[2 * len(lifts) // 3 :]
            light = np.take_along_axis(colours, order[..., None], axis=0).mean(0)
            return cv2.GaussianBlur(light[None], (0, 0), 10, borderType=cv2.BORDER_REPLICATE)[0]

        above = row(self._upper0, self._lash * np.linspace(0.5, 1.7, 9, dtype=np.float32))
        below = row(self._lower0, np.linspace(-0.36, -0.12, 9, dtype=np.float32))
        skin = np.stack([(0.4 * above + 0.6 * below) * LID_LIGHT, above])
        side = self._ball.shape[0]
        place = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1) + self._corner
        patch = sampled(image, place, cv2.INTER_NEAREST).astype(np.float32)
        grain = patch - cv2.GaussianBlur(patch, (0, 0), max(1.0, 0.05 * self.width))
        return skin.astype(np.float32), np.clip(grain, -14, 14)

    def _without_lashes(self, image: Picture) -> tuple[Reals, Reals]:
        """The picture around the eye as if the upper lid had no lashes and the eye were skin
        [h, w, 3], and where lashes are that a closing lid takes along [h, w] in 0..1.

        Lashes are what is dark and hangs together with the lid's edge: rims of glasses, brows and
        the fold of the lid do not.
        """
        side = self._ball.shape[0]
        small = min(1.0, 96.0 / self.width)  # what fills in is smooth
        count = max(round(side * small), 8)
        step = side / count
        pixel = np.stack(np.meshgrid(*2 * [(np.arange(count) + 0.5) * step]), -1) + self._corner
        patch = sampled(image, pixel.astype(np.float32) - 0.5)
        spot = self.local(pixel.astype(np.float32))
        along, over = spot[..., 0], spot[..., 1] - self._height(self._upper0, spot)
        eye = self._depth(spot) > -0.02
        outer = along * self._outwards
        zone = (outer > -0.5) & (outer < OUTERMOST) & (over > -0.05) & (over < LASH_REACH) & ~eye
        zone &= spot[..., 1] < self._brow - 0.12
        light = patch.astype(np.float32).mean(-1)
        skin = self._skin[1].mean(-1)
        usual = np.interp(along, self._knots, skin)
        dark = zone & (light < LASH_SHARE * usual)
        _, parts = cv2.connectedComponents(dark.astype(np.uint8))
        held = np.unique(parts[dark & (np.abs(over) < 0.04)])
        lashes = (dark & np.isin(parts, held)).astype(np.uint8)
        lashes = cv2.dilate(lashes, np.ones((3, 3), np.uint8)) * zone
        bare = cv2.inpaint(patch, lashes | eye.astype(np.uint8), 3.0, cv2.INPAINT_TELEA)
        bare = cv2.GaussianBlur(bare, (0, 0), 1.0)
        soft = cv2.GaussianBlur(lashes.astype(np.float32), (0, 0), 1.0)
        soft *= smoothstep(outer, -0.5, -0.3) * (1 - smoothstep(outer, OUTERMOST - 0.08, OUTERMOST))
        bare, soft = (cv2.resize(one, (side, side)) for one in (bare.astype(np.float32), soft))
        return bare, soft

    def _height(self, curve: Reals, spot: Reals) -> Reals:
        """Of a ``curve`` at the knots over the places ``spot`` [..., 2]."""
        return np.interp(spot[..., 0], self._knots, curve).astype(np.float32)

    def _depth(self, spot: Reals) -> Reals:
        """How far inside the lids, in eye widths; negative outside."""
        upper = np.interp(spot[..., 0], self._knots, self._upper0)
        lower = np.interp(spot[..., 0], self._knots, self._lower0)
        within = np.minimum(upper - spot[..., 1], spot[..., 1] - lower)
        return np.minimum(within, 0.5 - np.abs(spot[..., 0])).astype(np.float32)

    def _inside(self, spot: Reals, inset: float) -> NDArray[np.bool_]:
        return self._depth(spot) > inset

    def _picture(self, spot: Reals) -> Reals:
        """(along, above) [..., 2] to picture pixels."""
        across = spot[..., :1] * self.right + spot[..., 1:] * self.up
        return (self.centre + across * self.width).astype(np.float32)

    def _lash_colour(self, image: Picture) -> Reals:
        """The dark of the lid's edge, from the darkest pixels along it."""
        steps = np.linspace(-0.4, 0.4, 40)
        heights = np.interp(steps, self._knots, self._upper0)
        band = [np.stack([steps, heights + lift], -1) for lift in (-0.03, 0.0, 0.03, 0.06)]
        place = self._picture(np.concatenate(band).astype(np.float32))[None] - 0.5
        colours = cv2.remap(image, place, None, cv2.INTER_LINEAR)[0].astype(np.float32)
        order = np.argsort(colours.sum(-1))
        dark = colours[order[: len(order) // 8]].mean(0)
        return dark + 0.35 * (dark.mean() - dark)  # a tinted glass is no lash

    def white(self) -> Reals:
        """The white of the eye [3]: bright and of little colour among what the lids leave free."""
        side = self._ball.shape[0]
        pixels = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1) + self._corner + 0.5
        spot = self.local(pixels.astype(np.float32))
        free = self._inside(spot, 1.0 / self.width)
        away = np.abs(spot[..., 0] - self._iris[0]) > 1.1 * self._iris_radius
        colours = self._ball[free & away].astype(np.float32)
        if len(colours) < 4:
            return np.asarray([200, 195, 190], np.float32)
        order = np.argsort(colours.sum(1))
        return colours[order[int(0.6 * len(order)) : int(0.95 * len(order)) + 1]].mean(0)

    def reach(self) -> Reals:
        """Corners [4, 2] px of the part of the picture that the lids can change."""
        low, high = float(self._lower0.min()) - 0.35, self._brow + 0.02
        left, right = np.sort([-0.62 * self._outwards, OUTERMOST * self._outwards])
        spots = np.asarray([[left, low], [right, low], [left, high], [right, high]], np.float32)
        return self._picture(spots)

    def lids(self, place: Reals, state: EyeState) -> LidMap:
        """Where lids and eyeball are, for pixels that lie at ``place`` [h, w, 2] px at rest."""
        spot = self.local(place)
        along, above = spot[..., 0], spot[..., 1]
        upper = self._closed + (self._upper0 - self._closed) * state.upper
        lower = self._closed + (self._lower0 - self._closed) * state.lower
        fold = np.minimum(lower, upper)
        index = np.clip((along - self._knots[0]) / (self._knots[1] - self._knots[0]), 0, 124)
        table = np.stack([upper, fold, self._upper0 - upper, fold - self._lower0])
        looked = cv2.remap(
            np.ascontiguousarray(table.T)[None],
            index.astype(np.float32),
            np.zeros_like(index, np.float32),
            cv2.INTER_LINEAR,
        )
        top, bottom, drop, lift = np.moveaxis(looked, -1, 0)
        fade = 1 - smoothstep(np.abs(along), 0.5, 0.62)
        over, under = above - top, bottom - above
        hidden = state.lid_shown
        band = self._lash * (1 - 0.8 * hidden)
        span = np.maximum(0.8 * self._brow - top, 1.5 * np.abs(drop) + 0.02 + band)
        stretch = 1 - smoothstep((over - band) / (span - band), 0.0, 1.0)
        rise = np.where(over > 0, drop * stretch * fade, 0)
        below = 1 - smoothstep((under - 0.02) / np.maximum(0.3, 1.7 * np.abs(lift)), 0.0, 1.0)
        rise = np.where(under > 0, -lift * below * fade, rise)
        pixel = 1.0 / self.width
        edge = np.minimum(-over, -under) / pixel
        ball = np.clip(edge - 0.5, 0, 1) * (np.abs(along) < 0.5)
        height = self._lash + np.maximum(drop, 0)
        lid = (1 - smoothstep(over / height, 0.75, 1.3)) * np.clip(over / pixel + 0.5, 0, 1)
        lid *= smoothstep(0.62 - np.abs(along), 0.0, 0.11)
        lid *= hidden
        return LidMap(rise * self.width, ball, lid, along, above, over, height)

    def draw(self, frame: Picture, place: Reals, lids: LidMap, state: EyeState) -> None:
        """Paint eyeball, lid and lash line into ``frame`` [h, w, 3], a view of the picture already
        warped; ``place`` and ``lids`` as for :meth:`lids`."""
        offset = self._look(lids, state)
        target = place - 0.5 - self._corner
        if state.gaze != (0.0, 0.0):
            target = target - self.width * (
                offset[..., :1] * self.right + offset[..., 1:] * self.up
            )
        ball = sampled(self._ball, target, cv2.INTER_CUBIC).astype(np.float32)
        closing = max(0.0, 1 - state.upper)
        skin: Reals = frame.astype(np.float32)
        if state.lid_shown > 0:
            source = place - 0.5 - self._corner + lids.rise[..., None] * self.up
            lashes = state.lid_shown * sampled(self._lashes, source)
            skin += lashes[..., None] * (sampled(self._bare, source) - skin)
        shadow = 0.45 * min(1.0, 2.5 * closing) * np.exp(np.minimum(lids.edge, 0) / 0.07)
        ball *= (1 - shadow)[..., None]
        mixed = skin + lids.ball[..., None] * (ball - skin)
        if closing > 0:
            mixed += lids.lid[..., None] * (self._painted_lid(lids) - mixed)
            outwards = 1 + 0.5 * np.abs(lids.along)
            thickness = (0.022 + 0.6 / self.width) * outwards
            below = np.where(lids.edge < 0, 1.6, 1.0)  # lashes hang
            line = np.exp(-((lids.edge / (thickness * below)) ** 2))
            line *= smoothstep(0.5 - np.abs(lids.along), 0.0, 0.12)
            line *= 0.9 * float(smoothstep(np.asarray(closing, np.float32), 0.1, 0.8))
            mixed += line[..., None] * np.minimum(self.lash_colour - mixed, 0)
        frame[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _painted_lid(self, lids: LidMap) -> Reals:
        """Skin [h, w, 3] of the lid that the open eye hides, with the grain of the skin below."""
        index = (lids.along - self._knots[0]) / (self._knots[1] - self._knots[0])
        share = np.clip(lids.edge / lids.height, 0, 1.2)
        colour = sampled(self._skin, np.stack([index, np.clip(share, 0, 1)], -1))
        below = np.asarray(self._lower0.min() - 0.1, np.float32) - 0.7 * lids.edge
        place = self._picture(np.stack([lids.along, below], -1)) - 0.5 - self._corner
        grain = cv2.remap(
            self._grain, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        round_light = (
            1 + 0.05 * np.sin(np.pi * share) - 0.05 * np.exp(-(((share - 0.9) / 0.2) ** 2))
        )
        return colour * round_light[..., None] + grain

    def _look(self, lids: LidMap, state: EyeState) -> Reals:
        """Backward shift [h, w, 2] (eye widths): the iris moves whole, the white gives way."""
        shift = np.clip(np.asarray(state.gaze, np.float32), -MAX_GAZE, MAX_GAZE)
        from_iris = np.stack([lids.along, lids.above], -1) - (self._iris + shift)
        distance = np.hypot(from_iris[..., 0], from_iris[..., 1]) / self._iris_radius
        return shift * (1 - smoothstep(distance, 1.1, 2.6))[..., None]


def through(points: Reals, places: Reals) -> NDArray[np.float64]:
    """Heights at ``places`` [K] of a smooth curve through ``points`` [N, 2], sorted by their first
    column, that swings no further than they do, and goes on flat beyond them (Fritsch and Butland
    1984)."""
    x, y = points.astype(np.float64).T
    if len(x) == 2:
        return np.interp(places, x, y)
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    slope = np.zeros(len(x))
    before, after = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    along = rise[1:] * rise[:-1] > 0
    harmonic = before[along] / rise[:-1][along] + after[along] / rise[1:][along]
    slope[1:-1][along] = (before + after)[along] / harmonic
    for end, (near, far) in ((0, (0, 1)), (-1, (-1, -2))):
        wide = 2 * width[near] + width[far]
        tilt = (wide * rise[near] - width[near] * rise[far]) / (width[near] + width[far])
        if tilt * rise[near] > 0:
            turns = rise[near] * rise[far] < 0 and abs(tilt) > 3 * abs(rise[near])
            slope[end] = 3 * rise[near] if turns else tilt
    places = places.astype(np.float64).clip(x[0], x[-1])
    left = (np.searchsorted(x, places, side="right") - 1).clip(0, len(x) - 2)
    share = (places - x[left]) / width[left]
    bend = (slope[left] - rise[left]) * (1 - share) + (rise[left] - slope[left + 1]) * share
    return y[left] + width[left] * share * (rise[left] + (1 - share) * bend)


def uncovered(
    patch: Picture, spot: Reals, depth: Reals, width: float, iris: tuple[Reals, float]
) -> Picture:
    """``patch`` [h, w, 3] of a picture around an eye with lids painted over by more eyeball.

    ``spot`` [h, w, 2]: where its pixels are, and ``depth`` [h, w]: how far inside the lids, both in
    eye widths of ``width`` px; ``iris``: its middle [2] and its radius.
    """
    middle, radius = iris
    inside = depth > 0.03 + 1.0 / width  # lid and eyeball mix closer to the edge
    in_iris = np.linalg.norm(spot - middle, axis=-1) < radius * 1.05
    usable = in_iris & ~inside
    filled = np.where(usable[..., None], _whole_iris(patch, spot, inside, iris), patch)
    sclera = (inside & ~in_iris).astype(np.float32)
    spread = 0.12 * width
    weight = cv2.GaussianBlur(sclera, (0, 0), spread)[..., None] + 1e-4
    colour = cv2.GaussianBlur(patch * sclera[..., None], (0, 0), spread)
    white = patch[sclera > 0]
    usual = np.median(white, axis=0) if len(white) else np.full(3, 195.0)
    painted = (colour + 1e-4 * usual) / weight
    filled = np.where((inside | usable)[..., None], filled, painted)
    soft = np.clip(depth * width - 0.5, 0, 1)[..., None]
    mixed = filled + soft * (patch - filled)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _whole_iris(
    patch: Picture, spot: Reals, inside: NDArray[np.bool_], iris: tuple[Reals, float]
) -> Picture:
    """``patch`` [h, w, 3] as if the iris were whole: the median colour at each radius."""
    middle, size = iris
    radius = np.linalg.norm(spot - middle, axis=-1) / size
    bins = np.clip((radius * 8).astype(int), 0, 9)
    colours = np.zeros((10, 3), np.float32)
    latest = np.asarray([60, 50, 45], np.float32)
    for ring in range(10):
        seen = patch[(bins == ring) & inside & (radius < 1.25)]
        latest = np.median(seen, axis=0) if len(seen) > 2 else latest
        colours[ring] = latest
    return np.clip(colours[bins], 0, 255).astype(np.uint8)
