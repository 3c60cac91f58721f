"""One face listens and speaks."""

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import JAW_PITCH
from dimcli.live.session import LiveFrame, Session
from dimcli.media import read_audio

pytestmark = pytest.mark.slow

SAID_S = 1.0
"""When the agent begins to speak."""


@pytest.fixture(scope="module")
def voice(short_speaker) -> np.ndarray:
    return read_audio(short_speaker, 16000)[:24000]


class Recorded(Session):
    """Keeps its frames."""

    def __init__(self, *models: object, **how: object) -> None:
        super().__init__(*models, **how)
        self.frames: list[LiveFrame] = []

    @property
    def values(self) -> np.ndarray:
        return np.stack([frame.values for frame in self.frames])


def conversation(session: Recorded, sound: np.ndarray, pieces: list[np.ndarray]) -> float:
    """Three seconds of the partner's ``sound``, and from SAID_S on the agent's voice in ``pieces``,
    one every 0.08 s; returns when it sounds."""
    said = []
    for tick in range(76):
        session.hear(sound[640 * tick - 640 : 640 * tick] if tick else sound[:0])
        session.frames += session.advance(tick / 25)
        if tick >= SAID_S * 25 and tick % 2 == 1 and len(said) < len(pieces):
            said.append(session.say(pieces[len(said)]))
    session.frames += session.finish(85)
    gaps = np.diff(said) - np.array([len(piece) for piece in pieces[:-1]]) / 16000
    assert np.abs(gaps).max(initial=0) < 1e-3  # what is said in pieces has no gaps
    return said[0] if said else 0.0


def test_the_face_says_what_is_said_when_it_says_and_listens_before_and_after(
    listener, speaker, sound, voice
):
    both, whole, alone = (
        Recorded(listener, *models, seed=1) for models in ([speaker], [speaker], [])
    )
    began = conversation(both, sound, np.array_split(voice, 18))
    assert conversation(whole, sound, [voice]) == began
    assert np.array_equal(both.values, whole.values)
    conversation(alone, sound, [])
    assert SAID_S + 0.3 < began < SAID_S + 0.5
    first = round(began * 25)
    speaks = np.array([frame.speaking for frame in both.frames])
    assert not speaks[: first - 4].any()
    # before the hand-over the listener's, with a quiet mouth
    quiet = alone.values[: first - 10].copy()
    quiet[:, 3:6] *= 0.25
    assert np.allclose(both.values[: first - 10], quiet, atol=1e-6)
    # the jaw follows the voice
    loud = np.sqrt(np.square(voice[: 37 * 640].reshape(37, 640)).mean(axis=1))
    assert speaks[first : first + 37][loud > 0.01].all()
    jaw = both.values[first : first + 37, JAW_PITCH]
    apart = [np.corrcoef(loud[: 37 - lag], jaw[lag:])[0, 1] for lag in range(5)]
    assert max(apart[:3]) > 0.3
    # the face goes over without a jump
    steps = np.abs(np.diff(both.values, axis=0))
    handing = np.abs(steps[first - 10 : first + 10]).max(axis=0)
    usual = np.abs(np.diff(alone.values, axis=0)).max(axis=0) + steps[first + 10 :].max(axis=0)
    assert (handing < usual + 0.12).all()


def test_an_interrupted_agent_falls_silent(listener, speaker, voice):
    session = Recorded(listener, speaker)
    session.say(np.tile(voice, 3))
    session.frames += session.advance(1.2)
    silent_s = session.hush()
    session.frames += session.advance(4.0)
    speaks = [frame.index for frame in session.frames if frame.speaking]
    assert 30 < speaks[-1] < 55
    sounds = [frame.index for frame in session.frames if frame.said is not None]
    assert sounds[-1] == round(silent_s * 25) - 1


def test_frames_have_what_is_to_sound_with_them(listener, speaker, voice):
    session = Recorded(listener, speaker)
    began = session.say(voice)
    session.frames += session.advance(4.0)
    silence = np.zeros(640, np.float32)
    heard = [silence if frame.said is None else frame.said for frame in session.frames]
    sound = np.concatenate(heard)[round(began * 16000) :]
    assert np.array_equal(sound[: len(voice)], voice)
    assert not sound[len(voice) :].any()


def test_what_cannot_be_said_is_refused(listener, speaker):
    with pytest.raises(InputError, match="no speaker's weights"):
        Session(listener).say(np.zeros(10, np.float32))
    session = Session(listener, speaker)
    with pytest.raises(InputError, match="ahead of time"):
        for _ in range(20):
            session.say(np.zeros(160000, np.float32))
    with pytest.raises(InputError, match="mono"):
        session.say(np.zeros((2, 10), np.float32))
