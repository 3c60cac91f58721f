"""Which point of the FLAME head is which of the open head: the ground on which motion is converted.

The open head carries MediaPipe's landmarks. Where the user has FLAME's embedding of 105 of them,
those pairs are exact, and bend the open head's resting face onto FLAME's; each other landmark then
takes the nearest point of FLAME's skin. Without the embedding, eyes, nose and the line of the lips
are found on both heads by their geometry.

Legend: K points, L = 468 landmarks of the face, V vertices, F faces. Lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from dimcli.core.motion import Doubles
from renderers.heads.flame import JAW_JOINT, NUM_SKIN, FlameHead, FlameLandmarks, SurfacePoints
from renderers.heads.open_head import OpenHead

NUM_FACE = 468
"""Landmarks without the irises."""

OPEN_JAW = 3
"""The jaw's place among the open head's joints."""

LARGEST_GAP_M = 0.008
"""A landmark that ends up farther from FLAME's skin has no partner there."""

NOSE_TIP = 4
LIPS_MIDDLE = (13, 14)
_MIDLINE_M = 0.006
_LIPS_BEHIND_NOSE_M = 0.04
_LIPS_BELOW_NOSE_M = 0.055


@dataclass(frozen=True)
class Correspondence:
    """The same K points on both heads; ``scale`` is FLAME's size over the open head's; ``exact``
    counts those that an embedding gives."""

    open: SurfacePoints
    flame: SurfacePoints
    scale: float
    exact: int


def correspond(
    head: OpenHead,
    flame: FlameHead,
    landmarks: FlameLandmarks | None = None,
    face: NDArray[np.int32] | None = None,
) -> Correspondence:
    """Pair the open head's landmarks with points on FLAME's mean face.

    ``face``: the vertices among which they lie (FLAME's mask of that name); without it all skin.
    """
    template = flame.template.double().numpy()
    rest = head.landmarks(head.template[None])[0, :NUM_FACE].double().numpy()
    corners, weights = head.landmark_corners[:NUM_FACE], head.landmark_barycentric[:NUM_FACE]
    known = _embedded(flame, landmarks)
    if known is None:
        moved, scale = _fit(*_anchors(head, flame), rest)
    else:
        indices, places = known
        moved, scale = _fit(rest[indices], places, rest)
        # a kernel that does not grow beyond the landmarks: cheeks and chin have none of them
        bend = RBFInterpolator(
            moved[indices], places - moved[indices], kernel="linear", degree=0, smoothing=1e-3
        )
        moved = moved + bend(moved)
    jaw = (head.skin_weights[corners, OPEN_JAW] * weights).sum(dim=1).numpy()
    skin = np.arange(NUM_SKIN) if face is None else face
    faces = flame.faces[np.isin(flame.faces, skin).all(axis=1)].astype(np.int64)
    on_flame, gap = _nearest(moved, jaw, template, faces, flame)
    if known is not None and landmarks is not None:
        exact = landmarks.sets["mediapipe"]
        on_flame.corners[known[0]], on_flame.weights[known[0]] = exact.corners, exact.weights
        gap[known[0]] = 0
    kept = torch.from_numpy(gap < LARGEST_GAP_M)
    return Correspondence(
        SurfacePoints(corners[kept], weights[kept]),
        SurfacePoints(on_flame.corners[kept], on_flame.weights[kept]),
        scale,
        0 if known is None else len(known[0]),
    )


def _embedded(
    flame: FlameHead, landmarks: FlameLandmarks | None
) -> tuple[NDArray[np.int64], Doubles] | None:
    """MediaPipe's landmarks that FLAME's embedding knows, and where they lie at rest."""
    if landmarks is None or "mediapipe" not in landmarks.sets:
        return None
    places = landmarks.points("mediapipe", flame.template[None])[0]
    return landmarks.mediapipe_indices, places.double().numpy()


def _anchors(head: OpenHead, flame: FlameHead) -> tuple[Doubles, Doubles]:
    """Both eyes, the tip of the nose and the middle of the lips on each head, [4, 3] each."""
    landmarks = head.landmarks(head.template[None])[0]
    ours = torch.stack([*head.joints[-2:], landmarks[NOSE_TIP], landmarks[[*LIPS_MIDDLE]].mean(0)])
    template = flame.template[:NUM_SKIN]
    middle = template[:, 0].abs() < _MIDLINE_M
    nose = template[middle][template[middle, 2].argmax()]
    below = (template[:, 1] < nose[1]) & (template[:, 1] > nose[1] - _LIPS_BELOW_NOSE_M)
    front = middle & below & (template[:, 2] > nose[2] - _LIPS_BEHIND_NOSE_M)
    lower = flame.skin_weights[:NUM_SKIN, JAW_JOINT] > 0.5
    edges = [template[front & ~lower], template[front & lower]]
    lips = torch.stack([edges[0][edges[0][:, 1].argmin()], edges[1][edges[1][:, 1].argmax()]])
    theirs = torch.stack([*flame.joint_template[-2:], nose, lips.mean(0)])
    return ours.double().numpy(), theirs.double().numpy()


def _fit(source: Doubles, target: Doubles, points: Doubles) -> tuple[Doubles, float]:
    """``points`` [L, 3] under the similarity that takes ``source`` [M, 3] to ``target`` with the
    least squares, and its scale. The heads' axes are the same, so it does not rotate.
    """
    centred = source - source.mean(axis=0), target - target.mean(axis=0)
    scale = float((centred[0] * centred[1]).sum() / (centred[0] ** 2).sum())
    return (points - source.mean(axis=0)) * scale + target.mean(axis=0), scale


def _nearest(
    points: Doubles,
    jaw: NDArray[np.float32],
    template: Doubles,
    faces: NDArray[np.int64],
    flame: FlameHead,
) -> tuple[SurfacePoints, Doubles]:
    """Nearest points of FLAME's ``faces`` [F, 3] to ``points`` [L, 3], and how far they are [L].

    ``jaw`` [L] is how much the jaw holds each of them: lips touch at rest, and a point of one lip
    must not land on the other.
    """
    held = flame.skin_weights[:, JAW_JOINT].numpy()[faces].mean(axis=1)
    corners = np.zeros((len(points), 3), np.int64)
    weights = np.zeros((len(points), 3))
    gap = np.full(len(points), np.inf)
    for chosen, candidates in ((jaw > 0.5, held > 0.4), (jaw <= 0.5, held < 0.6)):
        if not (chosen.any() and candidates.any()):
            continue
        own = faces[candidates]
        middles = cKDTree(template[own].mean(axis=1))
        near = np.asarray(middles.query(points[chosen], k=min(24, len(own)))[1])
        found = closest_on_triangles(points[chosen, None], template[own[near]])
        places = np.einsum("lnc,lncd->lnd", found, template[own[near]])
        away = np.linalg.norm(places - points[chosen, None], axis=2)
        best, row = away.argmin(axis=1), np.arange(len(away))
        corners[chosen], weights[chosen] = own[near[row, best]], found[row, best]
        gap[chosen] = away[row, best]
    return SurfacePoints(torch.from_numpy(corners), torch.from_numpy(weights).float()), gap


def closest_on_triangles(points: Doubles, triangles: Doubles) -> Doubles:
    """Weights [..., 3] of the corners of ``triangles`` [..., 3, 3] at the point of each that is
    nearest to ``points`` [..., 3].
    """
    first, second = (triangles[..., corner, :] - triangles[..., 0, :] for corner in (1, 2))
    way = points - triangles[..., 0, :]
    aa, ab, bb = ((x * y).sum(-1) for x, y in ((first, first), (first, second), (second, second)))
    wa, wb = (way * first).sum(-1), (way * second).sum(-1)
    size = np.maximum(aa * bb - ab**2, 1e-30)
    u, v = (bb * wa - ab * wb) / size, (aa * wb - ab * wa) / size
    inside = np.stack([1 - u - v, u, v], axis=-1)
    choices = [np.where((inside >= 0).all(axis=-1, keepdims=True), inside, np.nan)]
    for start in range(3):
        end = (start + 1) % 3
        side = triangles[..., end, :] - triangles[..., start, :]
        along = ((points - triangles[..., start, :]) * side).sum(-1)
        share = (along / np.maximum((side**2).sum(-1), 1e-30)).clip(0, 1)
        edge = np.zeros((*share.shape, 3))
        edge[..., start], edge[..., end] = 1 - share, share
        choices.append(edge)
    weights = np.stack(choices)
    places = np.einsum("s...c,...cd->s...d", weights, triangles)
    away = np.linalg.norm(places - points, axis=-1)
    best = np.nan_to_num(away, nan=np.inf).argmin(axis=0)
    return np.take_along_axis(weights, best[None, ..., None], axis=0)[0]
