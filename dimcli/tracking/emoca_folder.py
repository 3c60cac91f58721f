"""EMOCA's per-frame output folders: read as motion, and written.

EMOCA's video demo with ``--save_codes`` writes one folder a frame, named ``<number>_<face>`` with
the 1-based number of the frame and the index of the detected face (``000001_000``), and in it 1-D
arrays: ``exp.npy`` (50 FLAME expression components), ``pose.npy`` (head and jaw rotation,
axis-angle radians), ``shape.npy``, ``tex.npy``, ``detail.npy``. A frame without a face has no
folder, so numbers have gaps.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np

from dimcli.core.arrays import read_array
from dimcli.core.errors import InputError
from dimcli.core.files import check_output, temporary_beside
from dimcli.core.motion import MOTION_DIM, NUM_EXPRESSION, NUM_POSE, Floats, Motion
from dimcli.core.progress import Progress, silent
from dimcli.tracking.postprocessing import fill_motion, finite_rows

_FRAME = re.compile(r"(\d{4,})(?:_(\d+))?")
_LARGEST_FRAME = 10_000_000
"""Frame numbers beyond this (92 hours at 30 fps) are something else, and would fill the memory."""


def read_emoca_folder(path: Path, fps: float, *, progress: Progress = silent) -> Motion:
    """The motion in EMOCA's output for one video, in the ``flame`` space.

    ``path`` is the folder of the frame folders or one above it (``<video>/EMOCA_v2_lr_mse_20``,
    ``<video>/results/<model>``). EMOCA doesn't keep the frame rate, so ``fps`` says it. Frames that
    are missing, or whose numbers are not finite, are not ``valid`` and are interpolated. Of several
    faces in a frame the first is taken. The ``shape`` is the mean over the frames; cameras are
    left out, because they belong to crops that the folder doesn't describe.
    Raises InputError that names the folder or file at fault.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected EMOCA's output, a folder a frame")
    folders = _frame_folders(path)
    if not folders:
        raise InputError(
            f"{path}: has no EMOCA frames; expected folders like 000001_000 with exp.npy and "
            "pose.npy (EMOCA writes them with --save_codes)"
        )
    last = max(folders)
    if last > _LARGEST_FRAME:
        raise InputError(f"{folders[last]}: is no frame number of a video")
    values = np.full((last, MOTION_DIM), np.nan, np.float32)
    shapes: list[Floats] = []
    for done, (number, folder) in enumerate(sorted(folders.items()), start=1):
        values[number - 1, :NUM_POSE] = _numbers(folder / "pose.npy", (NUM_POSE,))
        # FLAME's components are ordered, so that the first 50 of 100 mean what 50 mean
        expression = _numbers(folder / "exp.npy", (NUM_EXPRESSION, 100))
        values[number - 1, NUM_POSE:] = expression[:NUM_EXPRESSION]
        if (folder / "shape.npy").is_file():
            shapes.append(_numbers(folder / "shape.npy", (100, 300)))
        progress("reading frames", done, len(folders))
    valid = finite_rows(values)
    if not valid.any():
        raise InputError(f"{path}: all of its {len(folders)} frames are NaN; extract it again")
    if len({len(shape) for shape in shapes}) > 1:
        raise InputError(f"{path}: its frames have shapes of different lengths; mixed outputs")
    shapes = [shape for shape in shapes if np.isfinite(shape).all()]
    return Motion(
        fill_motion(values, valid),
        fps=fps,
        space="flame",
        valid=valid,
        shape=np.mean(shapes, axis=0, dtype=np.float32) if shapes else None,
        meta={
            "tracker": "emoca-folder",
            "folder": str(path.resolve()),
            "frames_without_face": round(1 - float(valid.mean()), 4),
        },
    )


def write_emoca_folder(motion: Motion, path: Path, *, force: bool = False) -> None:
    """Write ``motion`` as EMOCA would have: ``<path>/000001_000/exp.npy``, ``pose.npy`` and
    ``shape.npy`` where the shape is known. Frames that are not valid get no folder.

    Raises InputError where the motion isn't in the ``flame`` space or ``path`` exists; ``force``
    replaces it where it is an EMOCA folder.
    """
    motion.require_space("flame")
    path = check_emoca_output(path, force=force)
    with temporary_beside(path) as part:
        part.mkdir()
        for index in np.flatnonzero(motion.valid):
            folder = part / f"{index + 1:06d}_000"
            folder.mkdir()
            np.save(folder / "exp.npy", motion.expression[index])
            np.save(folder / "pose.npy", motion.values[index, :NUM_POSE])
            if motion.shape is not None:
                np.save(folder / "shape.npy", motion.shape)
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)


def check_emoca_output(path: Path, *, force: bool) -> Path:
    """``path``, if a folder may be written there; worth asking before long work.

    Raises InputError where something exists (with ``force``: where that is neither an empty folder
    nor EMOCA's output) or the folder it lies in does not or cannot be written.
    """
    path = Path(path)
    if path.is_dir() and force:
        ours = not any(path.iterdir()) or all(
            child.is_dir() and _FRAME.fullmatch(child.name) for child in path.iterdir()
        )
        if not ours:
            raise InputError(f"{path}: holds more than EMOCA frames; --force won't remove it")
        return path
    if path.is_dir():
        raise InputError(f"{path}: already exists; pass --force to replace it")
    return check_output(path, force=False)


def _frame_folders(path: Path, depth: int = 3) -> dict[int, Path]:
    """Frame number (1-based) -> folder of its first face; looks below folders that hold others."""
    found: dict[int, tuple[int, Path]] = {}
    below = []
    for folder in sorted(child for child in path.iterdir() if child.is_dir()):
        name = _FRAME.fullmatch(folder.name)
        if name is None:
            below.append(folder)
            continue
        number, face = int(name[1]), int(name[2] or 0)
        if number < 1 or not (folder / "exp.npy").is_file():
            continue
        if number not in found or face < found[number][0]:
            found[number] = (face, folder)
    if found:
        return {number: folder for number, (_, folder) in found.items()}
    deeper = [_frame_folders(folder, depth - 1) for folder in below] if depth else []
    deeper = [folders for folders in deeper if folders]
    if len(deeper) > 1:
        raise InputError(f"{path}: holds several EMOCA outputs; name one of them")
    return deeper[0] if deeper else {}


def _numbers(path: Path, lengths: tuple[int, ...]) -> Floats:
    """A 1-D array of one of ``lengths``, or that with an axis of 1 before it. InputError else."""
    if not path.exists():
        raise InputError(f"{path}: no such file; expected one in every frame's folder")
    try:
        array = read_array(path, "frame")
    except InputError:
        raise InputError(f"{path}: not an array of numbers that numpy can read") from None
    if array.dtype.kind not in "fiu" or array.size not in lengths or array.size != max(array.shape):
        wanted = " or ".join(str(length) for length in lengths)
        raise InputError(f"{path}: is {array.dtype} {array.shape}; expected {wanted} numbers")
    return np.asarray(array, np.float32).reshape(-1)
