"""Motion of somebody who says given sounds: mouth by phoneme, blinks, brows, head beats, gaze.

Build-time only: it animates the example speaker.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from dimcli.core.motion import HEAD, JAW, JAW_OPEN_RAD, MOTION_DIM, expression_index
from examples.recipes.speech_sound import RATE, Sound

Floats = NDArray[np.float64]
FINE_HZ = 200
"""Curves are drawn at this rate and then sampled at the video's."""

VISEMES: dict[str, dict[str, float]] = {
    "ɑ ɔ ɒ ɔː ɑː": {"jaw": 0.46, "mouthFunnel": 0.22},
    "æ ɛ e eɪ": {"jaw": 0.38, "mouthStretch_": 0.25, "mouthLowerDown_": 0.3, "mouthUpperUp_": 0.2},
    "ʌ ɐ ə ɚ ɜː ɜ": {"jaw": 0.26, "mouthLowerDown_": 0.15},
    "aɪ aʊ a": {"jaw": 0.48, "mouthLowerDown_": 0.2, "mouthUpperUp_": 0.1},
    "i iː ɪ j": {"jaw": 0.13, "mouthStretch_": 0.38, "mouthSmile_": 0.25, "mouthLowerDown_": 0.35},
    "u uː ʊ w": {"jaw": 0.12, "mouthPucker": 0.75, "mouthFunnel": 0.3},
    "oʊ o": {"jaw": 0.28, "mouthPucker": 0.4, "mouthFunnel": 0.45},
    "ɹ r": {"jaw": 0.14, "mouthPucker": 0.3, "mouthFunnel": 0.3},
    "p b m": {"jaw": 0.0, "closed": 1.0, "mouthPress_": 0.3},
    "f v": {"jaw": 0.06, "mouthRollLower": 0.45, "mouthUpperUp_": 0.35},
    "θ ð t d n l": {"jaw": 0.16, "mouthLowerDown_": 0.3, "mouthUpperUp_": 0.1},
    "s z": {"jaw": 0.06, "mouthStretch_": 0.3, "mouthLowerDown_": 0.45, "mouthUpperUp_": 0.2},
    "ʃ ʒ tʃ dʒ": {"jaw": 0.09, "mouthFunnel": 0.55, "mouthPucker": 0.25},
    "k ɡ ŋ h": {"jaw": 0.2, "mouthLowerDown_": 0.12},
}
"""Mouth shape of each group of phonemes: jawOpen, expressions (``_`` means both sides)."""

MOUTH_OF = {ipa: shape for group, shape in VISEMES.items() for ipa in group.split()}


def bump(time_s: Floats, start_s: float, rise_s: float, hold_s: float, fall_s: float) -> Floats:
    """0 to 1 and back with smooth flanks."""
    up = np.clip((time_s - start_s) / rise_s, 0, 1)
    down = np.clip((time_s - start_s - rise_s - hold_s) / fall_s, 0, 1)
    return up * up * (3 - 2 * up) * (1 - down * down * (3 - 2 * down))


def drift(count: int, width_s: float, generator: np.random.Generator) -> Floats:
    """Slow random movement of unit deviation at FINE_HZ."""
    pad = int(4 * width_s * FINE_HZ)
    walk = gaussian_filter1d(generator.standard_normal(count + 2 * pad), width_s * FINE_HZ)
    walk = walk[pad:-pad]
    return walk / walk.std()


def loudness(samples: NDArray[np.float32], count: int) -> Floats:
    """Smoothed sound level in 0..1 at FINE_HZ, [count]."""
    hop = RATE // FINE_HZ
    padded = np.pad(samples, (0, max(0, count * hop - len(samples))))[: count * hop]
    level = np.sqrt((padded.reshape(count, hop) ** 2).mean(axis=1))
    level = gaussian_filter1d(level, 0.03 * FINE_HZ)
    return np.clip(level / np.percentile(level, 95), 0, 1)


def mouth(curves: dict[str, Floats], sounds: list[Sound], level: Floats, time_s: Floats) -> None:
    """Add the mouth's movement to ``curves``, a little ahead of the sound as people do."""
    lead_s = 0.04
    targets: dict[str, Floats] = {}
    for sound in sounds:
        stress = 1.2 if "ˈ" in sound.ipa else 0.9
        shape = MOUTH_OF.get(sound.ipa.strip("ˈˌ"), MOUTH_OF.get(sound.ipa.strip("ˈˌː")))
        here = (time_s >= sound.start_s - lead_s) & (time_s < sound.end_s - lead_s)
        for name, amount in (shape or {}).items():
            curve = targets.setdefault(name, np.zeros_like(time_s))
            curve[here] = amount if name == "closed" else amount * stress
    closed = gaussian_filter1d(targets.pop("closed", np.zeros_like(time_s)), 0.022 * FINE_HZ)
    closed = np.clip(1.9 * closed, 0, 1)
    for name, curve in targets.items():
        smooth = gaussian_filter1d(curve, 0.042 * FINE_HZ)
        if name == "jaw":
            smooth = smooth * (0.6 + 0.55 * level)
        if name != "mouthPress_":
            smooth = smooth * (1 - closed)
        curves[name] = curves.get(name, 0) + smooth


def talking_motion(
    samples: NDArray[np.float32], sounds: list[Sound], fps: float, seed: int
) -> NDArray[np.float32]:
    """Motion values [T, 56] (arkit) of a speaker of ``samples`` (at speech.RATE)."""
    generator = np.random.default_rng(seed)
    count = int(len(samples) / RATE * FINE_HZ)
    time_s = np.arange(count) / FINE_HZ
    level = loudness(samples, count)
    curves: dict[str, Floats] = {"mouthSmile_": 0.10 + 0.03 * drift(count, 0.8, generator)}
    mouth(curves, sounds, level, time_s)

    starts = [sounds[0].start_s]
    ends = []
    for before, after in pairwise(sounds):
        if after.start_s - before.end_s > 0.25:
            ends.append(before.end_s)
            starts.append(after.start_s)
    ends.append(sounds[-1].end_s)
    talking = gaussian_filter1d((level > 0.12).astype(float), 0.15 * FINE_HZ)

    brow = 0.05 + 0.04 * np.abs(drift(count, 0.5, generator))
    for start in starts:
        brow = brow + 0.22 * bump(time_s, start - 0.1, 0.2, 0.25, 0.5)
    brow = brow + 0.45 * bump(time_s, ends[0] - 0.45, 0.3, 0.5, 0.4)  # the question
    curves["browInnerUp"] = brow
    curves["browOuterUp_"] = 0.8 * brow
    curves["mouthSmile_"] = curves["mouthSmile_"] + 0.32 * bump(time_s, ends[-1] - 0.5, 0.5, 2, 1)
    curves["cheekSquint_"] = 0.5 * np.clip(curves["mouthSmile_"], 0, 1)

    blink = np.zeros(count)
    next_s = 0.9
    while next_s < time_s[-1] - 0.3:
        nearest = min(ends, key=lambda end: abs(end - next_s))
        at_s = nearest + 0.08 if abs(nearest - next_s) < 0.7 else next_s
        blink = np.maximum(blink, bump(time_s, at_s, 0.08, 0.04, 0.15))
        next_s = at_s + generator.uniform(1.4, 3.0)
    curves["eyeBlink_"] = blink

    pitch = 1.3 * drift(count, 0.45, generator)
    yaw = 3.2 * drift(count, 0.8, generator) + 1.2 * drift(count, 0.3, generator)
    roll = 1.6 * drift(count, 0.7, generator)
    for sound in sounds:
        if "ˈ" in sound.ipa:
            beat = generator.uniform(1.0, 3.4)
            pitch = pitch + beat * bump(time_s, sound.start_s - 0.09, 0.14, 0.03, 0.24)
    pitch = pitch - 2.5 * bump(time_s, ends[0] - 0.5, 0.4, 0.5, 0.5) - 1.0 * talking
    head = np.radians(np.stack([pitch, yaw, roll], axis=1))

    saccade = np.zeros((count, 2))
    now_s = 0.0
    while now_s < time_s[-1]:
        saccade[time_s >= now_s] = generator.normal(0, (2.5, 1.5))
        now_s += generator.uniform(0.5, 1.6)
    gaze = gaussian_filter1d(saccade, 0.012 * FINE_HZ, axis=0) - 0.8 * np.stack([yaw, pitch], 1)
    side, down = gaze[:, 0] / 25, gaze[:, 1] / 20
    for name, amount in (
        ("eyeLookOutLeft", side),
        ("eyeLookInRight", side),
        ("eyeLookInLeft", -side),
        ("eyeLookOutRight", -side),
        ("eyeLookDown_", down + 0.02),
        ("eyeLookUp_", -down - 0.02),
    ):
        curves[name] = amount

    values = np.zeros((count, MOTION_DIM))
    values[:, HEAD] = head
    values[:, JAW.start] = np.clip(curves.pop("jaw"), 0, 1) * JAW_OPEN_RAD
    for name, curve in curves.items():
        sides = ("Left", "Right") if name.endswith("_") else ("",)
        for side_name in sides:
            values[:, expression_index(name.rstrip("_") + side_name)] = np.clip(curve, 0, 1)
    frames = round(len(samples) / RATE * fps)
    picks = np.minimum((np.arange(frames) / fps * FINE_HZ).astype(int), count - 1)
    return values[picks].astype(np.float32)
