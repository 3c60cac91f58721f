"""Motion to video by every renderer: ``dim render``, ``dim visualize``, and what jobs share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dimcli import media
from dimcli.core.config import require_choice
from dimcli.core.errors import InputError, printable
from dimcli.core.files import check_output
from dimcli.core.motion import Floats, Motion, Picture, expression_index
from dimcli.core.progress import Progress, silent

if TYPE_CHECKING:
    from renderers.base import Reference, Renderer
    from renderers.mesh.mesh import MeshRenderer
    from renderers.portrait.portrait import PortraitRenderer
    from renderers.trained.renderer import TrainedRenderer


MESH_SIZE = 512
LONGEST_SIDE = 1920
"""The longer side of a video in pixels where no size is asked for."""
RENDERERS = ("portrait", "mesh")
KEEP, TRANSPARENT = "keep", "transparent"
BLUR_SHARE = 0.02
"""Blur of a background, in shares of the picture's longer side."""
POSES = ("relative", "absolute")
HEADS = {"arkit": "open", "flame": "flame"}
"""The head that shows motion of each space."""
FAR_OUTSIDE = 0.2
"""Less than this beyond a value's range (radians, expression weights) is not worth a remark."""
SHUT = 0.45
"""A picture's eyeBlink from which on the lids leave too little of an eye to open it."""
LABEL_SHARE = 1 / 22
"""Height of a label's letters as a share of the picture."""


@dataclass(frozen=True)
class VideoResult:
    """A video that was written: where, how long (s, frames), how long it took (s), remarks, and the
    seed that its motion was drawn with."""

    path: Path
    duration_s: float
    frames: int
    taken_s: float
    remarks: tuple[str, ...] = ()
    seed: int | None = None


def render_motion(
    motion_path: Path,
    reference: Path,
    output: Path | None = None,
    *,
    renderer: str = "portrait",
    audio: Path | None = None,
    smooth: bool | None = None,
    pose: str = "relative",
    background: str = KEEP,
    size: int | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Move the face of a picture by a motion file, by default into ``<motion>-<picture>.mp4``.

    For ``pose`` see :func:`on_picture`.
    """
    started = time.monotonic()
    output = output or default_video(f"{motion_path.stem}-{reference.stem}", background)
    check_video(output, motion_path, reference, audio, background=background, force=force)
    check_renderer(renderer)
    motion, sound, remarks = load_motion(motion_path, audio, smooth)
    written = render(
        motion,
        reference,
        output,
        renderer=renderer,
        audio=sound,
        pose=pose,
        background=background,
        size=size,
        device=device,
        force=force,
        progress=progress,
    )
    taken_s = time.monotonic() - started
    return replace(written, taken_s=taken_s, remarks=remarks + written.remarks)


def default_video(stem: str, background: str) -> Path:
    """The video in this folder that is written where no output is named."""
    return Path(f"{stem}{'.webm' if background == TRANSPARENT else '.mp4'}")


def check_video(path: Path, *inputs: Path | None, background: str, force: bool) -> Path:
    """``path``, if a video before ``background`` may be written there."""
    transparent = background == TRANSPARENT
    return media.check_video_output(path, *inputs, force=force, transparent=transparent)


def check_motion_output(path: Path, *inputs: Path | None, force: bool) -> Path:
    """``path``, if a motion file may be written there."""
    return check_output(path, *inputs, force=force, kind="motion file", suffixes=(".npz",))


def load_motion(
    path: Path, audio: Path | None, smooth: bool | None, space: str | None = "arkit"
) -> tuple[Motion, Path | None, tuple[str, ...]]:
    """A motion file in ``space`` (None: any), where its sound is, and remarks worth telling.

    ``smooth`` None smooths what a tracker measured and leaves alone what is smooth already. The
    sound is ``audio``, else that of the clip which the motion came from, if that lies in the motion
    file's folder: a file from somebody else names no other file of this machine.
    """
    from dimcli.tracking.postprocessing import smooth_motion

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
            audio = _clip_beside(path, source)
            media.has_audio(audio)
        except InputError as error:
            audio = None
            remarks = (f"no sound, because of the clip that the motion came from: {error}",)
    if smooth is None:
        smooth = not (motion.meta.get("generated") or motion.meta.get("smoothed"))
    if smooth:
        motion = smooth_motion(motion)
    motion, more = drawable(motion)
    return motion, audio, remarks + tuple(f"{path}: {remark}" for remark in more)


def _clip_beside(motion: Path, source: str) -> Path:
    """The clip ``source`` of a motion file. InputError where it isn't in the file's folder."""
    folder = motion.resolve().parent
    clip = (folder / source).resolve()
    if not clip.is_relative_to(folder) or not clip.is_file():
        raise InputError(f"{Path(source).name[:100]} is not beside {motion}; pass --audio CLIP")
    return clip


def drawable(motion: Motion) -> tuple[Motion, tuple[str, ...]]:
    """``motion`` inside the range of its space, and a remark where it was far outside."""
    inside = motion.in_range()
    outside = (np.abs(inside.values - motion.values) > FAR_OUTSIDE).any(1).sum()
    if not outside:
        return inside, ()
    return inside, (
        f"{outside} of its {len(motion)} frames are beyond what a face can do, and were brought "
        f"into the range of the '{motion.space}' space",
    )


def read_reference(path: Path) -> tuple[Reference, tuple[str, ...]]:
    """A picture with its face found, and remarks worth telling. InputError without a face."""
    from dimcli.tracking.landmarks import observe_picture
    from dimcli.tracking.matte import person_matte
    from renderers.base import Reference

    image = media.read_picture(path)
    try:
        seen = observe_picture(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    remarks: tuple[str, ...] = ()
    if seen.faces > 1:
        remarks = (f"{path} shows {seen.faces} faces; the largest was taken",)
    if max(seen.values[expression_index(f"eyeBlink{side}")] for side in ("Left", "Right")) > SHUT:
        remarks += (
            f"{path} shows an eye shut, or nearly so, which will hardly open; a picture with open "
            "eyes does better",
        )
    matte = person_matte(image)
    return Reference(image, seen.landmarks, seen.values, matte), remarks


def check_renderer(kind: str) -> None:
    """Raise InputError where ``kind`` is neither a renderer's name nor a run of one."""
    if kind not in RENDERERS:
        from renderers.trained.run import read_config

        read_config(Path(kind))


def renderer_for(
    space: str,
    kind: str,
    reference: Reference | None,
    size: int | None,
    device: str = "auto",
    background: str = KEEP,
) -> Renderer:
    """What renders motion of ``space``, ready: ``portrait``, ``mesh``, or a run of a trained one.

    Motion in ``arkit`` moves pictures and the open head, motion in ``flame`` the imported FLAME
    head only. ``size`` is the picture's longer side in pixels, by default its own up to
    :data:`LONGEST_SIDE`; for ``background`` see :func:`background_of`. Raises InputError where
    ``kind`` is unknown or cannot show the space, and where a picture is needed.
    """
    behind, transparent = background_of(background), background == TRANSPARENT
    if background != KEEP and kind != "portrait":
        raise InputError(f"--background: is for --renderer portrait, not for {kind}")
    if kind == "mesh":
        return mesh_renderer(space, MeshStyle(size=size, device=device))
    if space != "arkit":
        raise InputError(
            f"--renderer {kind}: moves pictures by motion in the 'arkit' space, and these "
            "--weights are of 'flame'; expected --renderer mesh"
        )
    check_renderer(kind)
    if reference is None:
        raise InputError(f"--ref: --renderer {kind} needs a picture of the face")
    height, width = reference.image.shape[:2]
    longest = max(width, height)
    scale = (size or min(longest, LONGEST_SIDE)) / longest
    sides = (round(width * scale), round(height * scale))
    ready: PortraitRenderer | TrainedRenderer
    if kind == "portrait":
        from renderers.portrait.portrait import PortraitRenderer

        ready = PortraitRenderer(sides, behind, transparent=transparent)
    else:
        from dimcli.core.device import choose_device
        from renderers.trained.renderer import TrainedRenderer
        from renderers.trained.run import read_run

        ready = TrainedRenderer(read_run(Path(kind), choose_device(device)), sides)
        # its networks learned what the portrait makes of frames without a matte
        reference = replace(reference, matte=None)
    ready.prepare(reference)
    if size is None and longest > LONGEST_SIDE:
        ready.remarks += (
            f"the video is {LONGEST_SIDE} pixels long, which is less than the picture; pass --size "
            "for more",
        )
    return ready


def conversion_for(
    space: str, kind: str, device: str = "auto"
) -> Callable[[Motion, Progress], tuple[Motion, tuple[str, ...]]] | None:
    """What turns motion of ``space`` into motion that the renderer ``kind`` draws, with remarks;
    None where nothing has to be turned. Pictures are moved in the ``arkit`` space; what is of
    ``flame`` gets there through the user's FLAME (:mod:`dimcli.jobs.convert`). InputError without.
    """
    if kind == "mesh" or space == "arkit":
        return None
    from dimcli.core.device import choose_device
    from dimcli.jobs.convert import Converter
    from weights.importing import find_imported

    if find_imported("flame") is None:
        raise InputError(
            f"--renderer {kind}: moves pictures by motion in the 'arkit' space, and these "
            "--weights are of 'flame'; `dim weights import flame generic_model.pkl` converts it on "
            "the way, and --renderer mesh shows it on FLAME"
        )
    converter = Converter.of_imported(choose_device(device))

    def convert(motion: Motion, progress: Progress) -> tuple[Motion, tuple[str, ...]]:
        found = converter.convert(motion, "arkit", progress=progress)
        return found.motion, found.remarks

    return convert


def background_of(name: str) -> Callable[[Picture], Picture] | None:
    """What makes the background of a video of the picture's own: ``blur``, a colour (``grey``,
    ``#204060``) or a picture file, which is cut to cover it; None for ``keep`` and for
    ``transparent``, which has none. InputError else.
    """
    import cv2
    from PIL import ImageColor

    if name in (KEEP, TRANSPARENT):
        return None
    if name == "blur":
        return lambda own: np.asarray(
            cv2.GaussianBlur(own, (0, 0), BLUR_SHARE * max(own.shape)), np.uint8
        )
    if Path(name).exists():
        picture = media.read_picture(Path(name))
        return lambda own: covering(picture, own.shape[1], own.shape[0])
    try:
        colour = ImageColor.getcolor(name, "RGB")
    except ValueError:
        raise InputError(
            f"--background {name}: no such picture and no colour; expected keep, blur, "
            "transparent, a colour (grey, #204060) or a picture file"
        ) from None
    return lambda own: np.full_like(own, colour)


def covering(picture: Picture, width: int, height: int) -> Picture:
    """``picture`` scaled and cut about its middle so that it is ``width`` by ``height``."""
    from renderers.base import resized

    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    whole = resized(picture, size)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


@dataclass(frozen=True)
class LoadedRenderer:
    """A renderer that is ready to draw motion of ``space``, the picture that it draws, and
    remarks worth telling."""

    renderer: Renderer
    reference: Reference | None
    space: str
    remarks: tuple[str, ...] = ()

    def frames(self, motion: Motion, *, pose: str = "relative") -> Iterator[Picture]:
        """Frames of ``motion``, one at a time: uint8 [H, W, 3], RGB (``transparent``: RGBA).

        For ``pose`` see :func:`on_picture`. Raises InputError where the motion is in another space.
        """
        motion.require_space(self.space)
        return self.renderer.render(on_picture(motion, self.reference, pose)[0].values)


def load_renderer(
    kind: str | Path = "portrait",
    reference: Path | str | None = None,
    *,
    size: int | None = None,
    device: str = "auto",
    space: str = "arkit",
    background: str = KEEP,
) -> LoadedRenderer:
    """A renderer of motion: ``portrait`` or ``mesh``, or a run of ``dim train-renderer``.

    ``reference`` is a picture of the face, which ``mesh`` does not need; ``size`` the longer side
    of the frames in pixels; ``space`` that of the motion (``flame`` is for ``mesh`` only); for
    ``background`` see :func:`background_of`. Raises InputError.
    """
    fitted, remarks = read_reference(Path(reference)) if reference is not None else (None, ())
    ready = renderer_for(space, str(kind), fitted, size, device, background)
    return LoadedRenderer(ready, fitted, space, remarks + ready.remarks)


def render(
    motion: Motion,
    reference: Path | str | None,
    output: Path | str,
    *,
    renderer: str | Path = "portrait",
    audio: Path | str | None = None,
    pose: str = "relative",
    background: str = KEEP,
    size: int | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Write the video of ``motion`` on the picture ``reference``, with the sound of ``audio``.

    See :func:`load_renderer` and :func:`on_picture`. Raises InputError.
    """
    started = time.monotonic()
    inputs = [Path(each) for each in (reference, audio) if each is not None]
    output = check_video(Path(output), *inputs, background=background, force=force)
    ready = load_renderer(
        *(renderer, reference), size=size, device=device, space=motion.space, background=background
    )
    shown, remarks = on_picture(motion, ready.reference, pose)
    frames = ready.renderer.render(shown.values)
    sound = Path(audio) if audio is not None else None
    remarks = ready.remarks + remarks
    return write_video(output, shown, frames, sound, force, progress, started, remarks)


def on_picture(
    motion: Motion, reference: Reference | None, pose: str = "relative"
) -> tuple[Motion, tuple[str, ...]]:
    """``motion`` as the face in a picture makes it, and remarks worth telling.

    ``pose`` ``relative`` moves the face about the picture's own pose and expression (unless that is
    what the motion was made for already), ``absolute`` as the motion's numbers say. Neither turns
    the picture further than it can be. Motion of the flame space, and without a picture, only
    comes into its space's range. Raises InputError for another ``pose``.
    """
    require_choice("--pose", pose, POSES)
    motion, remarks = drawable(motion)
    if reference is None or motion.space != "arkit":
        return motion, remarks
    from renderers.anchor import TURN_DEGREES, anchor, within_reach

    values, picture = motion.values, reference.fingerprint
    if pose == "relative" and motion.meta.get("picture") != picture:
        values = anchor(values, reference.values)
    values, beyond = within_reach(values, reference.values)
    if beyond.any():
        remarks += (
            f"{beyond.sum()} of {len(motion)} frames turn further than {TURN_DEGREES[1]:.0f} "
            "degrees from the picture's own pose, which one picture cannot show; they were held "
            "there",
        )
    return replace(motion, values=values, meta=motion.meta | {"picture": picture}), remarks


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
    :class:`MeshStyle`.
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


def require_head(head: str, space: str, path: Path) -> None:
    """Raise InputError unless ``head`` shows motion of ``space``; ``path`` is the motion's file."""
    spaces = {name: of for of, name in HEADS.items()}
    if head not in ("auto", *spaces):
        raise InputError(f"--head {head}: unknown; known: auto, {', '.join(spaces)}")
    if head not in ("auto", HEADS[space]):
        raise InputError(
            f"--head {head}: {path} is in the '{space}' space, which --head {HEADS[space]} shows; "
            f"convert it with `dim convert {path} --to {spaces[head]}`"
        )


def mesh_renderer(
    space: str, style: MeshStyle, shape: Floats | None = None, *, fps: float = 1.0
) -> MeshRenderer:
    """A renderer of the head that shows motion of ``space``, of ``fps`` frames a second; ``shape``
    [S] is a person's. InputError that says how to get that head where it isn't here.
    """
    from dimcli.core.device import choose_device
    from renderers.heads.flame import load_head
    from renderers.mesh.mesh import MeshRenderer
    from renderers.mesh.raster import Camera, make_rasteriser

    camera = Camera()
    turn = 2 * math.pi / (style.turntable_s * fps) if style.turntable_s else 0.0
    return MeshRenderer(
        style.size or MESH_SIZE,
        head=load_head(HEADS[space], shape),
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
