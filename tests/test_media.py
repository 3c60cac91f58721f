"""Reading and writing video, sound and pictures, on clips that ffmpeg makes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from dimcli import media
from dimcli.errors import InputError

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def make(path, *arguments):
    subprocess.run([FFMPEG, "-v", "error", "-y", *map(str, arguments), str(path)], check=True)
    return path


def source(size="64x48", rate=25, seconds=2.0, kind="testsrc"):
    return ("-f", "lavfi", "-i", f"{kind}=s={size}:r={rate}:d={seconds}")


TONE = ("-f", "lavfi", "-i", "sine=f=440:r=44100:d=3")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return make(path, *source(), *TONE, "-t", 2, "-pix_fmt", "yuv420p")


@pytest.fixture
def tone(tmp_path):
    return make(tmp_path / "tone.wav", *TONE)


def frames_of(path, **how):
    return list(media.read_frames(path, **how))


def report(path):
    done = subprocess.run(
        [FFMPEG, "-hide_banner", "-i", str(path)], check=False, capture_output=True
    )
    return done.stderr.decode()


def test_a_probe_says_what_a_clip_holds(clip):
    info = media.probe_video(clip)
    assert (info.width, info.height, info.fps, info.has_audio) == (64, 48, 25.0, True)
    assert info.duration_s == pytest.approx(2.0, abs=0.03)


def test_a_clip_without_sound_says_so_and_gives_no_samples(tmp_path):
    path = make(tmp_path / "silent.mp4", *source())
    assert not media.probe_video(path).has_audio
    assert len(media.read_audio(path)) == 0


@pytest.mark.parametrize("rate", ["25", "30", "30000/1001", "24000/1001", "12.5"])
def test_the_rate_of_a_clip_is_read_exactly(tmp_path, rate):
    path = make(tmp_path / "clip.mp4", *source(rate=rate))
    numerator, _, denominator = rate.partition("/")
    expected = float(numerator) / float(denominator or 1)
    assert media.probe_video(path).fps == pytest.approx(expected, abs=1e-9)
    assert len(frames_of(path)) == round(2 * expected)


def test_a_rotation_tag_is_applied(tmp_path, clip):
    turned = make(tmp_path / "turned.mp4", "-display_rotation", 90, "-i", clip, "-c", "copy")
    info = media.probe_video(turned)
    assert (info.width, info.height) == (48, 64)
    upright, frame = frames_of(clip)[0], frames_of(turned)[0]
    assert np.abs(np.rot90(upright, 1).astype(int) - frame).mean() < 3


def test_pixels_that_are_not_square_become_square(tmp_path):
    path = make(tmp_path / "wide.mp4", *source(), "-vf", "setsar=2/1")
    assert media.probe_video(path).width == 128
    assert frames_of(path)[0].shape == (48, 128, 3)


@pytest.mark.parametrize("inner", [0, 2], ids=["no B frames", "B frames"])
def test_a_clip_of_variable_rate_is_resampled_to_a_constant_one(tmp_path, inner):
    # every frame of the first second, then one in five, and the last
    keep = "select='lt(t,1)+not(mod(n,5))+eq(n,49)'"
    how = ("-vf", keep, "-fps_mode", "vfr", "-bf", inner)
    path = make(tmp_path / "v.mp4", *source(), *TONE, *how, "-t", 2)
    info = media.probe_video(path)
    assert len(frames_of(path, fps=25)) == pytest.approx(25 * info.duration_s, abs=1)
    assert len(frames_of(path)) == pytest.approx(info.fps * info.duration_s, abs=1)


def test_frames_come_at_the_rate_that_is_asked_for(clip):
    assert len(frames_of(clip, fps=10)) == 20
    assert len(frames_of(clip, fps=50)) == 100


def test_a_region_is_that_part_of_the_picture(clip):
    whole, part = frames_of(clip)[10], frames_of(clip, region=(11, 5, 21, 30))[10]
    assert part.shape == (30, 21, 3)
    assert np.abs(whole[5:35, 11:32].astype(int) - part).mean() < 3


def test_a_region_outside_the_picture_is_refused(clip):
    with pytest.raises(InputError, match=r"region 60,0,10,10 leaves the picture \(64x48\)"):
        next(media.read_frames(clip, region=(60, 0, 10, 10)))


@pytest.mark.parametrize("pixels", ["gray", "yuv420p10le", "yuva420p"])
def test_gray_deep_and_transparent_clips_are_read(tmp_path, pixels):
    codec = ("-c:v", "ffv1") if pixels != "yuv420p10le" else ("-c:v", "libx264")
    path = make(tmp_path / "clip.mkv", *source(seconds=0.2), *codec, "-pix_fmt", pixels)
    assert frames_of(path)[0].shape == (48, 64, 3)


def bad_file(kind, folder, clip):
    path = folder / "in.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a video at all")
    elif kind == "without its index":
        path.write_bytes(clip.read_bytes()[:-600])
    elif kind == "without its end":
        whole = make(folder / "w.mp4", "-i", clip, "-c", "copy", "-movflags", "+faststart")
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    elif kind == "sound only":
        make(path, *TONE)
    elif kind == "picture":
        path = folder / "in.png"
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("missing", "no such video file"),
        ("empty", "is empty; expected a video"),
        ("text", "not a video that ffmpeg can read"),
        ("without its index", "is cut short; copy or download it again"),
        ("without its end", "is cut short; copy or download it again"),
        ("sound only", "only sound; expected a video"),
        ("picture", "is a still picture; expected a video"),
        ("folder", "is a folder; expected a video"),
    ],
)
def test_what_is_not_a_video_gets_one_line_that_names_it(tmp_path, clip, kind, line):
    path = bad_file(kind, tmp_path, clip)
    for reading in (media.probe_video, frames_of):
        with pytest.raises(InputError, match=line) as caught:
            reading(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_sound_is_read_as_mono_at_the_asked_rate(clip):
    samples = media.read_audio(clip, rate=8000)
    assert len(samples) == pytest.approx(16000, abs=400)
    spectrum = np.abs(np.fft.rfft(samples[:8000]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)


def test_sound_that_starts_late_is_padded_with_silence(tmp_path, clip):
    late = tmp_path / "late.mkv"
    make(late, "-i", clip, "-itsoffset", 1, "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy")
    samples = media.read_audio(late)
    assert np.abs(samples[:14000]).max() < 0.01
    assert np.abs(samples[18000:26000]).max() > 0.05


def test_a_file_without_sound_or_picture_is_refused_as_sound(tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(b"nothing to hear")
    with pytest.raises(InputError, match=r"its sound cannot be read"):
        media.read_audio(path)


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


@pytest.mark.parametrize("count", [10, 63, 100])
def test_sound_is_as_long_as_the_picture_to_a_frame(tmp_path, tone, count):
    path = write(tmp_path / "out.mp4", smooth_frames(count), audio_from=tone)
    assert media.probe_video(path).has_audio
    assert len(media.read_audio(path)) / 16000 == pytest.approx(count / 25, abs=0.03)
    assert len(frames_of(path)) == count
    assert "Audio: aac" in report(path)
    assert "Video: h264" in report(path)


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
        with media.atomic_output(tmp_path / "out.mp4", force=False) as temporary:
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


def children():
    """Command lines of the ffmpeg processes that run on this machine."""
    lines = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.add((path.parent.name, path.read_bytes().decode("utf-8", "replace")))
    return {line for line in lines if Path(FFMPEG).name in line[1]}


def test_a_reader_that_is_closed_early_ends_its_process(tmp_path):
    path = make(tmp_path / "long.mp4", *source(size="640x480", seconds=20))
    reader = media.read_frames(path)
    next(reader)
    assert any(str(path) in line for _, line in children())
    reader.close()
    assert not any(str(path) in line for _, line in children())


INTERRUPTED = """
import sys
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


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    path = tmp_path / "turned.jpg"
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :10] = 255
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    # an EXIF block that says "turn by 90 degrees" (orientation 6), put after the start marker
    orientation = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + orientation + b"\x00\x00\x00\x00"
    block = b"Exif\x00\x00" + tiff
    path.write_bytes(
        encoded[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + encoded[2:]
    )
    upright = media.read_picture(path)
    assert upright.shape == (30, 20, 3)
    assert upright[:8].min() > 200
    assert upright[12:].max() < 50


def test_transparent_parts_of_a_picture_are_white(tmp_path):
    path = tmp_path / "in.png"
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = (10, 20, 30, 255)
    cv2.imwrite(str(path), picture)
    seen = media.read_picture(path)
    assert (seen[0, 0] == (30, 20, 10)).all()
    assert (seen[3, 3] == 255).all()


@pytest.mark.parametrize("pixels", [np.zeros((6, 5), np.uint8), np.zeros((6, 5, 3), np.uint16)])
def test_gray_and_deep_pictures_become_rgb(tmp_path, pixels):
    path = tmp_path / "in.png"
    cv2.imwrite(str(path), pixels)
    picture = media.read_picture(path)
    assert picture.shape == (6, 5, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_not_a_picture_gets_one_line_that_names_it(tmp_path: Path, content: bytes):
    path = tmp_path / "in.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"in\.jpg: .*expected"):
        media.read_picture(path)


def test_a_broken_picture_makes_no_library_talk(tmp_path, capfd):
    path = tmp_path / "in.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = bytearray(cv2.imencode(".png", noise)[1].tobytes())
    content[2000:2010] = bytes(10)
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        media.read_picture(path)
    assert capfd.readouterr().err == ""
