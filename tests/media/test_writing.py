"""Writing video: whole or not at all, with its sound and its tag."""

import os
import signal
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output
from tests.media.clips import FFMPEG, children, frames_of, make, report, source


def write(path, frames, **how):
    with media.VideoWriter(path, **{"fps": 25, **how}) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def smooth_frames(count=25, height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([x * 2 + t, y * 3, np.full_like(x, 90 + t)], -1).astype(np.uint8)
        for t in range(count)
    ]


def test_what_is_written_is_read_back(tmp_path):
    frames = smooth_frames()
    path = write(tmp_path / "out.mp4", frames, fps=30000 / 1001)
    back = frames_of(path)
    assert len(back) == len(frames)
    assert media.probe_video(path).fps == pytest.approx(30000 / 1001)
    error = np.square(np.stack(back).astype(float) - np.stack(frames)).mean()
    assert 10 * np.log10(255**2 / error) > 38


def test_what_stands_still_does_not_shimmer(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    room = cv2.GaussianBlur(noise, (0, 0), 1.5)
    ball = [(64 + round(10 * np.sin(t / 3)), 64) for t in range(40)]
    frames = [cv2.circle(room.copy(), place, 16, (200, 150, 120), -1) for place in ball]
    back = np.stack(frames_of(write(tmp_path / "out.mp4", frames))).astype(float)
    assert np.abs(np.diff(back[:, :, :36], axis=0)).mean() < 0.04  # 0.085 without mbtree


def test_a_reader_that_ignores_colour_tags_sees_the_same_colours(tmp_path):
    frame = np.full((64, 64, 3), (200, 60, 40), np.uint8)
    path = write(tmp_path / "out.mp4", [frame] * 5)
    _, seen = cv2.VideoCapture(str(path)).read()
    assert np.abs(seen[..., ::-1].astype(int) - frame).max() <= 4


def test_an_odd_size_repeats_the_last_row_and_column(tmp_path):
    frames = smooth_frames(5, height=47, width=63)
    back = frames_of(write(tmp_path / "out.mp4", frames))
    assert back[0].shape == (48, 64, 3)
    assert np.abs(back[0][:47, :63].astype(int) - frames[0]).mean() < 3
    assert np.abs(back[0][47].astype(int) - back[0][46]).mean() < 4


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_frame_that_is_held_is_shown_for_longer_and_not_coded_again(tmp_path, tone, suffix):
    frames = smooth_frames(30)
    path = tmp_path / f"out{suffix}"
    with media.VideoWriter(path, fps=25, audio_from=tone) as writer:
        for index in (0, 1, 2, 7, 8, 9, 25):
            if index > writer.frames:
                writer.hold(index - writer.frames)
            writer.write(frames[index])
        writer.hold(4)
        assert writer.frames == 30
    shown = np.stack(list(media.read_frames(path, fps=25))).astype(float)
    expected = [0, 1, 2, 2, 2, 2, 2, 7, 8, *[9] * 16, *[25] * 5]
    assert len(shown) == 30
    assert np.abs(shown - np.stack([frames[index] for index in expected])).mean(
        axis=(1, 2, 3)
    ) == pytest.approx(0, abs=2)
    with av.open(str(path)) as container:
        assert sum(bool(packet.size) for packet in container.demux(video=0)) == 8
    assert len(media.read_audio(path)) / 16000 == pytest.approx(30 / 25, abs=0.03)
    assert media.SYNTHETIC_TAG in report(path)


def test_a_held_frame_without_sound_keeps_the_tag(tmp_path):
    with media.VideoWriter(tmp_path / "out.mp4", fps=25) as writer:
        writer.write(smooth_frames(1)[0])
        writer.hold(9)
    assert media.probe_video(tmp_path / "out.mp4").duration_s == pytest.approx(0.4)
    assert media.SYNTHETIC_TAG in report(tmp_path / "out.mp4")


@pytest.mark.parametrize("pattern", ["whw", "wwhw", "wwwwwhhww", 50 * "w" + "hh"])
def test_a_video_of_held_frames_has_them_all(tmp_path, pattern):
    frame = smooth_frames(1)[0]
    with media.VideoWriter(tmp_path / "out.mp4", fps=25) as writer:
        for written in pattern:
            if written == "w":
                writer.write(frame)
            else:
                writer.hold()
    assert len(list(media.read_frames(tmp_path / "out.mp4", fps=25))) == len(pattern)


@pytest.mark.parametrize("count", [10, 63, 100])
def test_sound_is_as_long_as_the_picture_to_a_frame(tmp_path, tone, count):
    path = write(tmp_path / "out.mp4", smooth_frames(count), audio_from=tone)
    assert media.probe_video(path).has_audio
    assert len(media.read_audio(path)) / 16000 == pytest.approx(count / 25, abs=0.03)
    assert len(frames_of(path)) == count
    assert "Audio: aac" in report(path)
    assert "Video: h264" in report(path)


def test_sound_that_is_too_long_to_be_in_memory_is_copied_as_far_as_the_picture_goes(tmp_path):
    hours = tmp_path / "hours.flac"
    silence = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=10800", "-frame_size", "65535")
    make(hours, *silence)
    assert media.has_audio(hours)
    path = write(tmp_path / "out.mp4", smooth_frames(), audio_from=hours)
    assert len(media.read_audio(path)) / 16000 == pytest.approx(1, abs=0.03)


def test_a_source_without_sound_gives_a_video_without_sound(tmp_path):
    mute = make(tmp_path / "mute.mp4", *source())
    path = write(tmp_path / "out.mp4", smooth_frames(), audio_from=mute)
    assert not media.probe_video(path).has_audio


def test_every_video_says_that_it_is_synthetic(tmp_path, tone):
    for name, sound in (("mute", None), ("loud", tone)):
        path = write(tmp_path / f"{name}.mp4", smooth_frames(5), audio_from=sound)
        assert media.SYNTHETIC_TAG in report(path)


def test_a_video_that_fails_leaves_nothing_behind(tmp_path, tone):
    with (
        pytest.raises(KeyboardInterrupt),
        media.VideoWriter(tmp_path / "out.mp4", fps=25, audio_from=tone) as writer,
    ):
        writer.write(smooth_frames(1)[0])
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["tone.wav"]


def test_a_child_that_starts_after_an_interruption_writes_nothing(tmp_path):
    def interrupted():
        with atomic_output(tmp_path / "out.mp4", force=False) as temporary:
            raise KeyboardInterrupt(str(temporary))

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    late = subprocess.run(
        [FFMPEG, "-v", "error", "-y", *source(seconds=0.2), str(caught.value)],
        check=False,
        capture_output=True,
    )
    assert late.returncode != 0
    assert not list(tmp_path.iterdir())


def test_a_long_name_in_another_script_can_be_written(tmp_path):
    path = tmp_path / ("名" * 80 + ".mp4")
    write(path, smooth_frames(2))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_video_replaces_another_only_by_force_and_only_when_whole(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=r"already exists; pass --force"):
        write(path, smooth_frames(2))
    with pytest.raises(ZeroDivisionError):
        write(path, (1 // 0 for _ in range(3)), force=True)
    assert path.read_bytes() == b"old"
    write(path, smooth_frames(2), force=True)
    assert len(frames_of(path)) == 2


def test_output_goes_to_no_folder_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist"):
        write(tmp_path / "nowhere" / "out.mp4", smooth_frames(2))


def test_a_name_that_is_not_mp4_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"written as \.mp4; name it out\.mp4"):
        media.VideoWriter(tmp_path / "out.avi", fps=25)


def test_frames_of_two_sizes_are_our_fault(tmp_path):
    with pytest.raises(ValueError, match="frame is 64x40"):
        write(tmp_path / "out.mp4", [*smooth_frames(1), *smooth_frames(1, height=40)])
    assert not list(tmp_path.iterdir())


INTERRUPTED = """
import sys
import cv2
import numpy as np
from pathlib import Path
from dimcli.media import VideoWriter, read_frames
frame = np.zeros((480, 640, 3), np.uint8)
with VideoWriter(Path(sys.argv[1]), fps=25) as writer:
    for _ in range(10**6):
        writer.write(frame)
        print("writing", flush=True)
"""


def test_ctrl_c_leaves_no_output_and_no_process(tmp_path):
    output = tmp_path / "out.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline()
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert not list(tmp_path.iterdir())
    assert not any(str(tmp_path) in line for _, line in children())


def test_a_transparent_video_keeps_colour_opacity_sound_and_tag(tmp_path, tone):
    frames = [np.dstack([frame, np.full(frame.shape[:2], 40 * i)]).astype(np.uint8)
              for i, frame in enumerate(smooth_frames(count=6))]  # fmt: skip
    path = write(tmp_path / "cut.webm", frames, fps=25, audio_from=tone)
    decode = [FFMPEG, "-v", "error", "-c:v", "libvpx-vp9", "-i", str(path), "-pix_fmt", "rgba"]
    raw = subprocess.run([*decode, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    back = np.frombuffer(raw, np.uint8).reshape(-1, *frames[0].shape)
    assert len(back) == len(frames)
    for i, (frame, written) in enumerate(zip(back, frames, strict=True)):
        assert np.abs(frame[..., 3].astype(int) - 40 * i).max() <= 4
        assert np.abs(frame[..., :3].astype(int) - written[..., :3]).mean() < 6
    assert media.SYNTHETIC_TAG in report(path)
    assert "Video: vp9" in report(path)
    assert "Audio: opus" in report(path)
