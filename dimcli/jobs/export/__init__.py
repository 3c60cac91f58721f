"""Motion for other programs: Live Link Face CSV, animated glTF, plain JSON."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, check_output
from dimcli.core.motion import ARKIT_EXPRESSIONS, NUM_EXPRESSION, Motion
from dimcli.media import SYNTHETIC_TAG

KINDS = {".csv": "Live Link Face CSV", ".glb": "animated glTF", ".json": "JSON"}
JSON_POSE_NAMES = ("headX", "headY", "headZ", "jawX", "jawY", "jawZ")
JSON_DECIMALS = 6
LIVE_LINK_FPS = 60.0
"""The rate that Live Link Face records at, and that its readers assume."""


@dataclass(frozen=True)
class ExportResult:
    """A file that was written: what it is, how long (s, frames), how long it took (s)."""

    path: Path
    kind: str
    duration_s: float
    frames: int
    taken_s: float


def export_motion(
    motion_path: Path,
    output: Path,
    *,
    fps: float | None = None,
    angle_scale: float = 1.0,
    force: bool = False,
) -> ExportResult:
    """Write a motion file as what ``output`` is named: ``.csv``, ``.glb`` or ``.json``.

    CSV and GLB hold ARKit expressions; motion in the flame space is converted first, which needs
    the FLAME file. ``fps`` is the rate to resample to (None: the format's usual one), and
    ``angle_scale`` what a radian of a CSV's head and eye angles is multiplied by (57.29578 for
    degrees). Raises InputError for another suffix, and as reading and writing do.
    """
    started = time.monotonic()
    suffix = output.suffix.lower()
    if suffix not in KINDS:
        raise InputError(f"--output {output}: unknown kind; known: {', '.join(KINDS)}")
    check_output(output, motion_path, force=force)
    motion = Motion.load(motion_path)
    if suffix != ".json" and motion.space != "arkit":
        from dimcli.jobs.convert import convert_motion

        motion = convert_motion(motion, "arkit").motion
    motion = motion.resampled(fps or (LIVE_LINK_FPS if suffix == ".csv" else motion.fps))
    if suffix == ".csv":
        from dimcli.jobs.export.live_link import write_live_link

        write_live_link(motion, output, angle_scale=angle_scale, force=force)
    elif suffix == ".glb":
        from dimcli.jobs.export.glb import write_glb

        write_glb(motion, output, force=force)
    else:
        write_json(motion, output, force=force)
    taken = time.monotonic() - started
    return ExportResult(output, KINDS[suffix], motion.duration_s, len(motion), taken)


def write_json(motion: Motion, path: Path, *, force: bool = False) -> None:
    """One object: ``fps``, ``space``, ``names`` of the 56 columns, ``frames`` [T][56], ``valid``.

    Angles are axis-angle in radians; the frame of reference is that of :mod:`dimcli.core.motion`.
    """
    flame = [f"expression{index}" for index in range(NUM_EXPRESSION)]
    content = {
        "format": "dim motion",
        "version": 1,
        "comment": SYNTHETIC_TAG if motion.meta.get("generated") else "tracked motion",
        "fps": motion.fps,
        "space": motion.space,
        "units": "first six columns: axis-angle, radians; x to the subject's left, y up, z forward",
        "names": [*JSON_POSE_NAMES, *(ARKIT_EXPRESSIONS if motion.space == "arkit" else flame)],
        "valid": motion.valid.tolist(),
        "frames": [
            [round(value, JSON_DECIMALS) for value in row] for row in motion.values.tolist()
        ],
    }
    with atomic_output(path, force=force) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
