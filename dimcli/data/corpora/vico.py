"""ViCo (Responsive Listening Head), as its owners distribute it and as DIM processed it.

- ``videos``: ``videos/<stem>.mp4`` (one person each, without sound), ``audios/<id>.wav``; tracked
  by the built-in tracker, in the ``arkit`` space.
- ``emoca``: ``emoca/<stem>/EMOCA_v2_lr_mse_20/<frame>/{exp,pose}.npy`` and ``hubert/<id>.pkl``.
- ``processed``: ``vico_processed_30fps/<id>.pkl``, dictionaries of ``audio`` [T, 768],
  ``video_speaker`` and ``video_listener`` [T, 56].

With any of them the metadata, see :mod:`dimcli.data.corpora.vico_table`. The corpus has train and
test; val is taken from train, by conversation and speaker.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import HUBERT
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.dyads import Dyads, Span, paired
from dimcli.data.corpora.orders import POSE_FIRST, motion_of
from dimcli.data.corpora.preparing import Corpus, Job, file_name
from dimcli.data.corpora.sounds import (
    SoundPlan,
    check_sound,
    encoded,
    feature_rows,
    hubert_rows,
    no_sound,
    resampled_rows,
    sound_file,
)
from dimcli.data.corpora.vico_table import ViCoClip, read_clips, split_clips
from dimcli.media import read_audio
from dimcli.pickles import read_pickle
from dimcli.tracking.emoca_folder import read_emoca_folder
from dimcli.tracking.landmarks import track_video

Floats = NDArray[np.float32]

VICO_FPS = 30.0
SOURCES = ("emoca", "processed", "videos")
"""In the order in which they are preferred where several are there."""
LICENCE = "ViCo terms: non-commercial research only; cite the data set"

_PROCESSED = "vico_processed_30fps"
_QUIRK = (
    "the audio of processed files is taken as it is, a row a frame; those that DIM's released code "
    "wrote hold the first 60 % of the sound, not all of it: a folder 'hubert' or 'audios' beside "
    "them is better (--audio mel encodes audios/)"
)


@dataclass(frozen=True)
class _Options:
    root: Path
    source: str
    sound: SoundPlan
    fps: float
    order: str


def vico(
    root: Path,
    *,
    source: str = "auto",
    audio: str = "auto",
    fps: float | None = None,
    order: str = POSE_FIRST,
    seed: int = 0,
    table: Path | None = None,
    split_names: dict[str, str] | None = None,
) -> Corpus:
    """The ViCo corpus in ``root``, to be prepared.

    ``source`` is one of SOURCES or ``auto``; ``audio`` an encoder to run on ``audios/``, ``given``
    (features that are there), ``none`` or ``auto``; ``order`` that of processed files; ``table``
    the metadata where it lies elsewhere; ``split_names`` says which split further names in the
    table stand for (``{"ood": "test"}``). Raises InputError where nothing of ViCo lies in ``root``.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected ViCo's")
    if root.name == _PROCESSED:
        root = root.parent
    source, others = _choose_source(root, source)
    sound = SoundPlan.choose(
        audio,
        given=HUBERT if source == "processed" or (root / "hubert").is_dir() else None,
        sound=(root / "audios").is_dir(),
    )
    bare = source == "processed" and sound.origin == "given" and not (root / "hubert").is_dir()
    options = _Options(root, source, sound, fps or VICO_FPS, order)
    clips, skipped = read_clips(root, table, split_names or {})
    splits = split_clips(clips, seed)
    jobs = [
        Job(
            conversation=file_name(clip.id),
            split=splits[clip.id],
            make=partial(_make, options, clip),
            key=json.dumps([clip.speaker, clip.listener, clip.attitude]),
        )
        for clip in sorted(clips, key=lambda clip: clip.id)
    ]
    return Corpus(
        name="vico",
        fps=options.fps,
        space="arkit" if source == "videos" else "flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"from": source, "audio": sound.origin}
        | ({"order": order} if source == "processed" else {}),
        choices={"seed": seed},
        skipped=tuple(skipped),
        remarks=(*others, *sound.remarks(), *((_QUIRK,) if bare else ())),
    )


def _choose_source(root: Path, wanted: str) -> tuple[str, tuple[str, ...]]:
    folders = {"emoca": "emoca", "processed": _PROCESSED, "videos": "videos"}
    there = [name for name in SOURCES if (root / folders[name]).is_dir()]
    if wanted != "auto":
        if wanted not in SOURCES:
            raise InputError(f"--from {wanted}: expected one of auto, {', '.join(SOURCES)}")
        if wanted not in there:
            raise InputError(f"--from {wanted}: {root} has no folder '{folders[wanted]}'")
        return wanted, ()
    if not there:
        raise InputError(
            f"{root}: has none of {', '.join(folders.values())}; expected ViCo's folder"
        )
    if len(there) == 1:
        return there[0], ()
    rest = ", ".join(there[1:])
    return there[0], (f"took --from {there[0]}; there is also {rest}",)


def _make(options: _Options, clip: ViCoClip) -> Dyads:
    """One clip's arrays. Raises InputError that names what is wrong with it."""
    fps, rows = options.fps, None
    if options.source == "videos":
        speaker, listener = (
            track_video(options.root / "videos" / f"{stem}.mp4")
            for stem in (clip.speaker, clip.listener)
        )
    elif options.source == "emoca":
        speaker, listener = (
            read_emoca_folder(options.root / "emoca" / stem, VICO_FPS)
            for stem in (clip.speaker, clip.listener)
        )
    else:
        speaker, listener, rows = _processed(options, clip)
    speaker, listener = paired(speaker, listener, fps)
    frames = len(speaker)
    span = Span(clip.id, 0, frames, clip.speaker_id, clip.listener_id, clip.attitude)
    audio = _audio(options, clip, rows, frames)
    return Dyads(speaker.values, listener.values, audio, (span,))


def _processed(options: _Options, clip: ViCoClip) -> tuple[Motion, Motion, Floats | None]:
    """Motions and audio rows of a processed pickle."""
    path = options.root / _PROCESSED / f"{clip.id}.pkl"
    content = read_pickle(path)
    wanted = {"audio", "video_speaker", "video_listener"}
    if not isinstance(content, dict) or not wanted <= set(content):
        raise InputError(f"{path}: expected a dictionary of {', '.join(sorted(wanted))}")
    speaker, listener = (
        motion_of(content[key], name=f"{path}: {key}", fps=VICO_FPS, order=options.order)
        for key in ("video_speaker", "video_listener")
    )
    rows = feature_rows(content["audio"], f"{path}: audio", dim=None)
    lengths = {len(speaker), len(listener), len(rows)}
    if len(lengths) > 1:
        raise InputError(
            f"{path}: video_speaker has {len(speaker)} frames, video_listener {len(listener)}, "
            f"audio {len(rows)}; expected the same"
        )
    return speaker, listener, rows


def _audio(options: _Options, clip: ViCoClip, rows: Floats | None, frames: int) -> Floats:
    root, fps, sound = options.root, options.fps, options.sound
    if sound.origin == "none":
        return no_sound(frames)
    if sound.origin == "sound":
        path = sound_file(root / "audios", clip.id)
        if path is None:
            raise InputError(f"{root / 'audios' / clip.id}.wav: no such sound file")
        samples = read_audio(path)
        check_sound(samples, fps, frames)
        return encoded(samples, sound.encoder, fps, frames)
    if (root / "hubert").is_dir():
        path = root / "hubert" / f"{clip.id}.pkl"
        return hubert_rows(read_pickle(path), str(path), fps, frames)
    assert rows is not None
    return resampled_rows(feature_rows(rows, clip.id), VICO_FPS, fps, frames)
