"""A recording has face, camera and sound at their own times."""

import tempfile
import threading

import numpy as np
import pytest

from dimcli import media
from dimcli.web import recording as recording_module
from dimcli.web.recording import Recording

FPS, START_S, EVENT_S = 25, 7.0, 1.0


def recorded(path, *, skipped=()) -> float:
    """Two seconds in which it becomes light and loud at EVENT_S, for 0.4 s; frames ``skipped`` were
    not drawn. The length that is told."""
    recording = Recording(path, (64, 64), FPS, START_S, camera=True)
    for number in range(100):  # 20 ms each
        time_s = number / 50
        event = EVENT_S <= time_s < EVENT_S + 0.4
        samples = np.full(320, 0.5 if event else 0.0, np.float32) * np.resize(
            [1] * 4 + [-1] * 4, 320
        )
        recording.hear(samples.astype(np.float32), START_S + time_s + 0.02)
        if number % 2 == 0:
            grey = np.full((48, 64, 3), 255 if event else 0, np.uint8)
            recording.see(grey, START_S + time_s)
    for index in range(50):
        if index not in skipped:
            recording.draw(np.full((64, 64, 3), 5 * index, np.uint8), START_S + index / FPS)
    return recording.finish()


@pytest.mark.parametrize("skipped", [(), (10, 11, 12)], ids=["all drawn", "three not drawn"])
def test_sound_camera_and_face_are_in_step(tmp_path, skipped):
    path = tmp_path / "talk.mp4"
    assert recorded(path, skipped=skipped) == 2.0
    frames = np.stack(list(media.read_frames(path)))
    assert len(frames) == 50
    lit = np.flatnonzero(frames[:, 10:54, 10:70].mean(axis=(1, 2, 3)) > 128) / FPS
    sound = media.read_audio(path, 16000)
    rang = np.flatnonzero(np.abs(sound) > 0.2) / 16000
    assert abs(len(sound) / 16000 - 2.0) < 0.08
    for seen, heard in ((lit[0], rang[0]), (lit[-1] + 1 / FPS, rang[-1])):
        assert abs(seen - heard) < 0.08
    face = frames[:, 20:44, 100:140].mean(axis=(1, 2, 3)) / 5
    expected = [9 if index in skipped else index for index in range(50)]
    assert np.abs(face - expected).max() < 1.5


def test_an_encoder_that_is_too_slow_is_given_less_and_the_recording_ends_in_step(
    tmp_path, monkeypatch
):
    """Frames that find no room are never encoded, not even again as the one before."""
    encoded, may = [], threading.Semaphore(0)
    write = media.VideoWriter.write

    def slowly(writer, frame):
        assert may.acquire(timeout=60)
        encoded.append(writer.frames)
        write(writer, frame)

    monkeypatch.setattr(media.VideoWriter, "write", slowly)
    monkeypatch.setattr(recording_module, "WAITING_FRAMES", 2)
    recording = Recording(tmp_path / "talk.mp4", (64, 64), FPS, 0.0, camera=False)
    recording.hear(np.full(16000 * 4, 0.5, np.float32), 4.0)
    for index in range(100):
        recording.draw(np.full((64, 64, 3), 2 * index, np.uint8), index / FPS)
    may.release(10)
    assert recording.finish() == 4.0
    assert len(encoded) <= 5
    info = media.probe_video(tmp_path / "talk.mp4")
    assert info.duration_s == pytest.approx(4.0, abs=0.05)
    assert len(media.read_audio(tmp_path / "talk.mp4", 16000)) / 16000 == pytest.approx(4, abs=0.05)


def test_two_voices_add_up_and_nothing_wraps(tmp_path):
    recording = Recording(tmp_path / "talk.mp4", (64, 64), FPS, 0.0, camera=False)
    loud = np.full(16000, 0.9, np.float32) * np.resize([1, 1, -1, -1], 16000)
    for _ in range(2):
        recording.hear(loud.astype(np.float32), 1.0)
    for index in range(25):
        recording.draw(np.zeros((64, 64, 3), np.uint8), index / FPS)
    assert recording.finish() == 1.0
    assert np.abs(media.read_audio(tmp_path / "talk.mp4", 16000)).max() > 0.9


def test_a_recording_without_a_frame_or_a_place_is_told(tmp_path):
    for path in (tmp_path / "talk.mp4", tmp_path / "nowhere" / "talk.mp4"):
        with pytest.raises(RuntimeError):
            Recording(path, (64, 64), FPS, 0.0, camera=False).finish()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_ends_a_recording_and_nothing_else(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    recording = Recording(tmp_path / "talk.mp4", (64, 64), FPS, 0.0, camera=False)
    monkeypatch.setattr(recording._sound, "add", full)
    recording.hear(np.ones(1600, np.float32), 0.1)
    recording.draw(np.zeros((64, 64, 3), np.uint8), 0.0)
    with pytest.raises(RuntimeError, match="No space left"):
        recording.finish()
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    recording = Recording(tmp_path / "other.mp4", (64, 64), FPS, 0.0, camera=False)
    for index in range(100):  # more than wait
        recording.draw(np.zeros((64, 64, 3), np.uint8), index / FPS)
    with pytest.raises(RuntimeError, match="No space left"):
        recording.finish()
