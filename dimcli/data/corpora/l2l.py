"""Learning2Listen's arrays: ``data/<name>/{train,test}/p{0,1}_{list,speak}_*_clean_deca.npy``.

``*_faces`` [N, 64, 184] are expression 50, head rotation 3, jaw 3, detail 128 at 30 frames a
second, of which the first 56 count; ``p*_speak_audio`` [N, 256, 128] are mel bands, four rows a
frame (:mod:`dimcli.audio.l2l_mel`); ``p*_speak_files`` [N, 64, 3] say video, person and frame
number. p0 is the person on the left. Output side 0: listener ``p0_list``, speaker ``p1_speak``;
side 1 the other way round. New recordings may be one window of any length. A window is a clip;
those of one video make up a conversation, and val is taken from train by video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import L2L_MEL, AudioEncoder
from dimcli.audio.l2l_mel import BANDS, ROWS_A_FRAME
from dimcli.core.arrays import read_array
from dimcli.core.errors import InputError
from dimcli.data.corpora.preparing import Corpus, Job, dyads_of, file_name
from dimcli.data.corpora.sources import (
    EXPRESSION_FIRST,
    SoundPlan,
    motion_of,
    no_sound,
    numbers,
    resampled_rows,
)
from dimcli.data.corpora.tables import drawn_groups
from dimcli.data.store import BY_RECORDING, SPEAKERS
from dimcli.data.writer import Dyads, Piece, Skipped, Span
from dimcli.pickles import read_npy

L2L_FPS = 30.0
OTHER_SOUND = AudioEncoder("l2l-other", L2L_MEL.dim)
"""Rows of the same size that are no powers: nothing here makes them of a sound."""
MIN_FRAMES = 8
LICENCE = "Learning2Listen: terms of its owners (non-commercial research)"

_LOOKED_AT = 32
"""Windows of sound that say whether the numbers are powers."""
_BELOW_ZERO = 0.01
"""Largest ratio of what is below zero to what is above, of powers: Lanczos overshoots, by a
thousandth."""
_VAL_SHARE = 0.1
_WITHOUT_FILES = 64
"""Windows taken together where no table says which video they are of."""


@dataclass(frozen=True)
class _Options:
    sound: SoundPlan
    fps: float
    side: int
    listener: str


@dataclass(frozen=True)
class _Files:
    """The arrays of one split."""

    listener: Path
    speaker: Path
    audio: Path
    names: Path

    @classmethod
    def of(cls, folder: Path, side: int) -> _Files:
        speaker = f"p{1 - side}_speak"
        return cls(
            folder / f"p{side}_list_faces_clean_deca.npy",
            folder / f"{speaker}_faces_clean_deca.npy",
            folder / f"{speaker}_audio_clean_deca.npy",
            folder / f"{speaker}_files_clean_deca.npy",
        )


def l2l(
    root: Path,
    *,
    audio: str = "auto",
    fps: float | None = None,
    side: int | None = None,
    seed: int = 0,
) -> Corpus:
    """The Learning2Listen data of one person in ``root``, to be prepared.

    ``side`` is the output side (0 or 1), by default the one whose files are there. ``audio`` is
    ``given``, ``none`` or ``auto``. Raises InputError where no split has its arrays.
    """
    folders = {split: root / split for split in ("train", "test") if (root / split).is_dir()}
    if not folders:
        raise InputError(f"{root}: has no folder 'train' or 'test'; expected <data>/<name>")
    sides = [each for each in (0, 1) if _is_there(folders, each)]
    if side is None:
        if not sides:
            raise InputError(
                f"{root}: has no p0_list_faces_clean_deca.npy with p1_speak_faces_clean_deca.npy, "
                "nor the other way round"
            )
        side = sides[0]
    elif side not in sides:
        raise InputError(f"--side {side}: {root} has no p{side}_list_faces_clean_deca.npy")
    files = {split: _Files.of(folder, side) for split, folder in folders.items()}
    if audio not in ("auto", "given", "none"):
        raise InputError(f"--audio {audio}: expected auto, given or none; the corpus has no sound")
    sounds = [each.audio for each in files.values() if each.audio.is_file()]
    given = _encoder_of(sounds[0]) if sounds else None
    sound = SoundPlan.choose(audio, given=given, sound=False)
    options = _Options(sound, fps or L2L_FPS, side, root.resolve().name)
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for split, each in files.items():
        try:
            jobs += _jobs(options, split, each, seed)
        except InputError as error:
            skipped.append(Skipped(split, str(error)))
    if not jobs:
        raise InputError(f"{root}: nothing can be used ({skipped[0].reason})")
    both = () if len(sides) < 2 else (f"took output side {side}; --side {1 - side} is there too",)
    other: tuple[str, ...] = ()
    if sound.encoder == OTHER_SOUND:
        other = (
            f"{sounds[0].name}: numbers below zero are no powers of mel bands; encoder "
            f"'{OTHER_SOUND.name}', and what is trained on it cannot hear a clip",
        )
    return Corpus(
        name="l2l",
        fps=options.fps,
        space="flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": sound.origin, "side": side, "listener": options.listener},
        choices={"seed": seed, SPEAKERS: BY_RECORDING},
        skipped=tuple(skipped),
        remarks=(*both, *other, *sound.remarks()),
    )


def _encoder_of(path: Path) -> AudioEncoder:
    """Who made the sound's rows: ``l2l-mel``, unless they cannot be powers."""
    try:
        rows = np.asarray(_mapped(path)[:_LOOKED_AT], np.float64)
    except (InputError, TypeError, ValueError):
        return L2L_MEL  # a broken file is told of where its windows are read
    below, above = -rows[rows < 0].sum(), rows[rows > 0].sum()
    return OTHER_SOUND if below > _BELOW_ZERO * above else L2L_MEL


def _is_there(folders: dict[str, Path], side: int) -> bool:
    files = [_Files.of(folder, side) for folder in folders.values()]
    return any(each.listener.is_file() and each.speaker.is_file() for each in files)


def _jobs(options: _Options, split: str, files: _Files, seed: int) -> Iterator[Job]:
    """One job a video, or one for every few windows where nobody says which video they are of."""
    count = len(_faces(files.listener))
    videos: dict[str, list[int]] = {}
    if files.names.is_file():
        names = np.asarray(read_npy(files.names))
        if names.ndim != 3 or len(names) != count:
            raise InputError(f"{files.names}: has shape {names.shape}; expected ({count}, T, 3)")
        for index, name in enumerate(names[:, 0, 0]):
            text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            videos.setdefault(text, []).append(index)
    else:
        for index in range(count):
            videos.setdefault(f"windows-{index // _WITHOUT_FILES:05d}", []).append(index)
    val: set[str] = set()
    if split == "train":
        sizes = {video: len(indices) for video, indices in videos.items()}
        val = drawn_groups(sizes, _VAL_SHARE, seed)
    for video, indices in sorted(videos.items()):
        yield Job(
            conversation=file_name(f"{split}-{video}"),
            split="val" if video in val else split,
            make=partial(_make, options, files, video, tuple(indices)),
        )


def _faces(path: Path) -> NDArray[Any]:
    """Faces [N, T, 56 or more], mapped so that only what is used is read."""
    array = _mapped(path)
    if array.ndim != 3 or array.shape[2] < 56:
        raise InputError(f"{path}: has shape {array.shape}; expected (windows, frames, 184)")
    return array


def _mapped(path: Path) -> NDArray[Any]:
    """A file's array; of objects through the one reader that runs nothing."""
    try:
        return read_array(path, "numpy", mapped=True)
    except InputError:
        return np.asarray(read_npy(path))


def _make(options: _Options, files: _Files, video: str, indices: tuple[int, ...]) -> Dyads:
    listeners, speakers = _faces(files.listener), _faces(files.speaker)
    sounds = _mapped(files.audio) if options.sound.origin == "given" else None
    if len(speakers) != len(listeners) or (sounds is not None and len(sounds) != len(listeners)):
        raise InputError(
            f"{files.listener}: {len(listeners)} windows, the speaker's faces {len(speakers)}"
            + ("" if sounds is None else f", the audio {len(sounds)}")
            + "; expected the same"
        )

    def piece(name: str, index: int) -> Piece:
        rows = None if sounds is None else sounds[index]
        return _piece(options, name, video, speakers[index], listeners[index], rows)

    split = files.listener.parent.name
    names = {index: f"{split}-{index:06d}" for index in indices}
    return dyads_of((name, partial(piece, name, index)) for index, name in names.items())


def _piece(
    options: _Options,
    name: str,
    video: str,
    speaker_faces: NDArray[Any],
    listener_faces: NDArray[Any],
    sound: NDArray[Any] | None,
) -> Piece:
    speaker, listener = (
        motion_of(faces, name=f"{name}: {role}", fps=L2L_FPS, order=EXPRESSION_FIRST)
        for role, faces in (("speaker", speaker_faces), ("listener", listener_faces))
    )
    if len(speaker) != len(listener) or len(speaker) < MIN_FRAMES:
        raise InputError(
            f"{name}: {len(speaker)} frames of the speaker, {len(listener)} of the listener; "
            f"expected the same, at least {MIN_FRAMES}"
        )
    source_frames = len(speaker)
    speaker, listener = speaker.resampled(options.fps), listener.resampled(options.fps)
    frames = len(speaker)
    span = Span(name, 0, frames, video, options.listener)
    if sound is None:
        return Piece(span, speaker.values, listener.values, no_sound(frames))
    rows = numbers(sound, f"{name}: audio")
    wanted = (ROWS_A_FRAME * source_frames, BANDS)
    if rows.shape != wanted:
        raise InputError(f"{name}: audio has shape {rows.shape}; expected {wanted}")
    rows = resampled_rows(
        rows, ROWS_A_FRAME * L2L_FPS, ROWS_A_FRAME * options.fps, ROWS_A_FRAME * frames
    )
    return Piece(span, speaker.values, listener.values, rows.reshape(frames, L2L_MEL.dim))
