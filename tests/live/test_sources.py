"""What sources give by a clock that the test moves."""

import sys
import threading
import types

import numpy as np
import pytest

from dimcli import media
from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.live import sources


class Told:
    """A face that keeps what it is told, each with the time at which it was."""

    def __init__(self) -> None:
        self.now, self.heard, self.seen, self.said = 0.0, [], [], []
        self.said_s = 0.0

    def hear(self, samples) -> None:
        self.heard.append((self.now, samples))

    def see(self, picture) -> None:
        self.seen.append((self.now, picture))

    def say(self, samples) -> float:
        begins = max(self.said_s, self.now)
        self.said_s = begins + len(samples) / 16000
        self.said.append((begins, samples))
        return begins


def played(source: sources.Source, times: np.ndarray, face: Told | None = None):
    """Chunks and pictures that ``source`` gives, each with the time at which it did."""
    face = face or Told()
    for now in times:
        face.now = float(now)
        source.give(face.now, face)
    return face.heard, face.seen


def test_a_clip_plays_at_its_own_speed_whole_and_in_small_pieces(short_speaker) -> None:
    info, samples = media.probe_video(short_speaker), media.read_audio(short_speaker, 16000)
    with sources.clip(short_speaker) as source:
        assert source.length_s == pytest.approx(max(info.duration_s, len(samples) / 16000))
        heard, seen = played(source, np.arange(0, source.length_s + 0.1, 0.01))
    assert {len(chunk) for _, chunk in heard[:-1]} == {320}
    assert np.array_equal(np.concatenate([chunk for _, chunk in heard]), samples)
    ends = (np.arange(len(heard)) + 1) * 0.02
    assert np.abs([now for now, _ in heard] - ends).max() < 0.011
    frames = list(media.read_frames(short_speaker))
    assert all(np.array_equal(one, other) for (_, one), other in zip(seen, frames, strict=True))
    assert np.abs([now for now, _ in seen] - np.arange(len(seen)) / info.fps).max() < 0.011


def test_of_a_clip_the_area_that_was_chosen_is_seen(short_speaker) -> None:
    with sources.opened(str(short_speaker), area=(10, 20, 64, 48)) as source:
        _, seen = played(source, np.zeros(1))
    whole = next(iter(media.read_frames(short_speaker)))
    assert np.array_equal(seen[0][1], whole[20:68, 10:74])


def test_sound_alone_is_a_source_and_what_has_neither_is_told(short_speaker, tmp_path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "a.wav", 16000, np.ones(800, np.int16))
    with sources.opened(str(tmp_path / "a.wav")) as source:
        heard, seen = played(source, np.arange(0, 0.2, 0.02))
    assert sum(len(chunk) for _, chunk in heard) == 800
    assert not seen
    (tmp_path / "a.txt").write_text("no clip")
    with pytest.raises(InputError, match=r"a\.txt"), sources.opened(str(tmp_path / "a.txt")):
        pass
    with pytest.raises(InputError, match="no such"), sources.opened("nowhere.mp4"):
        pass


def test_the_track_that_was_chosen_is_the_clip_s_and_not_the_voice_s(tmp_path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "a.wav", 16000, np.ones(800, np.int16))
    face = Told()
    with media.audio_track(2), sources.voice(str(tmp_path / "a.wav")) as voice:
        voice.give(0.0, face)
    assert sum(len(samples) for _, samples in face.said) == 800


class Microphone:
    """PortAudio, as far as it is used: calls back with two chunks when it is started."""

    PortAudioError = RuntimeError

    def InputStream(self, rate, chunk, *, channels, dtype, callback):  # noqa: N802
        assert (rate, chunk, channels, dtype) == (16000, 320, 1, "float32")
        self.callback = callback
        return self

    def start(self) -> None:
        for value in (0.25, 0.5):
            self.callback(np.full((320, 1), value, np.float32), 320, None, None)

    def close(self) -> None:
        self.ended = True


def test_a_microphone_gives_its_chunks_in_order(monkeypatch) -> None:
    device = Microphone()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    with sources.opened("mic") as source:
        assert source.length_s is None
        before, _ = played(source, np.zeros(1))
        assert not before  # nobody listens yet
        source.begin()
        heard, _ = played(source, np.zeros(2))
    assert [chunk[0] for _, chunk in heard] == [0.25, 0.5]
    assert device.ended


def test_a_microphone_that_is_missing_is_told_with_the_fix(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with (
        pytest.raises(MissingDependencyError, match=r"\[live\]"),
        sources.opened("mic"),
    ):
        pass

    def refuse(*_, **__):
        raise RuntimeError("no default device")

    broken = types.SimpleNamespace(InputStream=refuse, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", broken)
    with pytest.raises(InputError, match="no microphone can be opened"), sources.opened("mic"):
        pass


def test_a_camera_gives_its_newest_picture_the_right_way_round(monkeypatch) -> None:
    import cv2

    read = threading.Event()

    class Capture:
        def __init__(self, index: int) -> None:
            self.there = index == 1

        def isOpened(self) -> bool:  # noqa: N802
            return self.there

        def read(self):
            if read.is_set():
                return False, None
            read.set()
            return True, np.array([[[1, 2, 3]]], np.uint8)  # blue, green, red

        def release(self) -> None:
            self.there = False

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone())
    with sources.opened("camera", 1) as source:
        source.begin()
        assert read.wait(5)
        for _ in range(200):
            _, seen = played(source, np.zeros(1))
            if seen:
                break
            threading.Event().wait(0.01)
    assert seen[0][1].tolist() == [[[3, 2, 1]]]
    with pytest.raises(InputError, match="no camera 0 can be opened"), sources.opened("camera"):
        pass


def test_a_voice_from_a_file_is_said_whole_and_not_far_ahead(tmp_path, monkeypatch) -> None:
    from scipy.io import wavfile

    monkeypatch.setattr(sources, "VOICE_AHEAD_S", 1.0)
    samples = np.arange(3 * 16000, dtype=np.int16)
    wavfile.write(tmp_path / "voice.wav", 16000, samples)
    face = Told()
    with sources.voice(str(tmp_path / "voice.wav")) as source:
        played(source, np.zeros(1), face)
        assert face.said_s == pytest.approx(1.0, abs=0.11)
        played(source, np.arange(0, 3, 0.01), face)
    assert face.said_s == pytest.approx(3.0)
    assert np.array_equal(np.concatenate([each for _, each in face.said]) * 32768, samples)
    (tmp_path / "a.txt").write_text("no voice")
    with pytest.raises(InputError, match=r"a\.txt"), sources.voice(str(tmp_path / "a.txt")):
        pass


def test_a_voice_from_a_pipe_is_said_as_it_comes(monkeypatch) -> None:
    import os

    reading, writing = os.pipe()
    with open(reading, "rb") as there, open(writing, "wb", buffering=0) as tts:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", there)
        face, samples = Told(), np.arange(1000, dtype="<i2")
        with sources.voice("-") as source:
            source.begin()
            played(source, np.zeros(1), face)
            assert not face.said
            for part in (samples.tobytes()[:333], samples.tobytes()[333:]):  # in odd pieces
                tts.write(part)
            for _ in range(12_000):
                played(source, np.zeros(1), face)
                if sum(len(each) for _, each in face.said) == 1000:
                    break
                threading.Event().wait(0.01)
            tts.close()
    assert np.array_equal(np.concatenate([each for _, each in face.said]) * 32768, samples)


def test_a_person_at_the_keyboard_is_no_pipe(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    with pytest.raises(InputError, match="from a pipe"), sources.voice("-"):
        pass
