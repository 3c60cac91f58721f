"""A made-up FLAME model in the owners' layout: the open head's shape, the rest at random.

5023 vertices (two eyeballs of 546 at the end) and 9976 faces, as the files' readers check. The skin
is a grid of rays from the middle of the open head, so that a picture shows a face; the expression
components are mixtures of the face units, so that both heads can make the same faces.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from renderers.heads.open_head import OpenHead
from tests.pickle_writing import array, call, group, listing, mapping, name, new, number, program

Array = NDArray[Any]

NUM_SKIN, NUM_EYE = 3931, 546
ROWS, COLUMNS = 65, 60
RINGS, SECTORS = 17, 32
NECK_JOINT = np.array([0.0, -0.008, -0.055])
"""Where FLAME's neck joint lies; the open head's joint is its origin."""
JOINTS = np.array([[-0.001, -0.148, -0.083], NECK_JOINT, [-0.001, -0.015, -0.059]])
CENTRE = np.array([0.0, 0.03, 0.005])


def directions() -> Array:
    """Unit vectors [ROWS * COLUMNS, 3], dense in front, from the crown to the neck."""
    way = np.linspace(-1, 1, COLUMNS, endpoint=False)
    azimuth = np.pi * (0.35 * way + 0.65 * np.sign(way) * np.abs(way) ** 2.2)
    polar = np.radians(np.linspace(4, 143, ROWS))
    ring = np.stack([np.sin(azimuth), np.zeros(COLUMNS), np.cos(azimuth)], axis=1)
    rays = np.sin(polar)[:, None, None] * ring + np.cos(polar)[:, None, None] * [0, 1, 0]
    return rays.reshape(-1, 3)


def cast(rays: Array, corners: Array) -> tuple[Array, Array]:
    """Outermost face of ``corners`` [F, 3, 3] that each ray from CENTRE hits, and the weights of
    its corners there [R, 3]."""
    base = corners - CENTRE
    middles = base.mean(axis=1)
    ways = cKDTree(middles / np.linalg.norm(middles, axis=1, keepdims=True))
    near = ways.query(rays, k=60)[1]
    first, second = (base[near, corner] - base[near, 0] for corner in (1, 2))
    across = np.cross(rays[:, None], second)
    scale = (first * across).sum(axis=2)
    u = -(base[near, 0] * across).sum(axis=2) / scale
    other = np.cross(-base[near, 0], first)
    v = (other * rays[:, None]).sum(axis=2) / scale
    far = (second * other).sum(axis=2) / scale
    far[(u < -1e-6) | (v < -1e-6) | (u + v > 1 + 1e-6) | ~np.isfinite(far)] = -1
    best = far.argmax(axis=1)
    row = np.arange(len(rays))
    u, v = u[row, best], v[row, best]
    weights = np.stack([1 - u - v, u, v], axis=1)
    weights[far[row, best] < 0] = 1 / 3  # no face there: the middle of the nearest
    return np.where(far[row, best] < 0, near[:, 0], near[row, best]), weights


def grid_faces() -> list[list[int]]:
    top, bottom = ROWS * COLUMNS, ROWS * COLUMNS + 1
    faces = []
    for row in range(ROWS - 1):
        for column in range(COLUMNS):
            right = (column + 1) % COLUMNS
            a, b = row * COLUMNS + column, row * COLUMNS + right
            c, d = a + COLUMNS, b + COLUMNS
            faces += [[a, c, b], [b, c, d]]
    last = (ROWS - 1) * COLUMNS
    for column in range(COLUMNS):
        right = (column + 1) % COLUMNS
        faces += [[top, column, right], [bottom, last + right, last + column]]
    return faces


def ball(centre: Array, radius: float) -> tuple[Array, list[list[int]]]:
    """A sphere of 546 vertices and 1088 faces."""
    polar = np.linspace(0, np.pi, RINGS + 2)[1:-1, None]
    angle = np.linspace(0, 2 * np.pi, SECTORS, endpoint=False)
    rings = np.stack(
        [np.sin(polar) * np.sin(angle), -np.sin(polar) * np.cos(angle), np.cos(polar) + 0 * angle],
        axis=-1,
    ).reshape(-1, 3)
    points = np.concatenate([rings, [[0, 0, 1], [0, 0, -1]]])
    front, back = len(rings), len(rings) + 1
    faces = []
    for sector in range(SECTORS):
        right = (sector + 1) % SECTORS
        faces.append([front, sector, right])
        faces.append([back, front - SECTORS + right, front - SECTORS + sector])
        for ring in range(RINGS - 1):
            a, b = ring * SECTORS + sector, ring * SECTORS + right
            faces += [[a, a + SECTORS, b], [b, a + SECTORS, b + SECTORS]]
    return points * radius + centre, faces


@cache
def flame_arrays() -> dict[str, Array]:
    """The content of a model file under its own names, plain arrays."""
    generator = np.random.default_rng(0)
    head = OpenHead.bundled()
    rest = head.template.numpy().astype(float)
    shoulders = (np.abs(rest) > [0.105, 0.17, 1])[head.faces].any(axis=(1, 2))
    skin = np.flatnonzero((head.face_region == 0) & ~shoulders)
    units = head.units.numpy().reshape(51, -1, 3).astype(float)
    face, weights = cast(directions(), rest[head.faces[skin]])
    corners = head.faces[skin][face]

    def on_skin(values: Array) -> Array:
        """Per-vertex ``values`` of the open head at the grid, then the two poles and spares."""
        grid = np.einsum("rc,rc...->r...", weights, values[corners])
        poles = [grid[:COLUMNS].mean(axis=0), grid[-COLUMNS:].mean(axis=0)]
        spares = [poles[0]] * (NUM_SKIN - ROWS * COLUMNS - 2)
        return np.concatenate([grid, np.stack(poles + spares)])

    eyes = [ball(centre, 0.0143) for centre in head.joints.numpy()[[4, 5]].astype(float)]
    template = np.concatenate([on_skin(rest), *(points for points, _ in eyes)]) + NECK_JOINT
    faces = np.array(
        grid_faces()
        + [[corner + NUM_SKIN for corner in face] for face in eyes[0][1]]
        + [[corner + NUM_SKIN + NUM_EYE for corner in face] for face in eyes[1][1]]
    )
    moved = np.stack([on_skin(unit) for unit in units[:50]], axis=-1)
    mixture = np.linalg.qr(generator.normal(size=(50, 50)))[0]
    expression = np.zeros((5023, 3, 100))
    expression[:NUM_SKIN, :, :50] = moved @ mixture * 0.7
    expression[:, :, 50:] = smooth_fields(template, 50, 0.001, generator)
    skinning = np.zeros((5023, 5))
    ours = on_skin(head.skin_weights.numpy().astype(float))  # root, neck, head, jaw, eyes
    skinning[:NUM_SKIN, 0] = ours[:, 0] + 0.5 * ours[:, 1]
    skinning[:NUM_SKIN, 2] = ours[:, 3]
    skinning[:NUM_SKIN, 1] = 1 - skinning[:NUM_SKIN].sum(axis=1)
    skinning[NUM_SKIN : NUM_SKIN + NUM_EYE, 3] = 1
    skinning[NUM_SKIN + NUM_EYE :, 4] = 1
    return {
        "v_template": template,
        "f": faces.astype(np.uint32),
        "shapedirs": np.concatenate(
            [smooth_fields(template, 300, 0.002, generator), expression], axis=2
        ),
        "posedirs": smooth_fields(template, 36, 0.0005, generator),
        "J_regressor": joint_regressor(template, generator),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": skinning,
    }


def smooth_fields(points: Array, count: int, size: float, generator: np.random.Generator) -> Array:
    """Random displacements [V, 3, count] of ``size`` metres that vary slowly over the head."""
    waves = np.sin(points @ generator.normal(0, 12, (3, 8)) + generator.uniform(0, 6, 8))
    return np.einsum("vw,wkc->vkc", waves, generator.normal(0, size / 2, (8, 3, count)))


def joint_regressor(template: Array, generator: np.random.Generator) -> Array:
    """Weights [5, V], mostly zero, that give FLAME's joints."""
    regressor = np.zeros((5, len(template)))
    for joint, place in enumerate(JOINTS):
        near = np.argsort(np.linalg.norm(template[:NUM_SKIN] - place, axis=1))[:400:4]
        system = np.vstack([template[near].T, np.ones(len(near))])
        regressor[joint, near] = np.linalg.lstsq(system, np.append(place, 1), rcond=None)[0]
    regressor[3, NUM_SKIN : NUM_SKIN + NUM_EYE] = 1 / NUM_EYE
    regressor[4, NUM_SKIN + NUM_EYE :] = 1 / NUM_EYE
    return regressor


def sparse_pickle(dense: Array, module: str = "scipy.sparse.csc") -> bytes:
    """A ``csc_matrix`` as scipy on Python 2 pickled it."""
    from scipy.sparse import csc_matrix

    matrix = csc_matrix(dense)
    state = {
        "_shape": group(*map(number, dense.shape)),
        "maxprint": number(50),
        "data": array(matrix.data),
        "indices": array(matrix.indices.astype(np.int32)),
        "indptr": array(matrix.indptr.astype(np.int32)),
    }
    return new(name(module, "csc_matrix"), mapping(state))


def chumpy_pickle(values: Array) -> bytes:
    """A ``chumpy.ch.Ch``; the set of dirty variables is what else the real files name."""
    dirty = call(name("__builtin__", "set"), listing([]))
    return new(name("chumpy.ch", "Ch"), mapping({"x": array(values), "_dirty_vars": dirty}))


def model_pickle(
    arrays: dict[str, Array], chumpy: tuple[str, ...] = ("shapedirs",), core: str = "numpy.core"
) -> bytes:
    """A model file as Python 2 wrote it: 2020 has ``shapedirs`` in chumpy, 2019 more, 2023 none."""
    content = {}
    for key, values in arrays.items():
        if key == "J_regressor":
            content[key] = sparse_pickle(values)
        elif key in chumpy:
            content[key] = chumpy_pickle(values)
        else:
            content[key] = array(values, f"{core}.multiarray")
    content["bs_type"] = b"U\x07lrotmin"
    content["bs_style"] = b"U\x03lbs"
    return program(mapping(content))


def nearest_on_faces(points: Array, template: Array, faces: Array) -> tuple[Array, Array]:
    """Face [L] and corner weights [L, 3] near each of ``points`` [L, 3]."""
    middles = template[faces].mean(axis=1)
    face = cKDTree(middles).query(points)[1]
    weights = np.empty((len(points), 3))
    for index, (point, corners) in enumerate(zip(points, template[faces[face]], strict=True)):
        system = np.vstack([corners.T, np.full(3, 10.0)])
        weights[index] = np.linalg.lstsq(system, np.append(point, 10.0), rcond=None)[0].clip(0)
    return face, weights / weights.sum(axis=1, keepdims=True)


MEDIAPIPE_105 = (
    *(276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107),
    *(249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466),
    *(7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246),
    *(168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358),
    *(0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191),
    *(267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415),
)


def landmark_places(indices: tuple[int, ...]) -> Array:
    """Where MediaPipe's landmarks lie on the made-up head."""
    head = OpenHead.bundled()
    rest = head.landmarks(head.template[None])[0].numpy()
    return rest[list(indices)] + NECK_JOINT


def mediapipe_embedding() -> dict[str, Array]:
    """The content of ``mediapipe_landmark_embedding.npz``."""
    arrays = flame_arrays()
    skin = arrays["f"][:7800].astype(int)
    face, weights = nearest_on_faces(landmark_places(MEDIAPIPE_105), arrays["v_template"], skin)
    return {
        "lmk_face_idx": face.astype(np.uint32),
        "lmk_b_coords": weights,
        "landmark_indices": np.array(MEDIAPIPE_105),
    }
