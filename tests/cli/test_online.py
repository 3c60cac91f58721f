"""Online generation from the command line."""

import math

import numpy as np
import pytest
from scipy.io import wavfile

import dimcli
from dimcli import media
from dimcli.core.motion import Motion


def test_online_with_weights_that_look_ahead_exits_2_with_one_line(dim, examples, tmp_path):
    ended = dim(
        *("generate-listener", examples / "speaker.mp4", "--renderer", "mesh", "--online"),
        *("-o", "out.mp4", "--size", 64, "--weights", "listener-small"),
    )
    assert ended.code == 2
    assert "--ablation online" in ended.err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_a_model_of_the_online_ablation_answers_a_clip_as_a_stream(
    dim, made_dyads, short_speaker, tmp_path
):
    tiny = ("--preset", "tiny", "--steps", 1, "--device", "cpu")
    ended = dim("train", made_dyads, "--method", "dim", "--ablation", "online", "-o", "run", *tiny)
    assert ended.code == 0, ended.err
    ended = dim(
        *("generate-listener", short_speaker, "--renderer", "mesh", "--size", 64),
        *("--weights", "run", "--online", "-o", "out.mp4", "--device", "cpu"),
    )
    assert ended.code == 0, ended.err
    assert (tmp_path / "out.mp4").stat().st_size > 0
    ended = dim(
        *("eval", "--data", made_dyads, "--weights", "run", "--online", "--bootstrap", 0, "--json")
    )
    assert ended.code == 0, ended.err


@pytest.mark.slow
def test_a_voice_alone_is_answered_by_the_live_listener_and_refused_by_the_other(
    dim, short_speaker, tmp_path
):
    sound = media.read_audio(short_speaker, 16000)
    wavfile.write(tmp_path / "voice.wav", 16000, sound)
    asked = ("generate-listener", "voice.wav", "--renderer", "mesh", "--size", 64, "-o", "out.mp4")
    refused = dim(*asked, "--weights", "listener-small")
    assert refused.code == 2
    assert "voice.wav: has no picture, only sound; " in refused.err
    assert "listener-live" in refused.err
    assert dim(*asked, "--layout", "side-by-side").code == 2
    assert not (tmp_path / "out.mp4").exists()
    ended = dim(*asked, "--online", "--save-motion", "motion.npz", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert media.has_audio(tmp_path / "out.mp4")
    made = Motion.load(tmp_path / "motion.npz")
    assert len(made) == math.ceil(len(sound) / 640)
    listener = dimcli.load_listener(device="cpu", online=True)
    for heard in (listener.listen(None, sound), listener.listen(tmp_path / "voice.wav")):
        assert np.array_equal(heard.values, made.values)
