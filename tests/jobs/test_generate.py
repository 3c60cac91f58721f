"""Generation hears with the encoder that the model was trained with."""

import numpy as np
import pytest
from scipy.io import wavfile

from dimcli import media
from dimcli.audio import load_encoder
from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import silent
from dimcli.jobs.generate import SOUND_RATE, Listener, Source, Watching, _open_clip, generate_videos
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from tests.answers import write_run
from tests.audio.test_hubert import WIDTH, small_model
from tests.media.clips import make


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Writes an untrained listener run whose data had features ``width`` wide of ``encoder``."""
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    load_encoder.cache_clear()

    def make(encoder: str, width: int):
        settings = {"data.audio_dim": width, "data.audio_encoder": encoder}
        config = with_overrides(preset("tiny", "finetune"), settings | {"dim.outputs": "listener"})
        write_run(config, DIM(config), tmp_path / "run")
        return tmp_path / "run"

    return make


@pytest.mark.slow
def test_a_model_trained_on_hubert_hears_with_hubert(run, examples, tmp_path):
    small_model().save_pretrained(tmp_path / "small")
    name = f"hubert:{tmp_path / 'small'}"
    listener = Listener.load(run(name, WIDTH), "cpu")
    speaker = Motion(np.zeros((40, 56), np.float32), fps=25.0)
    sound = media.read_audio(examples / "speaker.mp4", SOUND_RATE)
    perceived = listener.perceive(Source(sound, speaker))
    made = listener.answer(perceived, steps=1)
    assert len(made) == 40
    assert perceived.stimulus.audio.shape == (40, WIDTH)
    assert list((tmp_path / "home").rglob("*.npy"))  # the model ran; mel keeps nothing


def test_an_encoder_of_another_width_is_refused_before_any_tracking(run):
    with pytest.raises(InputError, match="33 features of 'mel', which gives 32 here"):
        Listener.load(run("mel", 33), "cpu")


def test_a_model_trained_on_learning2listens_features_hears_a_clip(run, examples):
    listener = Listener.load(run("l2l-mel", 512), "cpu")
    speaker = Motion(np.zeros((40, 56), np.float32), fps=25.0)
    sound = media.read_audio(examples / "speaker.mp4", SOUND_RATE)
    perceived = listener.perceive(Source(sound, speaker))
    assert perceived.stimulus.audio.shape == (40, 512) and perceived.stimulus.audio.any()
    assert len(listener.answer(perceived, steps=1)) == 40


def test_features_that_only_a_corpus_has_are_refused_before_any_tracking(run):
    with pytest.raises(InputError, match="'hubert-layer-9', features that came with its corpus"):
        Listener.load(run("hubert-layer-9", WIDTH), "cpu")


def test_an_encoder_that_is_not_here_is_refused_before_any_tracking(run):
    with pytest.raises(InputError, match="hubert:/gone: no such folder"):
        Listener.load(run("hubert:/gone", WIDTH), "cpu")


def test_sound_of_three_hours_is_refused_before_a_face_is_tracked(examples, tmp_path):
    silence = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=10800", "-frame_size", "65535")
    how = Watching(audio=make(tmp_path / "long.flac", *silence))
    with pytest.raises(InputError, match=r"long\.flac: its sound is 3\.0 hours long"):
        _open_clip(examples / "speaker.mp4", "arkit", how, "listener-small", "cpu")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.5, "voice.wav lasts 0.5 s, the speaker's video 2.0 s: the rest is silent"),
     (3.0, "voice.wav lasts 3.0 s, the speaker's video 2.0 s: the rest of it is not heard"),
     (2.0, None)],
)  # fmt: skip
def test_a_sound_of_another_length_than_the_video_is_told(seconds, told, tmp_path):
    voice = tmp_path / "voice.wav"
    wavfile.write(voice, 16000, np.ones(round(seconds * 16000), np.int16))
    Motion(np.zeros((50, 56), np.float32), 25.0).save(tmp_path / "motion.npz")
    how = Watching(audio=voice)
    open_motion = _open_clip(tmp_path / "motion.npz", "arkit", how, "listener-small", "cpu")
    remarks = open_motion(silent).remarks
    assert (told is None) == (not remarks)
    assert told is None or remarks[0].endswith(told)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"background": "beach"}, "--background beach: no such picture and no colour"),
        ({"attitude": "happy"}, "--attitude is 'happy'; expected one of unknown, negative"),
    ],
)
def test_a_word_that_is_none_is_refused_before_the_speaker_is_looked_at(options, said, tmp_path):
    speaker = tmp_path / "speaker.mp4"
    speaker.write_bytes(b"no video")
    with pytest.raises(InputError, match=said):
        generate_videos(
            "listener", speaker, tmp_path / "face.png", weights="listener-small", **options
        )
