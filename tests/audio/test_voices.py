"""Who talks, of two voices on a track each."""

import numpy as np
import pytest

import weights
from dimcli.audio import SAMPLE_RATE
from dimcli.audio.voices import Voice, talking
from dimcli.core.motion import Bools, Floats
from dimcli.media import read_audio

FPS, SECONDS = 25.0, 14
FRAMES = round(SECONDS * FPS)


def track(random: np.random.Generator, noise_db: float, *said: tuple[float, Floats]) -> Floats:
    """Noise, and what is said in it from so many seconds on."""
    samples = 10 ** (noise_db / 20) * random.standard_normal(SECONDS * SAMPLE_RATE)
    for start_s, sound in said:
        at = round(start_s * SAMPLE_RATE)
        samples[at : at + len(sound)] += sound
    return samples.astype(np.float32)


def talks(own: Floats, other: Floats) -> Bools:
    one, two = (Voice.of(each, FPS, FRAMES) for each in (own, other))
    return talking(one, two, FPS, FRAMES)


@pytest.mark.parametrize("take", ["espeak-9000", "natural-9000"])
@pytest.mark.parametrize(("noise_db", "bleed"), [(-70, 0.0), (-55, 0.03), (-45, 0.1)])
def test_a_listener_talks_in_their_answer_and_neither_in_noise_nor_in_the_others_voice(
    take: str, noise_db: float, bleed: float
) -> None:
    random = np.random.default_rng(0)
    speech = read_audio(weights.path("held-out-speech") / f"{take}.ogg")
    long, short = speech[: 8 * SAMPLE_RATE], 0.7 * speech[SAMPLE_RATE : 2 * SAMPLE_RATE]
    speaker = track(random, noise_db, (1.0, long), (11.0, bleed * short))
    silent = track(random, noise_db, (1.0, bleed * long))
    answers = track(random, noise_db, (1.0, bleed * long), (11.0, short))
    assert talks(speaker, answers)[25:225].mean() > 0.5
    assert not talks(silent, speaker).any()
    found = talks(answers, speaker)
    assert found[275:300].mean() > 0.5
    assert not found[:270].any() and not found[306:].any()


def test_what_ends_early_is_silent_and_silence_is_no_talking() -> None:
    random = np.random.default_rng(1)
    buzz = np.sign(np.sin(2 * np.pi * 150 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)) * 0.2
    short = track(random, -70, (1.0, buzz))[: 3 * SAMPLE_RATE]
    nothing = np.zeros(0, np.float32)
    found = talks(short, nothing)
    assert found[26:49].all() and not found[:24].any() and not found[52:].any()
    assert not talks(nothing, short).any()
