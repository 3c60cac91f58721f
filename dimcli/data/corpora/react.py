"""REACT 2023/24 and MARS (REACT 2025/26): reactions of listeners, tracked from their videos.

Below ``train``, ``val`` and ``test``:

- REACT: ``Video_files/<corpus>/<chat>/<person>/<clip>`` and the sounds in ``Audio_files``, 25
  frames a second; beside the splits ``train.csv`` and ``val.csv`` with the columns
  ``speaker_path`` and ``listener_path``. The test split has no such table, and is left out.
- MARS: ``<kind>/{speaker,listener}/session<n>/<name>``, where the partner has the same name in the
  other role, and ``audio`` is the kind of the sounds; 30 frames a second.

Assumed, as no definition was at hand: a path of the table is one below ``Video_files``, with or
without a suffix; MARS's kind ``facial-attributes`` is beside one kind that holds videos, whatever
it is called; the organisers' ``neighbour_emotion_<split>.npy`` lie beside the tables. The
coefficients that are distributed are FaceVerse's, no motion of a space that is
known here: videos are tracked, or motion that was tracked before is taken.

Of the appropriate reactions to a speaker, REACT's are those of the matrix [N, N], whose [k, j] says
that the true reaction of sample j suits sample k, too: samples are the pairs, then the pairs with
roles swapped. MARS's are of all listeners of the session, of whom nine are drawn beside the own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from dimcli.core.arrays import read_array
from dimcli.core.errors import InputError
from dimcli.core.motion import Bools, Motion
from dimcli.data.clip import ROLES, SPLITS
from dimcli.data.corpora.preparing import SEEN, Corpus, Job, dyads_of, file_name
from dimcli.data.corpora.sources import MotionPlan, SoundPlan, read_sound, sound_file
from dimcli.data.corpora.tables import read_table
from dimcli.data.store import APPROPRIATE
from dimcli.data.writer import Dyads, Piece, Skipped, Span, paired

REACT_FPS, MARS_FPS = 25.0, 30.0
LICENCE = "REACT and MARS: the agreements that their owners have signed with you"

_VIDEOS, _SOUNDS, _MARK = "Video_files", "Audio_files", "facial-attributes"
_MARS_OTHERS = 9
_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


@dataclass(frozen=True)
class _Pair:
    """A clip: both videos without suffixes, below ``videos``, and where the sounds are."""

    videos: Path
    sounds: Path
    speaker: str
    listener: str
    others: tuple[tuple[str, str], ...] = ()
    """Whose reactions are appropriate beside the listener's: clips, and a role of each."""

    def clip(self, split: str) -> str:
        """The clip's id."""
        return f"{split}-{_flat(self.listener)}"


@dataclass(frozen=True)
class _Options:
    motion: MotionPlan
    sound: SoundPlan
    fps: float


def react(
    root: Path, *, motion: MotionPlan | None = None, audio: str = "auto", fps: float | None = None
) -> Corpus:
    """The REACT or MARS data in ``root``, to be prepared; ``motion`` says who tracks the videos, or
    where their motion lies (``<split>-<path with - for />.npz``); ``audio`` is an encoder, ``none``
    or ``auto``. Raises InputError where neither layout is there."""
    mars = any((root / split / _MARK).is_dir() for split in SPLITS)
    find = _mars if mars else _react
    pairs: list[tuple[str, _Pair]] = []
    skipped: list[Skipped] = []
    for split in SPLITS:
        if (root / split).is_dir():
            found, left_out = find(root, split)
            pairs += [(split, pair) for pair in found]
            skipped += left_out
    if not pairs:
        why = f" ({skipped[0].reason})" if skipped else ""
        raise InputError(
            f"{root}: has no pair of videos of REACT (train.csv, train/{_VIDEOS}) or MARS "
            f"(train/{_MARK}){why}"
        )
    motion = motion or MotionPlan()
    sound = SoundPlan.choose(audio, given=None, sound=any(p.sounds.is_dir() for _, p in pairs))
    options = _Options(motion, sound, fps or (MARS_FPS if mars else REACT_FPS))
    return Corpus(
        name="react",
        fps=options.fps,
        space=motion.space,
        encoder=sound.encoder,
        jobs=[
            Job(
                file_name(f"{split}-{pair.listener}"),
                split,
                partial(_make, options, split, pair),
                json.dumps([pair.speaker, pair.listener, pair.others]),
            )
            for split, pair in pairs
        ],
        licence=LICENCE,
        settings={"audio": sound.origin, **motion.settings},
        skipped=tuple(skipped),
        remarks=sound.remarks(),
    )


def _react(root: Path, split: str) -> tuple[list[_Pair], list[Skipped]]:
    table, videos = root / f"{split}.csv", root / split / _VIDEOS
    if not table.is_file():
        return [], [Skipped(split, f"there is no {table.name}, which says who answers whom")]
    pairs: dict[int, _Pair] = {}
    skipped = []
    rows = read_table(table, ("speaker_path", "listener_path"))
    for number, row in enumerate(rows):
        paths = [_below(row[f"{role}_path"]) for role in ("speaker", "listener")]
        if None in paths:
            reason = "a path leads out of the folder"
            skipped.append(Skipped(f"{table.name}: row {number + 2}", reason))
            continue
        speaker, listener = map(str, paths)
        pairs[number] = _Pair(videos, root / split / _SOUNDS, speaker, listener)
    path = root / f"neighbour_emotion_{split}.npy"
    if path.is_file():
        pairs = _with_neighbours(pairs, _neighbours(path, len(rows)), split)
    return list(pairs.values()), skipped


def _neighbours(path: Path, rows: int) -> Bools:
    """Of each row's pair, which samples' true reactions suit it: bool [rows, rows or twice that].
    Raises InputError."""
    matrix = read_array(path, "matrix of appropriate reactions")
    if matrix.shape not in ((rows, rows), (2 * rows, 2 * rows)) or matrix.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: has shape {matrix.shape}; expected ({2 * rows}, {2 * rows}) numbers, for "
            f"the {rows} pairs of the table and those with roles swapped"
        )
    return np.asarray(matrix[:rows] == 1)


def _with_neighbours(pairs: dict[int, _Pair], suits: Bools, split: str) -> dict[int, _Pair]:
    """The pairs with the reactions of others; those of swapped pairs are their speakers'."""
    rows = len(suits)
    found = {}
    for number, pair in pairs.items():
        others = [
            (pairs[sample % rows].clip(split), ROLES[1 - sample // rows])
            for sample in np.flatnonzero(suits[number]).tolist()
            if sample != number and sample % rows in pairs
        ]
        found[number] = replace(pair, others=tuple(others))
    return found


def _below(text: str) -> str | None:
    """A path of a table without its suffix; None where it leads elsewhere."""
    path = PurePosixPath(text.strip())
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        return None
    return str(path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path)


def _mars(root: Path, split: str) -> tuple[list[_Pair], list[Skipped]]:
    kinds = [kind for kind in sorted((root / split).iterdir()) if (kind / "listener").is_dir()]
    videos = next((kind for kind in kinds if _stems(kind / "listener")), None)
    if videos is None:
        return [], [Skipped(split, "no kind of it holds videos of listeners")]
    pairs, skipped = [], []
    speakers = set(_stems(videos / "speaker"))
    for name in _stems(videos / "listener"):
        if name not in speakers:
            skipped.append(Skipped(f"{split}-listener/{name}", "its speaker has no video"))
            continue
        sounds = root / split / "audio"
        pairs.append(_Pair(videos, sounds, f"speaker/{name}", f"listener/{name}"))
    random = np.random.default_rng(0)
    drawn = []
    for pair in pairs:
        session = PurePosixPath(pair.listener).parent
        others = [
            other.clip(split)
            for other in pairs
            if other is not pair and PurePosixPath(other.listener).parent == session
        ]
        if len(others) > _MARS_OTHERS:
            others = [others[i] for i in sorted(random.permutation(len(others))[:_MARS_OTHERS])]
        drawn.append(replace(pair, others=tuple((name, "listener") for name in others)))
    return drawn, skipped


def _stems(folder: Path) -> list[str]:
    """The videos ``<session>/<name>`` of a role, without suffixes."""
    return sorted(
        f"{path.parent.name}/{path.stem}"
        for path in folder.glob("*/*")
        if path.suffix.lower() in _SUFFIXES
    )


def _make(options: _Options, split: str, pair: _Pair) -> Dyads:
    motions = [_motion(options, split, pair.videos, name) for name in (pair.speaker, pair.listener)]
    made = dyads_of([(pair.listener, partial(_piece, options, split, pair, *motions))])
    seen = {role: round(float(m.valid.mean()), 4) for role, m in zip(ROLES, motions, strict=True)}
    return replace(made, facts={SEEN: json.dumps(seen), APPROPRIATE: json.dumps(pair.others)})


def _motion(options: _Options, split: str, videos: Path, name: str) -> Motion:
    files = (videos / f"{name}{suffix}" for suffix in _SUFFIXES)
    video = next((path for path in files if path.is_file()), videos / f"{name}{_SUFFIXES[0]}")
    return options.motion.motion(video, f"{split}-{_flat(name)}", options.fps)


def _piece(options: _Options, split: str, pair: _Pair, speaker: Motion, listener: Motion) -> Piece:
    speaks, listens = paired(speaker, listener, options.fps)
    frames = len(speaks)
    own, other = (partial(read_sound, pair.sounds, name) for name in (pair.speaker, pair.listener))
    known = sound_file(pair.sounds, pair.listener) is not None
    audio, talks = options.sound.of_pair(own, other if known else None, options.fps, frames)
    people = [_flat(PurePosixPath(name).parent) for name in (pair.speaker, pair.listener)]
    span = Span(pair.clip(split), 0, frames, *people)
    return Piece(span, speaks.values, listens.values, audio, talks)


def _flat(path: PurePosixPath | str) -> str:
    """A path below the videos as one name."""
    return str(path).replace("/", "-")
