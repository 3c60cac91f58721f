"""Judging a renderer on frames it has not seen: figures that also see what PSNR does not.

A picture that is soft, whose lids are smeared or whose mouth stays shut can have a high PSNR. So
sharpness is measured on the face, and lids and lips are tracked again in every picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dimcli.core.errors import InputError
from dimcli.core.motion import Picture, expression_index
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import observe_picture
from dimcli.training.renderer.objective import PerceptualLoss, draw
from dimcli.training.renderer.training_set import TrainingSet
from renderers.heads.contours import FACE_OVAL
from renderers.trained.backbones import Backbone
from renderers.trained.start import as_pictures, as_tensor

BATCH = 4
FINE_PX, COARSE_PX = 0.5, 1.5
"""Detail is what a blur of the first standard deviation leaves and one of the second takes."""
SOFTER, LIDS, LIPS = 0.85, 0.03, 0.01
"""A trained picture looks worse than the placed one below this share of its sharpness (or of the
clip's, where the placed one is sharper than the clip), and where the errors of lids or lips are so
much above its own."""


@dataclass(frozen=True)
class Scores:
    """Means over frames of one kind of pictures.

    ``psnr`` (dB) and perceptual ``distance`` from the clip's frames; ``sharpness`` of the face as a
    share of the clip's; mean absolute errors, against the clip's frames and tracked alike, of
    ``lids`` (eyeBlink, 0 to 1) and ``lips`` (gap over the outer eye corners' distance). NaN where
    no face is seen.
    """

    psnr: float
    distance: float
    sharpness: float
    lids: float
    lips: float


@dataclass(frozen=True)
class Figures:
    """Scores of the ``trained`` renderer, of the ``zero_shot`` portrait, and of the portrait that
    is ``placed`` where the head is in the picture, as the trained one is told, too."""

    frames: int
    trained: Scores
    placed: Scores
    zero_shot: Scores

    def worse(self) -> list[str]:
        """In what the trained pictures look worse than the placed portrait, in words."""
        ours, theirs = self.trained, self.placed
        found = []
        if ours.sharpness < SOFTER * min(theirs.sharpness, 1.0):
            found.append(f"softer (sharpness {ours.sharpness:.2f}, placed {theirs.sharpness:.2f})")
        if ours.distance > theirs.distance:
            away = f"distance {ours.distance:.3f}, placed {theirs.distance:.3f}"
            found.append(f"further from the clip ({away})")
        if ours.lids > theirs.lids + LIDS:
            found.append(f"lids follow less (error {ours.lids:.3f}, placed {theirs.lids:.3f})")
        if ours.lips > theirs.lips + LIPS:
            found.append(f"lips follow less (error {ours.lips:.3f}, placed {theirs.lips:.3f})")
        return found


def psnr(pictures: Picture, truth: Picture) -> NDArray[np.floating]:
    """Peak signal-to-noise ratio [N], dB, of pictures [N, H, W, 3]."""
    error = np.square(pictures.astype(np.float32) - truth).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-3))


def detail(picture: Picture, landmarks: NDArray[np.floating]) -> float:
    """Fine detail within the face of a picture [H, W, 3]: the mean absolute difference of its grey
    levels blurred by :data:`FINE_PX` and :data:`COARSE_PX`. ``landmarks`` [478, 3] px."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    band = cv2.GaussianBlur(grey, (0, 0), FINE_PX) - cv2.GaussianBlur(grey, (0, 0), COARSE_PX)
    face = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(landmarks[FACE_OVAL, :2].round().astype(np.int32)), 1)
    return float(np.abs(band)[face > 0].mean())


@torch.inference_mode()
def trained(network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64]) -> Picture:
    """The network's pictures of ``frames``, uint8 [N, S, S, 3]."""
    network.eval()
    device = next(network.parameters()).device
    made = []
    for first in range(0, len(frames), BATCH):
        batch = training_set.batch(frames[first : first + BATCH]).to(device)
        picture = draw(network, batch).picture
        assert picture is not None
        made.append(as_pictures(picture))
    return np.concatenate(made)


@torch.inference_mode()
def distance(pictures: Picture, truth: Picture, loss: PerceptualLoss) -> float:
    """Mean perceptual distance of pictures [N, H, W, 3]."""
    device = next(loss.buffers()).device
    away = []
    for pair in zip(pictures, truth, strict=True):
        one, two = (as_tensor(picture[None]).to(device) for picture in pair)
        away.append(float(loss(one, two)))
    return float(np.mean(away))


def eyes_and_mouth(pictures: Picture) -> NDArray[np.floating]:
    """Lids and lips [N, 2] (see :class:`Scores`) as they are seen in each picture by itself; NaN
    where no face is."""
    found = np.full((len(pictures), 2), np.nan)
    sides = [expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]
    for place, picture in enumerate(pictures):
        try:
            seen = observe_picture(np.ascontiguousarray(picture))
        except InputError:
            continue
        found[place] = seen.values[sides].mean(), lip_gaps(seen.landmarks[None])[0]
    return found


def judge(
    network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64], backbone: Backbone
) -> Figures:
    """Figures of ``frames``."""
    loss = PerceptualLoss(backbone, scales=1)
    truth, landmarks = training_set.pictures(frames), training_set.landmarks[frames]
    real = eyes_and_mouth(truth)
    level = np.mean([detail(*pair) for pair in zip(truth, landmarks, strict=True)])

    def scores(pictures: Picture) -> Scores:
        details = [detail(*pair) for pair in zip(pictures, landmarks, strict=True)]
        errors = np.abs(eyes_and_mouth(pictures) - real)
        seen = errors[np.isfinite(errors).all(1)]
        lids, lips = seen.mean(0) if len(seen) else (np.nan, np.nan)
        return Scores(
            psnr=float(psnr(pictures, truth).mean()),
            distance=distance(pictures, truth, loss),
            sharpness=float(np.mean(details) / level),
            lids=float(lids),
            lips=float(lips),
        )

    return Figures(
        frames=len(frames),
        trained=scores(trained(network, training_set, frames)),
        placed=scores(training_set.starts(frames)),
        zero_shot=scores(training_set.zero_shot(frames)),
    )
