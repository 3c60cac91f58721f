"""Motion on heads to a video: ``dim visualize``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dimcli import media
from dimcli.core.errors import printable
from dimcli.core.motion import Motion, Picture
from dimcli.core.progress import Progress, silent
from dimcli.jobs.mesh import MeshStyle, mesh_renderer, require_head
from dimcli.jobs.render import VideoResult, load_motion, write_video

if TYPE_CHECKING:
    from renderers.mesh.mesh import MeshRenderer

LABEL_SHARE = 1 / 22
"""Height of a label's letters as a share of the picture."""


def visualize_motions(
    paths: Sequence[Path],
    output: Path | None = None,
    *,
    audio: Path | None = None,
    smooth: bool | None = None,
    size: int | None = None,
    head: str = "auto",
    look: str | None = None,
    turntable: float = 0.0,
    rasteriser: str = "auto",
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Show motion files on heads, by default in ``<first motion>.mp4`` in this folder.

    Several are shown side by side under their files' names, at the first one's frame rate, for as
    long as the shortest; the sound is the first one's. For ``size`` and what follows see
    :class:`dimcli.jobs.mesh.MeshStyle`.
    """
    started = time.monotonic()
    style = MeshStyle(head, size, look, turntable, rasteriser, device)
    output = output or Path(f"{paths[0].stem}.mp4")
    media.check_video_output(output, *paths, audio, force=force)
    loaded = [
        load_motion(path, audio if not index else None, smooth, space=None)
        for index, path in enumerate(paths)
    ]
    for path, (motion, _, _) in zip(paths, loaded, strict=True):
        require_head(style.head, motion.space, path)
    remarks = loaded[0][2]
    first = loaded[0][0]
    motions = [motion.resampled(first.fps) for motion, _, _ in loaded]
    frames = min(map(len, motions))
    shown = [Motion(one.values[:frames], fps=one.fps, space=one.space) for one in motions]
    if frames < max(map(len, motions)):
        remarks += (f"cut to the shortest of the motions, {frames / first.fps:.1f} s",)
    labels = [path.stem for path in paths] if len(paths) > 1 else []
    renderers = [
        mesh_renderer(motion.space, style, motion.shape, fps=motion.fps) for motion in motions
    ]
    pictures = tiles(renderers, shown, labels)
    return write_video(output, shown[0], pictures, loaded[0][1], force, progress, started, remarks)


def tiles(
    renderers: Sequence[MeshRenderer], motions: Sequence[Motion], labels: Sequence[str] = ()
) -> Iterator[Picture]:
    """Frames of several heads side by side: uint8 [H, W x heads, 3], with ``labels`` above."""
    streams = [
        renderer.render(motion.values) for renderer, motion in zip(renderers, motions, strict=True)
    ]
    for pictures in zip(*streams, strict=True):
        for picture, label in zip(pictures, labels, strict=False):
            write_label(picture, label)
        yield np.hstack(pictures) if len(pictures) > 1 else pictures[0]


def write_label(picture: Picture, text: str) -> None:
    """Write ``text`` at the top left of ``picture``, in place, small enough to fit."""
    import cv2

    text = printable(text)  # OpenCV crashes on what is no UTF-8
    height, width = picture.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, round(height * LABEL_SHARE), 1)
    margin = round(height * LABEL_SHARE)
    (length, _), _ = cv2.getTextSize(text, font, scale, 1)
    scale *= min(1.0, (width - 2 * margin) / max(length, 1))
    thickness = max(1, round(height / 360))
    white = (250, 250, 250)
    cv2.putText(picture, text, (margin, 2 * margin), font, scale, white, thickness, cv2.LINE_AA)
