"""DualTalk: ``{train,test,ood}/<video>_sub_video_<n>[_<part>]_speaker{1,2}.{npz,wav}``.

Each ``.npz`` holds one person's FLAME motion at 25 frames a second, ``exp`` [T, 50] and ``pose``
[T, 6] (head, then jaw, rotation vectors in radians); the ``.wav`` is that person's voice. Both
people are judged, so that every pair is two conversations: ``...-1`` has person 1 as the speaker
and person 2 as the listener, ``...-2`` the other way round. Val is taken from train by video, which
the corpus has none of; ``ood`` counts as a split only where one says as which.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dimcli.core import limits
from dimcli.core.arrays import read_archive
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.preparing import Corpus, Job, dyads_of, file_name
from dimcli.data.corpora.sources import SoundPlan, motion_of_parts
from dimcli.data.corpora.tables import drawn_groups
from dimcli.data.store import BY_RECORDING, SPEAKERS
from dimcli.data.writer import Dyads, Piece, Skipped, Span, paired
from dimcli.media import read_audio

DUALTALK_FPS = 25.0
LICENCE = "DualTalk: Apache-2.0 by its card; the videos are their owners'"
FOLDERS = ("train", "val", "test", "ood")

_FILE = re.compile(r"(?P<pair>(?P<video>.+)_sub_video_.+)_speaker(?P<person>[12])\.npz")
_VAL_SHARE = 0.1


@dataclass(frozen=True)
class _Pair:
    """Two files of one folder."""

    folder: Path
    name: str
    video: str

    def file(self, person: int, suffix: str) -> Path:
        """One person's motion (``.npz``) or voice (``.wav``)."""
        return self.folder / f"{self.name}_speaker{person}{suffix}"


@dataclass(frozen=True)
class _Options:
    sound: SoundPlan
    fps: float


def dualtalk(
    root: Path,
    *,
    audio: str = "auto",
    fps: float | None = None,
    split_names: dict[str, str] | None = None,
    seed: int = 0,
) -> Corpus:
    """The DualTalk data in ``root``, to be prepared.

    ``audio`` is an encoder, ``none`` or ``auto``; ``split_names`` says which split a folder counts
    as, beside the corpus's own (``ood=test``). Raises InputError where no pair is there.
    """
    known = {"train": "train", "val": "val", "test": "test"} | (split_names or {})
    folders = [name for name in FOLDERS if (root / name).is_dir()]
    if not folders:
        raise InputError(f"{root}: has no folder 'train', 'test' or 'ood'")
    pairs: list[tuple[str, _Pair]] = []
    skipped: list[Skipped] = []
    remarks = []
    for name in folders:
        if name not in known:
            remarks.append(f"left out the folder {name}; --split {name}=test takes it")
            continue
        found, alone = _pairs(root / name)
        pairs += [(known[name], pair) for pair in found]
        skipped += alone
    if not pairs:
        raise InputError(
            f"{root}: no pair of <video>_sub_video_<n>_speaker1.npz and ..._speaker2.npz is in "
            f"{', '.join(folders)}"
        )
    val: set[str] = set()
    if not any(split == "val" for split, _ in pairs):
        val = drawn_groups(
            dict(Counter(pair.video for split, pair in pairs if split == "train")),
            _VAL_SHARE,
            seed,
        )
    sound = SoundPlan.choose(audio, given=None, sound=_has_sound([pair for _, pair in pairs]))
    options = _Options(sound, fps or DUALTALK_FPS)
    jobs = [
        Job(
            file_name(f"{pair.folder.name}-{pair.name}-{speaker}"),
            "val" if split == "train" and pair.video in val else split,
            partial(_make, options, pair, speaker),
            json.dumps([pair.name, speaker]),
        )
        for split, pair in pairs
        for speaker in (1, 2)
    ]
    return Corpus(
        name="dualtalk",
        fps=options.fps,
        space="flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": sound.origin},
        choices={"seed": seed, SPEAKERS: BY_RECORDING},
        skipped=tuple(skipped),
        remarks=(*remarks, *sound.remarks()),
    )


def _pairs(folder: Path) -> tuple[list[_Pair], list[Skipped]]:
    """The pairs of a folder, and whose other file is not there."""
    people: dict[tuple[str, str], set[str]] = {}
    for path in sorted(folder.glob("*.npz")):
        match = _FILE.fullmatch(path.name)
        if match:
            people.setdefault((match["pair"], match["video"]), set()).add(match["person"])
    pairs, alone = [], []
    for (name, video), there in people.items():
        if len(there) == 2:
            pairs.append(_Pair(folder, name, video))
        else:
            missing = "2" if "1" in there else "1"
            alone.append(Skipped(f"{folder.name}-{name}", f"has no {name}_speaker{missing}.npz"))
    return pairs, alone


def _has_sound(pairs: list[_Pair]) -> bool:
    return any(pair.file(person, ".wav").is_file() for pair in pairs for person in (1, 2))


def _make(options: _Options, pair: _Pair, speaker: int) -> Dyads:
    return dyads_of([(f"{pair.name}-{speaker}", partial(_piece, options, pair, speaker))])


def _piece(options: _Options, pair: _Pair, speaker: int) -> Piece:
    listener = 3 - speaker
    first, second = (_motion(pair.file(person, ".npz")) for person in (speaker, listener))
    talking, listening = paired(first, second, options.fps)
    frames = len(talking)
    own, other = (pair.file(person, ".wav") for person in (speaker, listener))
    audio, talks = options.sound.of_pair(
        partial(read_audio, own),
        partial(read_audio, other) if other.is_file() else None,
        options.fps,
        frames,
    )
    people = [f"{pair.video}-{person}" for person in (speaker, listener)]
    span = Span(f"{pair.folder.name}-{pair.name}-{speaker}", 0, frames, *people)
    return Piece(span, talking.values, listening.values, audio, talks)


def _motion(path: Path) -> Motion:
    """One person's file. Raises InputError that names it for anything else."""
    arrays = read_archive(path, "DualTalk", ("exp", "pose"), limits.MOTION_BYTES)
    return motion_of_parts(arrays, "pose", "exp", name=str(path), fps=DUALTALK_FPS)
