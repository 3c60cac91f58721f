"""Reading video and sound, on clips that ffmpeg makes."""

import cv2
import numpy as np
import pytest

from dimcli import media
from dimcli.core.errors import InputError
from tests.media.clips import TONE, children, frames_of, make, source


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
    with pytest.raises(InputError, match=r"not a video or sound that ffmpeg can read"):
        media.read_audio(path)


def test_a_reader_that_is_closed_early_ends_its_process(tmp_path):
    path = make(tmp_path / "long.mp4", *source(size="640x480", seconds=4))
    reader = media.read_frames(path)
    next(reader)
    assert any(str(path) in line for _, line in children())
    reader.close()
    assert not any(str(path) in line for _, line in children())
