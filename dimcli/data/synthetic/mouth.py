"""From phones to the mouth: co-articulation by dominance, then what closes closes.

Cohen and Massaro (1993): around each phone its dominance falls off exponentially, and a control of
the face is at every time the mean of all phones' targets, weighted by their dominance (their
equations 1-4). So a vowel between two rounded consonants rounds, fast speech undershoots, and lips
prepare for what comes: they fall off more slowly before a phone than after it (anticipation is the
stronger: Schwartz and Savariaux 2014 find lips ahead of the sound by 20-200 ms at onsets and nearly
with it inside words; Chandrasekaran et al. 2009 by 100-300 ms after a pause).

A mean never quite reaches a closure, but a /p/ without closed lips is wrong at any rate: p, b, m
seal the lips and f, v tuck the lower lip over the middle of the consonant, with flanks as long as
lips take (60 ms: Löfqvist and Gracco 1997, lip closing movements).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import JAW, JAW_OPEN_RAD, Floats, expression_index
from dimcli.data.synthetic.phones import (
    CONTROLS,
    OPENING,
    REST,
    SEAL,
    SHAPE,
    TUCK,
    Segments,
    targets,
)
from dimcli.data.synthetic.signals import add, sides_of

STEP_S = 0.01
"""Controls are computed this often, then read at the frames' times."""
BEFORE_S = {"opening": 0.05, "shape": 0.085}
"""Dominance falls to 1/e so long before a phone: lips anticipate rounding most."""
AFTER_S = {"opening": 0.04, "shape": 0.055}
"""The same after a phone."""
CORE = 0.3
"""Share of a phone's length over which it is fully dominant, about its middle."""
LEAVING_REST_S = 0.1
"""The mouth leaves its rest so long before the first phone: with what lips lead by, half open about
0.1 s before the sound (Schwartz and Savariaux 2014: they open 20-200 ms before it)."""
TO_REST_S = 0.2
"""The mouth comes to rest so long after the sound."""
FLANK_S = 0.06
SEALED_S = 0.025
"""Lips are together at least this long on either side of a closure's middle: always in a frame."""
LARGEST_JAW = 0.8
"""``jawOpen`` that spoken vowels come near and stay below."""
RELEASE = 0.65
"""Stops are shut for this share of their time; the rest is burst and breath."""


@dataclass(frozen=True)
class MouthStyle:
    """How a person articulates; 1 is the mean of the people measured.

    ``opening`` scales jaw and lips; ``jaw`` the jaw's share of it; ``rounding`` and ``spreading``
    the shapes; ``stress`` how much stress matters; ``lead_s`` how far openings and shapes are ahead
    of the sound, ``seal_lead_s`` closures: they make the sound's gap, so they can hardly be.
    """

    opening: float = 1.0
    jaw: float = 1.0
    rounding: float = 1.0
    spreading: float = 1.0
    stress: float = 0.2
    lead_s: float = 0.07
    seal_lead_s: float = 0.035


def mouth_controls(segments: Segments, duration_s: float, style: MouthStyle) -> Floats:
    """The controls of the mouth every 10 ms: float32 [N, 7], columns as CONTROLS, in 0..1.

    Before ``opening`` and the other sizes of ``style``: only its lead and its stress count here.
    """
    steps = round(duration_s / STEP_S) + 1
    time = np.arange(steps, dtype=np.float32) * STEP_S + style.lead_s
    known = targets()
    wanted = [known[letter] if letter else REST for letter in segments.letters]
    values = np.array([target.values for target in wanted], np.float32).reshape(-1, len(CONTROLS))
    vowel = np.array([target.vowel for target in wanted], bool)
    length = segments.end - segments.start
    # unstressed vowels are smaller, stressed ones larger; consonants do not care
    size = 1.0 + style.stress * (2.0 * segments.stress - 1.0) * vowel
    values = values * np.where(np.arange(len(CONTROLS)) < 2, size[:, None], 1.0)
    middle, core = (segments.start + segments.end) / 2.0, CORE * length / 2.0
    first, last = middle - core, middle + core
    silent = segments.silent
    # a silence is at rest but for the way to it and from it; a short one is hardly a rest at all
    first = np.where(silent & (segments.start > 0), segments.start + TO_REST_S, first)
    last = np.where(silent & (segments.end < duration_s), segments.end - LEAVING_REST_S, last)
    first = np.where(silent & (segments.start <= 0), -1.0, first)
    last = np.where(silent & (segments.end >= duration_s), duration_s + 1.0, last)
    crossing = first > last
    first, last = np.where(crossing, middle, first), np.where(crossing, middle, last)
    weight_of = {
        "opening": np.array([target.opening for target in wanted], np.float32),
        "shape": np.array([target.shape for target in wanted], np.float32),
    }
    short = silent & crossing
    controls = np.zeros((steps, len(CONTROLS)), np.float32)
    for name, columns in (("opening", OPENING), ("shape", SHAPE)):
        weight = weight_of[name] * np.where(short, length / (TO_REST_S + LEAVING_REST_S), 1.0)
        # long vowels insist a little more than short ones of the same kind
        before = np.maximum(first - time[:, None], 0.0) / BEFORE_S[name]
        after = np.maximum(time[:, None] - last, 0.0) / AFTER_S[name]
        dominance = weight * np.exp(-np.minimum(before + after, 40.0))
        total = dominance.sum(axis=1, keepdims=True) + 1e-9
        controls[:, list(columns)] = dominance @ values[:, list(columns)] / total
    controls = _softened(controls)
    time = time + (style.seal_lead_s - style.lead_s)
    controls[:, SEAL] = _holds(time, segments, segments.mask(SEAL))
    controls[:, TUCK] = _holds(time, segments, segments.mask(TUCK))
    return np.clip(controls, 0.0, 1.3)


def _softened(controls: Floats) -> Floats:
    """Low-pass: jaw and lips have mass. A Gaussian of 15 ms."""
    taps = np.exp(-0.5 * (np.arange(-4, 5) * STEP_S / 0.015) ** 2)
    taps /= taps.sum()
    padded = np.pad(controls, ((4, 4), (0, 0)), mode="edge")
    return np.stack(
        [np.convolve(column, taps, mode="valid") for column in padded.T], axis=1
    ).astype(np.float32)


def _holds(time: Floats, segments: Segments, which: NDArray[np.bool_]) -> Floats:
    """1 through the closures of the segments ``which``, with cosine flanks: [N]."""
    hold = np.zeros(len(time), np.float32)
    for start, end in closures(segments, which):
        middle, half = (start + end) / 2.0, max((end - start) / 2.0, SEALED_S)
        outside = np.maximum(np.abs(time - middle) - half, 0.0) / FLANK_S
        hold = np.maximum(hold, 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside, 1.0)))
    return hold


def closures(segments: Segments, which: NDArray[np.bool_]) -> Floats:
    """Start and end of the closures of the segments ``which`` [S], in seconds: float32 [C, 2].

    A stop is shut until its release; everything else through the middle of its time.
    """
    rows = []
    for index in np.flatnonzero(which):
        start, end = float(segments.start[index]), float(segments.end[index])
        if segments.letters[index] in "pb":
            end = start + RELEASE * (end - start)
        else:
            start, end = start + 0.15 * (end - start), end - 0.15 * (end - start)
        rows.append((start, end))
    return np.array(rows, np.float32).reshape(-1, 2)


def add_mouth(values: Floats, controls: Floats, fps: float, style: MouthStyle) -> None:
    """Add the mouth to motion ``values`` [T, 56] in the arkit space, in place.

    ``controls`` are :func:`mouth_controls`. Sizes are those of real talkers as our tracker sees
    them: with ``opening`` 1 the inner lips are apart by about a tenth of the distance between the
    outer eye corners in the mean of speech and a third at most.
    """
    time = np.arange(len(values)) / fps
    grid = np.arange(len(controls)) * STEP_S
    jaw, lips, round_, funnel, spread, seal, tuck = (
        np.interp(time, grid, column).astype(np.float32) for column in controls.T
    )
    free = (1.0 - seal) * (1.0 - 0.75 * tuck)
    # protruded lips are pursed: on real talkers rounding says more about the gap than the jaw does
    pursed = np.minimum(round_ + 0.7 * funnel, 1.0)
    opened = _limited(style.opening * style.jaw * jaw) * (1.0 - 0.45 * pursed)
    apart = style.opening * 0.75 * lips * (1.0 - 0.85 * pursed)
    round_, funnel = style.rounding * round_, style.rounding * funnel
    spread = style.spreading * spread
    shut_jaw = opened * (1.0 - 0.8 * seal) * (1.0 - 0.5 * tuck)
    values[:, JAW.start] += JAW_OPEN_RAD * shut_jaw
    # what keeps a face's lips apart at rest must not keep them apart in a closure
    for name in ("mouthUpperUp", "mouthLowerDown", "mouthShrugUpper", "mouthFunnel"):
        for full in _columns(name):
            values[:, full] *= 1.0 - seal
    add(values, "mouthLowerDown", apart * free)
    add(values, "mouthUpperUp", 0.6 * apart * free)
    add(values, "mouthPucker", 1.1 * round_ * (1.0 - 0.4 * seal))
    add(values, "mouthFunnel", 0.5 * funnel * free)
    add(values, "mouthStretch", 0.22 * spread * (1.0 - 0.5 * seal))
    add(values, "mouthDimple", 0.06 * spread)
    add(values, "mouthSmile", 0.08 * spread)
    # a sealed mouth on an open jaw: the lips bridge it, roll in and press
    add(values, "mouthClose", 1.05 * shut_jaw * seal)
    add(values, "mouthPress", 0.25 * seal)
    add(values, "mouthRollUpper", 0.12 * seal)
    add(values, "mouthRollLower", 0.14 * seal + 0.45 * tuck)
    add(values, "mouthShrugLower", 0.12 * seal + 0.1 * tuck)
    add(values, "mouthUpperUp", 0.14 * tuck * (1.0 - seal))


def _limited(jaw: Floats) -> Floats:
    """Jaws open by so much and no further when talking (real: 95 % under 0.18-0.53)."""
    return LARGEST_JAW * np.tanh(jaw / LARGEST_JAW)


def _columns(name: str) -> list[int]:
    return [expression_index(full) for full in sides_of(name)]
