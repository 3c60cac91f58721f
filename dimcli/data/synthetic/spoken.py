"""Speech with phone times to a data set of talking faces: what ``dim prepare speech`` does.

A folder as the Montreal Forced Aligner lays out a corpus: a sub-folder a voice, in it sounds and,
beside each, a TextGrid of the same name. The motion is not recorded but made, by the rule of
:mod:`dimcli.data.synthetic.talking`, in a drawn style; the sound is changed as recordings are
(:mod:`dimcli.data.synthetic.sound_changes`). Every file can be used in several versions, each with
its own style and changes. Some clips hold no speech (silence, noise, music-like sounds) and a
resting face.

The store keeps dyads: the listener beside each speaker is drawn from the synthetic listener's rule.
Val and test are voices that train never has.
"""

from __future__ import annotations

import hashlib
import json
import wave
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import numpy as np

from dimcli.audio import MEL4, SAMPLE_RATE, encode, encoder_here, mel
from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.core.motion import Floats
from dimcli.data.clip import ClipRecord
from dimcli.data.corpora.preparing import Corpus, Job, file_name
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.listener_rule import listener_motion
from dimcli.data.synthetic.mouth import closures
from dimcli.data.synthetic.phones import SEAL, Phone, letters_of, read_textgrid, segments_of
from dimcli.data.synthetic.rule import ListenerRule
from dimcli.data.synthetic.sound_changes import Changes, changed, rest_sound
from dimcli.data.synthetic.talking import STYLES, Speech, talking_motion
from dimcli.data.writer import Dyads, Skipped, Span, check_lengths, split_conversations
from dimcli.media import read_audio

LICENCE = "the terms of the recordings or of the voices that spoke"
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
REST_S = 12.0
SHORTEST_S = 0.5
CLOSURES = "closures"
"""Name of the fact that says when lips close."""
KINDS = "kinds"
"""Name of the data set's choice that says which voices are of a kind: patterns of their names."""


@dataclass(frozen=True)
class SpokenOptions:
    """How speech becomes clips.

    ``fps`` of the motion; ``audio`` the encoder's name; ``versions`` of every file, but those that
    ``more`` gives to voices whose name matches its pattern (``natural-*``), the first that does;
    ``change`` whether the sound is changed; ``clip_s`` the longest clip; ``rest_share`` clips
    without speech a clip with; ``seed`` of all that is drawn.
    """

    fps: float = 25.0
    audio: str = MEL4.name
    versions: int = 1
    more: tuple[tuple[str, int], ...] = ()
    change: bool = True
    clip_s: float = 20.0
    rest_share: float = 0.06
    seed: int = 0

    def __post_init__(self) -> None:
        if not 5.0 <= self.fps <= 120.0:
            raise InputError(f"--fps {self.fps:g}: expected 5 to 120")
        for number in (self.versions, *(number for _, number in self.more)):
            if not 1 <= number <= 1000:
                raise InputError(f"--versions {number}: expected 1 to 1000")
        if self.clip_s < 2 * SHORTEST_S:
            raise InputError(f"--clip-s {self.clip_s:g}: expected {2 * SHORTEST_S:g} or more")
        if not 0.0 <= self.rest_share <= 1.0:
            raise InputError(f"--rest-share {self.rest_share:g}: expected 0 to 1")

    def versions_of(self, voice: str) -> int:
        """How many versions of a voice's files are wanted."""
        for pattern, number in self.more:
            if fnmatch(voice, pattern):
                return number
        return self.versions


def spoken(root: Path, options: SpokenOptions = SpokenOptions()) -> Corpus:
    """The speech in ``root``, to be prepared. Raises InputError where there is none."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected one of sounds with TextGrids")
    sounds = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in SOUNDS and not path.name.startswith(".")
    )
    pairs, skipped = [], []
    for path in sounds:
        grid = _grid(path)
        if grid:
            pairs.append((path, grid))
        else:
            reason = f"no {path.stem}.TextGrid beside it"
            skipped.append(Skipped(str(path.relative_to(root)), reason))
    if not pairs:
        found = f"{len(sounds)} sounds but no TextGrid" if sounds else "no sound"
        raise InputError(f"{root}: has {found}; expected sounds with a TextGrid beside each")
    splits = split_conversations([_voice(root, path) for path, _ in pairs], options.seed)
    jobs = []
    for path, grid in pairs:
        voice = _voice(root, path)
        for version in range(options.versions_of(voice)):
            stem = path.relative_to(root).with_suffix("").as_posix()
            name = f"{stem}#{version}"
            make = partial(_make, path, grid, name, voice, options)
            jobs.append(Job(file_name(name), splits[voice], make, key=_state(path, grid)))
    count = round(options.rest_share * len(jobs))
    for index in range(count):
        name = f"rest#{index}"
        # one in ten to val and test each, as voices are
        split = {8: "val", 9: "test"}.get(index % 10, "train")
        jobs.append(Job(file_name(name), split, partial(_make_rest, name, options)))
    return Corpus(
        name="speech",
        fps=options.fps,
        space="arkit",
        encoder=encoder_here(options.audio),
        jobs=jobs,
        licence=LICENCE,
        settings={
            "change": options.change,
            "clip_s": options.clip_s,
            "seed": options.seed,
            "rule": _rule(),
        },
        choices={"versions": options.versions, "more": dict(options.more), "styles": list(STYLES)},
        skipped=tuple(skipped),
    )


RULE_VERSION = 5
"""Goes up whenever the same speech would give other motion."""


def _rule() -> str:
    facts = json.dumps([RULE_VERSION, {name: repr(style) for name, style in STYLES.items()}])
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _voice(root: Path, path: Path) -> str:
    """The sub-folder a sound lies in, or its own name where there are none."""
    folder = path.parent.relative_to(root).as_posix()
    return path.stem if folder == "." else folder


def _grid(path: Path) -> Path | None:
    for suffix in (".TextGrid", ".textgrid"):
        grid = path.with_suffix(suffix)
        if grid.is_file():
            return grid
    return None


def _state(*paths: Path) -> str:
    """What says that files are still those that were used."""
    return json.dumps([[path.stat().st_size, path.stat().st_mtime_ns] for path in paths])


def _random(name: str, options: SpokenOptions) -> np.random.Generator:
    digest = hashlib.sha256(f"{options.seed}:{name}".encode()).digest()
    return np.random.default_rng(list(digest))


def _make(path: Path, grid: Path, name: str, voice: str, options: SpokenOptions) -> Dyads:
    random = _random(name, options)
    sound = _read(path)
    phones = read_textgrid(grid)
    check_lengths({"sound": len(sound) / SAMPLE_RATE, "TextGrid": phones[-1].end})
    if not any(letters_of(phone.symbol) for phone in phones):
        raise InputError(f"{grid}: says nothing but silence")
    if options.change:
        changes = Changes.draw(random)
        sound = changed(sound, changes, random)
        scale = changes.time_scale
        phones = [Phone(each.symbol, each.start * scale, each.end * scale) for each in phones]
    style = str(random.choice(list(STYLES)))
    return _dyads(sound, phones, name, voice, style, random, options)


def _read(path: Path) -> Floats:
    """A sound at SAMPLE_RATE, [N]; plain files of that rate without starting a decoder."""
    try:
        with wave.open(str(existing_file(path, "sound")), "rb") as file:
            short = file.getnframes() <= limits.SOUND_S * SAMPLE_RATE
            if short and file.getparams()[:3] == (1, 2, SAMPLE_RATE):
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                return samples.astype(np.float32) / 32768.0
    except (wave.Error, EOFError, OSError, ValueError):
        pass  # not such a file: the decoder says what it is
    return read_audio(path, SAMPLE_RATE)


def _make_rest(name: str, options: SpokenOptions) -> Dyads:
    random = _random(name, options)
    sound = rest_sound(random, REST_S)
    return _dyads(sound, [], name, "nobody", "natural", random, options)


def _dyads(
    sound: Floats,
    phones: list[Phone],
    name: str,
    voice: str,
    style: str,
    random: np.random.Generator,
    options: SpokenOptions,
) -> Dyads:
    fps = options.fps
    frames = int(len(sound) / SAMPLE_RATE * fps)
    if frames < SHORTEST_S * fps:
        raise InputError(f"{len(sound) / SAMPLE_RATE:.2f} s long; expected {SHORTEST_S:g} or more")
    heard = mel(sound, SAMPLE_RATE, fps, frames)
    features = encode(options.audio, sound, SAMPLE_RATE, fps, frames, keep=False)
    segments = segments_of(phones, frames / fps)
    speech = Speech.of_features(segments, heard, fps)
    speaker, events = talking_motion(speech, STYLES[style], random)
    listener = listener_motion(events, random, ListenerRule())
    pieces = max(1, int(np.ceil(frames / (options.clip_s * fps))))
    edges = np.linspace(0, frames, pieces + 1).round().astype(int)
    clips = tuple(
        Span(
            id=name if pieces == 1 else f"{name}-{index:03d}",
            start=int(edges[index]),
            stop=int(edges[index + 1]),
            speaker=voice,
            listener=f"listener of {name}",
            attitude="neutral",
            style=style,
        )
        for index in range(pieces)
    )
    shut = closures(segments, segments.mask(SEAL))
    return Dyads(
        speaker,
        listener.astype(np.float32),
        features,
        clips,
        facts={CLOSURES: json.dumps(shut.round(4).tolist())},
    )


def closures_of(store: ClipStore, record: ClipRecord) -> Floats:
    """When the lips close for p, b and m in a clip: start and end in seconds of it, float32 [C, 2].

    Raises InputError where the data set does not say.
    """
    facts = store.facts(record.conversation)
    if CLOSURES not in facts:
        raise InputError(f"{store.root}: does not know when lips close; see `dim prepare speech`")
    times = np.array(json.loads(facts[CLOSURES]), np.float32).reshape(-1, 2)
    times -= record.start / store.info.fps
    middle = times.mean(axis=1)
    return times[(middle >= 0) & (middle < len(record) / store.info.fps)]
