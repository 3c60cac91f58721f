"""Films and pictures of one person, cut into shots that a renderer can be trained on.

A shot is a continuous piece of film without a cut in it, or a single picture, cropped to a square
about the face. The built-in tracker finds the face; what drives the renderer is its motion, or that
of EMOCA and its like, in the ``flame`` space. Tracking is the slow part; it is kept in the user's
folder under the hash of the file, so that it happens once.
"""

from __future__ import annotations

import hashlib
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

import weights
from dimcli.core.arrays import read_archive
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.core.progress import Progress, silent
from dimcli.media import PICTURE_SUFFIXES, probe_video, read_frames, read_picture
from renderers.trained.start import Crop

if TYPE_CHECKING:
    from dimcli.tracking.flame_encoders import FlameEncoder

LEAST_S = 3.0
"""Film of less than this, in all shots together, is too short to learn a person from."""

SHORTEST_SHOT_S = 0.5
"""Shots shorter than this are left out."""

LONGEST_S = 120.0
"""Of longer films the beginning is used: more than this teaches a small network no more."""

LEAST_PICTURES = 8
"""The same for folders of pictures."""

CUT_LEVELS, CUT_RATIO = 12.0, 4.0
"""At a cut, a small copy of the picture changes by more than so many grey levels, and by so many
times what it changes by in the frames around."""

CUT_SIDE, CUT_AROUND = 32, 12


FACES_WIDE = 2.3
"""Side of the square in face sizes (mean of the width and height that landmarks span): room for
hair and shoulders."""

ABOVE = 0.47
"""Height of the face's middle in the square, as a share from the top: hair is above it."""

STRAY = 1.25
"""The square also holds every face of the clip, each this much enlarged."""


Region = tuple[int, int, int, int]


def crop_of(landmarks: NDArray[np.floating], width: int, height: int) -> Crop:
    """The square that holds the face of ``landmarks`` [T, 478, 3] px (NaN where none was seen) in
    all frames of a clip of this size: whole pixels, inside the picture."""
    seen = landmarks[~np.isnan(landmarks[:, 0, 0]), :, :2]
    low, high = seen.min(axis=1), seen.max(axis=1)
    centres, sizes = (low + high) / 2, (high - low).mean(axis=1)
    side = FACES_WIDE * np.median(sizes)
    reach = np.ptp(centres, axis=0).max() + STRAY * sizes.max()
    side = int(min(width, height, max(side, reach)))
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
    left = np.clip(round(middle[0] - side / 2), 0, width - side)
    top = np.clip(round(middle[1] - ABOVE * side), 0, height - side)
    return Crop(int(left), int(top), side)


@dataclass(frozen=True)
class Footage:
    """A continuous piece of film of one person, cut to the square, and what a tracker saw in it.

    ``frames`` uint8 [T, S, S, 3]; ``landmarks`` float32 [T, 478, 3] px of the square; ``values``
    float32 [T, 56], arkit; ``valid`` bool [T], a face was seen; ``held_out`` bool [T], kept for
    judging; ``driving`` float32 [T, 56], the motion that drives the renderer (None: ``values``).
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    driving: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> int:
        """Side of the square, px."""
        return int(self.frames.shape[1])


@dataclass(frozen=True)
class Track:
    """What is kept of a film: ``values`` [T, 56], ``landmarks`` [T, 478, 3] px (NaN where no face
    was seen), ``valid`` bool [T], ``cuts`` (numbers of the frames that a shot begins with), the
    most ``faces`` at once, and ``fps``."""

    values: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    valid: NDArray[np.bool_]
    cuts: NDArray[np.int64]
    faces: int
    fps: float

    @classmethod
    def load(cls, path: Path) -> Track:
        """What was kept in a file. Raises InputError where that is damaged."""
        arrays = read_archive(path, "track")
        try:
            faces, fps = int(arrays.pop("faces")), float(arrays.pop("fps"))
            found = cls(**arrays, faces=faces, fps=fps)
            length = len(found.values)
            whole = (
                found.values.shape == (length, MOTION_DIM)
                and found.landmarks.shape[:1] + found.landmarks.shape[2:] == (length, 3)
                and found.valid.shape == (length,)
                and found.valid.dtype == bool
                and found.cuts.dtype.kind == "i"
                and np.isfinite(found.values).all()
                and 0 <= found.cuts.min() <= found.cuts.max() < length
                and fps > 0
            )
        except (TypeError, ValueError, KeyError, IndexError):
            whole = False
        if not whole:
            raise InputError(f"{path}: not a track")
        return found


def find_cuts(small: NDArray[np.floating]) -> NDArray[np.int64]:
    """Frames that a shot begins with, from small copies [T, h, w, 3] of all; the first one too."""
    change = np.abs(np.diff(small.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    cuts = [0]
    for frame, level in enumerate(change, start=1):
        low = max(0, frame - 1 - CUT_AROUND)
        around = np.delete(change[low : frame + CUT_AROUND], frame - 1 - low)
        usual = float(np.median(around)) if len(around) else 0.0
        if level > CUT_LEVELS and level > CUT_RATIO * usual:
            cuts.append(frame)
    return np.array(cuts, np.int64)


def track(clip: Path, region: Region | None = None, progress: Progress = silent) -> Track:
    """Track ``clip``, or read what is known of it. Raises InputError as the tracker does."""
    from dimcli.tracking.landmarks import TRACKER, TRACKER_VERSION, track_face

    info = probe_video(clip)
    kept = _kept(clip, f"{TRACKER} {region} {TRACKER_VERSION}")
    if kept.is_file():
        with suppress(InputError):  # one that is damaged is made again
            return Track.load(kept)
    found = track_face(clip, region=region, keep_landmarks=True, progress=progress)
    with closing(read_frames(info, region=region)) as frames:
        small = np.stack(
            [cv2.resize(f, (CUT_SIDE, CUT_SIDE), interpolation=cv2.INTER_AREA) for f in frames]
        )
    assert found.landmarks is not None
    result = Track(
        found.motion.values,
        found.landmarks,
        found.motion.valid,
        find_cuts(small),
        int(found.motion.meta["most_faces"]),
        found.motion.fps,
    )
    with suppress(OSError, InputError):  # a full or read-only disk costs time, not the result
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(kept, force=True) as temporary:
            np.savez(temporary, **vars(result))
    return result


def driving_motion(
    clip: Path, encoder: FlameEncoder, region: Region | None = None, progress: Progress = silent
) -> Motion:
    """The motion of ``clip`` in the ``flame`` space, or what is known of it. Raises InputError as
    the tracker does."""
    from dimcli.tracking.encoders import track_video

    kept = _kept(clip, f"{encoder.digest()} {region} 1")
    if kept.is_file():
        with suppress(InputError):  # one that is damaged is made again
            return Motion.load(kept)
    found = track_video(clip, encoder, region=region, progress=progress)
    with suppress(OSError, InputError):  # as above
        kept.parent.mkdir(parents=True, exist_ok=True)
        found.save(kept, force=True)
    return found


def _kept(clip: Path, how: str) -> Path:
    """Where what is tracked in ``clip`` is kept; ``how`` it is tracked tells one from another."""
    digest = hashlib.sha256(how.encode())
    with clip.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return weights.user_folder() / "tracks" / f"{digest.hexdigest()[:32]}.npz"


@dataclass(frozen=True)
class Shots:
    """The shots of one source, and remarks worth telling."""

    shots: list[Footage]
    remarks: tuple[str, ...] = ()


def read_shots(
    source: Path,
    *,
    size: int = 256,
    held_out: float = 0.25,
    region: Region | None = None,
    encoder: FlameEncoder | None = None,
    progress: Progress = silent,
) -> Shots:
    """The shots of a clip or a folder of pictures, the last ``held_out`` of it kept for judging.

    ``encoder`` measures what drives the renderer, in the ``flame`` space (None: the built-in
    tracker, in ``arkit``). Raises InputError where the source is too short or shows no face.
    """
    source = Path(source)
    if source.is_dir():
        return _read_pictures(source, size, held_out, encoder, progress)
    return _read_clip(source, size, held_out, region, encoder, progress)


def _read_clip(
    clip: Path,
    size: int,
    held_out: float,
    region: Region | None,
    encoder: FlameEncoder | None,
    progress: Progress,
) -> Shots:
    found = track(clip, region, progress)
    driving = found.values
    if encoder is not None:
        measured = driving_motion(clip, encoder, region, progress)
        driving, found = measured.values, replace(found, valid=found.valid & measured.valid)
    info = probe_video(clip)
    width, height = (info.width, info.height) if region is None else region[2:]
    remarks = []
    if found.faces > 1:
        remarks.append(f"{clip} shows several faces; the largest was followed")
    if len(found.cuts) > 1:
        remarks.append(f"{clip} has {len(found.cuts) - 1} cut(s); it was split there")
    length = len(found.values)
    spans = [
        (int(first), int(end))
        for first, end in zip(found.cuts, [*found.cuts[1:], length], strict=True)
        if found.valid[first:end].sum() >= SHORTEST_SHOT_S * found.fps
    ]
    seen_s = sum(int(found.valid[first:end].sum()) for first, end in spans) / found.fps
    if seen_s < LEAST_S:
        raise InputError(
            f"{clip}: shows a face for {seen_s:.1f} s; expected {LEAST_S:g} s or more, better 20 s"
        )
    whole_s = sum(end - first for first, end in spans) / found.fps
    if whole_s > LONGEST_S:
        remarks.append(f"{clip}: of its {whole_s:.0f} s the first {LONGEST_S:.0f} s are used")
        spans = _beginning(spans, round(LONGEST_S * found.fps))
    crops = [crop_of(found.landmarks[first:end], width, height) for first, end in spans]
    least = min(crop.side for crop in crops)
    if least < size / 2:
        remarks.append(f"{clip}: the face's square is {least:g} px wide; it will look soft")
    frames = [np.empty((end - first, size, size, 3), np.uint8) for first, end in spans]
    with closing(read_frames(info, region=region)) as images:
        for number, image in enumerate(images):
            for (first, end), crop, cut in zip(spans, crops, frames, strict=True):
                if first <= number < end:
                    cut[number - first] = crop.cut(image, size)
            progress("reading", number + 1, max(length, number + 1))
    counted = np.concatenate([np.arange(first, end) for first, end in spans])
    judged_from = counted[round((1 - held_out) * len(counted))] if held_out else length
    shots = []
    for (first, end), crop, cut in zip(spans, crops, frames, strict=True):
        part = slice(first, end)
        shots.append(
            Footage(
                frames=cut,
                landmarks=crop.points(_bridged(found.landmarks[part]), size),
                values=found.values[part],
                valid=found.valid[part],
                held_out=np.arange(first, end) >= judged_from,
                driving=driving[part],
            )
        )
    return Shots(shots, tuple(remarks))


def _beginning(spans: list[tuple[int, int]], frames: int) -> list[tuple[int, int]]:
    """The first ``frames`` of all ``spans`` (first, end)."""
    kept = []
    for first, end in spans:
        if frames > 0:
            kept.append((first, min(end, first + frames)))
            frames -= end - first
    return kept


def _bridged(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """``landmarks`` [T, 478, 3] with the last ones known where they are NaN, or the first ones."""
    known = np.flatnonzero(~np.isnan(landmarks[:, 0, 0]))
    return landmarks[known[np.searchsorted(known, np.arange(len(landmarks)), "right").clip(1) - 1]]


def _read_pictures(
    folder: Path, size: int, held_out: float, encoder: FlameEncoder | None, progress: Progress
) -> Shots:
    from dimcli.tracking.encoders import measure_picture
    from dimcli.tracking.landmarks import observe_picture

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    shots: list[Footage] = []
    remarks = []
    judged = int(held_out * len(paths))
    for number, path in enumerate(paths):
        image = read_picture(path)
        progress("tracking", number + 1, len(paths))
        try:
            seen = observe_picture(image)
            driving = seen.values
            if encoder is not None:
                driving = measure_picture(image, seen.landmarks, encoder)
        except InputError:
            remarks.append(f"{path} shows no face; it was left out")
            continue
        crop = crop_of(seen.landmarks[None], image.shape[1], image.shape[0])
        shots.append(
            Footage(
                frames=crop.cut(image, size)[None],
                landmarks=crop.points(seen.landmarks[None], size),
                values=seen.values[None],
                valid=np.ones(1, bool),
                held_out=np.full(1, number >= len(paths) - judged),
                driving=driving[None],
            )
        )
    if len(shots) < LEAST_PICTURES:
        raise InputError(
            f"{folder}: has {len(shots)} pictures with a face; expected a clip, or a folder of "
            f"{LEAST_PICTURES} or more pictures of one person"
        )
    return Shots(shots, tuple(remarks))
