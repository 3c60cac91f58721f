import numpy as np
import pytest
import torch

from dimcli.audio import mel
from dimcli.audio.log_mel import OnlineMel, online_mel
from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.online import Stream
from tests.answers import generate_online
from tests.stores import AUDIO_DIM, smooth

pytestmark = pytest.mark.slow

CAUSAL = {"dim.causal": True, "vq.causal": True}


def make(**settings: object) -> DIM:
    settings = {"data.audio_dim": AUDIO_DIM, "dim.outputs": "listener", **CAUSAL, **settings}
    torch.manual_seed(0)
    model = DIM(with_overrides(preset("tiny", "finetune"), settings)).eval()
    for part in model.vqvae("listener").part_modules if model.vq else ():
        part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model


def speaker(frames: int = 100) -> tuple[Motion, np.ndarray]:
    random = np.random.default_rng(0)
    return Motion(smooth(random, frames, 56), fps=25.0), smooth(random, frames, AUDIO_DIM)


REGRESSION = {
    "dim.targets": "motion", "dim.listener_inputs": "motion", "dim.visible_targets": False,
    "dim.code_geometry": False,
}  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"dim.decoder": "autoregressive"}, REGRESSION])
def test_a_stream_fed_frame_by_frame_gives_what_the_whole_clip_gives(
    settings: dict[str, object],
) -> None:
    model = make(**settings)
    motion, audio = speaker(99)  # several windows
    whole = generate_online(model, motion, audio, seed=3).values
    assert whole.shape == (99, 56)
    listener = Stream(model, "listener")
    for cuts in (range(1, 100), (7, 8, 50, 98, 99)):
        state, made, start = listener.start(3), [], 0
        for stop in cuts:
            frames, state = listener.feed(state, audio[start:stop], motion.values[start:stop])
            made.append(frames)
            start = stop
        streamed = np.concatenate([*made, listener.finish(state)])
        assert np.array_equal(streamed, whole)


def test_what_a_stream_says_does_not_depend_on_what_comes_later() -> None:
    model = make()
    motion, audio = speaker(120)
    other = motion.values.copy()
    other[80:] += 0.3
    noise = audio.copy()
    noise[80:] -= 0.3
    before = generate_online(model, motion, audio, seed=0).values
    after = generate_online(model, Motion(other, fps=25.0), noise, seed=0).values
    assert np.array_equal(before[:80], after[:80])
    assert not np.array_equal(before[80:], after[80:])


def test_an_answer_comes_as_soon_as_a_step_is_whole_and_memory_is_bounded() -> None:
    model = make()
    motion, audio = speaker(100)
    listener = Stream(model, "listener")
    state = listener.start(0)
    given, sizes = [], []
    for frame in range(100):
        frames, state = listener.feed(
            state, audio[frame : frame + 1], motion.values[frame : frame + 1]
        )
        given.append(len(frames))
        sizes.append(len(state.speaker) + len(state.codes))
    assert given == [0, 0, 0, 4] * 25
    assert listener.delay_s == pytest.approx(0.16)
    assert max(sizes[50:]) == max(sizes[80:]) < 50


def test_steps_join_without_a_jump() -> None:
    motion, audio = speaker(120)
    values = generate_online(make(), motion, audio, seed=0).values
    step = np.abs(np.diff(values, axis=0)).mean(axis=1)
    assert step[3::4].mean() < 2 * step.mean()


def test_weights_that_look_ahead_are_refused_with_what_to_do() -> None:
    for settings in ({"dim.causal": False}, {"vq.causal": False}):
        with pytest.raises(InputError, match="--ablation online -o RUN"):
            generate_online(make(**settings), *speaker(20), seed=0)


def sound(seconds: float = 6.0) -> np.ndarray:
    """Bursts of a buzz between silences, 16 kHz."""
    time = np.arange(round(16000 * seconds)) / 16000
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) * (np.sin(2 * np.pi * 0.7 * time) > 0)
    return (0.1 * buzz + 0.001 * np.random.default_rng(0).normal(size=len(time))).astype("float32")


def test_sound_heard_in_pieces_gives_the_features_of_the_whole() -> None:
    samples = sound()
    whole = online_mel(samples, 25.0, 150)
    assert whole.shape == (150, 32)
    for size in (160, 641, 5000):
        ear = OnlineMel(25.0)
        pieces = [ear.feed(samples[i : i + size]) for i in range(0, len(samples), size)]
        heard = np.concatenate(pieces)
        assert np.array_equal(heard, whole[: len(heard)])
        assert len(heard) >= 149


def test_features_of_a_stream_know_nothing_of_the_future() -> None:
    samples = sound()
    louder = samples.copy()
    louder[64000:] *= 8
    first, other = (online_mel(each, 25.0, 150) for each in (samples, louder))
    assert np.array_equal(first[:100], other[:100])
    assert not np.array_equal(first[100:], other[100:])


def test_features_of_a_stream_come_close_to_the_whole_clips() -> None:
    samples = sound(12.0)
    whole, stream = mel(samples, 16000, 25.0, 300), online_mel(samples, 25.0, 300)
    late = slice(100, 300)
    apart = np.abs(whole[late] - stream[late]).mean()
    assert apart < 0.25 * np.abs(whole[late] - whole[late].mean(axis=0)).mean()


def test_a_listener_trained_with_face_dropout_answers_a_voice_and_a_face_that_comes_and_goes() -> (
    None
):
    model = make(**{"dim.decoder": "autoregressive", "dim.face_dropout": 0.2})
    motion, audio = speaker(60)

    def heard(seen: np.ndarray | None) -> np.ndarray:
        listener = Stream(model, "listener")
        return listener.feed(listener.start(1), audio, seen)[0]

    nothing = np.full_like(motion.values, np.nan)
    assert np.array_equal(heard(None), heard(nothing))
    alone = generate_online(model, None, audio, seed=1).values
    assert np.array_equal(alone, heard(None))
    assert not np.array_equal(alone, generate_online(model, motion, audio, seed=1).values)
    # what a tracker puts where it saw nobody is not looked at, and a face that comes back is
    valid = np.arange(60) < 20
    for made_up in (0.0, 0.5):
        values = np.where(valid[:, None], motion.values, np.float32(made_up))
        gone = generate_online(model, Motion(values, fps=25.0, valid=valid), audio, seed=1).values
        assert np.array_equal(gone, heard(np.where(valid[:, None], motion.values, np.nan)))
    assert np.isfinite(gone).all()
    back = heard(np.where(np.arange(60)[:, None] > 39, motion.values, np.float32(np.nan)))
    assert np.array_equal(back[:40], alone[:40]) and not np.array_equal(back[40:], alone[40:])


def test_a_voice_alone_is_refused_by_weights_that_need_a_face() -> None:
    listener = Stream(make(), "listener")
    with pytest.raises(InputError, match=r"need the speaker's face; .* take listener-live"):
        listener.feed(listener.start(0), speaker(20)[1])
    with pytest.raises(InputError, match="no motion of the speaker"):
        generate_online(make(), None, speaker(20)[1], seed=0)


def test_who_speaks_after_a_long_silence_is_heard_at_once() -> None:
    samples = sound(4.0)
    late = np.concatenate([samples, np.zeros(16000 * 40, np.float32), samples])
    again = online_mel(late, 25.0, 1200)[1100:]
    whole = mel(samples, 16000, 25.0, 100)
    assert np.abs(again - whole).mean() < 0.1 * np.abs(whole - whole.mean(axis=0)).mean()
