"""ARKit motion as an animated GLB (glTF 2.0) of the open head: morph targets and a skin.

glTF blends morph targets first and skins after, as the open head does, so what a viewer shows is
the same mesh: 50 expressions and the jaw's as weights; neck, head, jaw and eyes as joints.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dimcli.core.files import atomic_output
from dimcli.core.motion import ARKIT_EXPRESSIONS, Motion
from dimcli.media import SYNTHETIC_TAG
from renderers.heads.open_head import OpenHead
from renderers.mesh.looks import Light

JOINTS = ("root", "neck", "head", "jaw", "eyeLeft", "eyeRight")
PARENTS = (-1, 0, 1, 2, 2, 2)
TARGETS = (*ARKIT_EXPRESSIONS, "jawOpen")
SMALLEST_MOVE_M = 1e-6
"""Vertices that a morph target moves less are left out of it."""

FLOAT, USHORT, UBYTE, UINT = 5126, 5123, 5121, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_COMPONENTS = {"float32": FLOAT, "uint16": USHORT, "uint8": UBYTE, "uint32": UINT}


class _Buffer:
    """The binary chunk under construction, with the views and accessors into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, target: int | None = None) -> int:
        self.data.extend(b"\0" * (-len(self.data) % 4))
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.data.extend(content)
        return len(self.views) - 1

    def accessor(
        self, array: NDArray[Any], *, target: int | None = None, bounds: bool = False
    ) -> int:
        """An accessor of ``array`` [N, ...], with its least and largest values if ``bounds``."""
        entry: dict[str, Any] = {
            "bufferView": self.view(np.ascontiguousarray(array).tobytes(), target),
            "componentType": _COMPONENTS[array.dtype.name],
            "count": len(array),
            "type": _TYPES[array.shape[1:]],
        }
        if bounds:
            entry |= _bounds(array)
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def sparse(self, moves: NDArray[np.float32]) -> int:
        """An accessor of ``moves`` [V, 3] that stores only the vertices that move."""
        rows = np.flatnonzero(np.abs(moves).max(axis=1) > SMALLEST_MOVE_M)
        kept = np.zeros_like(moves)
        kept[rows] = moves[rows]
        entry = {"componentType": FLOAT, "count": len(moves), "type": "VEC3", **_bounds(kept)}
        if len(rows):
            entry["sparse"] = {
                "count": len(rows),
                "indices": {
                    "bufferView": self.view(rows.astype(np.uint16).tobytes()),
                    "componentType": USHORT,
                },
                "values": {"bufferView": self.view(kept[rows].tobytes())},
            }
        self.accessors.append(entry)
        return len(self.accessors) - 1


def _bounds(array: NDArray[Any]) -> dict[str, list[float]]:
    flat = array.reshape(len(array), -1)
    return {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}


def write_glb(motion: Motion, path: Path, *, force: bool = False) -> None:
    """Write arkit ``motion`` on the open head to ``path``; InputError for another space."""
    motion.require_space("arkit")
    head = OpenHead.bundled()
    buffer = _Buffer()
    skin_nodes = list(range(1, 1 + len(JOINTS)))
    note = SYNTHETIC_TAG if motion.meta.get("generated") else "tracked motion"
    document = {
        "asset": {"version": "2.0", "generator": "dim", "extras": {"comment": note}},
        "scene": 0,
        "scenes": [{"name": "dim", "nodes": [0, 1]}],
        "nodes": [{"name": "face", "mesh": 0, "skin": 0}, *_joint_nodes(head)],
        "meshes": [_mesh(head, buffer)],
        "skins": [
            {
                "joints": skin_nodes,
                "skeleton": 1,
                "inverseBindMatrices": buffer.accessor(_inverse_binds(head)),
            }
        ],
        "materials": [
            {
                "name": "skin",
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.75,
                },
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [
            {"mimeType": "image/jpeg", "bufferView": buffer.view(head.texture_jpeg.tobytes())}
        ],
        "animations": [_animation(head, motion, buffer)],
    }
    document |= {
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    with atomic_output(path, force=force) as temporary:
        temporary.write_bytes(_container(document, bytes(buffer.data)))


def _joint_nodes(head: OpenHead) -> list[dict[str, Any]]:
    """The skeleton's nodes, at the indices 1, 2, ... of the document."""
    places = head.joints.double().cpu().numpy()
    nodes = []
    for index, (name, parent) in enumerate(zip(JOINTS, PARENTS, strict=True)):
        origin = places[parent] if parent >= 0 else np.zeros(3)
        children = [1 + child for child, above in enumerate(PARENTS) if above == index]
        node: dict[str, Any] = {"name": name, "translation": (places[index] - origin).tolist()}
        nodes.append(node | ({"children": children} if children else {}))
    return nodes


def _inverse_binds(head: OpenHead) -> NDArray[np.float32]:
    """Matrices [J, 4, 4], stored by columns, that take rest positions to each joint."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(JOINTS), 1, 1))
    matrices[:, 3, :3] = -head.joints.cpu().numpy()
    return matrices


def _mesh(head: OpenHead, buffer: _Buffer) -> dict[str, Any]:
    template = head.template.cpu().numpy()
    units = head.units.cpu().numpy().reshape(len(TARGETS), -1, 3)
    share = head.skin_weights.cpu().numpy()
    order = np.argsort(-share, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(share, order, axis=1)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    joints = np.where(weights > 0, order, 0).astype(np.uint8)
    normals = Light(head.faces, head.weld, head.occlusion).normals(template)
    attributes = {
        "POSITION": buffer.accessor(template, target=ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.accessor(normals, target=ARRAY_BUFFER),
        "TEXCOORD_0": buffer.accessor(head.uv, target=ARRAY_BUFFER),
        "JOINTS_0": buffer.accessor(joints, target=ARRAY_BUFFER),
        "WEIGHTS_0": buffer.accessor(weights, target=ARRAY_BUFFER),
    }
    corners = head.faces.astype(np.uint16).ravel()
    primitive = {
        "attributes": attributes,
        "indices": buffer.accessor(corners, target=ELEMENT_ARRAY_BUFFER),
        "material": 0,
        "targets": [{"POSITION": buffer.sparse(moves)} for moves in units],
    }
    return {
        "name": "open head",
        "primitives": [primitive],
        "weights": [0.0] * len(TARGETS),
        "extras": {"targetNames": list(TARGETS)},
    }


def _animation(head: OpenHead, motion: Motion, buffer: _Buffer) -> dict[str, Any]:
    values = torch.from_numpy(motion.values)
    with torch.inference_mode():
        weights = head.coefficients(values).numpy().astype(np.float32)
        turns = head.joint_rotations(values).double().numpy()
    times = buffer.accessor((np.arange(len(motion)) / motion.fps).astype(np.float32), bounds=True)
    outputs = [(0, "weights", weights.ravel())]
    for joint in range(1, len(JOINTS)):
        quaternions = Rotation.from_matrix(turns[:, joint - 1]).as_quat().astype(np.float32)
        outputs.append((1 + joint, "rotation", quaternions))
    samplers = [
        {"input": times, "interpolation": "LINEAR", "output": buffer.accessor(output)}
        for _, _, output in outputs
    ]
    channels = [
        {"sampler": index, "target": {"node": node, "path": path}}
        for index, (node, path, _) in enumerate(outputs)
    ]
    return {"name": "motion", "samplers": samplers, "channels": channels}


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    """The GLB: a header, the JSON chunk padded with spaces, the binary chunk with zeros."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
