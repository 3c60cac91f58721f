"""The FLAME head (Li et al. 2017): shape, expression and pose to vertices, batched, differentiable.

The numbers come from the owners' model file, which `dim weights import flame FILE` checks and
converts (:mod:`renderers.heads.flame_files`); nothing of it is shipped. Legend: N frames, V = 5023
vertices, F faces, J = 5 joints (global, neck, jaw, left eye, right eye), S and E shape and
expression components, L landmarks. Lengths are metres, angles radians, rotations axis-angle.
FLAME's axes are those of :mod:`dimcli.core.motion`: +x to the subject's left, +y up, +z out of the
face.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dimcli.core import tensors
from dimcli.core.motion import EXPRESSION, HEAD, JAW
from renderers.heads.open_head import Head, OpenHead, compose, rotation_matrices
from weights.importing import imported

JOINTS = ("global", "neck", "jaw", "eye_left", "eye_right")
NECK_JOINT, JAW_JOINT = 1, 2

NUM_SKIN = 3931
"""Vertices before those of the eyeballs."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a file that the import wrote. InputError, with the fix, where it is damaged."""
    return tensors.read_arrays(path, "; import it again with `dim weights import ... --force`")


class FlameHead(nn.Module):
    """FLAME's vertices.

    Shape and expression move the template, the joints follow from the shaped vertices (expression
    included), pose correctives of all joints but the first are added, and linear blend skinning
    turns the joints (equations 2 to 4 of the paper).
    """

    space = "flame"

    template: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    pose_basis: Tensor
    skin_weights: Tensor
    joint_template: Tensor
    joint_shape_basis: Tensor
    joint_expression_basis: Tensor

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        """``arrays``: ``template`` [V, 3], ``faces`` [F, 3], ``shape_basis`` [V, 3, S],
        ``expression_basis`` [V, 3, E], ``pose_basis`` [V, 3, 9 (J - 1)], ``joint_regressor``
        [J, V], ``parents`` [J] (-1 first) and ``skin_weights`` [V, J].
        """
        super().__init__()

        def keep(name: str, value: NDArray[Any]) -> None:
            floats = torch.from_numpy(np.array(value, np.float32))
            self.register_buffer(name, floats, persistent=False)

        for name in ("template", "skin_weights"):
            keep(name, arrays[name])
        for name in ("shape_basis", "expression_basis", "pose_basis"):
            basis = arrays[name]
            keep(name, basis.reshape(-1, basis.shape[-1]).T)
        # the joints are linear in the vertices, and so in the components
        regressor = arrays["joint_regressor"].astype(np.float64)
        keep("joint_template", regressor @ arrays["template"])
        for name in ("shape_basis", "expression_basis"):
            basis = np.einsum("jv,vkc->cjk", regressor, arrays[name], optimize=True)
            keep(f"joint_{name}", basis.reshape(len(basis), -1))
        self.faces = arrays["faces"].astype(np.int32)
        self.parents = [int(parent) for parent in arrays["parents"]]

    @classmethod
    def load(cls, path: Path) -> FlameHead:
        """A head from the file that the import wrote. InputError where it is damaged."""
        return cls(read_arrays(path))

    def restricted(self, vertices: Tensor) -> FlameHead:
        """The same head with only these ``vertices`` [V'] and no faces; its joints stay."""
        part = deepcopy(self)
        part.template = self.template[vertices]
        part.skin_weights = self.skin_weights[vertices]
        for name in ("shape_basis", "expression_basis", "pose_basis"):
            basis = getattr(self, name).unflatten(1, (-1, 3))[:, vertices]
            setattr(part, name, basis.flatten(1))
        part.faces = self.faces[:0]
        return part

    def shaped(self, shape: Tensor, expression: Tensor) -> Tensor:
        """Unposed vertices [N, V, 3] of the first components, ``shape`` [N, <=S] and ``expression``
        [N, <=E].
        """
        moved = shape @ self.shape_basis[: shape.shape[1]]
        moved = moved + expression @ self.expression_basis[: expression.shape[1]]
        return self.template + moved.unflatten(1, (-1, 3))

    def joints(self, shape: Tensor, expression: Tensor) -> Tensor:
        """Joint positions [N, J, 3] in the unposed head of those components."""
        moved = shape @ self.joint_shape_basis[: shape.shape[1]]
        moved = moved + expression @ self.joint_expression_basis[: expression.shape[1]]
        return self.joint_template + moved.unflatten(1, (-1, 3))

    def posed(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Vertices [N, V, 3] in FLAME's own coordinates.

        ``shape`` [N, <=S], ``expression`` [N, <=E] and ``pose`` [N, 3 J], one rotation a joint in
        the order of :data:`JOINTS`. The global rotation turns about joint 0, at the neck's foot.
        """
        return self._skinned(self.shaped(shape, expression), self.joints(shape, expression), pose)

    def _skinned(self, shaped: Tensor, joints: Tensor, pose: Tensor) -> Tensor:
        rotations = rotation_matrices(pose.unflatten(1, (-1, 3)))
        bent = rotations[:, 1:] - torch.eye(3).to(rotations)
        corrected = shaped + (bent.flatten(1) @ self.pose_basis).unflatten(1, (-1, 3))
        shifts = joints - (rotations @ joints[..., None]).squeeze(-1)
        about = torch.cat([rotations, shifts[..., None]], dim=-1)  # each joint about its own place
        chains: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            own = about[:, joint]
            chains.append(own if parent < 0 else compose(chains[parent], own))
        transforms = torch.stack(chains, dim=1).flatten(2)
        blended = (self.skin_weights @ transforms).unflatten(-1, (3, 4))
        return (blended[..., :3] @ corrected[..., None]).squeeze(-1) + blended[..., 3]

    def vertices(self, values: Tensor, shape: Tensor | None = None) -> Tensor:
        """Motion ``values`` [N, 56] in the flame space to vertices [N, V, 3], metres.

        Motion says how the head is turned, not where it is: the neck joint stays at the origin, as
        the open head's does. ``shape`` [N or 1, <=S] is the person's; without it the mean face.
        """
        count = len(values)
        if shape is None:
            shape = values.new_zeros(1, 1)
        components = shape.expand(count, -1), values[:, EXPRESSION]
        shaped, joints = self.shaped(*components), self.joints(*components)
        pose = values.new_zeros(count, len(self.parents), 3)
        pose[:, JAW_JOINT] = values[:, JAW]
        upright = self._skinned(shaped, joints, pose.flatten(1)) - joints[:, NECK_JOINT, None]
        return upright @ rotation_matrices(values[:, HEAD]).transpose(1, 2)


class FlameMesh:
    """FLAME as a mesh to draw: with the inside of its skin, dark, behind the outside.

    FLAME has no mouth cavity: without its inside, an open mouth would be a hole through the head.
    """

    space = "flame"

    def __init__(
        self, head: FlameHead, shape: NDArray[np.float32] | None = None, skin: int = NUM_SKIN
    ) -> None:
        """``shape`` [S]: the person's components, without them the mean face; ``skin``: how many
        vertices, the first ones, are not eyeballs.
        """
        self.head = head
        known = len(head.shape_basis)
        self._shape = None if shape is None else torch.from_numpy(shape[None, :known])
        self._skin = skin
        outside = head.faces
        count = len(head.template)
        inside = outside[(outside < skin).all(axis=1)][:, ::-1] + count
        self.faces = np.concatenate([outside, inside])
        self.weld = np.arange(count + skin)
        """Which vertices are one point of the surface: none."""
        self.occlusion = np.ones(count + skin, np.float32)
        """How much of the sky each vertex sees, as the open head has it."""
        self.occlusion[count:] = 0

    def vertices(self, values: Tensor) -> Tensor:
        """Motion ``values`` [N, 56] to vertices [N, V + skin, 3]; see :class:`FlameHead`."""
        shape = None if self._shape is None else self._shape.to(values)
        posed = self.head.vertices(values, shape)
        return torch.cat([posed, posed[:, : self._skin]], dim=1)


def load_head(name: str, shape: NDArray[np.float32] | None = None) -> Head:
    """The head ``open``, or ``flame`` with a person's ``shape`` [S].

    InputError that says how to get FLAME where it is not imported.
    """
    if name == "open":
        return OpenHead.bundled()
    path = imported("flame", "motion in the flame space (--head flame)")
    return FlameMesh(FlameHead.load(path), shape)


@dataclass(frozen=True)
class SurfacePoints:
    """Points on a mesh: ``corners`` int64 [..., L, 3] vertices, ``weights`` float32 [..., L, 3]."""

    corners: Tensor
    weights: Tensor

    def on(self, vertices: Tensor) -> Tensor:
        """Their positions [N, ..., L, 3] on ``vertices`` [N, V, 3]."""
        return (vertices[:, self.corners] * self.weights.to(vertices)[..., None]).sum(dim=-2)

    def to(self, device: torch.device) -> SurfacePoints:
        """The same points on another device."""
        return SurfacePoints(self.corners.to(device), self.weights.to(device))

    def support(self) -> tuple[Tensor, SurfacePoints]:
        """The vertices they need [V'], and the same points on a mesh of only those."""
        kept, corners = torch.unique(self.corners, return_inverse=True)
        return kept, SurfacePoints(corners, self.weights)


class FlameLandmarks:
    """Landmarks on FLAME's surface, from the embeddings that are there.

    ``sets`` has them by name: ``static`` (51 of the 68 of iBUG, without the contour), ``dynamic``
    (the 17 of the contour, a row for each degree of yaw), ``full`` (all 68, for a head that looks
    ahead), ``mediapipe`` (105 of MediaPipe's).
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], faces: NDArray[np.int32]) -> None:
        """``arrays``: ``<set>_faces`` [..., L] and ``<set>_barycentric`` [..., L, 3] of each set,
        and ``mediapipe_indices`` [L]; ``faces`` [F, 3] the mesh's.
        """
        self.sets = {
            name: SurfacePoints(
                torch.from_numpy(faces[arrays[f"{name}_faces"]].astype(np.int64)),
                torch.from_numpy(arrays[f"{name}_barycentric"].astype(np.float32)),
            )
            for name in sorted(name[:-6] for name in arrays if name.endswith("_faces"))
        }
        indices = arrays.get("mediapipe_indices", np.zeros(0, np.int64))
        self.mediapipe_indices = indices.astype(np.int64)
        """Which of MediaPipe's landmarks the ``mediapipe`` set holds, in its order."""

    @classmethod
    def load(cls, path: Path, faces: NDArray[np.int32]) -> FlameLandmarks:
        """The embeddings in the file that the import wrote, on a mesh with ``faces`` [F, 3].

        InputError where the file is damaged.
        """
        return cls(read_arrays(path), faces)

    def points(self, name: str, vertices: Tensor) -> Tensor:
        """Landmarks [N, L, 3] of a set without rows, on ``vertices`` [N, V, 3]."""
        return self.sets[name].on(vertices)
