"""ViCo's metadata: which clip is whose, and in which split.

The table of the project page (``RLD_data.csv``: attitude, audio, listener, speaker, listener_id,
speaker_id, data_split), or those of the 2022 challenge, one a split (``train.csv``: video_id, uuid,
speaker_id, listener_id). Which video is the listener's stands in the table alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.data.corpora.dyads import Skipped
from dimcli.data.corpora.tables import (
    Row,
    attitude_of,
    carved,
    columns_of,
    linked_groups,
    read_table,
)

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
) -> tuple[list[ViCoClip], list[Skipped]]:
    """The clips of the metadata, and the rows whose split is none of ours."""
    rows: list[tuple[Row, str]] = []
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
            rows += [(row, row["data_split"]) for row in read_table(path, _COLUMNS)]
    if not rows:
        raise InputError(
            f"{root}: has no metadata table; expected RLD_data.csv with the columns attitude, "
            f"{', '.join(_COLUMNS)} (an .xlsx must be saved as csv), or name one with --table"
        )
    clips, skipped = [], []
    known = _SPLITS | split_names
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
    return clips, skipped


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
    val = carved(dict(Counter(groups)), _VAL_SHARE, seed)
    for clip, group in zip(train, groups, strict=True):
        if group in val:
            splits[clip.id] = "val"
    return splits
