"""Whether what was found in a picture is like a human face, by how surely it was found.

The landmark network fits a human face to whatever it is shown, and is sure of its presence in many
a dog. But on a human face, a painted or modelled one too, its landmarks stay on the same points
however the picture is cut out around them; on anything else each look gives others. The detector,
which is another network, doubts such faces as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Floats
from dimcli.tracking.following import enlarged
from dimcli.tracking.geometry import region_of_landmarks
from dimcli.tracking.landmarks import FaceObservation
from dimcli.tracking.networks import Bundle, FaceMesh

LOOKS = ((0.15, 1.0), (-0.15, 1.0), (0.0, 1.15), (0.0, 1 / 1.15))
"""How the face is looked at again: turned by so many radians, and so much more of the picture."""
UNLIKE = 0.09
"""Doubt from which on a face is not human.

Measured on the pictures that it was chosen on: of a thousand photographs of all kinds of things, a
face that is none was found in 62 (dogs, wheels, fruit): 61 are above; of 150 of animals, turned,
grey, mirrored, cut or half as large, 91 %. Frames of people who talk have 0.02 to 0.05. Of 320
small pictures of people, changed likewise, 9 % are above: behind a hand, a diving mask or a helmet,
in full profile, out of focus.
"""
LEAST_PX = 0.5
"""Landmarks that move by less than this say nothing: a small picture has no more to offer."""


def doubt(image: NDArray[np.uint8], seen: FaceObservation) -> float:
    """How little the face ``seen`` in an RGB picture [H, W, 3] is like a human one: from
    :data:`UNLIKE` on it is not.

    The root mean square by which its landmarks differ between looks, over that of their distance
    from their middle, over the detector's score.
    """
    image, factor = enlarged(image)
    mesh = FaceMesh(Bundle.shipped(), threads=2)
    region = region_of_landmarks(seen.landmarks * np.float32(factor))
    first, _ = mesh(image, region)
    apart = [
        _rms(mesh(image, region.changed(turn, scale))[0][:, :2] - first[:, :2])
        for turn, scale in LOOKS
    ]
    moved = float(np.median(apart))
    if moved < LEAST_PX * factor:
        return 0.0
    return moved / _rms(first - first.mean(axis=0)) / seen.score


def _rms(vectors: Floats) -> float:
    return float(np.sqrt(np.square(vectors).sum(axis=1).mean()))
