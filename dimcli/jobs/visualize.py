"""Motion files to a video of heads, side by side: what ``dim visualize`` does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dimcli import media
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.jobs.render import MESH_SIZE, Picture, VideoResult, load_motion, write_video

if TYPE_CHECKING:
    from renderers.heads.open_head import Head
    from renderers.mesh.mesh import MeshRenderer

HEAD_SPACES = {"open": "arkit", "flame": "flame"}
"""The motion that each head shows."""

LABEL_SHARE = 1 / 22
"""Height of a label's letters as a share of the picture."""


@dataclass(frozen=True)
class MeshStyle:
    """How a mesh video looks: ``size`` of a tile in pixels, ``head``, ``look`` and ``rasteriser``
    by name, ``turntable_s`` the seconds of a full turn of the head (0 for none)."""

    head: str = "auto"
    size: int | None = None
    look: str | None = None
    turntable_s: float = 0.0
    rasteriser: str = "auto"
    device: str = "auto"


def visualize_motions(
    paths: Sequence[Path],
    output: Path | None = None,
    style: MeshStyle = MeshStyle(),
    *,
    audio: Path | None = None,
    smooth: bool | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Show motion files on heads, by default in ``<first motion>.mp4`` in this folder.

    Several are shown side by side under their files' names, at the first one's frame rate, for as
    long as the shortest; the sound is the first one's.
    """
    started = time.monotonic()
    output = output or Path(f"{paths[0].stem}.mp4")
    media.check_video_output(output, force=force)
    loaded = [
        load_motion(path, audio if not index else None, smooth, space=None)
        for index, path in enumerate(paths)
    ]
    head_names = [
        head_of(motion.space, style.head, path)
        for path, (motion, _, _) in zip(paths, loaded, strict=True)
    ]
    remarks = loaded[0][2]
    first = loaded[0][0]
    motions = [motion.resampled(first.fps) for motion, _, _ in loaded]
    frames = min(map(len, motions))
    shown = [Motion(one.values[:frames], fps=one.fps, space=one.space) for one in motions]
    if frames < max(map(len, motions)):
        remarks += (f"cut to the shortest of the motions, {frames / first.fps:.1f} s",)
    labels = [path.stem for path in paths] if len(paths) > 1 else []
    from renderers.heads.flame import load_head

    renderers = [
        mesh_renderer(load_head(name, motion.shape), motion.fps, style)
        for name, motion in zip(head_names, motions, strict=True)
    ]
    pictures = tiles(renderers, shown, labels)
    return write_video(output, shown[0], pictures, loaded[0][1], force, progress, started, remarks)


def head_of(space: str, wanted: str, path: Path) -> str:
    """Which head shows motion of ``space``: ``open`` or ``flame``. InputError where the ``wanted``
    one can't; ``path`` is the motion's file.
    """
    suited = {"arkit": "open", "flame": "flame"}[space]
    if wanted not in ("auto", *HEAD_SPACES):
        raise InputError(f"--head {wanted}: unknown; known: auto, {', '.join(HEAD_SPACES)}")
    if wanted not in ("auto", suited):
        raise InputError(
            f"--head {wanted}: {path} is in the '{space}' space, which --head {suited} shows; "
            f"convert it with `dim convert {path} --to {HEAD_SPACES[wanted]}`"
        )
    return suited


def mesh_renderer(head: Head, fps: float, style: MeshStyle) -> MeshRenderer:
    """A renderer of ``head`` for motion of ``fps`` frames a second."""
    from renderers.mesh.mesh import MeshRenderer
    from renderers.mesh.raster import Camera, make_rasteriser

    camera = Camera()
    turn = 2 * math.pi / (style.turntable_s * fps) if style.turntable_s else 0.0
    return MeshRenderer(
        style.size or MESH_SIZE,
        head=head,
        camera=camera,
        rasteriser=make_rasteriser(style.rasteriser, camera, choose_device(style.device)),
        look=style.look,
        turn_rad=turn,
    )


def tiles(
    renderers: Sequence[MeshRenderer], motions: Sequence[Motion], labels: Sequence[str] = ()
) -> Iterator[Picture]:
    """Frames of several heads side by side: uint8 [H, W x heads, 3], with ``labels`` above."""
    streams = [
        renderer.render(motion.values) for renderer, motion in zip(renderers, motions, strict=True)
    ]
    for pictures in zip(*streams, strict=True):
        for picture, label in zip(pictures, labels, strict=False):
            _write(picture, label)
        yield np.hstack(pictures) if len(pictures) > 1 else pictures[0]


def _write(picture: Picture, text: str) -> None:
    """Write ``text`` at the top left of ``picture``, in place, small enough to fit."""
    height, width = picture.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, round(height * LABEL_SHARE), 1)
    margin = round(height * LABEL_SHARE)
    (length, _), _ = cv2.getTextSize(text, font, scale, 1)
    scale *= min(1.0, (width - 2 * margin) / max(length, 1))
    thickness = max(1, round(height / 360))
    white = (250, 250, 250)
    cv2.putText(picture, text, (margin, 2 * margin), font, scale, white, thickness, cv2.LINE_AA)
