"""SI-184: the true motion and sound of the R-DGG benchmark's 184 listeners.

``pairs184.txt`` has a line ``listener.wav speaker.wav`` for each; stems are
``V00_S<session>_I<interaction>_P<identity><letter>``. Files ``GT/LS_AL_<kind>/<stem>.npz``:

- ``emoca``: ``posecode`` [T, 6], ``expcode`` [T, 50], ``face_ok`` [T] (was a face seen), ``fps``
  (30) and ``n_frames``;
- ``hubert``: ``feat_l09`` [T, 768], layer 9 of HuBERT base at exactly 50 rows a second;
- ``vad``: ``speech_starts`` and ``speech_ends`` in seconds, of ``audio_seconds``.

All of it is for testing. Motion is brought to the 25 frames a second that its figures are of; the
frames without a face keep their place (the benchmark's own figures drop them, which puts the two
people out of step). When each listener talks is kept with the conversation. The LivePortrait
features and the published systems' outputs are not read: the former are no motion of a space that
is known here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import AudioEncoder
from dimcli.core import limits
from dimcli.core.arrays import read_archive
from dimcli.core.documents import read_text, shortened
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.preparing import Corpus, Job, file_name
from dimcli.data.corpora.sources import SoundPlan, hubert_rows, motion_of_parts, no_sound, numbers
from dimcli.data.store import LISTENER_VOICE
from dimcli.data.writer import Dyads, Skipped, Span, paired

PAIRS = "pairs184.txt"
SI184_FPS = 25.0
HUBERT_LAYER_9 = AudioEncoder("hubert-layer-9", 768)
HUBERT_RATE = 50.0
LICENCE = "SI-184 (R-DGG): CC BY-NC 4.0"
MOST_PAIRS = 10_000

_LINE = re.compile(r"(V\d+_S\w+?_I\w+?_P\w+)\.wav\s+(V\d+_S\w+?_I\w+?_P\w+)\.wav")


@dataclass(frozen=True)
class _Options:
    root: Path
    given: bool
    fps: float


def si184(root: Path, *, audio: str = "auto", fps: float | None = None) -> Corpus:
    """The SI-184 benchmark in ``root``, to be prepared; ``audio`` is ``given`` (its HuBERT
    features), ``none`` or ``auto``. Raises InputError without its table or its motion."""
    table = root / PAIRS
    lines = read_text(table, "table of pairs", limits.YAML_BYTES).splitlines()
    if len(lines) > MOST_PAIRS:
        raise InputError(f"{table}: {len(lines)} lines; expected at most {MOST_PAIRS}")
    if not (root / "GT" / "LS_AL_emoca").is_dir():
        raise InputError(f"{root / 'GT' / 'LS_AL_emoca'}: no such folder; it holds the motion")
    if audio not in ("auto", "given", "none"):
        raise InputError(f"--audio {audio}: expected auto, given or none; the corpus has no sound")
    there = (root / "GT" / "LS_AL_hubert").is_dir()
    sound = SoundPlan.choose(audio, given=HUBERT_LAYER_9 if there else None, sound=False)
    options = _Options(root, sound.origin == "given", fps or SI184_FPS)
    jobs, skipped = [], []
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line.strip())
        if match:
            make = partial(_make, options, match[1], match[2])
            jobs.append(Job(file_name(match[1]), "test", make, match[2]))
        elif line.strip():
            reason = f"'{shortened(line.strip())}'; expected listener.wav speaker.wav"
            skipped.append(Skipped(f"{PAIRS}: line {number}", reason))
    if not jobs:
        raise InputError(f"{table}: has no line 'listener.wav speaker.wav'")
    return Corpus(
        name="si184",
        fps=options.fps,
        space="flame",
        encoder=sound.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"audio": sound.origin, "speech": LISTENER_VOICE},
        skipped=tuple(skipped),
        remarks=sound.remarks(),
    )


def _make(options: _Options, listener: str, speaker: str) -> Dyads:
    first, second = (_motion(_file(options.root, "emoca", stem)) for stem in (speaker, listener))
    speaks, listens = paired(first, second, options.fps)
    frames = len(speaks)
    audio = no_sound(frames)
    if options.given:
        audio = _features(_file(options.root, "hubert", speaker), options.fps, frames)
    span = Span(listener, 0, frames, _identity(speaker), _identity(listener))
    facts = {}
    voice = _file(options.root, "vad", listener)
    if voice.is_file():
        facts[LISTENER_VOICE] = json.dumps(_speech(voice, frames / options.fps))
    return Dyads(speaks.values, listens.values, audio, (span,), facts=facts)


def _file(root: Path, kind: str, stem: str) -> Path:
    return root / "GT" / f"LS_AL_{kind}" / f"{stem}.npz"


def _identity(stem: str) -> str:
    """The person of a stem: its fourth field without the letter of the recording."""
    return stem.split("_")[3].rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _arrays(path: Path, *wanted: str) -> list[NDArray[Any]]:
    """Arrays of a file. Raises InputError that names the file and what it lacks."""
    arrays = read_archive(path, "SI-184", wanted, limits.MOTION_BYTES)
    for name in wanted:
        if name not in arrays:
            raise InputError(f"{path}: lacks {name}")
    return [arrays[name] for name in wanted]


def _number(array: NDArray[Any], name: str) -> float:
    values = numbers(array, name)
    if values.size != 1:
        raise InputError(f"{name} has shape {values.shape}; expected one number")
    return float(values.reshape(-1)[0])


def _motion(path: Path) -> Motion:
    names = ("posecode", "expcode", "face_ok", "fps", "n_frames")
    pose, expression, seen, fps, frames = _arrays(path, *names)
    number = _number(frames, f"{path}: n_frames")
    count = int(number) if number.is_integer() else number
    parts = {"posecode": pose, "expcode": expression}
    rate = _number(fps, f"{path}: fps")
    motion = motion_of_parts(parts, *parts, name=str(path), fps=rate)
    for name, array, wanted in (("posecode", pose, (count, 6)), ("face_ok", seen, (count,))):
        if array.shape != wanted:
            raise InputError(f"{path}: {name} has shape {array.shape}; expected {wanted}")
    return Motion(motion.values, motion.fps, motion.space, numbers(seen, str(path)) > 0.5)


def _features(path: Path, fps: float, frames: int) -> NDArray[np.float32]:
    rows, rate = _arrays(path, "feat_l09", "fps")
    if _number(rate, f"{path}: fps") != HUBERT_RATE:
        raise InputError(f"{path}: fps is {float(rate)}; expected {HUBERT_RATE:g}")
    return hubert_rows(rows, f"{path}: feat_l09", fps, frames)


def _speech(path: Path, seconds: float) -> list[list[float]]:
    """When a listener speaks, in pairs of seconds, of a conversation of ``seconds``: as in the
    benchmark, the sound's length is taken for that of the motion."""
    starts, ends, length = _arrays(path, "speech_starts", "speech_ends", "audio_seconds")
    heard = _number(length, f"{path}: audio_seconds")
    if heard <= 0:
        raise InputError(f"{path}: audio_seconds is {heard:g}; expected more than 0")
    if starts.shape != ends.shape or starts.ndim != 1:
        raise InputError(f"{path}: {starts.shape} starts and {ends.shape} ends of speech")
    times = np.stack([starts, ends], axis=1).astype(float)
    if times.size and (
        not np.isfinite(times).all() or times.min() < 0 or (times[:, 0] > times[:, 1]).any()
    ):
        raise InputError(f"{path}: a time of speech is no time, or ends before it begins")
    found: list[list[float]] = (times * (seconds / heard)).tolist()
    return found
