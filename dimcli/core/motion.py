"""Motion: what a face does over time, as 56 numbers a frame.

A frame is pose 6 (head rotation axis-angle x, y, z; jaw axis-angle x, y, z; radians) followed by
expression 50. Frame of reference: right-handed, +x to the subject's left, +y up, +z out of the
face towards the camera; zero rotation looks at the camera. So a positive x rotation (pitch) moves
the chin down, a positive y rotation (yaw) turns the nose to the image's right, and a positive z
rotation (roll) turns the head counter-clockwise as the camera sees it.

The two spaces say what the 50 expression numbers mean: ``arkit`` (ARKit blendshapes in [0, 1] less
``jawOpen``, which is the jaw's x rotation, and ``tongueOut``) and ``flame`` (the first 50 FLAME
expression components).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core import limits
from dimcli.core.arrays import BrokenFileError, read_archive
from dimcli.core.documents import parse_json, shortened
from dimcli.core.errors import InputError, about
from dimcli.core.files import atomic_output, check_output
from dimcli.core.rotations import Rotations

Floats = NDArray[np.float32]
Reals = NDArray[np.floating[Any]]
"""Of either precision."""
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Picture = NDArray[np.uint8]
"""[H, W, 3], RGB."""

NUM_POSE = 6
NUM_EXPRESSION = 50
MOTION_DIM = NUM_POSE + NUM_EXPRESSION
SPACES = ("arkit", "flame")

PITCH, YAW, ROLL, JAW_PITCH, JAW_YAW, JAW_ROLL = range(NUM_POSE)
"""Columns of the pose: rotations about x, y and z. The jaw opens by :data:`JAW_PITCH`."""

HEAD = slice(PITCH, JAW_PITCH)
JAW = slice(JAW_PITCH, NUM_POSE)
EXPRESSION = slice(NUM_POSE, MOTION_DIM)

JAW_OPEN_RAD = 0.4
"""Jaw x rotation at ``jawOpen`` = 1, in the ``arkit`` space."""

ARKIT_EXPRESSIONS: tuple[str, ...] = tuple(
    """
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
    cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight
    eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight
    eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawRight mouthClose
    mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
    mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
    mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
    noseSneerRight
    """.split()  # noqa: SIM905 - as a list it would take 50 lines
)
"""Names of the 50 expression numbers in the ``arkit`` space, in order."""

LARGEST_TURN_RAD = math.pi / 2
_LIMITS = {
    "arkit": ((-LARGEST_TURN_RAD, LARGEST_TURN_RAD), (0.0, JAW_OPEN_RAD), (-0.2, 0.2), (0.0, 1.0)),
    "flame": ((-LARGEST_TURN_RAD, LARGEST_TURN_RAD), (-0.1, 1.0), (-0.5, 0.5), (-10.0, 10.0)),
}
"""Least and greatest head turn, opening of the jaw, its shift, and expression, by space."""

FPS_RANGE = (0.1, 1000.0)
"""Frame rates that a motion may have: what a video can be written with."""

_LARGEST_VALUE = 100.0
"""Radians and expression weights are far smaller; what is larger is something else."""


def expression_index(name: str) -> int:
    """Column of an ARKit expression in a motion's ``values`` (6..55). Raises KeyError."""
    try:
        return NUM_POSE + ARKIT_EXPRESSIONS.index(name)
    except ValueError:
        raise KeyError(f"{name} is not one of the 50 arkit expressions") from None


@dataclass(frozen=True)
class Motion:
    """A face's motion.

    ``values`` float32 [T, 56]; ``fps`` frames a second; ``space`` one of :data:`SPACES`;
    ``valid`` bool [T], whether a face was seen (values are interpolated where not);
    ``camera`` float32 [T, 3] or None: face scale and centre (see the tracker that wrote it);
    ``shape`` float32 [S] or None: FLAME shape components of the person (one head, however long the
    clip); ``meta`` anything JSON can hold.
    """

    values: Floats
    fps: float
    space: str = "arkit"
    valid: Bools = field(default=None)  # type: ignore[arg-type]
    camera: Floats | None = None
    shape: Floats | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != MOTION_DIM:
            raise InputError(
                f"motion values have shape {tuple(values.shape)}; expected [frames, {MOTION_DIM}]"
            )
        if self.space not in SPACES:
            raise InputError(f"motion space '{self.space}' is unknown; known: {', '.join(SPACES)}")
        if not FPS_RANGE[0] <= self.fps <= FPS_RANGE[1]:
            raise InputError(
                f"motion fps is {self.fps}; expected {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}"
            )
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise InputError(
                f"motion has NaN or infinite values in {int(bad.sum())} of {len(values)} frames "
                f"(first: frame {int(np.argmax(bad))}); re-extract it or fill the gaps"
            )
        valid = np.ones(len(values), bool) if self.valid is None else np.asarray(self.valid, bool)
        if valid.shape != (len(values),):
            raise InputError(f"motion valid has shape {valid.shape}; expected [{len(values)}]")
        for name, wanted in (("camera", (len(values), 3)), ("shape", (None,))):
            _check_extra(name, getattr(self, name), wanted)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "valid", valid)
        object.__setattr__(self, "fps", float(self.fps))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self) / self.fps

    @property
    def head(self) -> Floats:
        """Head rotation, axis-angle radians, float32 [T, 3]."""
        return self.values[:, HEAD]

    @property
    def jaw(self) -> Floats:
        """Jaw rotation, axis-angle radians, float32 [T, 3]."""
        return self.values[:, JAW]

    @property
    def expression(self) -> Floats:
        """Expression, float32 [T, 50]."""
        return self.values[:, EXPRESSION]

    def column(self, name: str) -> Floats:
        """One named ARKit expression over time, float32 [T]. ``jawOpen`` is read off the jaw."""
        self.require_space("arkit")
        if name == "jawOpen":
            return self.values[:, JAW_PITCH] / JAW_OPEN_RAD
        return self.values[:, expression_index(name)]

    def require_space(self, space: str) -> None:
        """Raise InputError, with the fix, unless this motion is in ``space``."""
        if self.space != space:
            raise InputError(
                f"motion is in the '{self.space}' space where '{space}' is needed; convert it "
                f"with `dim convert MOTION --to {space}`, or re-extract it with a tracker of that "
                "space"
            )

    def in_range(self) -> Motion:
        """This motion with every value inside what its space allows: what renderers can draw."""
        turn, opening, shift, expression = _LIMITS[self.space]
        values = np.empty_like(self.values)
        for columns, (low, high) in (
            (HEAD, turn),
            (JAW, shift),
            (slice(JAW_PITCH, JAW_PITCH + 1), opening),
            (EXPRESSION, expression),
        ):
            values[:, columns] = self.values[:, columns].clip(low, high)
        return replace(self, values=values)

    def resampled(self, fps: float, frames: int | None = None) -> Motion:
        """This motion at another rate: rotations by slerp, the rest linearly.

        ``frames`` fixes the length (the last value is held); by default the duration is kept.
        Raises InputError where that is beyond :mod:`dimcli.core.limits`.
        """
        count = max(1, round(len(self) * fps / self.fps)) if frames is None else frames
        if fps == self.fps and count == len(self):
            return self
        if count > limits.MOTION_FRAMES:
            raise InputError(
                f"motion of {self.duration_s:.0f} s has {count} frames at {fps:g} a second; "
                f"expected at most {limits.MOTION_FRAMES}; cut it, or choose a lower rate"
            )
        position = np.clip(np.arange(count) * (self.fps / fps), 0, len(self) - 1)
        low = np.minimum(position.astype(int), max(len(self) - 2, 0))
        high = np.minimum(low + 1, len(self) - 1)
        weight = (position - low).astype(np.float32)[:, None]
        values = self.values[low] * (1 - weight) + self.values[high] * weight
        for part in (HEAD, JAW):
            values[:, part] = slerp_axis_angle(
                self.values[low, part], self.values[high, part], weight[:, 0]
            )
        camera = self.camera
        if camera is not None:
            camera = camera[low] * (1 - weight) + camera[high] * weight
        nearest = np.where(weight[:, 0] < 0.5, low, high)
        return replace(self, values=values, fps=fps, valid=self.valid[nearest], camera=camera)

    def save(self, path: Path, force: bool = False) -> None:
        """Write as ``.npz``: values, fps, space, valid, meta, and camera and shape if known.

        Of the clip that it came from (``meta["source"]``) the path from the file's folder is kept,
        where it lies in there, else only the name: motion files are passed on.
        """
        meta = dict(self.meta)
        if isinstance(source := meta.get("source"), str):
            clip, folder = Path(source).resolve(), Path(path).resolve().parent
            inside = clip.is_relative_to(folder)
            meta["source"] = clip.relative_to(folder).as_posix() if inside else clip.name
        arrays: dict[str, Any] = {
            "values": self.values,
            "fps": np.float64(self.fps),
            "space": np.array(self.space),
            "valid": self.valid,
            "meta": np.array(json.dumps(meta)),
        }
        for name in ("camera", "shape"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        with atomic_output(path, force=force) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Motion:
        """Read a motion file; nothing in it is executed. Raises InputError that names the file."""
        if Path(path).is_dir():
            raise InputError(
                f"{path}: is a folder; expected a motion file (of EMOCA's frames in a folder, "
                "`dim extract FOLDER --fps 30` makes one)"
            )
        try:
            data = read_archive(path, "motion", largest=limits.MOTION_BYTES)
        except BrokenFileError as error:
            hint = "make one with `dim extract clip.mp4 -o motion.npz`"
            raise InputError(f"{error}; {hint}") from None
        with about(path):
            return cls._of_arrays(data)

    @classmethod
    def _of_arrays(cls, data: dict[str, Any]) -> Motion:
        """A motion of what a file holds. Raises InputError that says what is wrong with it."""
        missing = [name for name in ("values", "fps", "space") if name not in data]
        if missing:
            raise InputError(f"motion file lacks {', '.join(missing)}")
        values, fps = np.asarray(data["values"]), np.asarray(data["fps"])
        for name, array in (("values", values), ("fps", fps)):
            if array.dtype.kind not in "fiu":
                raise InputError(f"motion {name} are {array.dtype}; expected real numbers")
        if fps.size != 1:
            raise InputError(f"motion fps has shape {fps.shape}; expected one number")
        text = np.asarray(data.get("meta", "{}"))
        if text.size != 1 or text.nbytes > 4 * limits.MOTION_META_BYTES:
            raise InputError("motion meta is not a text of ordinary length")
        try:
            meta = parse_json(str(text.item()), "it")
        except InputError as error:
            raise InputError(f"motion meta is not a JSON object ({error})") from None
        if not isinstance(meta, dict):
            raise InputError("motion meta is not a JSON object")
        if "\0" in str(meta.get("source")):
            raise InputError("motion meta has a source that is no path")
        if values.size > limits.MOTION_FRAMES * MOTION_DIM:
            raise InputError(
                f"motion has {len(values)} frames; expected at most {limits.MOTION_FRAMES}"
            )
        motion = cls(
            values=values,
            fps=float(fps.item()),
            space=shortened(data["space"]),
            valid=data.get("valid"),  # type: ignore[arg-type]
            camera=data.get("camera"),
            shape=data.get("shape"),
            meta=meta,
        )
        if len(motion) == 0:
            raise InputError("motion has no frames; expected at least one")
        largest = float(np.abs(motion.values).max())
        if largest > _LARGEST_VALUE:
            raise InputError(
                f"motion has values up to {largest:.3g}; expected radians and expression weights"
            )
        return motion


def _check_extra(name: str, array: Floats | None, wanted: tuple[int | None, ...]) -> None:
    """Raise InputError unless ``array`` is None or finite numbers of the ``wanted`` shape."""
    if array is None:
        return
    array = np.asarray(array)
    shape = "[S]" if wanted == (None,) else f"{list(wanted)}"
    fits = array.ndim == len(wanted) and all(
        side in (None, length) for side, length in zip(wanted, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu":
        raise InputError(f"motion {name} is {array.dtype} {array.shape}; expected numbers {shape}")
    if not np.isfinite(array).all():
        raise InputError(f"motion {name} has NaN or infinite values")


def slerp_axis_angle(start: Floats, end: Floats, weight: Floats) -> Floats:
    """Shortest way between rotations ``start`` and ``end`` [N, 3] (axis-angle, radians);
    ``weight`` [N] in 0..1.
    """
    first = Rotations.of_vectors(start)
    step = (first.inverse * Rotations.of_vectors(end)).vectors
    return (first * Rotations.of_vectors(step * weight[:, None])).vectors.astype(np.float32)


def check_motion_output(path: Path, *inputs: Path | None, force: bool) -> Path:
    """``path``, if a motion file may be written there. Raises InputError."""
    return check_output(path, *inputs, force=force, kind="motion file", suffixes=(".npz",))
