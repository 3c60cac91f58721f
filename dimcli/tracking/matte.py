"""Which pixels of a picture show a person."""

from __future__ import annotations

import cv2
import numpy as np

import weights
from dimcli.core.motion import Floats, Picture
from dimcli.tracking.networks import Network

MODEL = "selfie_segmentation.tflite"
SIDE = 256
"""Pixels of a side of what the network sees, whatever the picture's shape."""
FINE_SIDE = 768
"""The longer side, in pixels, of the picture whose edges the matte is drawn to."""
REACH, EVENNESS = 6, 2e-4
"""Half a window in those pixels, and the variance (of 0..1) below which a window has no edge."""


def person_matte(image: Picture) -> Floats:
    """The share of each pixel that is a person's: float32 [H, W] in 0..1, of an RGB picture.

    MediaPipe's selfie segmentation says it coarsely; a guided filter (He, Sun and Tang 2010) draws
    it to the picture's own edges.
    """
    network = Network(weights.path(MODEL).read_bytes(), threads=2)
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    (coarse,) = network(small.astype(np.float32) / 255).values()
    height, width = image.shape[:2]
    scale = min(1.0, FINE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rough = cv2.resize(coarse.reshape(SIDE, SIDE), size, interpolation=cv2.INTER_LINEAR)
    guide = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    matte = _guided(rough.clip(0, 1), np.asarray(guide / 255, np.float32))
    matte = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
    # what is nearly one or none is so: specks would be drawn as haze
    return ((matte - 0.05) / 0.9).clip(0, 1).astype(np.float32)


def _guided(values: Floats, guide: Floats) -> Floats:
    """``values`` [H, W] as, in every window, a linear function of ``guide`` [H, W]."""

    def mean(track: Floats) -> Floats:
        return np.asarray(cv2.blur(track, (2 * REACH + 1, 2 * REACH + 1)), np.float32)

    covariance = mean(values * guide) - mean(values) * mean(guide)
    variance = mean(guide * guide) - mean(guide) ** 2
    slope = np.asarray(covariance / (variance + EVENNESS), np.float32)
    offset = mean(values) - slope * mean(guide)
    return mean(slope) * guide + mean(offset)
