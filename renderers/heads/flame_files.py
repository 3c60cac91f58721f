"""FLAME's files as their owners distribute them: checked, and converted to ``.safetensors``.

Model files are Python 2 pickles with chumpy and scipy objects; see :mod:`dimcli.pickles`. Versions
2019, 2020 and 2023 (with and without jaw) hold the same arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.arrays import read_archive
from dimcli.core.errors import InputError
from dimcli.pickles import read_npy, read_pickle
from renderers.base import NUM_LANDMARKS
from weights.importing import kinds

NUM_VERTICES = 5023
NUM_FACES = 9976
NUM_JOINTS = 5
NUM_SHAPE, NUM_EXPRESSION = 300, 100
NUM_CONTOUR_ROWS, NUM_CONTOUR = 79, 17

PARENTS = (-1, 0, 1, 1, 1)
"""Of global, neck, jaw, left eye and right eye."""

_SHAPES = {
    "v_template": (NUM_VERTICES, 3),
    "f": (NUM_FACES, 3),
    "shapedirs": (NUM_VERTICES, 3, NUM_SHAPE + NUM_EXPRESSION),
    "posedirs": (NUM_VERTICES, 3, 9 * (NUM_JOINTS - 1)),
    "J_regressor": (NUM_JOINTS, NUM_VERTICES),
    "kintree_table": (2, NUM_JOINTS),
    "weights": (NUM_VERTICES, NUM_JOINTS),
}

_EMBEDDINGS = {
    "static": (("static_lmk_faces_idx", "static_lmk_bary_coords"), (51,)),
    "dynamic": (
        ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"),
        (NUM_CONTOUR_ROWS, NUM_CONTOUR),
    ),
    "full": (("full_lmk_faces_idx", "full_lmk_bary_coords"), (68,)),
}
"""Keys and shape of each set in DECA's ``landmark_embedding.npy``."""

_EMBEDDING_KEYS = ("lmk_face_idx", "lmk_b_coords")
"""In the files of one set, whose shape tells which it is."""

Arrays = dict[str, NDArray[Any]]


def read_model(file: Path) -> Arrays:
    """What :class:`renderers.heads.flame.FlameHead` takes, float32 and int32, from a model file."""
    if file.suffix.lower() == ".zip":
        raise InputError(f"{file}: is a zip archive; unpack it and import the .pkl file in it")
    data = read_pickle(file)
    if not isinstance(data, dict):
        raise InputError(f"{file}: not a FLAME model; expected generic_model.pkl or flame2023.pkl")
    missing = [name for name in _SHAPES if name not in data]
    if missing:
        raise InputError(
            f"{file}: not a FLAME model, as it lacks {', '.join(missing)}; "
            "expected generic_model.pkl or flame2023.pkl"
        )
    arrays = {name: _numbers(file, name, data[name], shape) for name, shape in _SHAPES.items()}
    faces = arrays["f"].astype(np.int64)
    if faces.min() < 0 or faces.max() >= NUM_VERTICES:
        raise InputError(f"{file}: f points outside of the {NUM_VERTICES} vertices")
    parents = arrays["kintree_table"][0].astype(np.int64)
    if tuple(parents[1:].tolist()) != PARENTS[1:]:
        raise InputError(
            f"{file}: kintree_table has parents {parents[1:].tolist()}; expected {PARENTS[1:]}"
        )
    totals = arrays["weights"].sum(axis=1)
    if not np.allclose(totals, 1, atol=1e-3):
        raise InputError(f"{file}: weights of some vertices add up to {totals.min():.3g}, not 1")
    basis = arrays["shapedirs"].astype(np.float32)
    return {
        "template": arrays["v_template"].astype(np.float32),
        "faces": faces.astype(np.int32),
        "shape_basis": np.ascontiguousarray(basis[..., :NUM_SHAPE]),
        "expression_basis": np.ascontiguousarray(basis[..., NUM_SHAPE:]),
        "pose_basis": arrays["posedirs"].astype(np.float32),
        "joint_regressor": arrays["J_regressor"].astype(np.float32),
        "parents": np.array(PARENTS, np.int32),
        "skin_weights": arrays["weights"].astype(np.float32),
    }


def read_landmarks(file: Path) -> Arrays:
    """What :mod:`renderers.heads.flame` are made of, from one file."""
    data = _embedding_file(file)
    found: Arrays = {}
    for name, ((faces_key, weights_key), shape) in _EMBEDDINGS.items():
        if faces_key in data and weights_key in data:
            found |= _embedding(file, name, data[faces_key], data[weights_key], shape)
    if all(key in data for key in _EMBEDDING_KEYS):
        faces, weights = (np.asarray(data[key]) for key in _EMBEDDING_KEYS)
        if "landmark_indices" in data:
            indices = np.asarray(data["landmark_indices"])
            if indices.dtype.kind not in "iu" or indices.ndim != 1 or not indices.size:
                raise InputError(
                    f"{file}: landmark_indices are {indices.dtype} of shape {indices.shape}; "
                    "expected integers, one a landmark"
                )
            if indices.min() < 0 or indices.max() >= NUM_LANDMARKS:
                raise InputError(f"{file}: landmark_indices leave the {NUM_LANDMARKS} of MediaPipe")
            found |= _embedding(file, "mediapipe", faces, weights, indices.shape)
            found["mediapipe_indices"] = indices.astype(np.int32)
        else:
            name = "dynamic" if faces.ndim == 2 else "static"
            found |= _embedding(file, name, faces, weights, _EMBEDDINGS[name][1])
    if not found:
        raise InputError(
            f"{file}: not a landmark embedding of FLAME; expected {kinds()['flame-landmarks'].file}"
        )
    return found


def _embedding_file(file: Path) -> dict[Any, Any]:
    """The dictionary in a ``.npy``, ``.npz`` or ``.pkl`` file."""
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return dict(read_archive(file, "readable .npz"))
    data = read_npy(file) if suffix == ".npy" else read_pickle(file)
    return data if isinstance(data, dict) else {}


def _embedding(file: Path, name: str, faces: Any, weights: Any, shape: tuple[int, ...]) -> Arrays:
    """The two arrays of one set, checked; a leading axis of one goes."""
    faces, weights = np.asarray(faces), np.asarray(weights)
    if faces.shape == (1, *shape):
        faces, weights = faces[0], weights[0]
    if faces.shape != shape or faces.dtype.kind not in "iu":
        raise InputError(f"{file}: {name} faces have shape {faces.shape}; expected {shape}")
    weights = _numbers(file, f"{name} weights", weights, (*shape, 3))
    faces = faces.astype(np.int64)
    if faces.min() < 0 or faces.max() >= NUM_FACES:
        raise InputError(f"{file}: {name} landmarks point outside of the {NUM_FACES} faces")
    if not np.allclose(weights.sum(axis=-1), 1, atol=1e-3):
        raise InputError(f"{file}: {name} weights don't add up to 1 on each face")
    return {
        f"{name}_faces": faces.astype(np.int32),
        f"{name}_barycentric": weights.astype(np.float32),
    }


def read_masks(file: Path) -> Arrays:
    """Vertex numbers int32 of each region by its name."""
    data = read_pickle(file)
    found = {}
    for name, content in data.items() if isinstance(data, dict) else ():
        ids = np.asarray(content)
        if not isinstance(name, str) or ids.ndim != 1 or ids.dtype.kind not in "iu":
            continue
        if len(ids) and (ids.min() < 0 or ids.max() >= NUM_VERTICES):
            raise InputError(f"{file}: region {name} has vertices outside of the {NUM_VERTICES}")
        found[name] = ids.astype(np.int32)
    if "face" not in found:
        raise InputError(f"{file}: has no region 'face'; expected FLAME_masks.pkl")
    return found


def _numbers(file: Path, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """``value`` as a plain array of finite numbers of that ``shape``."""
    from scipy import sparse

    if isinstance(value, sparse.csc_matrix | sparse.csr_matrix) and value.shape == shape:
        value = value.toarray()
    array = np.asarray(value) if np.shape(value) == shape else None
    if array is None or array.dtype.kind not in "fiu":
        raise InputError(f"{file}: {name} has shape {np.shape(value)}; expected {shape} numbers")
    if not np.isfinite(array).all():
        raise InputError(f"{file}: {name} has NaN or infinite numbers")
    return array
