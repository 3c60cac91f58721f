"""Rendering with a run of ``dim train-renderer``: the portrait renderer, and the trained network
on the square about its head.

The network works at the square's own size (256 px). What it says (where pixels come from, what is
added, where the room shows) is enlarged to the picture, whose detail stays; towards the square's
edges it fades out, so that no seam shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dimcli.errors import MissingDependencyError
from dimcli.motion import MOTION_DIM
from renderers.base import Reference
from renderers.contours import FACE_OVAL
from renderers.pirenderer.likeness import PICTURE_APART, apart, likeness
from renderers.pirenderer.lite import LiteNet, compose
from renderers.pirenderer.material import as_pictures, as_tensor, windows
from renderers.pirenderer.run import Person, RendererRun
from renderers.pirenderer.start import COEFFICIENTS, Starter
from renderers.portrait_mesh import HeadMesh, smoothstep

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

FADE = 0.12
"""Width of the fading edge, as a share of the square's side."""

OTHER_ROOM = 24.0
"""Around the head, a picture that differs from the home picture by more grey levels than this (the
mean) was made somewhere else: then the network draws the head only."""

TINT_RANGE = (0.6, 1.6)
"""A picture's light is taken to home's by no more than this, by channel."""


class TrainedRenderer:
    """Renders motion in the ``arkit`` space for a person of a run. Implements ``base.Renderer``."""

    def __init__(self, run: RendererRun, size: tuple[int, int] | None = None) -> None:
        """``size``: width and height of the frames; the picture's own when None."""
        self._run = run
        self._asked_size = size
        self._device = next(run.network.parameters()).device
        self.remarks: tuple[str, ...] = ()
        """What is worth telling about the picture, once it is prepared."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        return self._starter.size

    def prepare(self, reference: Reference) -> None:
        """Take in the picture; everything that does not depend on the motion happens here."""
        self._name, person = self._recognise(reference)
        home = person.home
        mesh = HeadMesh(home.landmarks.astype(np.float32))
        self._starter = Starter(reference, mesh, side=self._run.size, size=self._asked_size)
        crop = self._starter.crop
        start = self._starter(reference.values)
        self._source = start.picture
        self._tint = _tint(start.picture, home.image, home.landmarks)
        around = start.place[..., 2] < 0.5
        self._elsewhere = _difference(start.picture, home.image, around) > OTHER_ROOM
        width, height = self.size
        low = (max(0, crop.top), max(0, crop.left))
        high = (min(height, crop.top + crop.side), min(width, crop.left + crop.side))
        self._inside = (slice(low[0], high[0]), slice(low[1], high[1]))
        self._drawn = (
            slice(low[0] - crop.top, high[0] - crop.top),
            slice(low[1] - crop.left, high[1] - crop.left),
        )
        down = _fade(crop.side, crop.top > 0, crop.top + crop.side < height)
        across = _fade(crop.side, crop.left > 0, crop.left + crop.side < width)
        self._share = (down[:, None] * across)[..., None]

    def render(self, values: NDArray[np.float32]) -> Iterator[Picture]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order."""
        values = np.asarray(values, np.float32).reshape(-1, MOTION_DIM)
        numbers = np.zeros((len(values), COEFFICIENTS), np.float32)  # the head stays in its place
        numbers[:, :MOTION_DIM] = values
        around = windows(numbers, np.zeros(len(values), np.int64))
        for frame_values, window in zip(values, around, strict=True):
            yield self._frame(frame_values, torch.from_numpy(window)[None].to(self._device))

    @torch.inference_mode()
    def _frame(self, values: Floats, window: Tensor) -> Picture:
        network = self._run.network
        if not isinstance(network, LiteNet):
            return self._paper_frame(window)
        start = self._starter(values)
        tint = torch.from_numpy(self._tint).to(self._device)[:, None, None]
        lit = (as_tensor(start.picture[None]).to(self._device) + 1) * tint - 1
        place = torch.from_numpy(start.place)[None].to(self._device)
        made = network(self._name, lit, place, window)
        if self._elsewhere:
            made = replace(made, mask=torch.ones_like(made.mask))
        whole = as_tensor(self._starter.crop.part(start.whole)[None]).to(self._device)
        square = compose((whole + 1) * tint - 1, made)
        picture = as_pictures((square + 1) / tint - 1)[0]
        share = self._share
        if self._elsewhere:
            size = (self._starter.crop.side,) * 2
            head = cv2.resize(smoothstep(start.place[..., 2], 0.3, 0.9), size)
            share = share * head[..., None]
        return self._blended(start.whole, picture, share)

    def _paper_frame(self, window: Tensor) -> Picture:
        """A frame of PIRenderer, which knows the picture itself and no zero-shot one."""
        source = as_tensor(self._source[None]).to(self._device)
        picture = self._run.network(source, window.transpose(1, 2)).picture
        side = self._starter.crop.side
        if side != picture.shape[-1]:
            picture = F.interpolate(picture, (side, side), mode="bicubic", antialias=True)
        return self._blended(self._starter.still, as_pictures(picture)[0], self._share)

    def _blended(self, whole: Picture, square: Picture, share: Floats) -> Picture:
        """``whole`` [H, W, 3] with the ``square`` laid over it."""
        frame = whole.copy()
        under = frame[self._inside].astype(np.float32)
        mixed = under + share[self._drawn] * (square[self._drawn] - under)
        frame[self._inside] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        return frame

    def _recognise(self, reference: Reference) -> tuple[str, Person]:
        """Who of the run is in the picture; a remark where it is doubtful that anybody is."""
        people = self._run.people
        first = next(iter(people.items()))
        known = {name: person for name, person in people.items() if len(person.likeness)}
        if not known:
            return first
        try:
            from renderers.pirenderer.backbones import Lite0

            backbone = Lite0.installed()
        except MissingDependencyError:
            return first
        image, landmarks = reference.image[None], reference.landmarks[None]
        look = likeness(image, landmarks, backbone)
        away = {name: apart(look, person.likeness) for name, person in known.items()}
        name = min(away, key=lambda one: away[one])
        if away[name] > PICTURE_APART:
            self.remarks = (
                f"the picture may show somebody else than {name}, whom the renderer was trained on "
                f"(distance {away[name]:.2f}, {PICTURE_APART} expected at most)",
            )
        return name, people[name]


def _fade(side: int, first: bool, last: bool) -> NDArray[np.float32]:
    """Share [side] of the square along one axis: it fades at its ``first`` and ``last`` edge."""
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    share = np.ones(side, np.float32)
    if first:
        share *= smoothstep(place, 0, FADE)
    if last:
        share *= smoothstep(1 - place, 0, FADE)
    return share


def _tint(picture: Picture, home: Picture, landmarks: Floats) -> NDArray[np.float32]:
    """Gain [3] from the light on the face of ``picture`` to that of ``home`` [S, S, 3]."""
    face = np.zeros(home.shape[:2], np.uint8)
    cv2.fillPoly(face, [np.round(landmarks[FACE_OVAL, :2]).astype(np.int32)], 255)
    face = cv2.erode(face, np.ones((3, 3), np.uint8), iterations=home.shape[0] // 32)
    wanted, found = (np.array(cv2.mean(image, face)[:3]) for image in (home, picture))
    return np.clip(wanted / np.maximum(found, 1), *TINT_RANGE).astype(np.float32)


def _difference(picture: Picture, home: Picture, around: NDArray[np.bool_]) -> float:
    """Mean difference in grey levels of coarse copies [S, S, 3], where ``around`` [S/2, S/2]."""
    if not around.any():
        return 0.0
    size = around.shape[::-1]
    one, two = (
        cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), 4)
        for image in (picture, home)
    )
    return float(np.abs(one.astype(np.float32) - two)[around].mean())
