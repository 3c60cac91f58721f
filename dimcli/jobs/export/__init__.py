"""Motion for other programs: Live Link Face CSV, animated glTF, plain JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.files import check_output
from dimcli.core.motion import Motion

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


@dataclass(frozen=True)
class ExportOptions:
    """``fps``: rate to resample to (None: the format's usual one); ``angle_scale``: what a radian
    of a CSV's head and eye angles is multiplied by (57.29578 for degrees)."""

    fps: float | None = None
    angle_scale: float = 1.0


def export_motion(
    motion_path: Path,
    output: Path,
    options: ExportOptions = ExportOptions(),
    *,
    force: bool = False,
) -> ExportResult:
    """Write a motion file as what ``output`` is named: ``.csv``, ``.glb`` or ``.json``.

    CSV and GLB hold ARKit expressions; motion in the flame space is converted first, which needs
    the FLAME file. Raises InputError for another suffix, and as reading and writing do.
    """
    started = time.monotonic()
    if output.suffix.lower() not in KINDS:
        raise InputError(f"--output {output}: unknown kind; known: {', '.join(KINDS)}")
    check_output(output, force=force)
    motion = Motion.load(motion_path)
    kind, write = KINDS[output.suffix.lower()]
    written = write(motion, output, options, force)
    taken = time.monotonic() - started
    return ExportResult(output, kind, written.duration_s, len(written), taken)


def _as_arkit(motion: Motion) -> Motion:
    if motion.space == "arkit":
        return motion
    from dimcli.jobs.convert import convert_motion

    return convert_motion(motion, "arkit").motion


def _csv(motion: Motion, output: Path, options: ExportOptions, force: bool) -> Motion:
    from dimcli.jobs.export.live_link import write_live_link

    motion = _as_arkit(motion).resampled(options.fps or LIVE_LINK_FPS)
    write_live_link(motion, output, angle_scale=options.angle_scale, force=force)
    return motion


def _glb(motion: Motion, output: Path, options: ExportOptions, force: bool) -> Motion:
    from dimcli.jobs.export.glb import write_glb

    motion = _as_arkit(motion).resampled(options.fps or motion.fps)
    write_glb(motion, output, force=force)
    return motion


def _json(motion: Motion, output: Path, options: ExportOptions, force: bool) -> Motion:
    from dimcli.jobs.export.plain import write_json

    motion = motion.resampled(options.fps or motion.fps)
    write_json(motion, output, force=force)
    return motion


Write = Callable[[Motion, Path, ExportOptions, bool], Motion]
KINDS: dict[str, tuple[str, Write]] = {
    ".csv": ("Live Link Face CSV", _csv),
    ".glb": ("animated glTF", _glb),
    ".json": ("JSON", _json),
}
