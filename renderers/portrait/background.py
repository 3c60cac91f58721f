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
    left = cv2.merge([1 - person[..., 3]] * 3)
    through = cv2.multiply(left, behind, dtype=cv2.CV_32F)
    colours = np.ascontiguousarray(person[..., :3])
    return np.asarray(cv2.add(colours, through, dtype=cv2.CV_8U), np.uint8)


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
