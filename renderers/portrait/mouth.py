"""The inside of a portrait's mouth: what the picture shows of it, and what it has to invent.

Lengths are centimetres on the canonical face; ``across`` and ``up`` are the head's own axes. The
upper teeth stay with the skull and the lower ones go with the jaw, in the picture's colours. Where
the picture shows an open mouth its own inside is kept, and only what opens beyond is invented:
teeth, tongue and the dark behind them. There a spot is (across, down) from the bite, the edge of
the upper teeth of a closed mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dimcli.core.motion import Picture, Reals
from renderers.heads.contours import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
    lips_apart,
)
from renderers.portrait.mesh import NUM_FACE, HeadMesh, Placement, Pose, sampled, smoothstep

UPPER_WIDTHS_CM = (0.86, 0.68, 0.72, 0.58, 0.46, 0.36)
LOWER_WIDTHS_CM = (0.52, 0.56, 0.62, 0.55, 0.45, 0.36)
"""Visible widths of the teeth from the middle outwards, shorter where the arch turns away."""

SHEET_CM = (6.6, 3.2)
"""Width and height of the sheets the teeth are painted on; the bite is in their middle."""

ENAMEL = np.asarray([1.03, 1.0, 0.93], np.float32)
"""Colour of teeth in white light."""

SKIN = np.asarray([1.15, 0.98, 0.87], np.float32)
"""Colour of skin in white light, over its mean: a middle of light and dark skins."""

BRIGHT_SKIN = 230.0
"""Teeth are the brighter than skin the further that is below this."""


@dataclass(frozen=True)
class MouthColours:
    """Colours [3] of the picture's mouth, float32 RGB."""

    teeth: Reals
    cavity: Reals
    tongue: Reals
    seam: Reals


def mouth_colours(image: Picture, landmarks: Reals, white: Reals) -> MouthColours:
    """Colours for a mouth in the light of ``image``; ``white`` [3] is the white of its eyes."""
    outline = np.concatenate([OUTER_LIP_LOWER, INNER_LIP_LOWER[::-1]])
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(landmarks[outline, :2]).astype(np.int32)], 1)
    lips = image[mask > 0]
    lip = np.median(lips, axis=0) if len(lips) else np.asarray([150, 90, 85], np.float32)
    oval = landmarks[:NUM_FACE, :2].astype(int)
    inside = ((oval >= 0) & (oval < [image.shape[1], image.shape[0]])).all(1)
    skin = image[oval[inside, 1], oval[inside, 0]].astype(np.float32)
    bright = (
        np.percentile(skin, 85, axis=0) if len(skin) else np.asarray([210, 180, 165], np.float32)
    )
    # enamel: the light's colour, which the eyes' white and the skin each tell half of (the white
    # reflects the skin around it, hence a little less of it), and a little yellower
    light = 0.5 * np.asarray(white, np.float32) / max(float(np.mean(white)), 1.0)
    light += 0.5 * bright / max(float(bright.mean()), 1.0) / SKIN
    light = ENAMEL * (light + 0.2 * (light.mean() - light))
    least = 0.95 * bright.mean() + 0.22 * max(0.0, BRIGHT_SKIN - bright.mean())
    level = np.clip(np.mean(white), least, max(least, 1.05 * bright.mean()))
    level = min(level, float(np.percentile(image.mean(-1), 99)))  # no whiter than its whites
    teeth = level * light / float(light.mean())
    return MouthColours(
        teeth=np.asarray(teeth, np.float32),
        cavity=np.asarray(lip * np.asarray([0.34, 0.21, 0.2]), np.float32),
        tongue=np.asarray(lip * np.asarray([0.82, 0.68, 0.7]), np.float32),
        seam=np.asarray(0.5 * lip, np.float32),
    )


def teeth_sheet(widths: tuple[float, ...], upper: bool, density: float) -> tuple[Reals, Reals]:
    """Shade and opacity [h, w] of a row of teeth; row 0 is the top, the bite in the middle."""
    columns, rows = (round(length * density) for length in SHEET_CM)
    across = np.abs((np.arange(columns) + 0.5) / density - SHEET_CM[0] / 2)
    down = (np.arange(rows) + 0.5) / density - SHEET_CM[1] / 2
    borders = np.concatenate([[0.0], np.cumsum(widths)])
    tooth = np.clip(np.searchsorted(borders, across, side="right") - 1, 0, len(widths) - 1)
    middle = (borders[tooth] + borders[tooth + 1]) / 2
    beside = np.clip(2 * np.abs(across - middle) / np.asarray(widths)[tooth], 0, 1)
    shorter = np.array([0.0, 0.07, 0.02, 0.1, 0.14, 0.18])[tooth]
    edge = shorter + 0.05 * beside**4 + 0.02 * across**2
    if not upper:
        edge, down = edge * 0.4, -down
    soft = 0.04 + 0.5 / density
    opacity = smoothstep(-(down[:, None] + edge), -soft, soft)
    opacity = opacity * smoothstep(across, borders[-1], borders[-1] - 0.3)
    gap = np.exp(-(((1 - beside) * np.asarray(widths)[tooth] / (0.05 + 0.4 / density)) ** 2))
    height = np.clip(-(down[:, None] + edge), 0, None)
    shade = (1 - (0.2 if upper else 0.14) * gap) * (1 - 0.1 * across**2)
    shade = shade * (0.9 + 0.1 * smoothstep(height, 0.0, 0.25)) * (1.02 - 0.12 * height)
    return shade.astype(np.float32), opacity.astype(np.float32)


BITE_LOWERED_CM = 0.26
"""The upper teeth show this much more below the lip of a mouth that opens wide."""

LOWER_SHOWN_CM = (0.05, 0.26)
"""How far the lower teeth stand above the lower lip, in a mouth that opens a little and wide."""

LOWER_LIGHT = 0.82
"""Light on the lower teeth: the upper ones are in front of them."""

TONGUE_HALF_CM = 1.75


class MouthInside:
    """Paints the inside of one picture's mouth."""

    def __init__(
        self, colours: MouthColours, density: float, seam_cm: float, lower_teeth: bool
    ) -> None:
        """``density``: samples a centimetre of the teeth; ``seam_cm``: how far above the bite the
        closed lips meet; ``lower_teeth``: whether to paint those, too."""
        self._colours = colours
        self._density = density
        self._seam = seam_cm
        self._lower_teeth = lower_teeth
        self._upper = teeth_sheet(UPPER_WIDTHS_CM, True, density)
        self._lower = teeth_sheet(LOWER_WIDTHS_CM, False, density)

    def paint(self, spot: Reals, jaw_drop: float) -> Reals:
        """Colours [h, w, 3] at ``spot`` [h, w, 2] when the jaw has dropped by ``jaw_drop`` cm."""
        across, down = spot[..., 0], spot[..., 1]
        floor = max(jaw_drop, 0.0) - self._seam
        wide = float(smoothstep(np.asarray(floor), 0.0, 1.1))
        painted = self._hollow(across, down, floor)
        self._add_tongue(painted, across, down, floor)
        low, high = LOWER_SHOWN_CM
        rows = [(self._upper, BITE_LOWERED_CM * wide, 1.0)]
        if self._lower_teeth:
            rows.insert(0, (self._lower, floor - low - (high - low) * wide, LOWER_LIGHT))
        for (shade, opacity), shift, light in rows:
            where = np.stack([across + SHEET_CM[0] / 2, down - shift + SHEET_CM[1] / 2], -1)
            where = (where * self._density - 0.5).astype(np.float32)
            lit = cv2.remap(shade, where, None, cv2.INTER_LINEAR)
            cover = cv2.remap(opacity, where, None, cv2.INTER_LINEAR)
            painted += cover[..., None] * (light * lit[..., None] * self._colours.teeth - painted)
        return painted

    def _hollow(self, across: Reals, down: Reals, floor: float) -> Reals:
        """The cavity [h, w, 3]: darkest behind the upper teeth, redder towards cheeks and lip."""
        below = (down - 0.2) / max(0.8, 0.9 * floor)
        away = (across / 2.2) ** 2 + np.maximum(below, 0) ** 2
        lit = 0.62 + 0.6 * smoothstep(away, 0.0, 1.2)
        return (lit[..., None] * self._colours.cavity).astype(np.float32)

    def _add_tongue(self, painted: Reals, across: Reals, down: Reals, floor: float) -> None:
        """A mound on the floor of the mouth, in the shade of the teeth towards the throat."""
        shown = float(smoothstep(np.asarray(floor), 0.0, 0.5))
        if shown == 0:
            return
        height = 0.18 + 0.5 * floor
        top = floor - height + 0.5 * height * (across / TONGUE_HALF_CM) ** 2
        sunk = (down - top) / height
        body = smoothstep(sunk, -0.16, 0.3) * smoothstep(np.abs(across), TONGUE_HALF_CM, 1.1)
        light = 0.62 + 0.42 * smoothstep(sunk, 0.0, 0.7) - 0.12 * np.exp(-((across / 0.16) ** 2))
        light -= 0.16 * (across / TONGUE_HALF_CM) ** 2
        sheen = np.exp(-(((sunk - 0.5) / 0.16) ** 2) - ((np.abs(across) - 0.45) / 0.3) ** 2)
        colour = light[..., None] * self._colours.tongue
        colour = colour + (0.14 * sheen)[..., None] * self._colours.teeth
        painted += (shown * body)[..., None] * (colour - painted)


LIPS = np.concatenate([INNER_LIP_UPPER, INNER_LIP_LOWER, OUTER_LIP_UPPER, OUTER_LIP_LOWER])
RIM = np.concatenate([INNER_LIP_UPPER, INNER_LIP_LOWER[-2:0:-1]])
"""The opening's outline."""

SHOWS_INSIDE_CM = 0.25
"""Lips that are this far apart in the picture show a mouth whose inside is worth keeping."""

RIM_CM, LIP_RIM_CM = 0.06, 0.3
"""The opening's outermost centimetres are not used; nor is what looks like lip further in, which
would stay behind as a line when the lips leave."""

TEETH_BEHIND_CM, OWN_BEHIND_CM = 0.9, 0.4
"""How far behind the lips the invented teeth are, and those that the picture shows."""

BITE_BELOW_LIP_CM = 0.3


def fit_lips(image: Picture, landmarks: Reals) -> Reals:
    """``landmarks`` [478, 3] whose inner lips lie on lip, where the picture shows an open mouth.

    Tracked inner lips often lie a little inside the opening, on the teeth. A mouth that closes
    would show that rim of teeth as a bright line between the lips, so each point moves towards the
    outer lip until the picture has the lip's colour.
    """
    fitted = landmarks.copy()
    gap = np.linalg.norm(landmarks[13, :2] - landmarks[14, :2])
    width = np.linalg.norm(landmarks[78, :2] - landmarks[308, :2])
    if gap < 0.05 * width:
        return fitted
    steps = np.linspace(-0.25, 0.6, 18, dtype=np.float32)
    for inner, outer in ((INNER_LIP_UPPER, OUTER_LIP_UPPER), (INNER_LIP_LOWER, OUTER_LIP_LOWER)):
        start, way = landmarks[inner], landmarks[outer] - landmarks[inner]
        place = start[:, None, :2] + steps[None, :, None] * way[:, None, :2] - 0.5
        colour = cv2.remap(image, place.astype(np.float32), None, cv2.INTER_LINEAR)
        colour = colour.astype(np.float32)
        to_lip = np.linalg.norm(colour - colour[:, -4:].mean(1, keepdims=True), axis=-1)
        inside = to_lip[:, :3].mean(1)
        off = to_lip > 0.45 * inside[:, None]
        first_lip = off.shape[1] - off[:, ::-1].argmax(1)
        shares = steps[np.minimum(first_lip, len(steps) - 1)] + 0.05
        shares = np.clip(np.where(inside < 25, 0, shares), 0, 0.25)  # else nothing but lip there
        shares[[0, -1]] = 0
        shares = np.convolve(np.pad(shares, 1, mode="edge"), [0.3, 0.4, 0.3], mode="valid")
        fitted[inner[1:-1]] += (shares[:, None] * way)[1:-1]
    return fitted


def _apart(colours: Reals | Picture, colour: Reals) -> Reals:
    """How far ``colours`` [..., 3] are from ``colour`` [3]: [...]."""
    return np.asarray(np.linalg.norm(colours - colour, axis=-1), np.float32)


class Mouth:
    """The mouth of the reference picture."""

    def __init__(
        self, image: Picture, landmarks: Reals, mesh: HeadMesh, own_offsets: Reals, white: Reals
    ) -> None:
        """``own_offsets`` [468, 3] cm: what the picture's own expression does to a neutral face;
        ``white`` [3]: the white of the eyes."""
        self._mesh = mesh
        resting = mesh.resting
        self._gap = lips_apart(resting)
        self.shows_inside = float(self._gap.max()) > SHOWS_INSIDE_CM
        neutral = resting - own_offsets
        across = float((resting[78, 0] + resting[308, 0]) / 2)
        behind = float(resting[[13, 0], 2].mean()) - TEETH_BEHIND_CM
        self._bite = np.asarray([across, neutral[13, 1] - BITE_BELOW_LIP_CM, behind], np.float32)
        self._colours = mouth_colours(image, landmarks, white)
        density = float(np.clip(1.5 * mesh.scale, 10, 48))
        seam = float(neutral[14, 1] - self._bite[1])
        self._inside = MouthInside(self._colours, density, seam, lower_teeth=not self.shows_inside)
        if self.shows_inside:
            self._keep_inside(image)

    def _keep_inside(self, image: Picture) -> None:
        """The picture's own mouth inside as a patch, painted on beyond its lips."""
        rim = self._mesh.points[RIM]
        margin = self._mesh.scale
        low = np.floor(rim.min(0) - margin).astype(int)
        high = np.ceil(rim.max(0) + margin).astype(int)
        size = high - low
        place = np.meshgrid(np.arange(size[0]) + low[0], np.arange(size[1]) + low[1])
        patch = sampled(image, np.stack(place, -1), cv2.INTER_NEAREST)
        inside = np.zeros(patch.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.round(rim - low - 0.5).astype(np.int32)], 1)
        core, deep = (self._inset(inside, length) for length in (RIM_CM, LIP_RIM_CM))
        without_lip = core.copy()
        if core.any():
            without_lip *= np.maximum(deep, 1 - self._like_lip(patch, inside, core))
        if without_lip.sum() < 12:
            self.shows_inside = False
            return
        near, far = (
            cv2.inpaint(patch, 1 - source, 3, cv2.INPAINT_TELEA).astype(np.float32)
            for source in (core, without_lip)
        )
        self._own = (np.where(inside[..., None] > 0, patch, near), far)
        self._own_corner = low.astype(np.float32)
        rows = np.arange(size[1], dtype=np.float32)[:, None] + low[1]
        columns = np.arange(size[0], dtype=np.float32) + low[0]
        floor = self._mesh.points[INNER_LIP_LOWER]
        floor = floor[np.argsort(floor[:, 0])]
        level = np.interp(columns, floor[:, 0], floor[:, 1])
        soft = 0.12 * self._mesh.scale
        self._own_share = (
            1 - smoothstep(rows - level, soft, 3.0 * soft),
            1 - smoothstep(rows - level, -soft, soft),
        )

    def _inset(self, inside: Picture, length: float) -> Picture:
        """The mask ``inside`` [h, w] of 0 and 1 without its outer ``length`` centimetres."""
        steps = max(1, round(length * self._mesh.scale))
        return cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=steps)

    def _like_lip(self, patch: Picture, inside: Picture, core: Picture) -> Picture:
        """Where [h, w] the ``patch`` is nearer in colour to the lips around it than to its core,
        and in tint than to teeth; with what mixes with that."""
        square = np.ones((3, 3), np.uint8)
        around = cv2.dilate(inside, square, iterations=3) - inside
        lip, own = (np.median(patch[mask > 0], axis=0) for mask in (around, core))
        tint, lip_tint, tooth_tint = (
            colour / np.maximum(np.linalg.norm(colour, axis=-1, keepdims=True), 1)
            for colour in (patch.astype(np.float32), lip, self._colours.teeth)
        )
        like = _apart(patch, lip) < _apart(patch, own)
        like &= _apart(tint, lip_tint) < _apart(tint, tooth_tint)
        return cv2.dilate(like.astype(np.uint8), square, iterations=2)

    def opening(self, offsets: Reals) -> float:
        """How much of the painted inside a frame with landmark ``offsets`` [468, 3] cm needs."""
        if self.shows_inside:
            return float(smoothstep(np.asarray(self._change(offsets)), 0.02, 0.1))
        return float(smoothstep(lips_apart(offsets).max(), 0.04, 0.14))

    @staticmethod
    def _change(offsets: Reals) -> float:
        """How much further or less apart the lips are than in the picture, centimetres."""
        return float(np.abs(lips_apart(offsets)).max())

    def draw(
        self,
        frame: Picture,
        corner: tuple[int, int],
        placement: Placement,
        offsets: Reals,
        jaw_drop: float,
    ) -> None:
        """Paint the inside into ``frame`` [h, w, 3], a view whose first pixel is at ``corner``
        (x, y) of the picture. ``jaw_drop`` cm."""
        amount = self.opening(offsets)
        rim = placement.points[RIM] - np.asarray(corner, np.float32)
        low = np.maximum(np.floor(rim.min(0)).astype(int) - 3, 0)
        high = np.minimum(np.ceil(rim.max(0)).astype(int) + 3, [frame.shape[1], frame.shape[0]])
        if amount <= 0 or (high - low < 3).any():
            return
        view = frame[low[1] : high[1], low[0] : high[0]]
        origin = low + np.asarray(corner, np.float32)
        cover = self._cover(rim - low, view.shape[:2])
        inside = self._paint(view.shape[:2], origin, placement.pose, jaw_drop)
        inside = self._colours.cavity + self._lip_light(cover)[..., None] * (
            inside - self._colours.cavity
        )
        if self.shows_inside:
            inside = self._with_own(inside, origin, placement.pose, self._change(offsets))
        cover = (amount * cover)[..., None]
        mixed = view + cover * (inside - view)
        if self.shows_inside:
            seam = (amount * self._seam(rim - low, view.shape[:2]))[..., None]
            mixed += seam * np.minimum(self._colours.seam - mixed, 0)
        view[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _seam(self, rim: Reals, shape: tuple[int, ...]) -> Reals:
        """Mask [h, w] of the line where lips that the picture shows apart now meet: it hides what
        rim of teeth they carry along."""
        count = len(INNER_LIP_UPPER)
        upper, lower = rim[:count], np.concatenate([rim[:1], rim[: count - 2 : -1]])
        gaps = np.linalg.norm(upper - lower, axis=1) / self._mesh.scale
        closed = (1 - smoothstep(gaps, 0.08, 0.3)) * smoothstep(self._gap, 0.1, 0.3)
        middle = np.round((upper + lower) / 2 * 8).astype(np.int32)
        mask = np.zeros(shape, np.float32)
        thickness = max(1, round(0.13 * self._mesh.scale))
        for column in range(count - 1):
            strength = float(closed[column : column + 2].mean())
            start, end = middle[column].tolist(), middle[column + 1].tolist()
            line = cv2.line(np.zeros(shape, np.float32), start, end, strength, thickness, shift=3)
            mask = np.maximum(mask, line)
        return 0.8 * cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.05 * self._mesh.scale))

    @staticmethod
    def _cover(rim: Reals, shape: tuple[int, ...]) -> Reals:
        """The opening as a soft mask [h, w]; ``rim`` [K, 2] in the mask's pixels."""
        finer = 4
        mask = np.zeros((shape[0] * finer, shape[1] * finer), np.uint8)
        for _ in range(2):  # corner cutting: a smooth outline from few landmarks
            following = np.roll(rim, -1, axis=0)
            rim = np.stack([0.75 * rim + 0.25 * following, 0.25 * rim + 0.75 * following], 1)
            rim = rim.reshape(-1, 2)
        cv2.fillPoly(mask, [np.round((rim * finer - 0.5) * 8).astype(np.int32)], 255, shift=3)
        small = cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small, (0, 0), 0.6).astype(np.float32) / 255

    def _lip_light(self, cover: Reals) -> Reals:
        """Light [h, w] that the lips leave the inside: least right below the upper one."""
        scale = self._mesh.scale
        rim = cv2.GaussianBlur(cover, (0, 0), max(0.07 * scale, 0.7))
        soft = cv2.GaussianBlur(cover, (0, 0), max(0.1 * scale, 0.8))
        down = np.asarray([[1, 0, 0], [0, 1, 0.14 * scale]], np.float32)
        below = cv2.warpAffine(soft, down, cover.shape[::-1], flags=cv2.INTER_LINEAR)
        light = (0.45 + 0.55 * smoothstep(below, 0.05, 0.7)) * (0.6 + 0.4 * smoothstep(rim, 0.5, 1))
        return np.asarray(light, np.float32)

    def _affine(self, pose: Pose, at: Reals) -> Reals:
        """Affine map [2, 3] from (across, down) centimetres about ``at`` [3] to picture pixels."""
        base = self._mesh.scale * pose.rotation @ self._mesh.axes
        centre = base @ at + pose.pivot
        linear = base[:2, :2] * np.asarray([1, -1], np.float32)
        flip = np.asarray([[1], [-1]], np.float32)
        return np.hstack([linear * flip, centre[:2, None] * flip]).astype(np.float32)

    def _paint(self, shape: tuple[int, ...], origin: Reals, pose: Pose, jaw_drop: float) -> Reals:
        """Cavity, tongue and teeth [h, w, 3] for the pixels from ``origin`` on."""
        to_picture = self._affine(pose, self._bite)
        pixels = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1) + 0.5
        back = np.linalg.inv(to_picture[:, :2]).T
        spot = ((pixels + origin - to_picture[:, 2]) @ back).astype(np.float32)
        return self._inside.paint(spot, jaw_drop)

    def _with_own(self, inside: Reals, origin: Reals, pose: Pose, change: float) -> Reals:
        """``inside`` [h, w, 3] under the picture's own inside, which stays with the skull. The rim
        that the picture's lips blend into fades out as the lips ``change`` (cm) leave it."""
        at = self._bite + np.asarray([0, 0, TEETH_BEHIND_CM - OWN_BEHIND_CM], np.float32)
        now = self._affine(pose, at)
        then = self._affine(self._mesh.pose(np.eye(3, dtype=np.float32)), at)
        height, width = inside.shape[:2]
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) + 0.5
        spot = (pixels + origin - now[:, 2]) @ np.linalg.inv(now[:, :2]).T
        place = spot @ then[:, :2].T + then[:, 2] - 0.5 - self._own_corner
        left = float(smoothstep(np.asarray(change), 0.1, 0.4))
        own, share = (
            (1 - left) * sampled(first, place, method) + left * sampled(then_on, place, method)
            for (first, then_on), method in (
                (self._own, cv2.INTER_CUBIC),
                (self._own_share, cv2.INTER_LINEAR),
            )
        )
        return inside + share[..., None] * (own - inside)
