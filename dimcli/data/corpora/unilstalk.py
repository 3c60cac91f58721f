"""UniLS-Talk: ``data_lmdb`` and ``seamless_interaction_pairs.json``.

The table has ``{split: {id: [first, second, frames]}}``, two paths whose last parts are keys of the
LMDB file. A key's value is an ``.npz`` file: ``motioncode`` [T, 111 or more] at 25 frames a second
(columns 0 to 99 FLAME's expression, 100 to 102 the head's rotation, 103 the jaw's about its x axis,
then eyes), ``audio`` [N] of that person at 16 kHz, ``speech_mask`` [T], whether they talk.

As in UniLS, the first person of a pair is judged: the listener here. Kept are the expression's
first 50 components, which are those of the space ``flame``. ``TalkMotionOnly`` has single people,
of whom nobody is an answer to another, and is not read.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import SAMPLE_RATE
from dimcli.audio.sound import checked_sound
from dimcli.core import limits
from dimcli.core.arrays import archive_arrays
from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.motion import NUM_EXPRESSION, Floats, Motion
from dimcli.data.clip import SPLITS
from dimcli.data.corpora.lmdb_file import LmdbFile
from dimcli.data.corpora.preparing import Corpus, Job, file_name
from dimcli.data.corpora.sources import POSE_FIRST, SoundPlan, motion_of, numbers
from dimcli.data.store import BY_RECORDING, LISTENER_VOICE, SPEAKERS, voice_note
from dimcli.data.writer import Dyads, Skipped, Span, paired

TABLE, VALUES = "seamless_interaction_pairs.json", "data_lmdb"
UNILSTALK_FPS = 25.0
LICENCE = "UniLS-Talk: its owners' terms; the videos are Seamless Interaction's (CC BY-NC 4.0)"
EXPRESSION, HEAD, JAW_X = slice(0, NUM_EXPRESSION), slice(100, 103), slice(103, 104)
WIDTH = 111
"""Fewest columns of a motion."""


@dataclass(frozen=True)
class _Options:
    values: Path
    sound: SoundPlan
    fps: float


def unilstalk(root: Path, *, audio: str = "auto", fps: float | None = None) -> Corpus:
    """The UniLS-Talk data in ``root``, to be prepared; ``audio`` is an encoder, ``none`` or
    ``auto``. Raises InputError where its table or its values are not there."""
    if not (root / TABLE).is_file() and (root / "SeamlessInteractionTalk").is_dir():
        root = root / "SeamlessInteractionTalk"
    table = read_json(root / TABLE)
    with LmdbFile(root / VALUES):
        pass
    if not isinstance(table, dict):
        raise InputError(f"{root / TABLE}: expected {{split: {{id: [first, second, frames]}}}}")
    sound = SoundPlan.choose(audio, given=None, sound=True)
    options = _Options(root / VALUES, sound, fps or UNILSTALK_FPS)
    jobs, skipped = [], []
    for split, pairs in table.items():
        if split not in SPLITS or not isinstance(pairs, dict):
            skipped.append(Skipped(f"{TABLE}: {split}", f"expected pairs of {', '.join(SPLITS)}"))
            continue
        for name, row in pairs.items():
            keys = _keys(row)
            if keys is None:
                reason = "expected [first, second, frames]"
                skipped.append(Skipped(f"{TABLE}: {name}", reason))
                continue
            make = partial(_make, options, f"{split}-{name}", *keys)
            jobs.append(Job(file_name(f"{split}-{name}"), split, make, json.dumps(keys)))
    if not jobs:
        raise InputError(f"{root / TABLE}: has no pair [first, second, frames]")
    return Corpus(
        name="unilstalk",
        fps=options.fps,
        space="flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": sound.origin},
        choices={SPEAKERS: BY_RECORDING},
        skipped=tuple(skipped),
        remarks=sound.remarks(),
    )


def _keys(row: Any) -> tuple[str, str] | None:
    """The keys of the first and the second person."""
    match row:
        case [str() as first, str() as second, int()]:
            return PurePosixPath(first).name, PurePosixPath(second).name
    return None


def _make(options: _Options, clip: str, listener: str, speaker: str) -> Dyads:
    with LmdbFile(options.values) as values:
        talking, listening = (_person(values, key) for key in (speaker, listener))
    speaks, listens = paired(talking.motion, listening.motion, options.fps)
    frames = len(speaks)
    audio, _ = options.sound.of_pair(talking.samples, None, options.fps, frames)
    span = Span(clip, 0, frames, speaker, listener)
    voice = voice_note(listening.talks, UNILSTALK_FPS)
    return Dyads(speaks.values, listens.values, audio, (span,), facts={LISTENER_VOICE: voice})


@dataclass(frozen=True)
class _Person:
    """One value of the file: motion, sound [N] and whether they talk [T]."""

    key: str
    motion: Motion
    audio: NDArray[Any]
    talks: NDArray[np.bool_]

    def samples(self) -> Floats:
        """The sound, checked."""
        return checked_sound(numbers(self.audio, self.key), SAMPLE_RATE, SAMPLE_RATE)


def _person(values: LmdbFile, key: str) -> _Person:
    content = values.get(key, limits.MOTION_BYTES)
    if content is None:
        raise InputError(f"{VALUES}: has no '{key}'")
    wanted = ("motioncode", "audio", "speech_mask")
    arrays = archive_arrays(io.BytesIO(content), key, "UniLS-Talk", wanted, limits.MOTION_BYTES)
    for name in wanted:
        if name not in arrays:
            raise InputError(f"{key}: lacks {name}")
    codes = numbers(arrays["motioncode"], f"{key}: motioncode")
    if codes.ndim != 2 or codes.shape[1] < WIDTH:
        raise InputError(
            f"{key}: motioncode has shape {codes.shape}; expected (frames, {WIDTH} or more)"
        )
    if arrays["speech_mask"].shape != (len(codes),):
        raise InputError(
            f"{key}: speech_mask has shape {arrays['speech_mask'].shape}; expected ({len(codes)},)"
        )
    jaw = np.pad(codes[:, JAW_X], ((0, 0), (0, 2)))
    motion = motion_of(
        np.concatenate([codes[:, HEAD], jaw, codes[:, EXPRESSION]], axis=1),
        name=f"{key}: motioncode",
        fps=UNILSTALK_FPS,
        order=POSE_FIRST,
    )
    talks = numbers(arrays["speech_mask"].astype(np.float32), f"{key}: speech_mask") > 0.5
    return _Person(key, motion, arrays["audio"], talks)
