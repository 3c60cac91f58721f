"""Make ``held-out-speech/``: short takes of voices that no training speech has, phones known.

    python -m examples.recipes.build_held_out_speech natural
    python -m examples.recipes.build_held_out_speech espeak

The packages are those of :mod:`examples.recipes.build_speech`. A voice says one take: its first
that ends with a clause after 8 to 12 s. eSpeak's voices are accents and variants that none of the
first TRAINED voices of the training speech has; natural ones are other mixtures of the same packs.
The sound is kept as Opus, which starts and ends where the recording did.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import weights
from dimcli.data.synthetic.phones import Phone
from dimcli.media.ffmpeg import command, run
from examples.recipes.build_speech import (
    HELD_OUT,
    RATE,
    TAKES,
    Floats,
    Take,
    assemble,
    espeak_name,
    espeak_take,
    natural_take,
    write_take,
)
from examples.recipes.speech_kokoro import Kokoro

Piece = tuple[Floats, int, list[Phone], float]

OUT = Path(weights.__file__).with_name("held-out-speech")
VOICES = 10
"""Of each kind."""
TRAINED = 300
LENGTH_S = (8.0, 12.0)
BITS = 32_000
"""A second: what sounds like the original at 16 kHz."""


def until(pieces: Iterator[Piece], seconds: float) -> Iterator[Piece]:
    """The clauses up to the one that ends after ``seconds``."""
    at = 0.0
    for piece in pieces:
        yield piece
        at += len(piece[0]) / piece[1] + piece[3]
        if at >= seconds:
            return


def taken_names(voices: int) -> set[str]:
    """eSpeak's voices behind the first so many of the training speech."""
    return {espeak_name(np.random.default_rng([1, voice])) for voice in range(voices)}


def draw_take(voice: int, model: Kokoro | None) -> Take | None:
    """The first take of ``voice`` that has the length, of Kokoro if there is a ``model``."""
    for number in range(TAKES["natural" if model else "espeak"]):
        pieces = natural_take(model, voice, number) if model else espeak_take(voice, number)
        random = np.random.default_rng([3, voice, number])
        sound, phones = assemble(until(pieces, LENGTH_S[0]), random)
        if LENGTH_S[0] <= len(sound) / RATE <= LENGTH_S[1]:
            return sound, phones
    return None


def write_opus(path: Path, take: Take) -> None:
    """Write ``path`` (.ogg) and the TextGrid beside it. Raises RuntimeError."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.with_suffix(".wav").name
        write_take(plain, take)
        coding = ("-c:a", "libopus", "-b:a", str(BITS), "-application", "audio")
        exact = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact")
        done = run(command("-v", "error", "-i", plain, *coding, *exact, path))
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        plain.with_suffix(".TextGrid").replace(path.with_suffix(".TextGrid"))


def main() -> None:
    """The commands above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kind", choices=("espeak", "natural"))
    parser.add_argument("--cache", type=Path, default=Path(), help="keeps the joined model")
    options = parser.parse_args()
    model = Kokoro(options.cache) if options.kind == "natural" else None
    taken = taken_names(TRAINED)
    OUT.mkdir(exist_ok=True)
    voice, done = HELD_OUT, 0
    while done < VOICES:
        path = OUT / f"{options.kind}-{voice}.ogg"
        strange = model or espeak_name(np.random.default_rng([1, voice])) not in taken
        take = draw_take(voice, model) if strange and not path.is_file() else None
        if take is not None:
            write_opus(path, take)
            print(f"{path.name}: {len(take[0]) / RATE:.1f} s")
        done += path.is_file()
        voice += 1


if __name__ == "__main__":
    main()
