"""The commands' whole jobs, from files to files, as plain functions.

This is the one place where tracking, the model and the renderers meet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dimcli import media
from dimcli.errors import InputError
from dimcli.motion import Motion
from dimcli.progress import Progress, silent

if TYPE_CHECKING:
    from renderers.base import Reference, Renderer

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


@dataclass(frozen=True)
class MotionResult:
    """A motion file that was written, the motion in it, and how long it took (s)."""

    path: Path
    motion: Motion
    taken_s: float


def extract_motion(
    clip: Path,
    output: Path | None = None,
    *,
    smooth: bool = False,
    region: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> MotionResult:
    """Track the face in ``clip`` and write its motion, by default ``<clip>.npz`` in this folder."""
    from dimcli.tracking.landmarks import track_video

    started = time.monotonic()
    output = output or Path(f"{clip.stem}.npz")
    media.check_output(output, force=force)
    motion = track_video(clip, smooth=smooth, region=parse_region(region), progress=progress)
    motion.save(output, force=force)
    return MotionResult(output, motion, time.monotonic() - started)


def parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    """``x,y,width,height`` in pixels as four numbers. Raises InputError."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"--region {text}: expected x,y,width,height in pixels, as in 256,0,256,256")
    x, y, width, height = (int(part) for part in parts)
    return x, y, width, height


def visualize_motion(
    motion_path: Path,
    output: Path | None = None,
    *,
    audio: Path | None = None,
    smooth: bool = True,
    size: int | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Show a motion file on the open head, by default in ``<motion>.mp4`` in this folder."""
    started = time.monotonic()
    output = output or Path(f"{motion_path.stem}.mp4")
    media.check_output(output, force=force)
    motion, sound = _load_motion(motion_path, audio, smooth)
    renderer = make_renderer("mesh", None, size)
    return _write_video(
        output, motion, renderer.render(motion.values), sound, force, progress, started
    )


def render_motion(
    motion_path: Path,
    reference: Path,
    output: Path | None = None,
    *,
    audio: Path | None = None,
    smooth: bool = True,
    size: int | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Move the face of a picture by a motion file, by default into ``<motion>-<picture>.mp4``."""
    started = time.monotonic()
    output = output or Path(f"{motion_path.stem}-{reference.stem}.mp4")
    media.check_output(output, force=force)
    motion, sound = _load_motion(motion_path, audio, smooth)
    fitted, remarks = read_reference(reference)
    renderer = make_renderer("portrait", fitted, size)
    return _write_video(
        output, motion, renderer.render(motion.values), sound, force, progress, started, remarks
    )


def _load_motion(path: Path, audio: Path | None, smooth: bool) -> tuple[Motion, Path | None]:
    """A motion file in the arkit space, smoothed if wanted, and where its sound is."""
    from dimcli.tracking.smoothing import smooth_motion

    motion = Motion.load(path)
    motion.require_space("arkit")
    source = motion.meta.get("source")
    if audio is None and source and Path(source).is_file():
        audio = Path(source)
    return (smooth_motion(motion) if smooth else motion), audio


def read_reference(path: Path) -> tuple[Reference, tuple[str, ...]]:
    """A picture with its face found, and remarks worth telling. Raises InputError without a face."""
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


def make_renderer(kind: str, reference: Reference | None, size: int | None) -> Renderer:
    """A renderer that is ready to render; ``size`` is the picture's longer side in pixels."""
    if kind == "mesh":
        from renderers.mesh import MeshRenderer

        return MeshRenderer(size=size or MESH_SIZE)
    if kind == "portrait":
        from renderers.portrait import PortraitRenderer

        if reference is None:
            raise InputError("--ref: --renderer portrait needs a picture of the listener")
        portrait = PortraitRenderer(size=size)
        portrait.prepare(reference)
        return portrait
    raise InputError(f"--renderer {kind}: unknown; known: {', '.join(RENDERERS)}")


def _write_video(
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
    with media.VideoWriter(output, fps=motion.fps, audio_from=sound, force=force) as writer:
        for done, frame in enumerate(frames, start=1):
            writer.write(frame)
            progress(stage, done, len(motion))
    return VideoResult(output, motion.duration_s, len(motion), time.monotonic() - started, remarks)


def beside(speaker: Path, frames: Iterator[Picture], fps: float) -> Iterator[Picture]:
    """Each frame with the speaker's frame of the same moment on its left, equally high."""
    import cv2

    for right, left in zip(frames, media.read_frames(speaker, fps=fps), strict=False):
        height = right.shape[0]
        width = max(1, round(left.shape[1] * height / left.shape[0]))
        how = cv2.INTER_AREA if height < left.shape[0] else cv2.INTER_CUBIC
        yield np.hstack([cv2.resize(left, (width, height), interpolation=how), right])


def numbered(path: Path, index: int, count: int) -> Path:
    """``out.mp4`` as it is when only one is made, else ``out-1.mp4``, ``out-2.mp4``, ..."""
    return path if count == 1 else path.with_stem(f"{path.stem}-{index + 1}")


def generate_listener_videos(
    speaker: Path,
    reference: Path | None,
    output: Path | None = None,
    *,
    weights: str,
    renderer: str = "portrait",
    side_by_side: bool = False,
    samples: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    steps: int | None = None,
    size: int | None = None,
    save_motion: Path | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> list[VideoResult]:
    """The main job: watch ``speaker``, generate a listener, render it on ``reference``.

    Writes ``samples`` videos (by default ``<speaker>-listener.mp4`` in this folder), each with the
    speaker's frame rate, number of frames and sound; sample i is drawn with ``seed + i``. Every
    input is checked before long work starts. Raises InputError for what is wrong with them.
    """
    import weights as bundled
    from dimcli.background import Background

    started = time.monotonic()
    output = output or Path(f"{speaker.stem}-listener.mp4")
    outputs = [numbered(output, i, samples) for i in range(samples)]
    kept = [numbered(save_motion, i, samples) if save_motion else None for i in range(samples)]
    for path in [*outputs, *(path for path in kept if path)]:
        media.check_output(path, force=force)
    if renderer not in RENDERERS:
        raise InputError(f"--renderer {renderer}: unknown; known: {', '.join(RENDERERS)}")
    run = bundled.resolve(weights)
    media.probe_video(speaker)

    # The model's library takes seconds to import: it comes up while the speaker is tracked.
    loading = Background(lambda: _load_listener(run, device))
    fitted, remarks = read_reference(reference) if reference else (None, ())
    ready = make_renderer(renderer, fitted, size)

    from dimcli.tracking.landmarks import track_video

    watched = track_video(speaker, progress=progress)
    model = loading.result()
    heard = _hear(speaker, watched, model.fps)

    results = []
    for i, path in enumerate(outputs):
        motion = _generate(model, watched, heard, seed + i, temperature, steps, fitted)
        if (kept_path := kept[i]) is not None:
            motion.save(kept_path, force=force)
        frames = ready.render(motion.values)
        if side_by_side:
            frames = beside(speaker, frames, motion.fps)
        stage = "rendering" if samples == 1 else f"rendering {i + 1} of {samples}"
        results.append(
            _write_video(path, motion, frames, speaker, force, progress, started, remarks, stage)
        )
        started = time.monotonic()
    return results
