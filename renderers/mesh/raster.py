"""Rasterisers: which triangle each pixel sees, and its vertices' attributes there.

:class:`OpenCVRasteriser` needs nothing but OpenCV 5; :class:`PyTorch3DRasteriser` is for GPUs: on a
CPU it needs seconds a frame. Legend: V vertices, F faces, H W picture.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.core.installing import install
from dimcli.core.motion import Floats

NEAR_M = 0.05
FAR_M = 10.0


@dataclass(frozen=True)
class Camera:
    """A perspective camera on the z axis that looks at the head."""

    height_m: float = 0.37
    """Height of the scene that fills the picture, at the depth of the centre."""
    centre_m: tuple[float, float, float] = (0.0, 0.012, 0.04)
    """The point (x, y, z) in the picture's middle."""
    fov_rad: float = math.radians(18)
    """Vertical angle, small enough to keep the perspective of a portrait lens."""

    @property
    def distance_m(self) -> float:
        """From the camera to the centre."""
        return self.height_m / 2 / math.tan(self.fov_rad / 2)

    @property
    def world_to_camera(self) -> Floats:
        """4 x 4: the camera looks along its own -z."""
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, 3] = -np.array(self.centre_m, np.float32)
        matrix[2, 3] -= self.distance_m
        return matrix

    def project(self, points: Floats, size: int) -> Floats:
        """World ``points`` [..., 3] to pixels (x right, y down) and depth in metres, [..., 3]."""
        offset = points - np.array(self.centre_m, np.float32)
        depth = self.distance_m - offset[..., 2]
        scale = size / 2 / math.tan(self.fov_rad / 2) / depth
        x = size / 2 + offset[..., 0] * scale
        y = size / 2 - offset[..., 1] * scale
        return np.stack([x, y, depth], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Fragments:
    """What a rasteriser leaves: one record a pixel."""

    attributes: Floats
    """[H, W, 3]: the three vertex attributes, interpolated; zero where the picture is empty."""
    depth: Floats
    """[H, W]: metres from the camera's plane; ``FAR_M`` where the picture is empty."""


class Rasteriser(Protocol):
    """Draws a mesh's vertex attributes with a depth test."""

    def rasterise(
        self, vertices: Floats, faces: NDArray[np.int32], attributes: Floats, size: int
    ) -> Fragments:
        """``vertices`` [V, 3] metres, ``faces`` [F, 3], ``attributes`` [V, 3] in 0..1, to a square
        of ``size`` pixels. Faces that turn away from the camera may be left out.
        """
        ...


class OpenCVRasteriser:
    """``cv2.triangleRasterize``."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        settings = cv2.TriangleRasterizeSettings().setCullingMode(cv2.RASTERIZE_CULLING_CW)
        # a fresh settings object draws white triangles; shading has to be asked for
        self._settings = settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)

    def rasterise(
        self, vertices: Floats, faces: NDArray[np.int32], attributes: Floats, size: int
    ) -> Fragments:
        """See :class:`Rasteriser`."""
        colour = np.zeros((size, size, 3), np.float32)
        depth = np.full((size, size), FAR_M, np.float32)
        cv2.triangleRasterize(
            vertices,
            faces,
            attributes,
            colour,
            depth,
            self.camera.world_to_camera,
            self.camera.fov_rad,
            NEAR_M,
            FAR_M,
            self._settings,
        )
        return Fragments(colour, depth)


RASTERISERS = ("auto", "opencv", "pytorch3d")


class PyTorch3DRasteriser:
    """``pytorch3d.renderer.MeshRasterizer`` with one face a pixel, perspective correct."""

    def __init__(self, camera: Camera, device: torch.device) -> None:
        """MissingDependencyError where pytorch3d is not installed."""
        if not has_pytorch3d():
            raise MissingDependencyError(
                "--rasteriser pytorch3d: pytorch3d is not installed; with a CUDA build of torch "
                f"2.11 or 2.12: {install('pytorch3d')}"
            )
        from pytorch3d.renderer import FoVPerspectiveCameras

        x, y, z = camera.centre_m
        # pytorch3d's camera has x to the left and looks along +z: a half turn about y
        self.device = device
        self.cameras = FoVPerspectiveCameras(
            R=torch.diag(torch.tensor([-1.0, 1.0, -1.0]))[None],
            T=torch.tensor([[x, -y, z + camera.distance_m]]),
            fov=math.degrees(camera.fov_rad),
            device=device,
        )
        self._rasterisers: dict[int, Any] = {}

    def rasterise(
        self, vertices: Floats, faces: NDArray[np.int32], attributes: Floats, size: int
    ) -> Fragments:
        """See :class:`renderers.mesh.raster.Rasteriser`."""
        from pytorch3d.ops import interpolate_face_attributes
        from pytorch3d.structures import Meshes

        points = torch.from_numpy(vertices).to(self.device)
        corners = torch.from_numpy(faces.astype(np.int64)).to(self.device)
        values = torch.from_numpy(attributes).to(self.device)
        with torch.inference_mode():
            seen = self._rasteriser(size)(Meshes(points[None], corners[None]))
            colour = interpolate_face_attributes(
                seen.pix_to_face, seen.bary_coords, values[corners]
            )[0, :, :, 0]
            depth = seen.zbuf[0, :, :, 0]
            depth = torch.where(seen.pix_to_face[0, :, :, 0] < 0, FAR_M, depth)
        return Fragments(colour.cpu().numpy(), depth.cpu().numpy())

    def _rasteriser(self, size: int) -> Any:
        if size not in self._rasterisers:
            from pytorch3d.renderer import MeshRasterizer, RasterizationSettings

            settings = RasterizationSettings(
                image_size=size, faces_per_pixel=1, cull_backfaces=True, perspective_correct=True
            )
            self._rasterisers[size] = MeshRasterizer(self.cameras, settings)
        return self._rasterisers[size]


def has_pytorch3d() -> bool:
    """Whether pytorch3d can be imported here."""
    return importlib.util.find_spec("pytorch3d") is not None


def make_rasteriser(kind: str, camera: Camera, device: torch.device) -> Rasteriser:
    """``opencv``, ``pytorch3d``, or ``auto``: pytorch3d where it is installed and has a GPU."""
    if kind not in RASTERISERS:
        raise InputError(f"--rasteriser {kind}: unknown; known: {', '.join(RASTERISERS)}")
    if kind == "pytorch3d" or (kind == "auto" and device.type == "cuda" and has_pytorch3d()):
        return PyTorch3DRasteriser(camera, device)
    return OpenCVRasteriser(camera)
