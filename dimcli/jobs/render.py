"""Video to motion and motion to video, from files to files: what tracking and renderers share."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.files import check_output
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent

if TYPE_CHECKING:
    from renderers.base import Reference, Renderer
    from renderers.portrait.portrait import PortraitRenderer
    from renderers.trained.renderer import TrainedRenderer

Picture = NDArray[np.uint8]

MESH_SIZE = 512
RENDERERS = ("portrait", "mesh")


@dataclass(frozen=True)
class VideoResult:
    """A video that was written: where, how long (s, frames), how long it took (s), and remarks."""

    path: Path
    duration_s: float
    frames: int
    taken_s: float
    remarks: tuple[str, ...] = ()


def render_motion(
    motion_path: Path,
    reference: Path,
    output: Path | None = None,
    *,
    renderer: str = "portrait",
    audio: Path | None = None,
    smooth: bool | None = None,
    size: int | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Move the face of a picture by a motion file, by default into ``<motion>-<picture>.mp4``."""
    started = time.monotonic()
    output = output or Path(f"{motion_path.stem}-{reference.stem}.mp4")
    media.check_video_output(output, force=force)
    check_renderer(renderer)
    motion, sound, remarks = load_motion(motion_path, audio, smooth)
    fitted, more_remarks = read_reference(reference)
    ready = make_renderer(renderer, fitted, size, device)
    return write_video(
        output,
        motion,
        ready.render(motion.values),
        sound,
        force,
        progress,
        started,
        remarks + more_remarks + ready.remarks,
    )


def check_motion_output(path: Path, *, force: bool) -> Path:
    """``path``, if a motion file may be written there."""
    return check_output(path, force=force, kind="motion file", suffixes=(".npz",))


def load_motion(
    path: Path, audio: Path | None, smooth: bool | None, space: str | None = "arkit"
) -> tuple[Motion, Path | None, tuple[str, ...]]:
    """A motion file in ``space`` (None: any), where its sound is, and remarks worth telling.

    ``smooth`` None smooths what a tracker measured and leaves alone what is smooth already. The
    sound is ``audio``, else that of the clip which the motion came from, if it is still there.
    """
    from dimcli.tracking.smoothing import smooth_motion

    motion = Motion.load(path)
    try:
        motion.require_space(space or motion.space)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    remarks: tuple[str, ...] = ()
    source = motion.meta.get("source")
    if audio is not None:
        if not media.has_audio(audio):
            raise InputError(f"--audio {audio}: has no sound; expected wav, mp3, m4a, mp4, ...")
    elif isinstance(source, str):
        try:
            media.has_audio(Path(source))
            audio = Path(source)
        except InputError as error:
            remarks = (f"no sound, because of the clip that the motion came from: {error}",)
    if smooth is None:
        smooth = not (motion.meta.get("generated") or motion.meta.get("smoothed"))
    return (smooth_motion(motion) if smooth else motion), audio, remarks


def read_reference(path: Path) -> tuple[Reference, tuple[str, ...]]:
    """A picture with its face found, and remarks worth telling. InputError without a face."""
    from dimcli.tracking.landmarks import observe_picture
    from renderers.base import Reference

    image = media.read_picture(path)
    try:
        seen = observe_picture(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    remarks: tuple[str, ...] = ()
    if seen.faces > 1:
        remarks = (f"{path} shows {seen.faces} faces; the largest was taken",)
    return Reference(image=image, landmarks=seen.landmarks, values=seen.values), remarks


def check_renderer(kind: str) -> None:
    """Raise InputError where ``kind`` is neither a renderer's name nor a run of one."""
    if kind not in RENDERERS:
        from renderers.trained.run import read_config

        read_config(Path(kind))


def make_renderer(
    kind: str, reference: Reference | None, size: int | None, device: str = "auto"
) -> Renderer:
    """A renderer that is ready to render: ``portrait``, ``mesh``, or a run of a trained one.

    ``size`` is the picture's longer side in pixels. Raises InputError as :func:`check_renderer`
    does, and where a picture is needed.
    """
    if kind == "mesh":
        from renderers.mesh.mesh import MeshRenderer

        return MeshRenderer(size=size or MESH_SIZE)
    check_renderer(kind)
    if reference is None:
        raise InputError(f"--ref: --renderer {kind} needs a picture of the listener")
    height, width = reference.image.shape[:2]
    scale = (size or max(width, height)) / max(width, height)
    sides = (round(width * scale), round(height * scale))
    made: PortraitRenderer | TrainedRenderer
    if kind == "portrait":
        from renderers.portrait.portrait import PortraitRenderer

        made = PortraitRenderer(sides)
    else:
        from dimcli.core.device import choose_device
        from renderers.trained.renderer import TrainedRenderer
        from renderers.trained.run import read_run

        made = TrainedRenderer(read_run(Path(kind), choose_device(device)), sides)
    made.prepare(reference)
    return made


def write_video(
    output: Path,
    motion: Motion,
    frames: Iterable[Picture],
    sound: Path | None,
    force: bool,
    progress: Progress,
    started: float,
    remarks: tuple[str, ...] = (),
    stage: str = "rendering",
) -> VideoResult:
    """Write ``frames`` with ``sound`` to ``output``; ``started`` is when the whole job began."""
    with media.VideoWriter(output, fps=motion.fps, audio_from=sound, force=force) as writer:
        for done, frame in enumerate(frames, start=1):
            writer.write(frame)
            progress(stage, done, len(motion))
    return VideoResult(output, motion.duration_s, len(motion), time.monotonic() - started, remarks)
