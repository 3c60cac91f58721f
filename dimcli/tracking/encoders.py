"""Tracking with EMOCA, DECA or SMIRK: video to motion in the ``flame`` space, streamed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, MOTION_DIM, NUM_POSE, Floats, Motion
from dimcli.core.progress import Progress, silent
from dimcli.tracking.checkpoints import find_checkpoint, load_exactly, read_tensors
from dimcli.tracking.flame_encoders import Deca, Emoca, FlameEncoder, Picture, Smirk, Square
from dimcli.tracking.landmarks import FaceVideo
from dimcli.tracking.postprocessing import fill_columns, fill_motion, finite_rows, smooth_motion
from weights.importing import imported

_BATCH = 16  # crops that go through the network together


def load_encoder(
    tracker: str, checkpoint: Path | None = None, device: str = "auto"
) -> FlameEncoder:
    """The encoder ``tracker`` (``emoca``, ``deca`` or ``smirk``) with its published ``checkpoint``,
    by default the imported one. Raises InputError where that isn't there or isn't its own."""
    where = choose_device(device)
    if checkpoint is None:
        checkpoint = imported(tracker, f"--tracker {tracker}")
    path = find_checkpoint(checkpoint, tracker)
    tensors = read_tensors(path)
    encoder: FlameEncoder
    if tracker == "emoca":
        encoder = Emoca.of_tensors(tensors, path)
        # a second head has its trunk in it again
        tensors = {
            name: value for name, value in tensors.items() if "E_expression.resnet." not in name
        }
    else:
        encoder = Deca() if tracker == "deca" else Smirk()
    load_exactly(encoder, tensors, encoder.prefixes, path, tracker)
    return encoder.eval().to(where)


def track_video(
    path: Path,
    encoder: FlameEncoder,
    *,
    smooth: bool = False,
    region: tuple[int, int, int, int] | None = None,
    progress: Progress = silent,
) -> Motion:
    """The largest face of a video as FLAME parameters: motion in the ``flame`` space.

    The built-in tracker finds the face; the encoder sees the crop that it was trained on.
    ``region`` (x, y, width, height px) looks at a part of the picture only; ``smooth`` applies
    :func:`dimcli.tracking.postprocessing.smooth_motion`. The motion's ``camera`` [T, 3] says where
    FLAME's origin is in the picture and how long a metre (see :meth:`Square.picture_camera`), its
    ``shape`` is the mean over the frames with a face. Frames without one are marked in ``valid``
    and interpolated. Memory holds a few frames, a batch of crops and some sixty numbers a frame.
    Raises InputError as :func:`dimcli.tracking.landmarks.track_face` does.
    """
    video = FaceVideo(path, region)
    table: list[Floats] = []
    batch: list[tuple[Picture, Square] | None] = []
    shapes = _Mean()
    for image, face in video.frames(progress):
        if face is None:
            batch.append(None)
        else:
            square = encoder.square(face.landmarks)
            batch.append((square.crop(image), square))
        if len(batch) == _BATCH:
            table.append(_encode(encoder, batch, video.size, shapes))
            batch.clear()
    table.append(_encode(encoder, batch, video.size, shapes))
    numbers = np.concatenate(table)
    valid = finite_rows(numbers)
    facts = video.facts(valid, tracker=encoder.name, smooth=smooth)  # refuses where nothing is seen
    motion = Motion(
        fill_motion(numbers[:, :MOTION_DIM], valid),
        fps=video.fps,
        space="flame",
        valid=valid,
        camera=fill_columns(numbers[:, MOTION_DIM:], valid),
        shape=shapes.value,
        meta=facts,
    )
    return smooth_motion(motion) if smooth else motion


def measure_picture(image: Picture, landmarks: Floats, encoder: FlameEncoder) -> Floats:
    """Motion [56] in the ``flame`` space of the face with ``landmarks`` [478, 3] px in a picture
    [H, W, 3]. Raises InputError where the encoder sees none in it."""
    square = encoder.square(landmarks)
    height, width = image.shape[:2]
    row = _encode(encoder, [(square.crop(image), square)], (width, height), _Mean())[0, :MOTION_DIM]
    if not np.isfinite(row).all():
        raise InputError(f"{encoder.name} sees no face")
    return row


class _Mean:
    """The mean of arrays that come in one batch after another."""

    def __init__(self) -> None:
        self._sum: NDArray[np.float64] | None = None
        self._count = 0

    def add(self, rows: Floats) -> None:
        finite = rows[finite_rows(rows)].astype(np.float64)
        self._sum = finite.sum(axis=0) + (0 if self._sum is None else self._sum)
        self._count += len(finite)

    @property
    def value(self) -> Floats | None:
        if self._sum is None or self._count == 0:
            return None
        return (self._sum / self._count).astype(np.float32)


@torch.inference_mode()
def _encode(
    encoder: FlameEncoder,
    batch: list[tuple[Picture, Square] | None],
    size: tuple[int, int],
    shapes: _Mean,
) -> Floats:
    """Motion and camera [T, 59] of crops from pictures of ``size``; NaN where there is none."""
    numbers = np.full((len(batch), MOTION_DIM + 3), np.nan, np.float32)
    seen = [pair for pair in batch if pair is not None]
    if not seen:
        return numbers
    device = next(encoder.parameters()).device
    stacked = torch.from_numpy(np.stack([picture for picture, _ in seen])).to(device)
    codes = encoder(stacked.permute(0, 3, 1, 2).float() / 255)
    rows = np.empty((len(seen), MOTION_DIM + 3), np.float32)
    rows[:, :NUM_POSE] = codes.pose.cpu().numpy()
    rows[:, EXPRESSION] = codes.expression.cpu().numpy()
    cameras = codes.camera.cpu().numpy()
    rows[:, MOTION_DIM:] = [
        square.picture_camera(camera, size)
        for (_, square), camera in zip(seen, cameras, strict=True)
    ]
    numbers[[pair is not None for pair in batch]] = rows
    shapes.add(codes.shape.cpu().numpy())
    return numbers


def _tensors(tracker: str, checkpoint: Path) -> dict[str, Tensor]:
    return load_encoder(tracker, checkpoint, device="cpu").state_dict()


read_emoca, read_deca, read_smirk = (partial(_tensors, name) for name in ("emoca", "deca", "smirk"))
"""What a published checkpoint (of EMOCA, or its model folder) holds of the encoder, tensors by
name. Raises InputError."""
