"""LM_Listener: ``segments_{train,val,test}.pth`` of one listener's folder.

Each file is a list of dictionaries that ``torch.save`` wrote, one a segment at 30 frames a second:
``p0_exp`` [T, 50] and ``p0_pose`` [T, 6] of the listener, ``p1_*`` of the speaker, ``fname``,
``split_start_frame`` and more. The corpus has no sound; ``hubert_feat`` [T50, 768] in the segments
is what DIM's version adds, and with a folder of the videos' sounds (named as ``fname``) the
segments are cut out of them. Splits are the corpus's own. Segments of one video in one split make
up a conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from dimcli.audio import HUBERT
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.data.clip import SPLITS
from dimcli.data.corpora.preparing import Corpus, Job, dyads_of, file_name
from dimcli.data.corpora.sources import (
    SoundPlan,
    encoded_piece,
    hubert_rows,
    motion_of_parts,
    no_sound,
    read_sound,
    whole_recording,
)
from dimcli.data.store import BY_RECORDING, SPEAKERS
from dimcli.data.writer import Dyads, Piece, Skipped, Span
from dimcli.pickles import read_torch

LM_FPS = 30.0
MIN_FRAMES = 24
"""Shorter segments are left out, as in the released loaders of LM_Listener and DIM."""
LICENCE = "LM_Listener: terms of its owners (non-commercial research)"


_KEYS = (
    *(f"p{person}_{part}" for person in (0, 1) for part in ("pose", "exp")),
    *("fname", "split_start_frame", "split_start_time", "hubert_feat"),
)


@dataclass(frozen=True)
class _Options:
    sound: SoundPlan
    sounds: Path | None
    fps: float
    listener: str


def lm_listener(
    root: Path,
    *,
    audio: str = "auto",
    sounds: Path | None = None,
    fps: float | None = None,
) -> Corpus:
    """The LM_Listener corpus in ``root`` (one listener's folder), to be prepared.

    ``audio``: ``given`` (``hubert_feat``), an encoder to run on the folder ``sounds``, ``none`` or
    ``auto``. A file of segments that cannot be read is skipped and the others go on. Raises
    InputError where none is there.
    """
    files = {split: root / f"segments_{split}.pth" for split in SPLITS}
    if not any(path.is_file() for path in files.values()):
        below = sorted(path.parent.name for path in root.glob("*/segments_*.pth"))
        hint = f"; name one of its folders {', '.join(sorted(set(below)))}" if below else ""
        raise InputError(f"{root}: has no segments_train.pth, segments_val.pth, ...{hint}")
    if sounds is not None and not sounds.is_dir():
        raise InputError(f"--sounds {sounds}: no such folder")
    skipped: list[Skipped] = []
    found: list[tuple[str, str, tuple[int, ...]]] = []
    has_features = False
    for split, path in files.items():
        try:
            segments = _segments(path)
        except InputError as error:
            skipped.append(Skipped(path.name, str(error)))
            continue
        has_features = has_features or any("hubert_feat" in segment for segment in segments[:1])
        found += [(split, video, tuple(indices)) for video, indices in _by_video(segments)]
    if not found:
        raise InputError(f"{root}: no segment can be used ({skipped[0].reason})")
    sound = SoundPlan.choose(
        audio, given=HUBERT if has_features else None, sound=sounds is not None
    )
    options = _Options(sound, sounds, fps or LM_FPS, root.resolve().name)
    jobs = [
        Job(file_name(f"{split}-{video}"), split, partial(_make, options, files[split], indices))
        for split, video, indices in found
    ]
    return Corpus(
        name="lm_listener",
        fps=options.fps,
        space="flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": sound.origin, "listener": options.listener},
        choices={SPEAKERS: BY_RECORDING},
        skipped=tuple(skipped),
        remarks=sound.remarks(),
    )


@lru_cache(maxsize=1)
def _segments(path: Path) -> list[dict[str, Any]]:
    """The segments of a file; the last file stays in memory, as jobs come file by file."""
    content = read_torch(path)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise InputError(f"{path}: expected a list of dictionaries, one a segment")
    if not content:
        raise InputError(f"{path}: has no segments")
    # shape and detail are four fifths of a file
    return [{key: segment[key] for key in _KEYS if key in segment} for segment in content]


def _by_video(segments: list[dict[str, Any]]) -> Iterator[tuple[str, list[int]]]:
    """Each video's segments, by their places in the file."""
    videos: dict[str, list[int]] = {}
    for index, segment in enumerate(segments):
        videos.setdefault(str(segment.get("fname", "unnamed")), []).append(index)
    yield from sorted(videos.items())


def _make(options: _Options, path: Path, indices: tuple[int, ...]) -> Dyads:
    """The segments of one video: those that cannot be used are named, the others kept."""
    segments = _segments(path)
    sound: Floats | None = None
    if options.sound.origin == "sound":
        sound = _sound(options, str(segments[indices[0]].get("fname", "")))
    names = {index: f"{path.stem}[{index}]" for index in indices}
    return dyads_of(
        (name, partial(_piece, options, segments[index], name, sound))
        for index, name in names.items()
    )


def _piece(options: _Options, segment: dict[str, Any], name: str, sound: Floats | None) -> Piece:
    listener, speaker = (
        motion_of_parts(segment, f"{person}_pose", f"{person}_exp", name=name, fps=LM_FPS)
        for person in ("p0", "p1")
    )
    if len(listener) != len(speaker):
        raise InputError(
            f"{name}: {len(listener)} frames of the listener (p0), {len(speaker)} of the speaker "
            "(p1); expected the same"
        )
    if len(listener) < MIN_FRAMES:
        raise InputError(f"{name}: {len(listener)} frames; expected at least {MIN_FRAMES}")
    listener, speaker = listener.resampled(options.fps), speaker.resampled(options.fps)
    frames = len(speaker)
    video = str(segment.get("fname", "unnamed"))
    span = Span(f"{name}-{PurePosixPath(video).stem}", 0, frames, video, options.listener)
    if options.sound.origin == "given":
        if "hubert_feat" not in segment:
            raise InputError(f"{name}: lacks hubert_feat, which other segments have")
        audio = hubert_rows(segment["hubert_feat"], f"{name}: hubert_feat", options.fps, frames)
    elif sound is not None:
        audio = encoded_piece(sound, _start_s(segment, name), options.fps, frames)
    else:
        audio = no_sound(frames)
    return Piece(span, speaker.values, listener.values, audio)


def _sound(options: _Options, video: str) -> Floats:
    """The features of a whole video's sound."""
    assert options.sounds is not None
    path = PurePosixPath(video)
    samples = read_sound(options.sounds, path.stem, path.name)
    return whole_recording(samples, options.sound.encoder, options.fps)


def _start_s(segment: dict[str, Any], name: str) -> float:
    """When a segment starts in its video."""
    if "split_start_frame" in segment:
        return float(segment["split_start_frame"]) / LM_FPS
    if "split_start_time" in segment:
        return float(segment["split_start_time"])
    raise InputError(f"{name}: lacks split_start_frame; its sound cannot be found")
