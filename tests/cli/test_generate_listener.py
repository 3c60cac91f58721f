"""The main job on the shipped examples, as a user runs it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli import media
from dimcli.core.motion import Motion
from dimcli.tracking.landmarks import track_video
from tests.conftest import beginning
from tests.tracking.test_people import beside

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory, examples):
    """The main job's output on four seconds of the example, with the motion kept."""
    folder = tmp_path_factory.mktemp("made")
    beginning(examples / "speaker.mp4", folder / "speaker.mp4", 4)
    command = [
        *(sys.executable, "-m", "dimcli", "generate-listener", "speaker.mp4"),
        *("--ref", examples / "listener.png", "--save-motion", "motion.npz", "-o", "out.mp4"),
        "--json",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "wrote out.mp4" in done.stderr
    return folder


def frames_of(path: Path) -> int:
    return sum(1 for _ in media.read_frames(path))


def test_the_video_is_as_long_as_the_clip_to_a_frame_and_has_its_sound(made):
    speaker = media.probe_video(made / "speaker.mp4")
    listener = media.probe_video(made / "out.mp4")
    assert frames_of(made / "out.mp4") == frames_of(made / "speaker.mp4")
    assert listener.fps == speaker.fps
    heard = media.read_audio(made / "speaker.mp4"), media.read_audio(made / "out.mp4")
    length = min(map(len, heard))
    assert abs(len(heard[0]) - len(heard[1])) < 16000 / speaker.fps + 1024
    assert np.corrcoef(heard[0][:length], heard[1][:length])[0, 1] > 0.95


def test_the_kept_motion_renders_to_the_same_video_from_any_folder(
    short_speaker, examples, dim, tmp_path
):
    reference = ("--ref", examples / "listener.png", "--size", 160)
    shutil.copy(short_speaker, "speaker.mp4")  # sound is taken only from a clip beside the motion
    ended = dim("generate-listener", "speaker.mp4", *reference, "--save-motion", "motion.npz")
    assert ended.code == 0, ended.err
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    ended = dim("render", tmp_path / "motion.npz", *reference, "-o", "again.mp4")
    assert ended.code == 0, ended.err
    first, again = tmp_path / "speaker-listener.mp4", Path("again.mp4")
    pairs = zip(media.read_frames(first), media.read_frames(again), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert np.array_equal(media.read_audio(first), media.read_audio(again))


def test_the_picture_keeps_its_size(made, examples):
    height, width = media.read_picture(examples / "listener.png").shape[:2]
    listener = media.probe_video(made / "out.mp4")
    assert (listener.width, listener.height) == (width + width % 2, height + height % 2)


def test_the_video_says_that_it_is_synthetic(made):
    import imageio_ffmpeg

    report = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(made / "out.mp4")],
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert media.SYNTHETIC_TAG in report
    assert "h264" in report
    assert "aac" in report


def test_the_tracker_finds_the_listener_and_its_motion_in_the_video(made):
    motion = Motion.load(made / "motion.npz")
    seen = track_video(made / "out.mp4")
    assert len(seen) == len(motion)
    assert seen.valid.mean() >= 0.99
    moves = np.degrees(motion.head.std(axis=0)) > 0.4  # else the tracker's noise is what is seen
    assert moves.any()
    for axis, name in enumerate(("pitch", "yaw", "roll")):
        r = np.corrcoef(motion.head[:, axis], seen.head[:, axis])[0, 1]
        assert not moves[axis] or r > 0.8, name


def test_seeds_differ_and_a_seed_repeats(dim, short_speaker, tmp_path):
    for name, seed, samples in (("a", 1, 2), ("b", 2, 1)):
        ended = dim(
            *("generate-listener", short_speaker, "--renderer", "mesh", "--size", 64),
            *("--seed", seed, "--samples", samples),
            *("--save-motion", f"{name}.npz", "-o", f"{name}.mp4"),
        )
        assert ended.code == 0, ended.err
    one, two, again = (Motion.load(tmp_path / f"{n}.npz").values for n in ("a-1", "a-2", "b"))
    assert np.array_equal(two, again)
    assert np.abs(one - two).mean() > 1e-3


def test_samples_are_numbered_and_side_by_side_shows_the_speaker(
    dim, examples, short_speaker, tmp_path
):
    reference = ("--ref", examples / "listener.png")
    ended = dim(
        *("generate-listener", short_speaker, *reference, "--layout", "side-by-side"),
        *("--samples", 2, "--size", 128, "-o", "out.mp4"),
    )
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["out-1.mp4", "out-2.mp4"]
    first = next(media.read_frames(tmp_path / "out-1.mp4"))
    assert first.shape[1] > 1.5 * first.shape[0]


def test_side_by_side_shows_the_one_who_was_chosen_and_nobody_else(
    dim, examples, short_speaker, tmp_path
):
    from dimcli.tracking.people import area_of

    two = beside(tmp_path, short_speaker, 0.9)
    ended = dim(
        *("generate-listener", two, "--ref", examples / "listener.png", "--speaker", "right"),
        *("--layout", "side-by-side", "--size", 256, "-o", "out.mp4"),
    )
    assert ended.code == 0, ended.err
    shown = next(media.read_frames(tmp_path / "out.mp4"))
    right = next(media.read_frames(two, region=area_of(two, "right")))
    width = round(right.shape[1] * shown.shape[0] / right.shape[0])
    there = cv2.resize(shown[:, :width], right.shape[1::-1]).astype(int)
    assert np.abs(there - right).mean() < 4


STARTED = """
import sys
from dimcli.cli import main
print("started", file=sys.stderr, flush=True)
main()
"""
# Python itself takes its time to start on a busy machine, and answers Ctrl-C in its own way; main
# without arguments is what `dim` calls, whose end doesn't wait for threads


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
@pytest.mark.parametrize("after_s", [0.3, 1.5, 3.0])
def test_ctrl_c_leaves_no_output_and_no_process(after_s, examples, tmp_path):
    # a long clip, so that the interruption falls into the work
    long = tmp_path / "long.mp4"
    import imageio_ffmpeg

    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "20"),
            *("-i", str(examples / "speaker.mp4"), "-c", "copy", str(long)),
        ],
        check=True,
    )
    marker = f"dim-test-{tmp_path.name}-{os.getpid()}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", STARTED, "generate-listener", str(long)),
            *("--ref", str(examples / "listener.png"), "-o", str(tmp_path / "out.mp4")),
        ],
        env={**os.environ, "DIM_TEST_MARKER": marker},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"started\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    try:
        _, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130, complaint
    assert complaint.endswith(b"error: interrupted; nothing half-written was left\n")
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]
    if Path("/proc").is_dir():
        assert not processes_with(marker)


def processes_with(marker: str) -> list[str]:
    """Processes that inherited the environment of the interrupted command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
