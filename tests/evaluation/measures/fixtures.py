"""Seeded arrays on which others' own code was run, and what it gave (``expected.json``).

The numbers were made by running the functions of the repositories that the measures' docstrings
name, in float64, on these arrays; code written from their definitions has to meet them to 1e-6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from dimcli.evaluation.measures.listening import voiced
from dimcli.evaluation.measures.rdgg import Driver, Listener
from dimcli.evaluation.measures.rdgg_inputs import Projection, join_folds, reactive

EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "expected.json").read_text())
FPS = 25.0


def without_gaps(motion: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Motion [T, C] at its own rate, whose unseen frames are the mean of the others."""
    filled = np.array(motion, float)
    if seen.any():
        filled[~seen] = filled[seen].mean(axis=0)
    return filled


def walk(random: np.random.Generator, frames: int, columns: int, step: float = 0.1) -> np.ndarray:
    return step * np.cumsum(random.standard_normal((frames, columns)), axis=0)


CLIPS = ((100, 260), (101, 230), (102, 90))
VOICES = (([1, 5.3], [2.53, 6], 10.4), ([0, 4.01], [0.5, 4.99], 9.2), ([3], [3.6], 3.6))
"""When the listeners of CLIPS talk: starts, ends, and the sound's length (s)."""
PARTS = {"pose": slice(0, 6), "exp": slice(6, 56), "overall": slice(0, 56)}
CLUSTERS = {"pose": 20, "exp": 40, "overall": 40}


def si184_motion() -> tuple[np.ndarray, np.ndarray]:
    """Motion float32 [300, 56] at 30 frames a second, and where its face was seen."""
    random = np.random.default_rng(200)
    values = np.hstack([walk(random, 300, 6), walk(random, 300, 50)]).astype(np.float32)
    seen = np.ones(300, bool)
    seen[[*range(10, 20), 299]] = False
    return values, seen


def walks() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Speaker, true listener and prediction of three clips, [T, 56] each."""
    clips = []
    for seed, frames in CLIPS:
        random = np.random.default_rng(seed)
        speaker, truth = walk(random, frames, 56), walk(random, frames, 56)
        clips.append((speaker, truth, 0.5 * truth + walk(random, frames, 56)))
    return clips


def attributes(random: np.random.Generator, shape: tuple[int, ...], frames: int) -> np.ndarray:
    """REACT's 25 columns, [*shape, T, 25]."""
    units = random.random((*shape, frames, 15)) < 0.3
    mood = 0.05 * np.cumsum(random.standard_normal((*shape, frames, 2)), axis=-2)
    faces = np.exp(0.1 * np.cumsum(random.standard_normal((*shape, frames, 8)), axis=-2))
    faces /= faces.sum(axis=-1, keepdims=True)
    joined = np.concatenate([units, np.clip(mood, -1, 1), faces], axis=-1)
    return joined.astype(np.float32).astype(float)


@dataclass(frozen=True)
class React:
    """Six clips of T = 150, three predictions each, and which reactions suit which clip."""

    speaker: np.ndarray
    listener: np.ndarray
    prediction: np.ndarray
    appropriate: list[list[int]]


def react() -> React:
    random = np.random.default_rng(300)
    speaker, listener = attributes(random, (6,), 150), attributes(random, (6,), 150)
    prediction = attributes(random, (6, 3), 150)
    suits = random.random((6, 6)) < 0.4
    np.fill_diagonal(suits, True)
    return React(speaker, listener, prediction, [np.flatnonzero(row).tolist() for row in suits])


def ragged_react() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Speakers, targets [3, T, 25] and predictions [3, T, 25] of two clips of different lengths."""
    random, lengths = np.random.default_rng(310), (120, 140)
    speakers = [attributes(random, (), frames) for frames in lengths]
    targets = [attributes(random, (3,), frames) for frames in lengths]
    return speakers, targets, [attributes(random, (3,), frames) for frames in lengths]


REGIONS = {"EXP": slice(0, 50), "JAW": slice(50, 53), "POSE": slice(53, 56)}
"""DualTalk's columns, as :func:`dualtalk` has them."""


def dualtalk() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, partner and prediction [240, 56] as expression, jaw, head."""
    random = np.random.default_rng(400)
    people = []
    for _ in range(2):
        expression, pose = walk(random, 240, 50), walk(random, 240, 6, 0.02)
        people.append(np.concatenate([expression, pose[:, 3:], pose[:, :3]], axis=1))
    noise = [walk(random, 240, 50, 0.05), walk(random, 240, 6, 0.01)]
    return people[0], people[1], 0.7 * people[0] + np.concatenate(noise, axis=1)


@dataclass(frozen=True)
class Heads:
    """Vertices [20, 12, 3] in mm, codes [20, 108] and who speaks [20]."""

    truth: np.ndarray
    prediction: np.ndarray
    true_codes: np.ndarray
    codes: np.ndarray
    speech: np.ndarray


LIPS, UPPER = [0, 1, 1, 5], [2, 3, 4, 2, 7]


def heads() -> Heads:
    random = np.random.default_rng(500)
    truth = 0.1 * random.standard_normal((1, 20, 12, 3))
    prediction = truth + 0.01 * random.standard_normal(truth.shape)
    pair = 0.1 * random.standard_normal((1, 2, 20, 108))
    codes = 0.1 * random.standard_normal((1, 20, 108))
    speech = random.random((1, 2, 20)) < 0.5
    return Heads(1000 * truth[0], 1000 * prediction[0], pair[0, 0], codes[0], speech[0, 0])


STEMS = [f"V00_S{1 + i // 6}_I{1 + i // 2}_P{1 + i % 2 + 2 * (i // 6)}A" for i in range(12)]
GRID = 598


def person(stem: str) -> str:
    return stem.split("_")[3]


def interaction(stem: str) -> str:
    return "_".join(stem.split("_")[:3])


def smoothed(noise: np.ndarray, keep: float) -> np.ndarray:
    """First-order autoregression over time."""
    out = noise.copy()
    for frame in range(1, len(out)):
        out[frame] += keep * out[frame - 1]
    return out


def on_grid(track: np.ndarray, fps: float) -> np.ndarray:
    """[T, C] at ``fps`` on the benchmark's grid of 25 a second, linearly: [GRID, C]."""
    at = np.clip(np.arange(GRID + 4) * fps / FPS, 0, len(track) - 1)
    low = np.minimum(at.astype(int), len(track) - 2)
    weight = (at - low)[:, None]
    return (track[low] * (1 - weight) + track[low + 1] * weight)[2 : GRID + 2]


def seen_on_grid(seen: np.ndarray, fps: float) -> np.ndarray:
    at = np.arange(GRID + 4) * fps / FPS
    return np.interp(at, np.arange(len(seen)), seen.astype(float), right=0)[2 : GRID + 2] > 0.5


def _voice(index: int) -> np.ndarray:
    """Whether a person talks, on the grid and two frames on both sides."""
    times = ([1, 13], [3, 15]) if index % 2 == 0 else ([5, 17], [11, 22])
    return voiced(*map(np.array, times), 24.08, GRID + 4)


def _system(seed: int, frames: int, fps: float, gain: float, audio: list) -> list[np.ndarray]:
    """Everybody's motion [T, 19] of a system: pose 2, expression 4, rotation 3, 6, 3 and scale."""
    found = []
    for index in range(12):
        noise = np.random.default_rng(seed + index).standard_normal((frames, 19))
        motion = smoothed(noise, 0.95)
        heard = np.maximum(np.floor(np.arange(frames) * 50 / fps).astype(int) - 16, 0)
        motion[:, :6] += gain * audio[index ^ 1][heard]
        turned = Rotation.from_matrix(Rotation.from_rotvec(0.1 * motion[:, 6:9]).as_matrix())
        motion[:, 6:9] = turned.as_rotvec()
        motion[:, 18] = 1 + 0.1 * motion[:, 18]
        found.append(motion)
    return found


RATES = {"GT": (2000, 722, 30.0, 0.5), "M1": (3000, 602, 25.0, 0.25)}
"""Seed, frames, frames a second and how strongly it follows the partner's voice, of each system."""
GAPS = {"GT": (3, slice(300, 305)), "M1": (4, slice(100, 110))}
"""Of every how manyth person which frames have no face."""


@cache
def _sounds() -> list[np.ndarray]:
    """Everybody's voice at 50 rows a second."""
    return [
        smoothed(np.random.default_rng(1000 + index).standard_normal((1204, 6)), 0.9)
        for index in range(12)
    ]


@cache
def _motions(name: str) -> list[np.ndarray]:
    return _system(*RATES[name], _sounds())


def _seen(name: str, index: int) -> np.ndarray:
    face, (every, gap) = np.ones(RATES[name][1], bool), GAPS[name]
    if index % every == 0:
        face[gap] = False
    return face


def _listens(index: int) -> np.ndarray:
    return reactive(_voice(index), _voice(index ^ 1), FPS)[2 : GRID + 2]


def rdgg_listeners() -> dict[str, dict[str, Listener]]:
    """The truth ``GT`` and a system ``M1``: listeners by stem, valid where they listen and their
    own face is seen."""
    heard = [track[::2][2 : len(track) // 2 - 2] for track in _sounds()]
    order = [STEMS.index(stem) for stem in sorted(STEMS)]
    filled = [
        on_grid(without_gaps(motion, _seen("GT", index)), 30.0)
        for index, motion in enumerate(_motions("GT"))
    ]
    speakers = [track - track.mean(axis=0) for track in filled]
    voices = Projection.fit([heard[index] for index in order], 64, 101)
    faces = Projection.fit([speakers[index] for index in order], 32, 103)
    people = {stem: (person(stem), person(STEMS[i ^ 1])) for i, stem in enumerate(STEMS)}
    folds = join_folds(people)
    return {
        name: {
            stem: Listener(
                on_grid(_motions(name)[index], fps),
                _listens(index) & seen_on_grid(_seen(name, index), fps),
                voices.scores(heard[index]),
                Driver(voices.scores(heard[index ^ 1]), faces.scores(speakers[index ^ 1])),
                folds[stem],
            )
            for index, stem in enumerate(STEMS)
        }
        for name, (_, _, fps, _) in RATES.items()
    }


def rdgg_surrogate(truth: dict[str, Listener], partners: dict[str, str]) -> dict[str, Listener]:
    """Everybody with the true motion of another, their ``partners``', which begins anywhere and
    goes round; the 100 frames after the seam are no face."""
    found = {}
    for place, stem in enumerate(sorted(STEMS)):
        other, (_, frames, fps, _) = STEMS.index(partners[stem]), RATES["GT"]
        start = int(np.random.default_rng(90_000 + place).integers(0, frames))
        turned, seam = np.roll(np.arange(frames), -start), frames - start
        seen = _seen("GT", other)[turned]
        seen[seam : seam + 100] = False
        listens = _listens(STEMS.index(stem)) & seen_on_grid(seen, fps)
        found[stem] = truth[stem].of(on_grid(_motions("GT")[other][turned], fps), listens)
    return found
