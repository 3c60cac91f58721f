"""pytorch3d's rasteriser behind :class:`renderers.mesh.raster.Rasteriser`: for GPUs.

On a CPU it needs seconds a frame; ``auto`` takes it on a GPU only.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import InputError, MissingDependencyError
from renderers.mesh.raster import FAR_M, Camera, Floats, Fragments, OpenCVRasteriser, Rasteriser

RASTERISERS = ("auto", "opencv", "pytorch3d")


class PyTorch3DRasteriser:
    """``pytorch3d.renderer.MeshRasterizer`` with one face a pixel, perspective correct."""

    def __init__(self, camera: Camera, device: torch.device) -> None:
        """MissingDependencyError where pytorch3d is not installed."""
        if not has_pytorch3d():
            raise MissingDependencyError(
                "--rasteriser pytorch3d: pytorch3d is not installed; with a CUDA build of torch "
                "2.11 or 2.12: pip install 'dim-listener[pytorch3d]'"
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
