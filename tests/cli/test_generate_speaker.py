"""``dim generate-speaker`` and ``dim generate-dyad`` with the bundled weights, as users run."""

import subprocess
import wave

import imageio_ffmpeg
import numpy as np
import pytest

from dimcli import media
from dimcli.core.motion import Motion
from dimcli.evaluation.lips import lip_opening
from dimcli.jobs.generate import load_speaker
from tests.cli.test_bad_input import refused

RATE = 16000
MESH = ("--renderer", "mesh", "--size", 64)


def write_wav(path, sound, rate=RATE, channels=1, width=2):
    """``sound`` [N] in -1..1 as a PCM file; the same in every channel."""
    scaled = np.clip(sound, -1, 1) * (2 ** (8 * width - 1) - 1)
    raw = np.repeat(scaled.astype("<i4"), channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw.view(np.uint8).reshape(-1, 4)[:, :width].tobytes())
    return path


@pytest.fixture(scope="module")
def said(examples):
    """The made-up speech of the shipped clip, mono at RATE."""
    return media.read_audio(examples / "speaker.mp4", RATE)


def frames_of(path):
    return sum(1 for _ in media.read_frames(path))


@pytest.mark.slow
def test_speech_becomes_a_video_of_the_same_length_with_its_sound(dim, said, examples, tmp_path):
    write_wav(tmp_path / "said.wav", said[: 2 * RATE + 100])
    ended = dim(
        *("generate-speaker", "said.wav", "--ref", examples / "listener.png", "--size", 128),
        *("--style", "lively", "--head", 0, "--save-motion", "m.npz", "--json"),
    )
    assert ended.code == 0, ended.err
    assert frames_of(tmp_path / "said-speaker.mp4") == 51
    heard = media.read_audio(tmp_path / "said-speaker.mp4", RATE)
    assert np.corrcoef(heard[: 2 * RATE], said[: 2 * RATE])[0, 1] > 0.95
    motion = Motion.load(tmp_path / "m.npz")
    assert len(motion) == 51
    assert lip_opening(motion).std() > 0.005
    assert np.ptp(motion.head, axis=0).max() < 1e-4  # the picture's pose, all through


@pytest.mark.slow
@pytest.mark.parametrize("weights_online", [(), ("--online",)])
def test_a_seed_repeats(dim, said, tmp_path, weights_online):
    write_wav(tmp_path / "said.wav", said[:RATE])
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ended = dim(
            *("generate-speaker", "said.wav", *MESH, "--seed", seed, *weights_online),
            *("--save-motion", f"{name}.npz", "-o", f"{name}.mp4"),
        )
        assert ended.code == 0, ended.err
    a, b, c = (Motion.load(tmp_path / f"{name}.npz").values for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "channels", "width"), [(8000, 1, 2), (96000, 1, 2), (48000, 2, 3), (22050, 1, 4)]
)
def test_every_kind_of_recording_is_read(dim, said, tmp_path, rate, channels, width):
    at = np.linspace(0, 0.6 * RATE, round(0.6 * rate), endpoint=False)
    write_wav(tmp_path / "x.wav", np.interp(at, np.arange(len(said)), said), rate, channels, width)
    ended = dim("generate-speaker", "x.wav", *MESH)
    assert ended.code == 0, ended.err
    assert frames_of(tmp_path / "x-speaker.mp4") == 15


@pytest.mark.slow
def test_a_tenth_of_a_second_is_enough(dim, said, tmp_path):
    write_wav(tmp_path / "x.wav", said[RATE : RATE + 1600])
    assert dim("generate-speaker", "x.wav", *MESH).code == 0
    assert frames_of(tmp_path / "x-speaker.mp4") == 3


@pytest.mark.slow
def test_an_mp3_with_a_broken_header_is_read_or_refused_in_one_line(dim, said, tmp_path):
    write_wav(tmp_path / "x.wav", said[:RATE])
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run(
        [ffmpeg, "-v", "error", "-i", tmp_path / "x.wav", tmp_path / "whole.mp3"], check=True
    )
    whole = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "torn.mp3").write_bytes(b"\0" * 600 + whole[600:])
    ended = dim("generate-speaker", "torn.mp3", *MESH)
    if ended.code:
        refused(ended, "torn.mp3")
    else:
        assert frames_of(tmp_path / "torn-speaker.mp4") > 10
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(4000))
    refused(dim("generate-speaker", "noise.mp3", *MESH), "noise.mp3", "sound")


def test_what_has_no_sound_is_refused(dim, examples, tmp_path):
    refused(dim("generate-speaker", examples / "listener.png", *MESH), "listener.png")
    write_wav(tmp_path / "nothing.wav", np.zeros(0))
    refused(dim("generate-speaker", "nothing.wav", *MESH), "nothing.wav", "no sound")
    (tmp_path / "empty.wav").touch()
    refused(dim("generate-speaker", "empty.wav", *MESH), "empty.wav", "empty")
    with media.VideoWriter(tmp_path / "mute.mp4", fps=25) as writer:
        for _ in range(5):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    refused(dim("generate-speaker", "mute.mp4", *MESH), "mute.mp4", "no sound")


def test_a_portrait_needs_a_picture_and_an_unknown_style_is_named(dim, said, tmp_path):
    write_wav(tmp_path / "x.wav", said[:RATE])
    refused(dim("generate-speaker", "x.wav"), "--ref")
    ended = dim("generate-speaker", "x.wav", *MESH, "--style", "shy")
    refused(ended, "--style shy", "unknown", "calm", "lively")
    refused(dim("generate-dyad", "x.wav", "x.wav"), "--ref-a")


@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_silence_gives_a_quiet_living_face(noise):
    sound = noise * np.random.default_rng(0).standard_normal(12 * RATE)
    motion = load_speaker().speak(sound.astype(np.float32), rate=RATE, seed=1)
    assert (lip_opening(motion) < 0.02).mean() > 0.95
    assert np.degrees(motion.values[:, :3]).std(axis=0).max() > 0.2
    blink = motion.column("eyeBlinkLeft")
    assert blink.max() - np.median(blink) > 0.3


def test_the_jaw_rests_in_pauses_and_moves_in_speech(said):
    sound = np.concatenate([said[: 2 * RATE], np.zeros(2 * RATE, np.float32), said[: 2 * RATE]])
    sound += 3e-4 * np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    opening = lip_opening(load_speaker().speak(sound, rate=RATE, seed=1))
    assert opening[56:94].mean() < 0.01
    assert opening[:50].max() > 0.03


@pytest.mark.slow
def test_each_of_a_dyad_talks_on_its_track_and_is_quiet_on_the_others(dim, said, tmp_path):
    one, other = np.zeros((2, 8 * RATE), np.float32)
    one[: 3 * RATE] = said[: 3 * RATE]
    other[4 * RATE : 7 * RATE] = said[: 3 * RATE]
    write_wav(tmp_path / "a.wav", one)
    write_wav(tmp_path / "b.wav", other)
    ended = dim("generate-dyad", "a.wav", "b.wav", *MESH, "--save-motion", "m.npz")
    assert ended.code == 0, ended.err
    video = media.probe_video(tmp_path / "a-b-dyad.mp4")
    assert (video.width, video.height) == (128, 64)
    assert frames_of(tmp_path / "a-b-dyad.mp4") == 200
    a, b = (Motion.load(tmp_path / f"m-{name}.npz").column("jawOpen") for name in "ab")
    assert (a[10:70] > 0.1).mean() > 0.2
    assert (a[105:175] > 0.1).mean() < 0.1
    assert (b[110:170] > 0.1).mean() > 0.2
    assert (b[5:70] > 0.1).mean() < 0.1
    left, right = (media.read_audio(tmp_path / "a-b-dyad.mp4", RATE, channel=c) for c in (0, 1))
    early, late = slice(0, 3 * RATE), slice(4 * RATE, 7 * RATE)
    assert np.abs(left[early]).mean() > 2 * np.abs(right[early]).mean()
    assert np.abs(right[late]).mean() > 2 * np.abs(left[late]).mean()
