"""ViCo (Responsive Listening Head), as its owners distribute it and as DIM processed it.

- ``videos``: ``videos/<stem>.mp4`` (one person each, without sound), ``audios/<id>.wav``; tracked
  by any tracker, by default the built-in one (space ``arkit``).
- motion that was tracked before, in a folder of its own: ``<stem>.npz`` or EMOCA's ``<stem>/``.
- ``emoca``: ``emoca/<stem>/EMOCA_v2_lr_mse_20/<frame>/{exp,pose}.npy`` and ``hubert/<id>.pkl``.
- ``processed``: ``vico_processed_30fps/<id>.pkl``, dictionaries of ``audio`` [T, 768],
  ``video_speaker`` and ``video_listener`` [T, 56].

With any of them the metadata: the table of the project page (``RLD_data.csv``: attitude, audio,
listener, speaker, listener_id, speaker_id, data_split), or those of the 2022 challenge, one a split
(``train.csv``: video_id, uuid, speaker_id, listener_id). Which video is the listener's stands in
the table alone. The corpus has train and test; val is taken from train, by conversation and
speaker. An attitude stands in the column of that name, else in the first one, where DIM reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dimcli.audio import HUBERT
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Motion
from dimcli.data.corpora.preparing import Corpus, Job, file_name
from dimcli.data.corpora.sources import (
    POSE_FIRST,
    MotionPlan,
    SoundPlan,
    feature_rows,
    hubert_rows,
    motion_of,
    read_sound,
    resampled_rows,
)
from dimcli.data.corpora.tables import (
    Row,
    attitude_of,
    columns_of,
    drawn_groups,
    linked_groups,
    read_table,
)
from dimcli.data.writer import Dyads, Skipped, Span, paired
from dimcli.pickles import read_pickle
from dimcli.tracking.emoca_folder import read_emoca_folder

_COLUMNS = ("audio", "listener", "speaker", "listener_id", "speaker_id", "data_split")
_CHALLENGE_COLUMNS = ("uuid", "speaker_id", "listener_id")
_SPLITS = {
    "train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
_VAL_SHARE = 0.1


@dataclass(frozen=True)
class ViCoClip:
    """A row of the metadata.

    ``id`` is the stem of the sound, ``speaker`` and ``listener`` those of the videos; ``video`` the
    one on the net that the clip was cut from.
    """

    id: str
    speaker: str
    listener: str
    speaker_id: str
    listener_id: str
    attitude: str
    split: str
    video: str


def read_clips(
    root: Path, table: Path | None, split_names: dict[str, str]
) -> tuple[list[ViCoClip], list[Skipped], tuple[str, ...]]:
    """The clips of the metadata, the rows whose split is none of ours, and remarks on attitudes."""
    rows: list[tuple[Row, str]] = []
    remarks: list[str] = []
    for path in [table] if table else sorted(root.glob("*.csv")):
        columns = columns_of(path)
        if set(_CHALLENGE_COLUMNS) <= set(columns):
            rows += [
                (
                    row
                    | {"audio": row["uuid"], "speaker": f"{row['uuid']}.speaker"}
                    | {"listener": f"{row['uuid']}.listener"},
                    path.stem,
                )
                for row in read_table(path, _CHALLENGE_COLUMNS)
            ]
        elif table or set(_COLUMNS) <= set(columns):
            found = read_table(path, _COLUMNS)
            named = _attitude_column(columns)
            if named is None:
                remarks.append(f"{path.name} has no column 'attitude': all attitudes are unknown")
            elif named != "attitude":
                remarks.append(f"{path.name} has no column 'attitude'; took the first, '{named}'")
            rows += [
                (row | {"attitude": row.get(named or "", "")}, row["data_split"]) for row in found
            ]
    if not rows:
        raise InputError(
            f"{root}: has no metadata table; expected RLD_data.csv with the columns attitude, "
            f"{', '.join(_COLUMNS)} (an .xlsx must be saved as csv), or name one with --table"
        )
    clips, skipped = [], []
    known = _SPLITS | split_names
    strange = Counter(row["attitude"] for row, _ in rows if row.get("attitude"))
    strange = Counter({text: n for text, n in strange.items() if attitude_of(text) == "unknown"})
    if strange:
        text, _ = strange.most_common(1)[0]
        remarks.append(
            f"{strange.total()} of {len(rows)} rows have an attitude that is none of positive, "
            f"neutral, negative (such as '{text}'); theirs is unknown"
        )
    for row, split in rows:
        if split not in known:
            skipped.append(
                Skipped(
                    row["audio"],
                    f"split '{split}' is none of {', '.join(known)}; --split {split}=test takes it",
                )
            )
            continue
        # `<youtube id>_<start>_<end>`, and the id may hold underscores
        video = row.get("video_id") or row["audio"].rsplit("_", 2)[0]
        clips.append(
            ViCoClip(
                id=row["audio"].removesuffix(".wav"),
                speaker=row["speaker"].removesuffix(".mp4"),
                listener=row["listener"].removesuffix(".mp4"),
                speaker_id=row["speaker_id"],
                listener_id=row["listener_id"],
                attitude=attitude_of(row.get("attitude", "")),
                split=known[split],
                video=video,
            )
        )
    return clips, skipped, tuple(remarks)


def _attitude_column(columns: list[str]) -> str | None:
    """Whose values are the listeners' attitudes: DIM's code reads the first column. None where that
    is another fact's."""
    if "attitude" in columns:
        return "attitude"
    return None if columns[0] in _COLUMNS else columns[0]


def split_clips(clips: list[ViCoClip], seed: int) -> dict[str, str]:
    """The split of each clip by id: the corpus's own, with val taken from train if it has none.

    Clips of one video or one speaker stay together.
    """
    splits = {clip.id: clip.split for clip in clips}
    if "val" in splits.values():
        return splits
    train = [clip for clip in clips if clip.split == "train"]
    groups = linked_groups(
        [(f"video {clip.video}", f"speaker {clip.speaker_id}") for clip in train]
    )
    val = drawn_groups(dict(Counter(groups)), _VAL_SHARE, seed)
    for clip, group in zip(train, groups, strict=True):
        if group in val:
            splits[clip.id] = "val"
    return splits


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
    motion: MotionPlan


def vico(
    root: Path,
    *,
    source: str = "auto",
    motion: MotionPlan | None = None,
    audio: str = "auto",
    fps: float | None = None,
    order: str = POSE_FIRST,
    seed: int = 0,
    table: Path | None = None,
    split_names: dict[str, str] | None = None,
) -> Corpus:
    """The ViCo corpus in ``root``, to be prepared.

    ``source`` is one of SOURCES or ``auto``; ``motion`` says who tracks the videos, or where their
    motion lies; ``audio`` an encoder to run on ``audios/``, ``given``
    (features that are there), ``none`` or ``auto``; ``order`` that of processed files; ``table``
    the metadata where it lies elsewhere; ``split_names`` says which split further names in the
    table stand for (``{"ood": "test"}``). Raises InputError where nothing of ViCo lies in ``root``.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected ViCo's")
    if root.name == _PROCESSED:
        root = root.parent
    motion = motion or MotionPlan()
    source, others = _choose_source(root, source, motion)
    sound = SoundPlan.choose(
        audio,
        given=HUBERT if source == "processed" or (root / "hubert").is_dir() else None,
        sound=(root / "audios").is_dir(),
    )
    bare = source == "processed" and sound.origin == "given" and not (root / "hubert").is_dir()
    options = _Options(root, source, sound, fps or VICO_FPS, order, motion)
    clips, skipped, unsure = read_clips(root, table, split_names or {})
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
        space=motion.space if source == "videos" else "flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"from": source, "audio": sound.origin}
        | ({"order": order} if source == "processed" else {})
        | motion.settings,
        choices={"seed": seed},
        skipped=tuple(skipped),
        remarks=(*others, *unsure, *sound.remarks(), *((_QUIRK,) if bare else ())),
    )


def _choose_source(root: Path, wanted: str, motion: MotionPlan) -> tuple[str, tuple[str, ...]]:
    if motion.settings and wanted not in ("auto", "videos"):
        raise InputError(f"--from {wanted}: --tracker and --motion are of videos; leave out one")
    if motion.folder is not None:
        return "videos", ()
    if motion.settings:
        wanted = "videos"
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
            options.motion.motion(options.root / "videos" / f"{stem}.mp4", stem, VICO_FPS)
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
    root, fps = options.root, options.fps
    if options.sound.origin != "given":
        sound = partial(read_sound, root / "audios", clip.id)
        return options.sound.of_pair(sound, None, fps, frames)[0]
    if (root / "hubert").is_dir():
        path = root / "hubert" / f"{clip.id}.pkl"
        return hubert_rows(read_pickle(path), str(path), fps, frames)
    assert rows is not None
    return resampled_rows(feature_rows(rows, clip.id), VICO_FPS, fps, frames)
