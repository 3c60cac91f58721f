"""The person in a picture apart from what is behind, which stays where it is when heads turn."""

from __future__ import annotations

import cv2
import numpy as np

from dimcli.core.motion import Bools, Floats, Picture, Reals

PERSON = 0.8
"""Least mean of a matte over the face for it to be one of this person."""
CLEAR = 0.02
"""Where less than this is the person's the picture shows what is behind."""
MOST_GRAIN = 8.0
"""Grain is no stronger than this, of 255: more is a texture."""
SHADE_CM = 0.12
"""So close to a person what is behind has their shade and a soft edge: it is filled in, too."""


class Cutout:
    """A picture as a person, weighed by a matte, over what is behind.

    ``person`` float32 [H, W, 4] is the person's part of each pixel's colour (0..255), and the
    matte; ``behind`` [H, W, 3], what is behind, where the person hides it filled in smoothly. A
    pixel is the first plus what the matte leaves of the second: where nothing moves, exactly the
    picture's.
    """

    def __init__(self, image: Picture, matte: Floats, scale: float) -> None:
        """``matte`` [H, W] in 0..1; ``scale`` pixels a centimetre."""
        radius = max(1, round(SHADE_CM * scale))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        hidden = cv2.dilate((matte >= CLEAR).astype(np.uint8), disc) > 0
        self.behind = filled(image, ~hidden)
        self.person = person_part(image, self.behind, matte)


def person_part(image: Picture, behind: Picture, matte: Floats) -> Floats:
    """What an ``image`` [h, w, 3] has beside what a ``matte`` [h, w] lets through of ``behind``,
    and the matte: float32 [h, w, 4]."""
    left = (1 - matte)[..., None] * behind
    return np.dstack([image - left, matte]).astype(np.float32)


def over(person: Floats, behind: Picture) -> Picture:
    """``person`` [h, w, 4], as moved, over ``behind`` [h, w, 3]: uint8 [h, w, 3]."""
    # four channels throughout: to take three of four apart costs more than to reckon with the last
    left = cv2.merge([1 - cv2.extractChannel(person, 3)] * 4)
    through = cv2.multiply(left, cv2.cvtColor(behind, cv2.COLOR_RGB2RGBA), dtype=cv2.CV_32F)
    mixed = cv2.add(person, through, dtype=cv2.CV_8U)
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_RGBA2RGB), np.uint8)


STRIP = 32
"""Rows that are moved together."""
SEEN = 0.5
"""A person's part of a colour, of 255, that is less than this is nothing."""
STILL = 1 / 64
"""Pixels that move less than this stay."""


class MovingPerson:
    """The person's part of a box of the picture, drawn where it moves, and nowhere else."""

    def __init__(self, source: Floats, room: int, behind: Picture, sampling: int) -> None:
        """``source`` [h + 2 room, w + 2 room, 4]: the person's part of the box and of ``room``
        pixels around it; ``behind`` [h, w, 3]; ``sampling``: OpenCV's way of interpolating."""
        self._source, self._room, self._behind = source, room, behind
        self._sampling = sampling
        height, width = behind.shape[:2]
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        self._place = np.stack([columns, rows], -1).astype(np.float32) + np.float32(room)
        shown = np.abs(source[..., :3]).max(axis=2) >= SEEN
        shown |= source[..., 3] >= SEEN / 255
        empty, wide = ~shown.any(axis=1), shown.shape[1]
        self._first = np.where(empty, wide, shown.argmax(axis=1)) - room
        self._last = np.where(empty, 0, wide - shown[:, ::-1].argmax(axis=1)) - room

    def draw(self, view: Picture, flow: Reals) -> None:
        """Draw the person into ``view`` [h, w, 3], which shows them at rest; each pixel comes from
        ``flow`` [h, w, 2] px away."""
        height, width = flow.shape[:2]
        for top in range(0, height, STRIP):
            bottom = min(top + STRIP, height)
            furthest = cv2.norm(flow[top:bottom], cv2.NORM_INF)
            if furthest < STILL:
                continue
            reach = int(np.ceil(furthest)) + 2
            near = slice(max(0, top + self._room - reach), bottom + self._room + reach)
            left = max(0, int(self._first[near].min()) - reach)
            right = min(width, int(self._last[near].max()) + reach)
            if left >= right:
                continue
            part = slice(top, bottom), slice(left, right)
            place = cv2.add(self._place[part], flow[part])
            moved = cv2.remap(
                self._source, place, None, self._sampling, borderMode=cv2.BORDER_REPLICATE
            )
            view[part] = over(moved, self._behind[part])


def unmixed(person: Floats) -> Picture:
    """The colours of ``person`` [h, w, 4] without what is behind: uint8 [h, w, 3]."""
    share = cv2.merge([np.maximum(person[..., 3], CLEAR)] * 3)
    colours = cv2.divide(np.ascontiguousarray(person[..., :3]), share, dtype=cv2.CV_8U)
    return np.asarray(colours, np.uint8)


def opacity(person: Floats) -> Picture:
    """The matte of ``person`` [h, w, 4] as uint8 [h, w]."""
    return np.asarray(cv2.convertScaleAbs(np.ascontiguousarray(person[..., 3]), alpha=255.0))


def shows_person(matte: Floats, face: Reals) -> bool:
    """Whether a matte holds the face whose landmarks [K, 2] in pixels these are."""
    height, width = matte.shape
    columns, rows = face.round().astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return bool(inside.any()) and float(matte[rows[inside], columns[inside]].mean()) >= PERSON


def filled(image: Picture, known: Bools) -> Picture:
    """``image`` [H, W, 3] where ``known`` [H, W], and elsewhere what its surroundings fade into."""
    weight = known.astype(np.float32)
    if not weight.any():
        return image.copy()
    levels = [(image.astype(np.float32) * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 1:
        colours, share = levels[-1]
        levels.append((cv2.pyrDown(colours), cv2.pyrDown(share)))
    whole = levels[-1][0] / max(float(levels[-1][1].max()), 1e-6)
    for colours, share in reversed(levels[:-1]):
        size = (share.shape[1], share.shape[0])
        coarse = cv2.resize(
            whole.reshape(*whole.shape[:2], 3), size, interpolation=cv2.INTER_LINEAR
        )
        # a level counts in full where it knows anything worth the name
        trust = np.minimum(share * 4, 1)[..., None]
        own = colours / np.maximum(share, 1e-6)[..., None]
        whole = trust * own + (1 - trust) * coarse
    result = np.where(known[..., None], image, (whole + _grain(image, known)).clip(0, 255) + 0.5)
    return np.asarray(result, np.uint8)


def _grain(image: Picture, known: Bools) -> Floats:
    """Noise [H, W, 1] as strong as the grain of a picture where it is ``known``: without it what is
    filled in looks like a stain."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))[known]
    strength = min(1.5 * float(np.median(fine)), MOST_GRAIN)
    noise = np.random.default_rng(0).standard_normal(known.shape, np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 0.7)
    return (strength / max(float(soft.std()), 1e-6) * soft)[..., None]
