"""Landmarks and blendshapes of one face, as MediaPipe's face landmarker computes them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import ARKIT_EXPRESSIONS, Floats
from dimcli.tracking.bundle import NUM_LANDMARKS, Bundle, sigmoid
from dimcli.tracking.geometry import Region

SIDE = 256
MIN_PRESENCE = 0.5

BLENDSHAPES: tuple[str, ...] = ("_neutral", *sorted((*ARKIT_EXPRESSIONS, "jawOpen")))
"""Names of the network's 52 blendshapes, in order."""

JAW_OPEN = BLENDSHAPES.index("jawOpen")

# the landmarks that the blendshape network reads: brows, eyes, lips, face oval, nose, irises
_BLENDSHAPE_INPUTS = np.array(
    """
    0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87
    88 91 93 95 103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159
    160 161 162 163 168 172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270 276 282
    283 284 285 288 291 293 295 296 297 300 308 310 311 312 314 317 318 321 323 324 332 334 336 338
    356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 397 398 400 402
    405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
    """.split(),  # noqa: SIM905  as a list it would be 146 lines
    dtype=np.intp,
)


class FaceMesh:
    """Landmarks of the face in a region of a picture."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._network = bundle.landmarks(threads)

    def __call__(self, image: NDArray[np.uint8], region: Region) -> tuple[Floats, float]:
        """Landmarks float32 [478, 3] in pixels of ``image`` (x right, y down, z depth at the same
        scale, towards the camera negative), and the presence of a face, 0..1.
        """
        crop = region.crop(image, SIDE, cv2.BORDER_REPLICATE)
        outputs = self._network(crop * np.float32(1 / 255))
        points = outputs["Identity"].reshape(NUM_LANDMARKS, 3)
        presence = sigmoid(outputs["Identity_1"]).item()
        matrix = region.matrix(SIDE)
        landmarks = np.empty_like(points)
        landmarks[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        landmarks[:, 2] = points[:, 2] * (region.width / SIDE)
        return landmarks, presence


class BlendshapeNetwork:
    """Blendshapes from landmarks."""

    def __init__(self, bundle: Bundle) -> None:
        self._network = bundle.blendshapes()

    def __call__(self, landmarks: Floats) -> Floats:
        """52 coefficients in 0..1 (:data:`BLENDSHAPES`) from landmarks [478, 3] px."""
        (values,) = self._network(landmarks[_BLENDSHAPE_INPUTS, :2]).values()
        return values.reshape(len(BLENDSHAPES)).copy()
