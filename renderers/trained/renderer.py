"""Rendering with a run of ``dim train-renderer``, and the three ways in which a network draws.

* :class:`FromHome`: the picture is of the scene that the clip shows. The network starts from its
  home picture, as in training, and draws the whole square, room included.
* :class:`FromPicture`: the picture is of another scene (other light, clothes or room). The portrait
  renderer moves it, and inside the face's oval the network's drawing is laid over it in its light.
* :class:`FromSource`: PIRenderer, which moves any picture of the person itself.

The network works at the square's own size (256 px); what it draws is enlarged to the picture and
fades out towards those edges of the square that lie inside the picture, so that no seam shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.errors import MissingDependencyError
from dimcli.core.motion import MOTION_DIM, Picture, Reals
from renderers.base import Reference, resized
from renderers.heads.contours import FACE_OVAL
from renderers.portrait.mesh import HeadMesh, Shift, smoothstep
from renderers.portrait.portrait import PortraitRenderer
from renderers.trained.likeness import PICTURE_APART, apart, likeness
from renderers.trained.lite import LiteNet, pose_of
from renderers.trained.pirenderer.networks import PIRenderer
from renderers.trained.run import Person, RendererRun
from renderers.trained.start import (
    COEFFICIENTS,
    Crop,
    Starter,
    as_pictures,
    as_tensor,
    fitted_crop,
    place_of,
    shift_to,
    windows,
)

FADE = 0.12
"""Width of the fading edge, as a share of the square's side."""

RIM = 0.06
"""Width of the face's fading rim, as a share of its width."""

FACE_CORE = 0.9
"""Where a face's mask is more than this, its colour is looked at."""

TINT_RANGE = (0.6, 1.6)
"""Home's light is taken to a picture's by no more than this, by channel."""


class Frame:
    """The still picture that a square is laid over."""

    def __init__(self, crop: Crop, size: tuple[int, int]) -> None:
        """``crop`` of a picture of ``size`` (width, height)."""
        width, height = size
        right, bottom = crop.left + crop.side, crop.top + crop.side
        low = (max(0, crop.top), max(0, crop.left))
        high = (min(height, bottom), min(width, right))
        self._inside = (slice(low[0], high[0]), slice(low[1], high[1]))
        self._drawn = (
            slice(low[0] - crop.top, high[0] - crop.top),
            slice(low[1] - crop.left, high[1] - crop.left),
        )
        down = _fade(crop.side, crop.top > 0, bottom < height)
        across = _fade(crop.side, crop.left > 0, right < width)
        self._share = (down[:, None] * across)[..., None]

    def blended(self, whole: Picture, square: Picture, share: Reals | None = None) -> Picture:
        """``whole`` [H, W, 3] with the ``square`` laid over it, to a further ``share`` [side,
        side, 1] where that is given."""
        frame = whole.copy()
        under = frame[self._inside].astype(np.float32)
        weight = self._share if share is None else self._share * share
        mixed = under + weight[self._drawn] * (square[self._drawn] - under)
        frame[self._inside] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        return frame


def _fade(side: int, first: bool, last: bool) -> NDArray[np.float32]:
    """Share [side] of the square along one axis: it fades at its ``first`` and ``last`` edge."""
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    share = np.ones(side, np.float32)
    if first:
        share *= smoothstep(place, 0, FADE)
    if last:
        share *= smoothstep(1 - place, 0, FADE)
    return share


class FromHome:
    """See the module's docstring."""

    def __init__(
        self, network: LiteNet, name: str, home: Reference, picture: Reference, crop: Crop
    ) -> None:
        """``picture`` at the frames' size; ``crop``: where in it the square lies."""
        self._network, self._name = network, name
        self._starter = Starter(home)
        self._picture = picture.image
        self._crop = crop
        height, width = picture.image.shape[:2]
        self._frame = Frame(crop, (width, height))
        side = home.image.shape[0]
        self._shift: Shift = self._starter.shift(
            picture.values, crop.points(picture.landmarks, side)
        )
        self.place = place_of(self._shift, side)
        """Where the head is, [3], as the network takes it."""

    def square(self, values: Reals, window: Tensor) -> Picture:
        """The square [S, S, 3] of a frame's ``values`` [56] with ``window`` [1, 27, 59]."""
        start = self._starter(values, self._shift)
        picture = as_tensor(start.picture[None]).to(window.device)
        place = torch.from_numpy(start.place)[None].to(window.device)
        made = self._network(self._name, picture, place, pose_of(window))
        return as_pictures(made.picture)[0]

    def __call__(self, values: Reals, window: Tensor) -> Picture:
        """The frame [H, W, 3]."""
        square = resized(self.square(values, window), (self._crop.side,) * 2)
        return self._frame.blended(self._picture, square)


class FromPicture:
    """See the module's docstring."""

    def __init__(self, inside: FromHome, home: Reference, picture: Reference, crop: Crop) -> None:
        """``inside`` draws the face; ``crop``: where in the ``picture`` the square lies."""
        self._inside, self._crop = inside, crop
        self._portrait = PortraitRenderer()
        self._portrait.prepare(picture)
        self._frame = Frame(crop, self._portrait.size)
        side = home.image.shape[0]
        self._tint = _tint(
            crop.cut(picture.image, side), home, crop.points(picture.landmarks, side)
        )
        self.place = inside.place
        """Where the head is, [3]."""

    def __call__(self, values: Reals, window: Tensor) -> Picture:
        """The frame [H, W, 3]."""
        placement = self._portrait.place(values)
        whole = self._portrait.draw(values, placement)
        square = self._inside.square(values, window) * self._tint
        square = np.clip(square + 0.5, 0, 255).astype(np.uint8)
        oval = placement.points[FACE_OVAL] - [self._crop.left, self._crop.top]
        share = _face(oval, self._crop.side)
        return self._frame.blended(whole, resized(square, (self._crop.side,) * 2), share)


def _face(oval: Reals, side: int) -> NDArray[np.float32]:
    """Mask [side, side, 1] of a face's ``oval`` [36, 2] px that fades inwards from its rim."""
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.round(oval).astype(np.int32)], 1.0)
    spread = max(1, round(RIM * np.ptp(oval[:, 0])))
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=spread)
    return cv2.GaussianBlur(inner, (0, 0), spread / 2)[..., None]


def _tint(square: Picture, home: Reference, landmarks: Reals) -> NDArray[np.float32]:
    """Gain [3] from the light on home's face to that on the face in ``square`` [S, S, 3] with
    ``landmarks`` [478, 3] px."""
    levels = []
    for image, points in ((square, landmarks), (home.image, home.landmarks)):
        face = _face(points[FACE_OVAL, :2], image.shape[0])[..., 0] > FACE_CORE
        levels.append(image[face].mean(axis=0))
    gain = levels[0] / np.maximum(levels[1], 1)
    return np.clip(gain, *TINT_RANGE).astype(np.float32)


class FromSource:
    """See the module's docstring."""

    def __init__(self, network: PIRenderer, home: Reference, picture: Reference) -> None:
        """``picture`` at the frames' size."""
        self._network = network
        mesh = HeadMesh(home.landmarks.astype(np.float32))
        self._starter = Starter(picture, mesh, side=home.image.shape[0])
        self._frame = Frame(self._starter.crop, self._starter.size)
        self._picture = picture.image
        self._source = as_tensor(self._starter.crop.cut(picture.image, home.image.shape[0])[None])
        self.place = np.zeros(3, np.float32)
        """Where the head is, [3]: where the source has it."""

    def __call__(self, values: Reals, window: Tensor) -> Picture:
        """The frame [H, W, 3]."""
        made = self._network(self._source.to(window.device), window.transpose(1, 2)).picture
        side = self._starter.crop.side
        if side != made.shape[-1]:
            made = F.interpolate(made, (side, side), mode="bicubic", antialias=True)
        return self._frame.blended(self._picture, as_pictures(made)[0])


SAME_SCENE = 20.0
"""A picture that the network's own drawing of it misses by fewer grey levels than this (the mean of
coarse copies) is of the scene that it was trained on."""

COARSE = 64
"""Side of those copies, px."""


class TrainedRenderer:
    """Renders motion in the run's space for a person of it. Implements ``base.Renderer``."""

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
        picture = reference.resized(self._asked_size)
        self._size = (picture.image.shape[1], picture.image.shape[0])
        self._draw = self._drawing(person, picture)

    @torch.inference_mode()
    def render(
        self, values: NDArray[np.float32], places: NDArray[np.float32] | None = None
    ) -> Iterator[Picture]:
        """Frames [H, W, 3] uint8 RGB for motion ``values`` [N, 56], one at a time, in order; the
        head stays in its place."""
        values = np.asarray(values, np.float32).reshape(-1, MOTION_DIM)
        around = self._windows(values, self._draw.place)
        for frame_values, window in zip(values, around, strict=True):
            yield self._draw(frame_values, torch.from_numpy(window)[None].to(self._device))

    @staticmethod
    def _windows(values: Reals, place: Reals) -> NDArray[np.float32]:
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


def _squares(home: Reference, picture: Reference, usual: Reals) -> list[Crop]:
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
