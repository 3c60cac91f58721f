"""Motion on a picture to a video: ``dim render``, and what jobs that write videos share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dimcli import media
from dimcli.core.config import require_choice
from dimcli.core.errors import InputError, about
from dimcli.core.motion import Motion, Picture, expression_index
from dimcli.core.progress import Progress, silent

if TYPE_CHECKING:
    from dimcli.jobs.convert import Converter
    from renderers.base import Reference, Renderer
    from renderers.portrait.portrait import PortraitRenderer
    from renderers.trained.renderer import TrainedRenderer


LONGEST_SIDE = 1920
"""The longer side of a video in pixels where no size is asked for."""
RENDERERS = ("portrait", "mesh")
KEEP, TRANSPARENT = "keep", "transparent"
BLUR_SHARE = 0.02
"""Blur of a background, in shares of the picture's longer side."""
POSES = ("relative", "absolute")
FAR_OUTSIDE = 0.2
"""Less than this beyond a value's range (radians, expression weights) is not worth a remark."""
SHUT = 0.45
"""A picture's eyeBlink from which on the lids leave too little of an eye to open it."""


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
    force_face: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Move the face of a picture by a motion file, by default into ``<motion>-<picture>.mp4``.

    For ``pose`` see :func:`on_picture`, for ``force_face`` :func:`read_reference`.
    """
    started = time.monotonic()
    output = output or default_video(f"{motion_path.stem}-{reference.stem}", background)
    check_video(output, motion_path, reference, audio, background=background, force=force)
    check_renderer(renderer)
    motion, sound, remarks = load_motion(motion_path, audio, smooth, space=None)
    written = render(
        motion,
        reference,
        output,
        renderer=renderer,
        audio=sound,
        pose=pose,
        background=background,
        size=size,
        force_face=force_face,
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
    """``path``, if a video before ``background`` may be written there; a ``background`` that is
    none is refused, too."""
    if not Path(background).exists():
        background_of(background)
    transparent = background == TRANSPARENT
    return media.check_video_output(path, *inputs, force=force, transparent=transparent)


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
    with about(path):
        motion.require_space(space or motion.space)
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


def read_reference(path: Path, force_face: bool = False) -> tuple[Reference, tuple[str, ...]]:
    """A picture with its face found, and remarks worth telling.

    Raises InputError where no face is found, or several of similar size, and unless ``force_face``
    where what was found is not like a human one.
    """
    from dimcli.tracking.doubt import UNLIKE, doubt
    from dimcli.tracking.landmarks import observe_picture
    from dimcli.tracking.matte import person_matte
    from dimcli.tracking.people import require_one_face
    from renderers.base import Reference

    image = media.read_picture(path)
    with about(path):
        require_one_face(image)
        seen = observe_picture(image)
        if not force_face and doubt(image, seen) >= UNLIKE:
            raise InputError(
                "its face is hardly human, or hardly seen; expected a person's, also painted, or "
                "--force-face to take it"
            )
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


def require_picture(kind: str, reference: object, option: str = "--ref") -> None:
    """Raise InputError where the renderer ``kind`` needs the picture that ``option`` names, and
    there is none."""
    if kind != "mesh" and reference is None:
        raise InputError(f"{option}: --renderer {kind} needs a picture of the face")


def renderer_for(
    space: str,
    kind: str,
    reference: Reference | None,
    size: int | None,
    device: str = "auto",
    background: str = KEEP,
) -> LoadedRenderer:
    """What shows motion of ``space``: ``portrait``, ``mesh``, or a run of a trained renderer.

    The portrait is moved in the ``arkit`` space, a run in its own; the user's FLAME converts motion
    of the other (:mod:`dimcli.jobs.convert`). ``size`` is the picture's longer side in pixels, by
    default its own up to :data:`LONGEST_SIDE`; for ``background`` see :func:`background_of`. Raises
    InputError where ``kind`` is unknown or cannot show the space, and where a picture is needed.
    """
    behind, transparent = background_of(background), background == TRANSPARENT
    if background != KEEP and kind != "portrait":
        raise InputError(f"--background: is for --renderer portrait, not for {kind}")
    if kind == "mesh":
        from dimcli.jobs.mesh import MeshStyle, mesh_renderer

        return LoadedRenderer(mesh_renderer(space, MeshStyle(size=size, device=device)), space)
    check_renderer(kind)
    require_picture(kind, reference)
    assert reference is not None
    drawn = space_drawn(kind)
    converter = _converter(kind, space, drawn, device) if space != drawn else None
    height, width = reference.image.shape[:2]
    longest = max(width, height)
    scale = (size or min(longest, LONGEST_SIDE)) / longest
    sides = (round(width * scale), round(height * scale))
    ready: PortraitRenderer | TrainedRenderer
    shown = reference
    if kind == "portrait":
        from renderers.portrait.portrait import PortraitRenderer

        ready = PortraitRenderer(sides, behind, transparent=transparent)
    else:
        from dimcli.core.device import choose_device
        from renderers.trained.renderer import TrainedRenderer
        from renderers.trained.run import read_run

        ready = TrainedRenderer(read_run(Path(kind), choose_device(device)), sides)
        # its networks learned what the portrait makes of frames without a matte
        shown = replace(reference, matte=None)
    ready.prepare(shown)
    remarks = ready.remarks
    if size is None and longest > LONGEST_SIDE:
        remarks += (
            f"the video is {LONGEST_SIDE} pixels long, which is less than the picture; pass --size "
            "for more",
        )
    return LoadedRenderer(ready, space, reference, converter, remarks, drawn)


def space_drawn(kind: str) -> str:
    """The space in which ``portrait``, or a run of a trained renderer, moves pictures. Raises
    InputError as :func:`check_renderer` does."""
    from renderers.trained.run import read_config

    return "arkit" if kind == "portrait" else str(read_config(Path(kind))["space"])


def _converter(kind: str, space: str, drawn: str, device: str) -> Converter:
    """What turns motion of ``space`` into that of ``drawn``. InputError without FLAME."""
    from dimcli.core.device import choose_device
    from dimcli.jobs.convert import Converter
    from weights.importing import find_imported

    if find_imported("flame") is None:
        detour = {
            "arkit": "--renderer portrait draws it as it is",
            "flame": "then --renderer mesh shows it, too; a run of dim train-renderer --preset "
            "paper --tracker emoca draws it as it is",
        }[space]
        raise InputError(
            f"--renderer {kind}: moves pictures by motion in the '{drawn}' space, and this motion "
            f"is of '{space}'; `dim weights import flame generic_model.pkl` converts it on the "
            f"way; {detour}"
        )
    return Converter.of_imported(choose_device(device))


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


def as_high(picture: Picture, height: int) -> Picture:
    """``picture`` [H, W, 3] scaled so that it is ``height`` px high, to be put beside another."""
    from renderers.base import resized

    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return resized(picture, (width, height))


@dataclass(frozen=True)
class LoadedRenderer:
    """A renderer of motion in ``space`` that is ready, the picture that it moves, if any, and
    remarks worth telling; ``converter`` turns motion into the space ``drawn``, where that is
    another."""

    renderer: Renderer
    space: str
    reference: Reference | None = None
    converter: Converter | None = None
    remarks: tuple[str, ...] = ()
    drawn: str = "arkit"

    def shown(
        self, motion: Motion, pose: str = "relative", progress: Progress = silent
    ) -> tuple[Motion, tuple[str, ...]]:
        """``motion`` as its frames will show it, and remarks: see :func:`on_picture`.

        Raises InputError where the motion is in another space.
        """
        motion.require_space(self.space)
        if self.converter is None:
            return on_picture(motion, self.reference, pose)
        found = self.converter.convert(motion, self.drawn, progress=progress)
        motion, remarks = on_picture(found.motion, self.reference, pose)
        return motion, found.remarks + remarks

    def frames(self, motion: Motion, *, pose: str = "relative") -> Iterator[Picture]:
        """Frames of ``motion``, one at a time: uint8 [H, W, 3], RGB (``transparent``: RGBA).

        For ``pose`` see :func:`on_picture`. Raises InputError where the motion is in another space.
        """
        shown, _ = self.shown(motion, pose)
        return self.drawn_frames(shown)

    def drawn_frames(self, shown: Motion) -> Iterator[Picture]:
        """Frames of motion as :meth:`shown` gives it."""
        from renderers.anchor import places

        return self.renderer.render(shown.values, places(shown))


def load_renderer(
    kind: str | Path = "portrait",
    reference: Path | str | None = None,
    *,
    size: int | None = None,
    device: str = "auto",
    space: str = "arkit",
    background: str = KEEP,
    force_face: bool = False,
) -> LoadedRenderer:
    """A renderer of motion: ``portrait`` or ``mesh``, or a run of ``dim train-renderer``.

    ``reference`` is a picture of the face, which ``mesh`` does not need; ``size`` the longer side
    of the frames in pixels; ``space`` that of the motion; for ``background`` see
    :func:`background_of`, for ``force_face`` :func:`read_reference`. Raises InputError.
    """
    fitted, remarks = None, tuple[str, ...]()
    if reference is not None:
        fitted, remarks = read_reference(Path(reference), force_face)
    ready = renderer_for(space, str(kind), fitted, size, device, background)
    return replace(ready, remarks=remarks + ready.remarks)


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
    force_face: bool = False,
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
        *(renderer, reference),
        size=size,
        device=device,
        space=motion.space,
        background=background,
        force_face=force_face,
    )
    shown, remarks = ready.shown(motion, pose, progress)
    frames = ready.drawn_frames(shown)
    sound = Path(audio) if audio is not None else None
    remarks = ready.remarks + remarks
    return write_video(output, shown, frames, sound, force, progress, started, remarks)


def on_picture(
    motion: Motion, reference: Reference | None, pose: str = "relative"
) -> tuple[Motion, tuple[str, ...]]:
    """``motion`` as the face in a picture makes it, and remarks worth telling.

    ``pose`` ``relative`` moves the face about the picture's own pose and expression (unless that is
    what the motion was made for already), ``absolute`` as the motion's numbers say. Neither turns
    the picture further than it can be. Motion of the flame space, in which nobody knows the
    picture's own, and motion without a picture only come into their space's range. Raises
    InputError for another ``pose``.
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
