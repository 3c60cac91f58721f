import numpy as np

from dimcli.core.motion import Motion
from dimcli.jobs.dyad import blended, turns

RATE = 16000


def voice(random: np.random.Generator, seconds: float) -> np.ndarray:
    """Syllables of a buzz, five a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 130 * time)) * (0.4 + 0.6 * np.sin(np.pi * 5 * time) ** 2)
    return (0.2 * buzz + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def tracks(bleed: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A talks from 1 to 4 s and B from 5 to 8 s, of 9 s."""
    random = np.random.default_rng(0)
    both = [(0.0005 * random.standard_normal(9 * RATE)).astype(np.float32) for _ in range(2)]
    for index, start in enumerate((1, 5)):
        said = voice(random, 3.0)
        both[index][start * RATE : (start + 3) * RATE] += said
        both[1 - index][start * RATE : (start + 3) * RATE] += bleed * said
    return both[0], both[1]


def test_each_talks_while_its_own_track_is_heard() -> None:
    for bleed in (0.0, 0.1):  # the other's voice, 20 dB down
        a, b = turns(tracks(bleed), 25.0, 225)
        assert a[25:100].all(), bleed
        assert b[125:200].all(), bleed
        assert not a[120:].any(), bleed
        assert not b[:105].any(), bleed


def test_nobody_talks_in_silence() -> None:
    nothing = np.zeros(3 * RATE, np.float32)
    a, b = turns((nothing, nothing), 25.0, 75)
    assert not a.any()
    assert not b.any()


def test_who_listens_keeps_a_quiet_mouth_and_the_listeners_head() -> None:
    random = np.random.default_rng(0)
    speaking, listening = (
        Motion(random.random((100, 56)).astype(np.float32) * 0.2, fps=25.0) for _ in range(2)
    )
    talks = np.zeros(100, bool)
    talks[:50] = True
    made = blended(speaking, listening, talks)
    assert np.allclose(made.values[:40], speaking.values[:40], atol=1e-6)
    assert np.allclose(made.values[60:, :3], listening.values[60:, :3], atol=1e-6)
    assert (made.values[60:, 3] < 0.5 * listening.values[60:, 3]).all()
