"""The main job on real clips and portraits, where they are."""

import re
import subprocess

import imageio_ffmpeg
import pytest

from dimcli import media
from dimcli.jobs.generate import generate_videos
from dimcli.tracking.landmarks import track_video
from tests.conftest import beginning
from weights import DEFAULT_LISTENER

pytestmark = [pytest.mark.slow, pytest.mark.clips]

PAIRS = [
    ("liveportrait_d20.mp4", "mona_lisa.jpg"),
    ("sadtalker_WDA_KatieHill_000.mp4", "people_0.png"),
    ("vico_d5s6u96knvkp.mp4", "old_photo.jpg"),
]


def streams(path) -> str:
    """What ffmpeg says about a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(("clip", "portrait"), PAIRS)
def test_a_real_clip_and_portrait_give_a_whole_video_with_a_face_and_sound(
    clips, tmp_path, clip, portrait
):
    speaker, reference = clips / clip, clips / "portraits" / portrait
    if not (speaker.is_file() and reference.is_file()):
        pytest.skip(f"{clip} or {portrait} is not there")
    speaker, out = beginning(speaker, tmp_path / "speaker.mp4", 3), tmp_path / "out.mp4"
    who = "left" if clip.startswith("vico") else None  # the listener is beside them
    (video,) = generate_videos(
        "listener", speaker, reference, out, weights=DEFAULT_LISTENER, who=who
    )
    frames = sum(1 for _ in media.read_frames(out))
    assert frames == video.frames == sum(1 for _ in media.read_frames(speaker))
    report = streams(out)
    assert re.search(r"Video: h264.*yuv420p", report)
    assert "Audio: aac" in report
    assert abs(media.probe_video(out).duration_s - media.probe_video(speaker).duration_s) < 0.1
    assert track_video(out).valid.mean() >= 0.99
