"""Rendering with a run of ``dim train-renderer``. How: :mod:`renderers.trained.drawing`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import MissingDependencyError
from dimcli.core.motion import MOTION_DIM
from renderers.base import Reference
from renderers.portrait.mesh import HeadMesh
from renderers.trained.drawing import FromHome, FromPicture, FromSource
from renderers.trained.framing import Crop
from renderers.trained.likeness import PICTURE_APART, apart, likeness
from renderers.trained.lite import LiteNet
from renderers.trained.material import windows
from renderers.trained.run import Person, RendererRun
from renderers.trained.start import COEFFICIENTS, fitted_crop, shift_to

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

SAME_SCENE = 20.0
"""A picture that the network's own drawing of it misses by fewer grey levels than this (the mean of
coarse copies) is of the scene that it was trained on."""

COARSE = 64
"""Side of those copies, px."""


class TrainedRenderer:
    """Renders motion in the ``arkit`` space for a person of a run. Implements ``base.Renderer``."""

    def __init__(self, run: RendererRun, size: tuple[int, int] | None = None) -> None:
        """``size``: width and height of the frames; the picture's own when None."""
        self._run = run
        self._asked_size = size
        self._size: tuple[int, int] | None = None
        self._device = next(run.network.parameters()).device
        self.remarks: tuple[str, ...] = ()
        """What is worth telling about the picture, once it is prepared."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        if self._size is None:
            raise RuntimeError("the size is the picture's: call prepare first")
        return self._size

    @property
    def person(self) -> str:
        """Who of the run the picture shows."""
        return self._name

    def prepare(self, reference: Reference) -> None:
        """Take in the picture; everything that does not depend on the motion happens here."""
        self._name, person = self._recognise(reference)
        picture = _resized(reference, self._asked_size)
        self._size = (picture.image.shape[1], picture.image.shape[0])
        self._draw = self._drawing(person, picture)

    @torch.inference_mode()
    def render(self, values: NDArray[np.float32]) -> Iterator[Picture]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order."""
        values = np.asarray(values, np.float32).reshape(-1, MOTION_DIM)
        around = self._windows(values, self._draw.place)
        for frame_values, window in zip(values, around, strict=True):
            yield self._draw(frame_values, torch.from_numpy(window)[None].to(self._device))

    @staticmethod
    def _windows(values: Floats, place: Floats) -> NDArray[np.float32]:
        """Windows [N, 27, 59] of ``values`` [N, 56] of a head that stays in its ``place`` [3]."""
        numbers = np.empty((len(values), COEFFICIENTS), np.float32)
        numbers[:, :MOTION_DIM], numbers[:, MOTION_DIM:] = values, place
        return windows(numbers, np.zeros(len(values), np.int64))

    def _drawing(self, person: Person, picture: Reference) -> FromHome | FromPicture | FromSource:
        """How this picture's frames are drawn."""
        network, home = self._run.network, person.home
        if not isinstance(network, LiteNet):
            return FromSource(network, home, picture)
        missed: dict[float, FromHome] = {}
        usual = network.memory(self._name).mean[-3:].cpu().numpy()
        squares = _squares(home, picture, usual)
        for crop in squares:
            drawing = FromHome(network, self._name, home, picture, crop)
            (window,) = self._windows(picture.values[None], drawing.place)
            with torch.inference_mode():
                drawn = drawing.square(
                    picture.values, torch.from_numpy(window)[None].to(self._device)
                )
            missed[_difference(drawn, crop.part(picture.image))] = drawing
        best = min(missed)
        if best < SAME_SCENE:
            return missed[best]
        fitted = squares[0]
        inside = FromHome(network, self._name, home, picture, fitted)
        return FromPicture(inside, home, picture, fitted)

    def _recognise(self, reference: Reference) -> tuple[str, Person]:
        """Who of the run is in the picture; a remark where it is doubtful that anybody is."""
        people = self._run.people
        first = next(iter(people.items()))
        known = {name: person for name, person in people.items() if len(person.likeness)}
        if not known:
            return first
        try:
            from renderers.trained.backbones import Lite0

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


def _resized(reference: Reference, size: tuple[int, int] | None) -> Reference:
    """The reference as a picture of ``size`` (width, height)."""
    height, width = reference.image.shape[:2]
    if size is None or size == (width, height):
        return reference
    how = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(reference.image, size, interpolation=how), np.uint8)
    across, down = size[0] / width, size[1] / height
    scale = np.array([across, down, across], np.float32)
    return replace(reference, image=image, landmarks=reference.landmarks * scale)


def _squares(home: Reference, picture: Reference, usual: Floats) -> list[Crop]:
    """Where the square of the training clip may lie in a picture: so that the head is where the
    clip ``usual``ly has it (place [3]) or home has it, or as large a square as there is (a frame of
    the clip)."""
    height, width = picture.image.shape[:2]
    mesh = HeadMesh(picture.landmarks.astype(np.float32))
    own, size = HeadMesh(home.landmarks.astype(np.float32)), home.image.shape[0]
    side = min(width, height)
    return [
        fitted_crop(mesh, own, size, shift_to(usual, size)),
        fitted_crop(mesh, own, size),
        Crop((width - side) // 2, (height - side) // 2, side),
    ]


def _difference(drawn: Picture, picture: Picture) -> float:
    """Mean difference of two pictures of one square, in grey levels, of coarse copies."""
    one, two = (
        cv2.resize(image, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in (drawn, picture)
    )
    return float(np.abs(one - two).mean())
