"""How far a talking face's vertices are from the truth's: lip vertex error, upper-face dynamics.

Both are computed from displacements, vertices less those of the resting face. The literature's
definitions stand beside those of the released code (FaceFormer's, CodeTalker's and DIM's), which
differ and must not be compared:

================  ==============================  ============================================
figure            literature                      released code
================  ==============================  ============================================
LVE, a frame      largest distance of a lip       largest **squared** distance
LVE, a corpus     mean of the clips' means        mean over **all frames** of all clips
FDD, a vertex     standard deviation over time    standard deviation of the **squared** length
                  of its displacement's length    of its displacement
FDD, a clip       |mean over vertices of          mean over vertices of truth less prediction,
                  truth less prediction|          **with its sign**: clips cancel
================  ==============================  ============================================

Sources: Fan et al. 2022 (FaceFormer, LVE; after Richard et al. 2021), Xing et al. 2023 (CodeTalker,
FDD), whose equation sums the signed differences of one clip; standard deviations are those of the
population. T frames, V vertices; lengths in the mesh's own unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError

Array = NDArray[np.floating[Any]]


def lip_distances(truth: Array, prediction: Array) -> Array:
    """Distance of the lip vertex that is farthest off, in each frame: [T].

    ``truth`` and ``prediction`` [T, V, 3] are lip vertices or their displacements. Raises
    InputError where the shapes differ.
    """
    _same(truth, prediction)
    apart = np.asarray(prediction, float) - np.asarray(truth, float)
    return np.linalg.norm(apart, axis=2).max(axis=1)


def lip_vertex_error(truth: Array, prediction: Array) -> float:
    """LVE of one clip, the literature's: mean over frames of :func:`lip_distances`."""
    return float(lip_distances(truth, prediction).mean())


def released_lip_errors(truth: Array, prediction: Array) -> Array:
    """The released code's squared errors of the frames [T], to be averaged over all clips'."""
    return lip_distances(truth, prediction) ** 2


def dynamics(displacement: Array, *, squared: bool = False) -> Array:
    """How much each vertex moves, [V]: the standard deviation over time of its displacement's
    length, or of the ``squared`` length, from displacements [T, V, 3] from the resting face.
    """
    displacement = np.asarray(displacement, float)
    lengths = np.einsum("tvc,tvc->tv", displacement, displacement)
    if not squared:
        lengths = np.sqrt(lengths)
    return lengths.std(axis=0)


def dynamics_deviation(truth: Array, prediction: Array) -> float:
    """FDD of one clip, the literature's: from upper-face displacements [T, V, 3], never negative.

    Zero for a face that is as lively as the truth, whenever it moves.
    """
    _same(truth, prediction)
    return float(abs((dynamics(truth) - dynamics(prediction)).mean()))


def released_dynamics_deviation(truth: Array, prediction: Array) -> float:
    """FDD of one clip as the released code has it: of squared lengths, above zero where the
    prediction moves less than the truth.
    """
    _same(truth, prediction)
    return float((dynamics(truth, squared=True) - dynamics(prediction, squared=True)).mean())


def _same(truth: Array, prediction: Array) -> None:
    if truth.shape != prediction.shape or truth.ndim != 3 or truth.shape[2] != 3:
        raise InputError(
            f"vertices of shapes {truth.shape} and {prediction.shape}; expected the same "
            "(frames, vertices, 3)"
        )
    if not truth.size:
        raise InputError(f"vertices of shape {truth.shape}; expected some frames and vertices")
