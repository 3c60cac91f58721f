"""Cut the head out of the base mesh: shape, texture map, joints, skinning weights, face units.

Part of building ``open_head.npz``; not used at run time. Lengths are MakeHuman's decimetres until
:func:`build_geometry` turns them into metres.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dimcli.core.motion import ARKIT_EXPRESSIONS, JAW_OPEN_RAD
from examples.recipes.makehuman import UNITS, BaseMesh, Wheel, shape_points
from renderers.heads.open_head import REGIONS

Array = NDArray[Any]

METRES = 0.1
"""MakeHuman counts in decimetres."""

LOWEST_Y, WIDEST_X = 4.9, 2.35
"""Where the body is cut off, in base-mesh decimetres: below the frame's edge."""

JOINTS = ("root", "neck", "head", "jaw", "eye_left", "eye_right")
PARENTS = (-1, 0, 1, 2, 2, 2)
EYE_DEGREES = {"In": 25.0, "Out": 25.0, "Up": 18.0, "Down": 22.0}
"""Eyeball rotation at eyeLook* = 1. The face units turn the eyes by 15, 15, 10 and 11 degrees;
people reach about twice that at the end of the scale that trackers report."""

MOUTH_ISLAND_V = 0.145
"""The mouth cavity's island lies at the bottom of the base mesh's texture map."""

TEXTURE_SIZE = (1536, 2048)
"""Width and height of the painted texture."""

ISLANDS = {
    "head": ((0.630, 0.140, 1.000, 0.830), (4, 20), 2850),
    "chest": ((0.180, 0.780, 0.580, 0.985), (1064, 4), 1170),
    "ears": ((0.000, 0.540, 0.160, 0.640), (1064, 260), 2800),
    "mouth": ((0.745, 0.000, 0.935, 0.145), (1064, 560), 2400),
    "teeth": ((0.670, 0.870, 0.745, 0.925), (1064, 930), 4500),
    "tongue": ((0.615, 0.925, 0.655, 0.990), (1420, 930), 2600),
}
"""Source box (u0, v0, u1, v1), destination of its top left corner and scale in texels a unit."""

EYE_BOX = (1064, 1280, 460)
"""Left, top and side of the square that both eyeballs share, in texels."""

INSIDE_MOUTH = ("teeth_upper", "teeth_lower", "tongue")

SQUINT_SHARE = 0.5
"""Part of the face unit that eyeSquint gets: trackers report about 0.45 for a rested face."""


def smoothstep(low: float, high: float, position: Array) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((position - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def cut(base: BaseMesh) -> tuple[Array, Array]:
    """Triangles of the head: ``corners`` [F, 3, 2] as (point, uv) and ``region`` [F]."""
    groups = {
        "body": "skin",
        "helper-upper-teeth": "teeth_upper",
        "helper-lower-teeth": "teeth_lower",
        "helper-tongue": "tongue",
        "helper-l-eye": "eye_left",
        "helper-r-eye": "eye_right",
    }
    corners, regions = [], []
    for group, region in groups.items():
        quads = base.quads[group]
        kind = np.full(len(quads), REGIONS.index(region))
        if group == "body":
            points = base.points[quads[..., 0]]
            kept = (points[..., 1] > LOWEST_Y) & (np.abs(points[..., 0]) < WIDEST_X)
            inside = base.uv[quads[..., 1]].mean(axis=1)[:, 1] < MOUTH_ISLAND_V
            kind[inside] = REGIONS.index("mouth")
            quads, kind = quads[kept.all(axis=1)], kind[kept.all(axis=1)]
        for triangle in ([0, 1, 2], [0, 2, 3]):
            corners.append(quads[:, triangle])
            regions.append(kind)
    return np.concatenate(corners), np.concatenate(regions)


def pack_uv(uv: Array) -> Array:
    """Base-mesh texture coordinates [V, 2] to texels (x right, y down) of our own, tighter map."""
    texels = np.full_like(uv, -1.0)
    for (u0, v0, u1, v1), (left, top), scale in ISLANDS.values():
        inside = (uv[:, 0] > u0) & (uv[:, 0] < u1) & (uv[:, 1] > v0) & (uv[:, 1] < v1)
        texels[inside, 0] = left + (uv[inside, 0] - u0) * scale
        texels[inside, 1] = top + (v1 - uv[inside, 1]) * scale
    return texels


def eye_texels(offsets: Array) -> Array:
    """Texels of eyeball points [V, 3] given from the eye's centre: angles around its axis, flat."""
    left, top, side = EYE_BOX
    direction = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    across = np.linalg.norm(direction[:, :2], axis=1, keepdims=True)
    angle = np.arctan2(across, direction[:, 2:]) / np.pi
    flat = direction[:, :2] / np.maximum(across, 1e-9) * angle * [0.5, -0.5]
    return np.array([left, top]) + (flat + 0.5) * side


def skinning(base: BaseMesh, points: Array, jaw_open: Array, used: Array) -> tuple[Array, Array]:
    """Joint positions [J, 3] (decimetres) and skinning weights [len(used), J]."""

    def centre(group: str) -> Array:
        return points[base.group_points(group)].mean(axis=0)

    # jawOpen turns the lower teeth rigidly: the rotation's fixed line is the jaw joint
    teeth = base.group_points("helper-lower-teeth")
    before, after = base.points[teeth], base.points[teeth] + jaw_open[teeth]
    turn, _ = Rotation.align_vectors(after - after.mean(0), before - before.mean(0))
    still = np.eye(3) - turn.as_matrix()
    offset = after.mean(0) - turn.as_matrix() @ before.mean(0)
    hinge = np.array([0.0, *np.linalg.lstsq(still[1:, 1:], offset[1:], rcond=None)[0]])
    rigid = (base.points - hinge) @ -still.T
    jaw = np.clip((jaw_open * rigid).sum(axis=1) / np.maximum((rigid**2).sum(axis=1), 1e-6), 0, 1)
    jaw[np.linalg.norm(jaw_open, axis=1) < 1e-3] = 0
    jaw[teeth] = 1
    hinge = hinge + centre("joint-head") - base.points[base.group_points("joint-head")].mean(0)

    neck_joint = centre("joint-neck")
    height = points[:, 1] - neck_joint[1] + 0.25 * points[:, 2]
    neck = smoothstep(-0.35, 0.45, height)
    head = smoothstep(0.10, 0.80, height)
    joints = np.stack(
        [
            neck_joint,
            neck_joint,
            centre("joint-head"),
            hinge,
            centre("joint-l-eye"),
            centre("joint-r-eye"),
        ]
    )
    weights = np.zeros((len(points), len(JOINTS)))
    for side, column in (("l", 4), ("r", 5)):
        weights[base.group_points(f"helper-{side}-eye"), column] = 1
    rest = 1 - weights.sum(axis=1)
    weights[:, 3] = jaw * head * rest
    weights[:, 2] = (1 - jaw) * head * rest
    weights[:, 1] = (1 - head) * neck * rest
    weights[:, 0] = (1 - head) * (1 - neck) * rest
    return joints, weights[used]


def nudge_mouth(template: Array, region: Array) -> None:
    """Move teeth and tongue, in place, to where they show as a person's do: uppers a little lower,
    the arch narrower than the lips, the tongue on the mouth's floor.
    """
    upper, lower, tongue = (region == REGIONS.index(name) for name in INSIDE_MOUTH)
    template[upper | lower] *= [0.85, 1, 1]
    template[upper] += [0, -0.0036, -0.002]
    template[lower] += [0, -0.0008, -0.002]
    template[tongue] *= [1.12, 1, 1]
    template[tongue] += [0, -0.0065, -0.008]


def build_geometry(wheel: Wheel, shape: dict[str, float]) -> dict[str, Array]:
    """Arrays of the head in one shape, metres, the head joint at the origin."""
    base = BaseMesh.read(wheel)
    points = shape_points(wheel, base, shape)
    corners, region = cut(base)
    pairs, faces = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    weld = np.unique(pairs[:, 0], return_inverse=True)[1]
    units = {
        name: wheel.target(UNITS.format(name), len(points))
        for name in (*ARKIT_EXPRESSIONS, "jawOpen")
    }
    joints, weights = skinning(base, points, units["jawOpen"], pairs[:, 0])
    origin = joints[JOINTS.index("head")].copy()
    template = (points[pairs[:, 0]] - origin) * METRES
    joints = (joints - origin) * METRES
    deltas = np.stack([units[name][pairs[:, 0]] for name in units]) * METRES
    for side in ("Left", "Right"):
        deltas[list(units).index(f"eyeSquint{side}")] *= SQUINT_SHARE
    for row, name in enumerate(units):
        if name.startswith("eye"):  # some reach into the other eye's socket
            sign = 1 if name.endswith("Left") else -1
            deltas[row] *= smoothstep(-0.010, -0.003, sign * template[:, :1])
    eyes = weights[:, 4:].sum(axis=1) > 0
    deltas[:, eyes] = 0  # the eyeballs turn on their joints instead

    # the jaw joint does the large part of jawOpen; its unit keeps what the joint leaves over
    turned = Rotation.from_rotvec([JAW_OPEN_RAD, 0, 0]).apply(template - joints[3]) + joints[3]
    deltas[-1] -= weights[:, 3:4] * (turned - template)
    texels = pack_uv(base.uv[pairs[:, 1]])
    for column in (4, 5):
        eye = weights[:, column] > 0
        texels[eye] = eye_texels(template[eye] - joints[column])
    vertex_region = np.zeros(len(pairs), np.uint8)
    vertex_region[faces.ravel()] = np.repeat(region, 3)
    nudge_mouth(template, vertex_region)
    return {
        "template": template.astype(np.float32),
        "faces": faces,
        "face_region": region.astype(np.uint8),
        "vertex_region": vertex_region,
        "uv": (texels / TEXTURE_SIZE).astype(np.float32),
        "weld": weld.astype(np.int32),
        "units": deltas.astype(np.float16),
        "joints": joints.astype(np.float32),
        "parents": np.array(PARENTS, np.int32),
        "weights": weights.astype(np.float32),
        "eye_degrees": np.array(list(EYE_DEGREES.values()), np.float32),
    }
