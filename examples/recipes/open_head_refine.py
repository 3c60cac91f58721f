"""Refinements of the cut-out head: rounder long edges, hair, blink, ambient occlusion.

Part of building ``open_head.npz``; not used at run time. ``arrays`` are the file's arrays.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[Any]

UPPER_LIDS = {
    "Left": (466, 388, 387, 386, 385, 384, 398),
    "Right": (246, 161, 160, 159, 158, 157, 173),
}
LOWER_LIDS = {
    "Left": (249, 390, 373, 374, 380, 381, 382),
    "Right": (7, 163, 144, 145, 153, 154, 155),
}
"""MediaPipe landmarks of the lid margins, in pairs one above the other."""


def normals(arrays: dict[str, Array]) -> Array:
    """Smooth unit normals [V, 3] of the resting head."""
    template, faces, weld = arrays["template"], arrays["faces"], arrays["weld"]
    first, second, third = (template[faces[:, corner]] for corner in range(3))
    flat = np.cross(second - first, third - first)
    smooth = np.zeros((weld.max() + 1, 3))
    for corner in range(3):
        np.add.at(smooth, weld[faces[:, corner]], flat)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
    return smooth[weld]


def split_long_edges(arrays: dict[str, Array], longest_m: float) -> dict[str, Array]:
    """Split skin edges longer than ``longest_m`` at a midpoint lifted onto the rounded surface.

    The lift is Phong tessellation's (Boubekeur and Alexa 2008) with strength 3/4.
    """
    template, faces, normal = arrays["template"], arrays["faces"], normals(arrays)
    skin = arrays["face_region"] == 0
    edges = np.concatenate([faces[skin][:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(template[edges[:, 0]] - template[edges[:, 1]], axis=1)
    edges = edges[length > longest_m]
    start, end = edges.T

    def onto_plane(point: Array, at: Array) -> Array:
        gap = ((point - template[at]) * normal[at]).sum(axis=1, keepdims=True)
        return point - gap * normal[at]

    middle = (template[start] + template[end]) / 2
    lifted = (onto_plane(middle, start) + onto_plane(middle, end)) / 2
    grown = dict(arrays)
    for name in ("uv", "weights"):
        grown[name] = np.concatenate([arrays[name], (arrays[name][start] + arrays[name][end]) / 2])
    units = arrays["units"].astype(np.float32)
    grown["units"] = np.concatenate([units, (units[:, start] + units[:, end]) / 2], axis=1)
    grown["template"] = np.concatenate([template, middle + 0.75 * (lifted - middle)])
    grown["vertex_region"] = np.concatenate(
        [arrays["vertex_region"], np.zeros(len(edges), np.uint8)]
    )
    welded = np.sort(arrays["weld"][edges], axis=1)
    twin = np.unique(welded, axis=0, return_inverse=True)[1].ravel()
    grown["weld"] = np.concatenate([arrays["weld"], arrays["weld"].max() + 1 + twin])
    number = {tuple(edge): len(template) + row for row, edge in enumerate(edges.tolist())}
    new_faces, new_region = [], []
    for face, region in zip(faces.tolist(), arrays["face_region"].tolist(), strict=True):
        pieces = split_face(face, number)
        new_faces += pieces
        new_region += [region] * len(pieces)
    grown["faces"] = np.array(new_faces, np.int32)
    grown["face_region"] = np.array(new_region, np.uint8)
    return grown


def split_face(face: list[int], middle_of: dict[tuple[int, int], int]) -> list[list[int]]:
    """The triangles that replace ``face`` when some of its edges have a midpoint."""
    corners = list(face)
    middles = [
        middle_of.get((min(a, b), max(a, b)))
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    count = sum(middle is not None for middle in middles)
    if count == 0:
        return [face]
    # turn the face so that the odd edge out comes first (one cut) or last (two cuts)
    while (count == 1 and middles[0] is None) or (count == 2 and middles[2] is not None):
        corners, middles = corners[1:] + corners[:1], middles[1:] + middles[:1]
    (a, b, c), (ab, bc, ca) = corners, middles
    if count == 1:
        return [[a, ab, c], [ab, b, c]]  # type: ignore[list-item]
    if count == 2:
        return [[a, ab, bc], [ab, b, bc], [a, bc, c]]  # type: ignore[list-item]
    return [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]  # type: ignore[list-item]


def close_lips(arrays: dict[str, Array], landmarks: Array, units: list[str]) -> None:
    """Shut the resting mouth: add as much of ``mouthClose`` as the gap between the lips needs."""
    unit = arrays["units"][units.index("mouthClose")].astype(np.float32)
    corners = arrays["faces"][arrays["landmark_face"]]
    moved = (unit[corners] * arrays["landmark_barycentric"][..., None]).sum(axis=1)
    upper, lower = 13, 14
    gap = landmarks[upper, 1] - landmarks[lower, 1]
    closing = moved[lower, 1] - moved[upper, 1]
    arrays["template"] = arrays["template"] + unit * (gap + LIP_OVERLAP_M) / closing


LIP_OVERLAP_M = 0.0004
"""How far the resting lips press into each other, so that no gap shows."""


def fit_blink(arrays: dict[str, Array], landmarks: Array, units: list[str]) -> None:
    """Scale the blink units along the eye so that at 1 the upper lid just meets the lower one."""
    corners = arrays["faces"][arrays["landmark_face"]]
    share = arrays["landmark_barycentric"][..., None]
    deltas = arrays["units"].astype(np.float32)
    for side in ("Left", "Right"):
        row = units.index(f"eyeBlink{side}")
        moved = (deltas[row][corners] * share).sum(axis=1)
        upper, lower = list(UPPER_LIDS[side]), list(LOWER_LIDS[side])
        gap = landmarks[upper, 1] - landmarks[lower, 1]
        closing = moved[lower, 1] - moved[upper, 1]
        scale = np.clip(gap / np.maximum(closing, 1e-4), 0.3, 1.3)
        x = (landmarks[upper, 0] + landmarks[lower, 0]) / 2
        middle = slice(1, -1)  # the outermost pairs hardly move, their ratio is noise
        line = np.polynomial.Polynomial.fit(x[middle], scale[middle], 1)
        reach = np.clip(arrays["template"][:, 0], x.min(), x.max())
        deltas[row] *= line(reach)[:, None]
    arrays["units"] = deltas


def occlusion(arrays: dict[str, Array], jaw_rad: float, directions: int = 96) -> Array:
    """Share of the light from a bright half-space in front that reaches each vertex, [V] in 0..1.

    Depth maps from many directions; the jaw is opened so that the mouth's inside gets some light.
    """
    weight = arrays["weights"][:, 3:4]
    hinge = arrays["joints"][3]
    points = arrays["template"].astype(np.float64)
    turned = Rotation.from_rotvec([jaw_rad, 0, 0]).apply(points - hinge) + hinge
    points = points + weight * (turned - points) + arrays["units"][-1] * (jaw_rad / 0.4)
    posed = dict(arrays, template=points)
    normal = normals(posed)
    index = np.arange(directions) + 0.5
    height = 1 - 1.5 * index / directions  # down to 30 degrees under the horizon
    turn = index * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(np.maximum(1 - height**2, 0))
    seen = np.zeros(len(points))
    total = np.zeros(len(points))
    size, span = 512, 0.30
    settings = cv2.TriangleRasterizeSettings().setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    for x, y, z in np.stack([flat * np.sin(turn), height, flat * np.cos(turn)], axis=1):
        towards = np.array([x, y, z])
        side = np.cross([0.0, 1.0, 0.01], towards)
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(towards, side), towards])
        local = (points @ frame.T).astype(np.float32)
        depth = np.full((size, size), 30, np.float32)
        far = local - [0, 0, 20]  # from so far away that the rays are parallel
        cv2.triangleRasterizeDepth(
            far.astype(np.float32),
            arrays["faces"],
            depth,
            np.eye(4, dtype=np.float32),
            2 * np.arctan(span / 20),
            1.0,
            30.0,
            settings,
        )
        scale = size / 2 / np.tan(np.arctan(span / 20))
        column = np.clip(size / 2 + far[:, 0] / -far[:, 2] * scale, 0, size - 1).astype(int)
        line = np.clip(size / 2 - far[:, 1] / -far[:, 2] * scale, 0, size - 1).astype(int)
        lit = -far[:, 2] < depth[line, column] + 0.002
        facing = np.maximum(normal @ towards, 0) * (1.0 if z > -0.2 else 0.4)
        seen += facing * lit
        total += facing
    reach = seen / np.maximum(total, 1e-6)
    welded = np.zeros(arrays["weld"].max() + 1)
    count = np.zeros_like(welded)
    np.add.at(welded, arrays["weld"], reach)
    np.add.at(count, arrays["weld"], 1)
    return (welded / np.maximum(count, 1))[arrays["weld"]].astype(np.float32)


def grow_hair(arrays: dict[str, Array], amount: Array, thickness_m: float) -> None:
    """Lift the scalp outwards by ``thickness_m`` where ``amount`` [V] in 0..1 says hair grows."""
    lift = amount * thickness_m
    arrays["template"] = (arrays["template"] + normals(arrays) * lift[:, None]).astype(np.float32)
