"""Heads: what turns motion into vertices. The open head lives here; FLAME joins behind ``Head``.

Legend: N frames, V vertices, F faces, U blendshape units, J joints, L = 478 MediaPipe landmarks.
Lengths are metres in the frame of :mod:`dimcli.core.motion` (+x the subject's left, +y up, +z
towards the camera), the head joint at the origin.
"""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import weights
from dimcli.core.motion import EXPRESSION, HEAD, JAW, JAW_OPEN_RAD, expression_index

REGIONS = ("skin", "mouth", "teeth_upper", "teeth_lower", "tongue", "eye_left", "eye_right")
"""What a face of the mesh belongs to, by number in ``OpenHead.face_region``."""

NECK_SHARE = 0.3
"""Part of the head's rotation that the neck's lower joint takes; the upper joint takes the rest."""

NUM_LANDMARKS = 478


class Head(Protocol):
    """Anything that turns motion of its ``space`` into the vertices of one fixed mesh."""

    space: str
    faces: NDArray[np.int32]

    def vertices(self, values: Tensor) -> Tensor:
        """Motion ``values`` [N, 56] to vertices [N, V, 3] in metres."""
        ...


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, ``[..., 3]`` radians to ``[..., 3, 3]``, differentiable at zero too."""
    squared = (axis_angle * axis_angle).sum(-1, keepdim=True)[..., None]
    small = squared < 1e-6
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    first = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle**2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3).to(cross) + first * cross + second * (cross @ cross)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Rigid transforms [N, 3, 4] applied one after the other, ``inner`` first."""
    moved = outer[..., :3] @ inner
    return torch.cat([moved[..., :3], moved[..., 3:] + outer[..., 3:]], dim=-1)


class OpenHead(nn.Module):
    """The MakeHuman head (CC0) with the 52 ARKit face units, skinned to neck, head, jaw and eyes.

    Vertices are ``template + units`` posed by linear blend skinning (LBS). The jaw is a joint; unit
    ``jawOpen`` holds what the joint leaves over, so that jaw x = 0.4 rad is the face unit exactly.
    ``eyeLook*`` turn the eyeballs (25 degrees sideways, 18 up, 22 down at 1); the face units move
    the lids along. ``mouthClose`` counts only as far as the jaw is open: it closes the lips over an
    open jaw, and would push them through each other on a shut one.
    """

    space = "arkit"

    template: Tensor
    units: Tensor
    joints: Tensor
    skin_weights: Tensor
    eye_look_rad: Tensor
    landmark_corners: Tensor
    landmark_barycentric: Tensor

    def __init__(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """``arrays``: the contents of ``open_head.npz``; the script that builds it names them."""
        super().__init__()

        def keep(name: str, value: NDArray[np.generic]) -> None:
            dtype = torch.int64 if value.dtype.kind in "iu" else torch.float32
            self.register_buffer(name, torch.from_numpy(value.copy()).to(dtype), persistent=False)

        keep("template", arrays["template"])
        keep("units", arrays["units"].reshape(len(arrays["units"]), -1))
        keep("joints", arrays["joints"])
        keep("skin_weights", arrays["weights"])
        keep("eye_look_rad", np.radians(arrays["eye_degrees"].astype(np.float32)))
        self.faces = arrays["faces"].astype(np.int32)
        self.face_region = arrays["face_region"].astype(np.uint8)
        self.vertex_region = arrays["vertex_region"].astype(np.uint8)
        self.weld = arrays["weld"].astype(np.int64)
        self.uv = arrays["uv"].astype(np.float32)
        self.occlusion = arrays["occlusion"].astype(np.float32)
        self.texture_jpeg = arrays["texture"].astype(np.uint8)
        self.landmark_face = arrays["landmark_face"].astype(np.int32)
        keep("landmark_corners", self.faces[self.landmark_face])
        keep("landmark_barycentric", arrays["landmark_barycentric"])
        looks = ("In", "Out", "Up", "Down")
        self._look_columns = [
            [expression_index(f"eyeLook{way}{side}") - EXPRESSION.start for way in looks]
            for side in ("Left", "Right")
        ]
        self._mouth_close = expression_index("mouthClose") - EXPRESSION.start

    @classmethod
    def bundled(cls) -> OpenHead:
        """The head that the package carries."""
        return cls.load(weights.path("open_head.npz"))

    @classmethod
    def load(cls, path: Path) -> OpenHead:
        """A head from a file that ``examples/recipes/build_open_head.py`` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls({name: archive[name] for name in archive.files})

    def restricted(self, vertices: Tensor) -> OpenHead:
        """The same head with only these ``vertices`` [V'], for posing: it has no faces, and so
        neither landmarks nor a texture.
        """
        part = deepcopy(self)
        part.template = self.template[vertices]
        part.skin_weights = self.skin_weights[vertices]
        part.units = self.units.unflatten(1, (-1, 3))[:, vertices].flatten(1)
        part.faces = self.faces[:0]
        return part

    def coefficients(self, values: Tensor) -> Tensor:
        """Blendshape coefficients [N, 51] of motion ``values`` [N, 56]: 50 expressions, jawOpen."""
        expression = values[:, EXPRESSION]
        jaw_open = values[:, JAW.start : JAW.start + 1] / JAW_OPEN_RAD
        close = self._mouth_close
        limited = torch.minimum(expression[:, close : close + 1], jaw_open.clamp(min=0))
        return torch.cat(
            [expression[:, :close], limited, expression[:, close + 1 :], jaw_open], dim=1
        )

    def joint_rotations(self, values: Tensor) -> Tensor:
        """Local rotation matrices [N, J - 1, 3, 3] of neck, head, jaw and both eyes."""
        head, jaw = values[:, HEAD], values[:, JAW]
        turns = [head * NECK_SHARE, head * (1 - NECK_SHARE), jaw, *self.eye_turns(values)]
        return rotation_matrices(torch.stack(turns, dim=1))

    def eye_turns(self, values: Tensor) -> list[Tensor]:
        """How the left and the right eye are turned in the head, axis-angle in radians, [N, 3]
        each."""
        expression, turns = values[:, EXPRESSION], []
        for columns, outwards in zip(self._look_columns, (1.0, -1.0), strict=True):
            inn, out, up, down = (expression[:, columns] * self.eye_look_rad).unbind(1)
            sideways = (out - inn) * outwards
            turns.append(torch.stack([down - up, sideways, torch.zeros_like(up)], dim=1))
        return turns

    def joint_transforms(self, values: Tensor) -> Tensor:
        """Transforms [N, J, 3, 4] that take rest positions to posed ones; the root stays still."""
        local = self.joint_rotations(values)
        shifts = self.joints[1:] - (local @ self.joints[1:, :, None]).squeeze(-1)
        about = torch.cat([local, shifts[..., None]], dim=-1)  # each joint about its rest position
        neck, head, *tips = about.unbind(1)
        head = compose(neck, head)
        root = torch.eye(3, 4).to(neck).expand_as(neck)
        return torch.stack([root, neck, head, *(compose(head, tip) for tip in tips)], dim=1)

    def vertices(self, values: Tensor) -> Tensor:
        """Motion ``values`` [N, 56] in the arkit space to posed vertices [N, V, 3] in metres."""
        shaped = self.template + (self.coefficients(values) @ self.units).unflatten(1, (-1, 3))
        transforms = self.joint_transforms(values).flatten(2)
        blended = (self.skin_weights @ transforms).unflatten(-1, (3, 4))
        return (blended[..., :3] @ shaped[..., None]).squeeze(-1) + blended[..., 3]

    def landmarks(self, vertices: Tensor) -> Tensor:
        """MediaPipe's 478 landmarks [N, 478, 3] on posed ``vertices`` [N, V, 3], metres."""
        corners = vertices[:, self.landmark_corners]
        return (corners * self.landmark_barycentric[..., None]).sum(dim=-2)

    @property
    def interocular(self) -> float:
        """Distance between the outer eye corners (landmarks 33 and 263) at rest, in metres."""
        rest = self.landmarks(self.template[None])[0]
        return math.dist(rest[33].tolist(), rest[263].tolist())
