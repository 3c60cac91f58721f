"""``dim extract``: video, or what another tracker left, to motion; and the sound to features."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dimcli import media
from dimcli.core.documents import shortened, whole_number
from dimcli.core.errors import InputError
from dimcli.core.files import check_output
from dimcli.core.motion import Motion, check_motion_output
from dimcli.core.progress import Progress, silent
from dimcli.tracking.trackers import BUILT_IN, Region, face_tracker, space_of

if TYPE_CHECKING:
    from dimcli.audio import LoadedEncoder

FORMATS = ("npz", "emoca")


@dataclass(frozen=True)
class MotionResult:
    """A motion that was written, where, and how long it took (s); ``features`` is the file of its
    sound's features, where they were asked for.
    """

    path: Path
    motion: Motion
    taken_s: float
    features: Path | None = None


def extract_motion(
    source: Path,
    output: Path | None = None,
    *,
    tracker: str = BUILT_IN,
    checkpoint: Path | None = None,
    output_format: str = "npz",
    audio_encoder: str | None = None,
    fps: float | None = None,
    smooth: bool = False,
    region: str | None = None,
    who: str | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> MotionResult:
    """The motion of the face in ``source``, written as ``output``.

    ``source`` is a video, which ``tracker`` follows (``checkpoint`` is that of ``emoca``, ``deca``
    or ``smirk``, by default the imported one) in a ``region`` of the picture, or where ``who`` is
    seen (:func:`dimcli.tracking.people.area_of`); or EMOCA's output folder, whose frame rate is
    ``fps``; or a motion file. ``output_format`` is ``npz`` (by default ``<source>.npz`` in this
    folder) or ``emoca``, a folder a frame (``<source>-emoca``). With ``audio_encoder``, features of
    a video's sound go beside it, into ``<output>.audio.npz``. Every input is checked before long
    work starts. Raises InputError for what is wrong with them.
    """
    started = time.monotonic()
    source = Path(source)
    _check_choices(source, tracker, output_format, fps)
    output = output or _default_output(source, output_format)
    _check_output(output, source, output_format, force)
    features = _features_path(output) if audio_encoder else None
    encoder: LoadedEncoder | None = None
    if features is not None and audio_encoder is not None:
        from dimcli.audio import load_encoder

        if _is_motion(source):
            raise InputError(f"--audio-encoder: {source} has no sound; expected a video")
        check_output(features, force=force)
        encoder = load_encoder(audio_encoder, device)
    if _is_motion(source):
        require_video(source, region, who)
        motion = _read_motion(source, fps, smooth, progress)
    else:
        area = area_in(source, region, who)
        track = face_tracker(source, tracker, checkpoint, smooth=smooth, region=area, device=device)
        motion = track(progress)
    if output_format == "emoca":
        from dimcli.tracking.emoca_folder import write_emoca_folder

        write_emoca_folder(motion, output, force=force)
    else:
        motion.save(output, force=force)
    if encoder is not None and features is not None:
        _write_features(source, motion, encoder, features, force, progress)
    return MotionResult(output, motion, time.monotonic() - started, features)


def tracker_for(space: str, tracker: str | None, weights: str) -> str:
    """The tracker for a model of ``space``: ``tracker``, by default the built-in one or EMOCA.

    Raises InputError where that one measures in another space; ``weights`` names the model.
    """
    if tracker is None:
        return BUILT_IN if space == "arkit" else "emoca"
    if space_of(tracker) != space:
        raise InputError(
            f"--tracker {tracker}: measures in the '{space_of(tracker)}' space and {weights} "
            f"is of '{space}'; leave --tracker out, or take other --weights"
        )
    return tracker


def track(
    video: Path | str,
    *,
    tracker: str = BUILT_IN,
    checkpoint: Path | None = None,
    smooth: bool = False,
    region: str | None = None,
    who: str | None = None,
    device: str = "auto",
) -> Motion:
    """The motion of the face in a video, float32 [T, 56]; see :func:`extract_motion`.

    ``region`` is ``x,y,width,height`` in pixels; ``who`` is ``left``, ``right`` or ``largest``
    where several people are seen. Raises InputError, also where two faces are of similar size and
    neither is given.
    """
    area = area_in(Path(video), region, who)
    return face_tracker(
        Path(video), tracker, checkpoint, smooth=smooth, region=area, device=device
    )(silent)


def parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    """``x,y,width,height`` in pixels as four numbers. Raises InputError."""
    if text is None:
        return None
    match [whole_number(part) for part in text.split(",")]:
        case [int(x), int(y), int(width), int(height)]:
            return x, y, width, height
    raise InputError(
        f"--region {shortened(text)}: expected x,y,width,height in pixels, as in 256,0,256,256"
    )


def require_video(source: Path, region: str | None, who: str | None) -> None:
    """Raise InputError where somebody says where to look in a ``source`` that is no video."""
    for flag, value in (("--region", region), ("--speaker", who)):
        if value is not None:
            raise InputError(f"{flag}: {source} is not a video")


def _is_motion(source: Path) -> bool:
    """Whether ``source`` is motion already: a motion file or a folder."""
    return source.is_dir() or source.suffix.lower() == ".npz"


def _check_choices(source: Path, tracker: str, output_format: str, fps: float | None) -> None:
    space = space_of(tracker)
    if output_format not in FORMATS:
        raise InputError(f"--format {output_format}: unknown; known: {', '.join(FORMATS)}")
    if source.is_dir() and fps is None:
        raise InputError(
            f"--fps is missing: {source} is a folder, and EMOCA does not keep the video's frame "
            "rate; name it, as in --fps 30"
        )
    if not source.is_dir() and fps is not None:
        raise InputError(f"--fps: {source} has its own frame rate; --fps is for EMOCA's folders")
    if output_format == "emoca" and space != "flame" and not _is_motion(source):
        raise InputError(
            f"--format emoca: --tracker {BUILT_IN} measures in the 'arkit' space; name emoca, deca "
            "or smirk, which measure in 'flame'"
        )


def _default_output(source: Path, output_format: str) -> Path:
    # names of folders may have dots: ViCo's do
    name = source.resolve().name if source.is_dir() else source.stem
    return Path(f"{name}-emoca" if output_format == "emoca" else f"{name}.npz")


def _check_output(output: Path, source: Path, output_format: str, force: bool) -> None:
    if output_format == "emoca":
        from dimcli.tracking.emoca_folder import check_emoca_output

        check_emoca_output(output, force=force)
    else:
        check_motion_output(output, source, force=force)


def _features_path(output: Path) -> Path:
    """``motion.npz`` has its sound's features in ``motion.audio.npz``."""
    name = output.stem if output.suffix == ".npz" else output.name
    return output.with_name(f"{name}.audio.npz")


def area_in(video: Path, region: str | None, who: str | None) -> Region | None:
    """Where to look in a video: at ``region``, or where ``who`` is seen
    (:func:`dimcli.tracking.people.area_of`). Raises InputError."""
    if region is None:
        from dimcli.tracking.people import area_of

        return area_of(video, who)
    if who is not None:
        raise InputError(f"--speaker {who}: --region says where to look already; give one of them")
    area = parse_region(region)
    if area is not None:
        media.check_region(media.probe_video(video), area)
    return area


def _read_motion(source: Path, fps: float | None, smooth: bool, progress: Progress) -> Motion:
    if fps is None:
        motion = Motion.load(source)
    else:
        from dimcli.tracking.emoca_folder import read_emoca_folder

        motion = read_emoca_folder(source, fps, progress=progress)
    if smooth:
        from dimcli.tracking.postprocessing import smooth_motion

        motion = smooth_motion(motion)
    return motion


def _write_features(
    source: Path,
    motion: Motion,
    encoder: LoadedEncoder,
    path: Path,
    force: bool,
    progress: Progress,
) -> None:
    from dimcli.audio import SAMPLE_RATE, AudioFeatures

    samples = media.read_audio(source, SAMPLE_RATE)
    values = encoder(samples, SAMPLE_RATE, motion.fps, len(motion), progress)
    AudioFeatures(values, motion.fps, encoder.encoder.name).save(path, force=force)
