"""Files that lie, children that die, and files that name other files."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.progress import Background
from dimcli.media import VideoWriter, audio_track, read_audio, read_frames


def ffmpeg(*arguments: object) -> None:
    """Make a file; the arguments are ffmpeg's."""
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([exe, "-v", "error", "-y", *map(str, arguments)], check=True)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 frames of 64x48 with sound."""
    path = tmp_path_factory.mktemp("faults") / "made.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1.6"),
        *("-f", "lavfi", "-i", "sine=frequency=300:duration=1.6"),
        *("-c:v", "libx264", "-c:a", "aac", path),
    )
    return path


@pytest.mark.parametrize(
    "tags",
    [
        ("-metadata", "title=Duration: 0:0:1.2.3"),
        ("-metadata:s:v", "language=en, 99999x99999 SAR"),
        ("-metadata", "title=Stream #0:0: Video: h264, 7x7, 1 fps"),
    ],
)
def test_no_fact_is_read_out_of_a_text_that_the_file_holds(made, tmp_path, tags):
    ffmpeg("-i", made, "-c", "copy", *tags, tmp_path / "tagged.mkv")
    info = media.probe_video(tmp_path / "tagged.mkv")
    assert (info.width, info.height, info.fps) == (64, 48, 25.0)
    assert info.duration_s == pytest.approx(1.6, abs=0.05)


LATE = "-itsoffset 40000 -i {made}"


@pytest.mark.parametrize("inputs", [LATE + " -i {made}", "-i {made} " + LATE])
def test_picture_and_sound_that_start_hours_apart_are_refused(made, tmp_path, inputs):
    path = tmp_path / "late.mkv"
    ffmpeg(*inputs.format(made=made).split(), "-map", "0:v", "-map", "1:a", "-c", "copy", path)
    for reading in (media.probe_video, read_audio):
        with pytest.raises(InputError, match=r"start 40000 s apart; expected at most 60 s"):
            reading(path)


def with_a_stop(path: Path, seconds: float) -> Path:
    """A clip whose picture and sound stop in the middle and go on ``seconds`` later."""
    later = f"PTS+if(gt(T\\,0.3)\\,{seconds}/TB\\,0)"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=480x360:rate=25:duration=0.6"),
        *("-f", "lavfi", "-i", "sine=300:duration=0.6", "-vf", f"setpts={later}"),
        *("-af", f"asetpts={later}", "-fps_mode", "passthrough", "-c:a", "flac", path),
    )
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_picture_and_sound_that_stop_for_an_hour_are_refused(tmp_path, suffix):
    path = with_a_stop(tmp_path / f"stops{suffix}", 3600)
    with pytest.raises(InputError, match=r"its picture stops for 3600 s; expected at most 60 s"):
        media.probe_video(path)
    with pytest.raises(InputError, match=r"its sound stops for 3600 s; expected at most 60 s"):
        read_audio(path)


def test_a_frame_that_is_shown_for_long_is_in_memory_once(tmp_path):
    path = with_a_stop(tmp_path / "stops.mkv", 20)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert sum(1 for _ in read_frames(path)) == 515
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before < 60_000  # kB, of 130 MB


@pytest.mark.parametrize(("rate", "words"), [(1, "1 samples"), (1_400_000_000, "1400000000 sam")])
def test_a_sound_of_an_impossible_rate_is_refused(tmp_path, rate, words):
    path = write_wav(tmp_path / "rate.wav", np.zeros(1000))
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{words}.*expected 1000 to 768000"):
        read_audio(path)


def test_a_sound_of_three_hours_is_refused_before_it_is_decoded(tmp_path):
    silence = "anullsrc=r=8000:cl=mono:d=10800"
    ffmpeg("-f", "lavfi", "-i", silence, "-frame_size", "65535", tmp_path / "long.flac")
    with pytest.raises(InputError, match=r"3.0 hours long; expected at most 2"):
        read_audio(tmp_path / "long.flac")


def test_a_wav_that_is_cut_short_is_told_as_a_video_is(tmp_path):
    path = write_wav(tmp_path / "cut.wav", np.zeros(16000))
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(InputError, match=r"the file is cut short"):
        read_audio(path)


def test_sound_that_nothing_decodes_is_refused(tmp_path):
    path = write_wav(tmp_path / "odd.wav", np.zeros(1000))
    data = bytearray(path.read_bytes())
    data[20:22] = b"\xff\x7f"  # a format that nobody has
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"odd\.wav: its audio is of a kind that ffmpeg cannot"):
        read_audio(path)


def test_samples_far_beyond_full_scale_are_refused(tmp_path):
    huge = np.full(16000, 1e38, np.float32)
    (tmp_path / "raw").write_bytes(huge.tobytes())
    path = tmp_path / "big.wav"
    ffmpeg("-f", "f32le", "-ar", 16000, "-ac", 1, "-i", tmp_path / "raw", "-c:a", "pcm_f32le", path)
    with pytest.raises(InputError, match=r"far beyond full scale"):
        read_audio(path)


def test_stereo_of_opposite_phase_is_not_silent(tmp_path):
    tone = 0.5 * np.sin(np.arange(16000) * 0.1)
    both = np.stack([tone, -tone], axis=1)
    heard = read_audio(write_wav(tmp_path / "phase.wav", both.ravel(), channels=2))
    assert np.abs(heard).max() > 0.4


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 12, 63])
def test_sound_of_any_number_of_channels_is_read_and_copied(tmp_path, channels, suffix):
    tone = 0.1 * np.sin(np.arange(8000) * 0.1)
    path = write_wav(tmp_path / "many.wav", np.repeat(tone, channels), channels=channels)
    assert np.abs(read_audio(path)).max() > 0.09
    with VideoWriter(tmp_path / f"out{suffix}", fps=25, audio_from=path) as writer:
        for _ in range(10):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert np.abs(read_audio(writer.path)).max() > 0.05


def test_the_flagged_sound_track_is_read_or_the_one_that_is_asked_for(made, tmp_path):
    path = tmp_path / "tracks.mkv"
    ffmpeg(
        *("-i", made, "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=1.6"),
        *("-map", "0:v", "-map", "1:a", "-map", "0:a", "-c:v", "copy", "-c:a", "flac"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default", path),
    )
    assert np.abs(read_audio(path)).max() > 0.01
    with audio_track(1):
        assert np.abs(read_audio(path)).max() == 0
        # as work beside other work hears it
        assert np.abs(Background(lambda: read_audio(path)).result()).max() == 0
    told = pytest.raises(InputError, match=r"--audio-track 3: .* has 2 sound tracks")
    with audio_track(3), told:
        read_audio(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.m3u8", "#EXTM3U\n#EXTINF:1,\nfile://{made}\n#EXT-X-ENDLIST\n", "m3u8 playlist"),
        ("d.mp4", "ffconcat version 1.0\nfile {made}\n", "a list of files for ffmpeg"),
        ("s.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n", "session description"),
        ("m.mp4", '<?xml version="1.0"?><MPD><BaseURL>{made}</BaseURL></MPD>', "an XML document"),
        ("j.m3u8", "\n\n#EXTM3U\n{made}\n", "m3u8 playlist"),
        ("c.mp4", "# a comment\nffconcat version 1.0\nfile {made}\n", "not a video"),
    ],
)
def test_a_list_of_other_files_opens_none_of_them(made, tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content.format(made=made))
    used = made.stat().st_atime_ns
    for reading in (media.probe_video, read_audio):
        with pytest.raises(InputError, match=words):
            reading(path)
    assert made.stat().st_atime_ns == used


@pytest.mark.parametrize(
    "name", ["12:30.mp4", "file:x.mp4", "concat:a|b.mp4", "-i.mp4", "100%d.mp4", "pipe:1.mp4"]
)
def test_no_name_is_read_as_an_option_a_protocol_or_a_pattern(made, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(made.read_bytes())
    frames = list(read_frames(Path(name)))
    assert len(frames) == 40 and len(read_audio(Path(name))) > 20000
    with VideoWriter(Path("out-" + name), fps=25, audio_from=Path(name)) as writer:
        for frame in frames:
            writer.write(frame)
    assert media.probe_video(Path("out-" + name)).has_audio
    with VideoWriter(Path(name), fps=25, force=True) as writer:
        writer.write(frames[0])
    assert len(list(read_frames(Path(name)))) == 1


def test_a_clip_that_holds_half_of_what_it_promises_is_an_error(tmp_path):
    path = tmp_path / "half.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=4", "-g", "8"),
        *("-movflags", "+faststart", path),
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"its picture ends after \d+ frames"):
        list(read_frames(path))


@pytest.mark.parametrize("sound", [False, True])
def test_an_encoder_that_a_signal_ends_leaves_no_file(made, tmp_path, sound):
    def limited(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    frames = list(read_frames(made)) * (1 if sound else 8)
    out = tmp_path / "out.mp4"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    with pytest.raises(InputError, match=r"out.mp4: cannot be written"):
        try:
            with VideoWriter(out, fps=25, audio_from=made if sound else None) as writer:
                if not sound:
                    limited(4000)
                for frame in frames:
                    writer.write(frame)
                if sound:  # the picture is written; the pass that adds sound is not
                    writer._child.pipe.close()
                    writer._child.process.wait()
                    limited(4000)
        finally:
            limited(before)
    assert list(tmp_path.iterdir()) == []


def spoil_packets(path: Path, share: float) -> None:
    """Random bytes in the place of a share of a file's packets of sound."""
    data, random = bytearray(path.read_bytes()), np.random.default_rng(0)
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            if packet.size > 8 and random.random() < share:
                start, end = packet.pos + 8, packet.pos + packet.size
                data[start:end] = random.bytes(end - start)
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ["flac", "aac"])
def test_damaged_sound_is_the_fault_of_its_file(made, tmp_path, codec):
    source, out = tmp_path / "sound.mkv", tmp_path / "out.mp4"
    ffmpeg("-i", made, "-c:v", "copy", "-c:a", codec, source)
    spoil_packets(source, 0.5)
    with pytest.raises(InputError, match=r"sound\.mkv: its sound cannot be read"):
        read_audio(source)
    refused = pytest.raises(InputError, match=r"sound\.mkv: its sound cannot be copied")
    with refused, VideoWriter(out, fps=25, audio_from=source) as writer:
        for _ in range(40):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [source]


STAGES = {
    "at once": "kill -9 $$",
    "in the middle": '"$@" | head -c 20000; kill -9 $$',
    "in the middle, and says that all is well": '"$@" | head -c 20000',
    "after its work": '"$@"; kill -9 $$',
}
"""What a child is instead of ffmpeg, whose command line it is given."""
FED = {**STAGES, "in the middle": 'head -c 20000 | "$@"; kill -9 $$',
       "in the middle, and says that all is well": 'head -c 20000 | "$@"'}  # fmt: skip


def children_die(monkeypatch: pytest.MonkeyPatch, program: str, word: str) -> None:
    """Children whose command line has ``word`` are replaced by a shell's ``program``."""
    start = subprocess.Popen

    def instead(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        dies = word in command
        return start(["sh", "-c", program, "sh", *command] if dies else command, **options)

    monkeypatch.setattr("dimcli.media.ffmpeg.subprocess.Popen", instead)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("word", ["rawvideo", "f32le"])
def test_a_decoder_that_is_killed_at_any_stage_is_an_error(made, monkeypatch, stage, word):
    children_die(monkeypatch, STAGES[stage], word)
    with pytest.raises(InputError, match=rf"{made}: (its picture|its sound|no frame)"):
        list(read_frames(made)) if word == "rawvideo" else read_audio(made)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("word", ["libx264", "aac"])
def test_an_encoder_that_is_killed_at_any_stage_leaves_no_file(
    made, tmp_path, monkeypatch, stage, word
):
    frames = list(read_frames(made))
    program = FED[stage] if word == "libx264" else STAGES[stage]
    if word == "aac" and "says that all is well" in stage:
        program = "exit 0"  # it has no pipe
    children_die(monkeypatch, program, word)
    refused = pytest.raises(InputError, match=r"out\.mp4: cannot be written")
    with refused, VideoWriter(tmp_path / "out.mp4", fps=25, audio_from=made) as writer:
        for frame in frames:
            writer.write(frame)
    assert list(tmp_path.iterdir()) == []


WORKS = """
import sys, time
from pathlib import Path
from dimcli.media import VideoWriter, read_frames
source, out = map(Path, sys.argv[1:])
with VideoWriter(out, fps=25) as writer:
    for frame in read_frames(source):
        writer.write(frame)
        print(writer._child.process.pid, flush=True)
        break
    frames = read_frames(source)
    next(frames)
    print(frames.gi_frame.f_locals["child"].process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_children_end_when_we_are_killed(tmp_path):
    source, out = tmp_path / "long.mkv", tmp_path / "out.mp4"
    noise = "nullsrc=size=640x480:rate=25:duration=4,geq=random(1)*255:128:128"
    ffmpeg("-f", "lavfi", "-i", noise, "-c:v", "mjpeg", source)
    words = (sys.executable, "-c", WORKS, source, out)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as dim:
        assert dim.stdout is not None
        children = [int(dim.stdout.readline()) for _ in range(2)]
        assert all(map(runs, children))
        dim.kill()
    until = time.monotonic() + 30
    while any(map(runs, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(runs, children))
    with VideoWriter(out, fps=25) as writer:  # which removes what the dead one left
        writer.write(np.zeros((48, 64, 3), np.uint8))
    assert {path.name for path in tmp_path.iterdir()} == {source.name, out.name}


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended: one that nobody waits for stays as a name."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("white", [100, 203])
def test_a_clip_of_high_dynamic_range_looks_as_the_ordinary_one_that_it_was_made_from(
    tmp_path, transfer, white
):
    picture = np.full((64, 96, 3), (224, 172, 140), np.uint8)  # skin, a wall, dark and white
    picture[:, 32:48] = (120, 130, 140)
    picture[:, 48:64] = (40, 36, 60)
    picture[:, 64:] = 255
    plain, hdr = tmp_path / "plain.mkv", tmp_path / "hdr.mp4"
    raw = tmp_path / "raw"
    raw.write_bytes(picture.tobytes() * 5)
    bt709 = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p"
    tags = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", 25, "-i", raw,
           "-vf", bt709, *tags, "-color_range", "tv", "-c:v", "ffv1", plain)  # fmt: skip
    ffmpeg(
        *("-i", plain, "-vf"),
        "zscale=transferin=bt709:primariesin=bt709:matrixin=bt709:rangein=tv:"
        f"transfer=linear:npl={white}:primaries=bt2020:matrix=gbr,format=gbrpf32le,"
        f"zscale=transfer={transfer}:npl={white}:matrix=bt2020nc:range=tv,format=yuv420p10le",
        *("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer),
        *("-c:v", "libx265", "-crf", 8, "-x265-params", "log-level=none", hdr),
    )
    (ordinary, *_), (mapped, *_) = list(read_frames(plain)), list(read_frames(hdr))
    for columns in (slice(4, 28), slice(36, 44), slice(52, 60)):
        gap = ordinary[8:-8, columns].astype(int) - mapped[8:-8, columns]
        assert np.abs(gap).mean(axis=(0, 1)).max() < 10
