"""CANDOR: conversation folders with transcripts; a clip is one person's turn.

``<uuid>/transcription/transcript_cliffhanger.csv`` says who talks when;
``<uuid>/processed/<user id>.mp4`` shows one person, ``<uuid>/processed/<uuid>.mp3`` has the two
voices left and right (``channel_map.json``); ``processed`` may lie below another folder of media.
Motion that was tracked already is ``<uuid>_<user id>.npz`` (or EMOCA's folder of that name) in a
folder of its own. With ``emoca``, what DIM's code reads instead of videos:
``CANDOR/<uuid>/transcription``, ``emoca_sample_out1/<uuid>_<user id>.pkl`` (dictionaries of
six-digit frame number -> 56 numbers, 5 frames a second; frame ``int(5 t)`` is that of second t, so
that the first is 0) and ``CANDOR_audio_feats/<uuid>.pkl``.

In a turn the one who talks is the speaker and the other one the listener, at the same time unless
a shift is asked for. Turns that are too short are no clips; long ones are cut into equal pieces.
Splits are by conversation: 5 % test, 5 % val.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from dimcli.audio import HUBERT
from dimcli.audio.sound import to_frames
from dimcli.audio.voices import Voice, talking
from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Bools, Floats, Motion
from dimcli.data.corpora.preparing import Corpus, Job, dyads_of, file_name
from dimcli.data.corpora.sources import (
    HUBERT_FIRST_S,
    HUBERT_FPS,
    POSE_FIRST,
    MotionPlan,
    SoundPlan,
    encoded_piece,
    feature_rows,
    motion_of,
    no_sound,
    numbers,
    whole_recording,
)
from dimcli.data.corpora.tables import TURN_KINDS, Turn, read_turns
from dimcli.data.writer import MIN_SEEN, Dyads, Piece, Skipped, Span, split_conversations
from dimcli.media import read_audio
from dimcli.pickles import read_pickle
from dimcli.tracking.postprocessing import fill_motion

VIDEO_FPS = 30.0
PICKLE_FPS = 5.0
SOURCES = ("emoca", "videos")
SHARE = 0.05
"""Of the conversations in test, and again in val."""
LICENCE = (
    "CANDOR Corpus License: no synthetic media of the participants, no redistribution (derived "
    "data included), no biometric identification; cite the corpus"
)

_SHIFT = (
    "DIM's code takes the listener 200 ms later than the speaker in these pickles: --shift-ms 200 "
    "makes the same pairs"
)

_EMOCA, _FEATURES, _CONVERSATIONS = "emoca_sample_out1", "CANDOR_audio_feats", "CANDOR"
_LARGEST_FRAME = 10_000_000


@dataclass(frozen=True)
class TurnOptions:
    """Which turns become clips, and how.

    ``kind`` of segmentation; from ``min_s`` seconds on; cut into equal pieces of at most
    ``max_s``; the listener is taken ``shift_ms`` later (DIM's code takes 200).
    """

    kind: str = "cliffhanger"
    min_s: float = 1.0
    max_s: float = 50.0
    shift_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in TURN_KINDS:
            raise InputError(f"--turns {self.kind}: expected one of {', '.join(TURN_KINDS)}")
        if not 0.1 <= self.min_s <= self.max_s:
            raise InputError(
                f"--min-s {self.min_s:g} --max-s {self.max_s:g}: expected 0.1 <= min <= max"
            )
        if not -5000 <= self.shift_ms <= 5000:
            raise InputError(f"--shift-ms {self.shift_ms:g}: expected -5000 to 5000")


@dataclass(frozen=True)
class _Options:
    root: Path
    media: Path
    source: str
    motion: MotionPlan
    sound: SoundPlan
    fps: float
    order: str
    first_frame: int
    turns: TurnOptions


@dataclass(frozen=True)
class _Person:
    """One side of a conversation: the face, the features of the voice at the same rate, and the
    voice itself with whether it talks [T], where each is on a track of its own."""

    motion: Motion
    audio: Floats | None
    voice: Voice | None = None
    talks: Bools | None = None


def candor(
    root: Path,
    *,
    source: str = "auto",
    motion: MotionPlan | None = None,
    media: Path | None = None,
    audio: str = "auto",
    fps: float | None = None,
    order: str = POSE_FIRST,
    first_frame: int = 0,
    seed: int = 0,
    turns: TurnOptions | None = None,
) -> Corpus:
    """The CANDOR corpus in ``root``, to be prepared.

    ``source`` is one of SOURCES or ``auto``; ``motion`` says who tracks the videos, or where their
    motion lies; ``media`` is the folder of ``<uuid>/processed``, where not ``root``; ``audio`` an
    encoder to run on the recordings, ``given`` (``CANDOR_audio_feats``), ``none`` or ``auto``;
    ``order`` that of the 56 numbers in pickles, and ``first_frame`` the number of their first
    frame, in all of them. Raises InputError where ``root`` has no conversation.
    """
    folder = root / _CONVERSATIONS if (root / _CONVERSATIONS).is_dir() else root
    names = sorted(path.parent.name for path in folder.glob("*/transcription") if path.is_dir())
    if not names:
        raise InputError(
            f"{root}: has no conversation; expected folders <uuid>/transcription with "
            "transcript_cliffhanger.csv"
        )
    if source not in ("auto", *SOURCES):
        raise InputError(f"--from {source}: expected one of auto, {', '.join(SOURCES)}")
    if media is not None and not media.is_dir():
        raise InputError(f"--media {media}: no such folder")
    motion, media = motion or MotionPlan(), media or folder
    has_pickles = (root / _EMOCA).is_dir()
    if source == "emoca" and motion.settings:
        raise InputError("--from emoca: --tracker and --motion are of videos; leave out one")
    if source == "auto":
        source = "emoca" if has_pickles and not motion.settings else "videos"
    if source == "emoca" and not has_pickles:
        raise InputError(f"--from emoca: {root} has no folder '{_EMOCA}'")
    has_features = source == "emoca" and (root / _FEATURES).is_dir()
    sound = SoundPlan.choose(
        audio,
        given=HUBERT if has_features else None,
        sound=any((media / name / "processed").is_dir() for name in names),
    )
    rate = fps or (PICKLE_FPS if source == "emoca" else VIDEO_FPS)
    turns = turns or TurnOptions()
    options = _Options(folder, media, source, motion, sound, rate, order, first_frame, turns)
    splits = split_conversations(names, seed, val=SHARE, test=SHARE)
    jobs = [
        Job(file_name(name), splits[name], partial(_make, options, root, name)) for name in names
    ]
    shift = (_SHIFT,) if source == "emoca" and not turns.shift_ms else ()
    return Corpus(
        name="candor",
        fps=options.fps,
        space=motion.space if source == "videos" else "flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"from": source, "audio": sound.origin, **vars(options.turns), **motion.settings}
        | ({"order": order, "first_frame": first_frame} if source == "emoca" else {}),
        choices={"seed": seed},
        remarks=(*sound.remarks(), *shift),
    )


def _make(options: _Options, root: Path, name: str) -> Dyads:
    """A conversation's turns, one after the other."""
    folder = options.root / name
    table = folder / "transcription" / f"transcript_{options.turns.kind}.csv"
    turns, damaged = read_turns(table)
    recordings = options.media / name / "processed"
    people = _people(recordings, turns, table)
    sides = {
        label: _person(options, root, recordings, name, person, channel)
        for label, (person, channel) in people.items()
    }
    sides = _told_apart(sides, options.fps)
    skipped = [Skipped(f"{name}: {table.name}", f"{damaged} damaged rows")] if damaged else []
    ids = {label: person for label, (person, _) in people.items()}

    def clips() -> Iterator[tuple[str, Callable[[], Piece]]]:
        for turn in turns:
            (other,) = (label for label in sides if label != turn.speaker)
            for number, times in enumerate(_cuts(turn, options.turns)):
                clip = f"{name}-{turn.number:05d}" + (f"-{number}" if number else "")
                span = Span(clip, 0, 1, ids[turn.speaker], ids[other])
                yield (
                    clip,
                    partial(_piece, options, span, sides[turn.speaker], sides[other], *times),
                )

    return dyads_of(clips(), skipped)


def _told_apart(sides: dict[str, _Person], fps: float) -> dict[str, _Person]:
    """Both people with whether they talk, where their voices are there."""
    apart = {}
    for (label, one), other in zip(sides.items(), reversed(sides.values()), strict=True):
        apart[label] = one
        if one.audio is not None and one.voice and other.voice:
            talks = talking(one.voice, other.voice, fps, len(one.audio))
            apart[label] = replace(one, voice=None, talks=talks)
    return apart


def _people(recordings: Path, turns: list[Turn], table: Path) -> dict[str, tuple[str, int | None]]:
    """Who the transcript's speakers are: label -> user id, and their channel if it is known."""
    channels: dict[str, str] = {}
    path = recordings / "channel_map.json"
    try:
        content = read_json(path) if path.exists() else {}
        channels = {str(side): str(person) for side, person in content.items()}
    except AttributeError:
        raise InputError(f"{path}: not a JSON object of L and R") from None
    labels = sorted({turn.speaker for turn in turns})
    if len(labels) != 2:
        raise InputError(
            f"{table}: the transcript has {len(labels)} speakers; expected 2, so that one listens"
        )
    people: dict[str, tuple[str, int | None]] = {}
    for label in labels:
        person = channels.get(label, label)
        side = next((side for side, name in channels.items() if name == person), None)
        people[label] = (person, {"L": 0, "R": 1}.get(side or ""))
    return people


def _cuts(turn: Turn, options: TurnOptions) -> Iterator[tuple[float, float]]:
    """The turn in equal pieces of at most ``max_s``; nothing where it is too short."""
    length = turn.stop_s - turn.start_s
    if length < options.min_s:
        return
    count = int(np.ceil(length / options.max_s - 1e-9))
    for index in range(count):
        yield (
            turn.start_s + length * index / count,
            turn.start_s + length * (index + 1) / count,
        )


def _piece(
    options: _Options,
    span: Span,
    speaker: _Person,
    listener: _Person,
    start_s: float,
    stop_s: float,
) -> Piece:
    fps = options.fps
    first = round(start_s * fps)
    frames = round(stop_s * fps) - first
    later = first + round(options.turns.shift_ms / 1000 * fps)
    parts = []
    for role, motion, at in (
        ("speaker", speaker.motion, first),
        ("listener", listener.motion, later),
    ):
        if at < 0 or at + frames > len(motion):
            raise InputError(f"the {role}'s recording is {motion.duration_s:.2f} s long")
        seen = float(motion.valid[at : at + frames].mean())
        if seen < MIN_SEEN:
            raise InputError(f"the {role}'s face is seen in {seen:.0%} of the frames")
        parts.append(motion.values[at : at + frames])
    if speaker.audio is None:
        audio = no_sound(frames)
    else:
        audio = encoded_piece(speaker.audio, first / fps, fps, frames)
    talks = listener.talks
    if talks is not None:  # their sound may end a little before their picture
        talks = np.pad(talks, (0, frames))[later : later + frames]
    return Piece(span, parts[0], parts[1], audio, talks)


def _person(
    options: _Options, root: Path, recordings: Path, name: str, person: str, channel: int | None
) -> _Person:
    """One person's face and voice over the whole conversation ``name``."""
    video = recordings / f"{person}.mp4"
    if options.source == "videos":
        motion = options.motion.motion(video, f"{name}_{person}", VIDEO_FPS)
    else:
        path = root / _EMOCA / f"{name}_{person}.pkl"
        motion = _pickled_motion(path, options.order, options.first_frame)
    motion = motion.resampled(options.fps)
    if options.sound.origin == "none":
        return _Person(motion, None)
    if options.sound.origin == "given":
        path = root / _FEATURES / f"{name}.pkl"
        rows = feature_rows(read_pickle(path), str(path))
        frames = max(1, int(len(rows) / HUBERT_FPS * options.fps))
        step = 1 / HUBERT_FPS
        return _Person(
            motion, to_frames(rows, options.fps, frames, first_s=HUBERT_FIRST_S, step_s=step)
        )
    both = recordings / f"{name}.mp3"
    if both.is_file() and channel is not None:
        samples = read_audio(both, channel=channel)
    else:
        samples = read_audio(video)
    if not len(samples):
        raise InputError(f"{video}: has no sound")
    audio = whole_recording(samples, options.sound.encoder, options.fps, least=1)
    return _Person(motion, audio, Voice.of(samples, options.fps, len(audio)))


def _pickled_motion(path: Path, order: str, base: int) -> Motion:
    """A dictionary of frame number (from ``base`` on) -> 56 numbers at 5 frames a second; gaps are
    filled."""
    content = read_pickle(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected a dictionary of frame number -> 56 numbers")
    try:
        rows = {int(key): numbers(row, f"{path}: {key}") for key, row in content.items()}
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: its keys are not frame numbers") from None
    if min(rows) < base:
        raise InputError(f"{path}: has frame {min(rows)}; --first-frame says they begin at {base}")
    if max(rows) > _LARGEST_FRAME:
        raise InputError(f"{path}: frame {max(rows)} is no frame number of a conversation")
    if any(row.size != MOTION_DIM for row in rows.values()):
        raise InputError(f"{path}: has frames that are not {MOTION_DIM} numbers")
    count = max(rows) + 1 - base
    values = np.zeros((count, MOTION_DIM), np.float32)
    valid = np.zeros(count, bool)
    for number, row in rows.items():
        values[number - base] = row.reshape(-1)
        valid[number - base] = True
    seen = motion_of(values[valid], name=str(path), fps=PICKLE_FPS, order=order)
    values[valid] = seen.values
    return Motion(fill_motion(values, valid), fps=PICKLE_FPS, space="flame", valid=valid)
