"""Who is followed in a video of several people, or that the command asks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

import dimcli
from dimcli.core.errors import InputError
from dimcli.jobs.render import read_reference
from dimcli.media import read_picture
from dimcli.tracking.people import LARGEST, LEFT, RIGHT, area_of, require_one_face


def beside(folder: Path, speaker: Path, share: float) -> Path:
    """The speaker on the left, 256 px wide, and somebody of ``share`` of that size on the right,
    mirrored."""
    path = folder / f"two-{share}.mp4"
    small = round(256 * share / 2) * 2
    graph = (
        f"[0:v]scale=256:256,split[a][b];[b]scale={small}:{small},hflip,"
        "pad=256:256:(ow-iw)/2:(oh-ih)/2[c];[a][c]hstack"
    )
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(speaker)]
    subprocess.run([*command, "-filter_complex", graph, "-t", "2", str(path)], check=True)
    return path


def test_of_two_faces_of_similar_size_the_command_asks_which(
    tmp_path: Path, short_speaker: Path
) -> None:
    video = beside(tmp_path, short_speaker, 0.9)
    with pytest.raises(InputError, match="--speaker left, right or largest, or --region x,y"):
        dimcli.track(video)
    left, right = area_of(video, LEFT), area_of(video, RIGHT)
    assert left is not None and right is not None
    assert left[0] == 0 and 180 < left[2] < 330
    assert right[0] == pytest.approx(left[2], abs=2) and sum(right[::2]) == 512
    assert area_of(video, LARGEST) == left
    with pytest.raises(InputError, match="one of them"):
        dimcli.track(video, who=LEFT, region="0,0,256,256")
    # the right one is the left one's mirror image: they turn their heads opposite ways
    motions = [dimcli.track(video, who=who) for who in (LEFT, RIGHT)]
    yaw = [motion.head[:, 1] - motion.head[:, 1].mean() for motion in motions]
    assert np.corrcoef(yaw)[0, 1] < -0.5


def test_one_face_or_a_clearly_larger_one_needs_no_choice(
    tmp_path: Path, short_speaker: Path
) -> None:
    assert area_of(short_speaker) is None
    assert area_of(short_speaker, RIGHT) is None
    assert area_of(beside(tmp_path, short_speaker, 0.4)) is None


@pytest.mark.parametrize("name", ["vico_d5s6u96knvkp", "vico_donfyjh9ge50"])
def test_on_real_dyads_it_asks_and_then_follows_who_was_meant(clips: Path, name: str) -> None:
    video = clips / f"{name}.mp4"
    with pytest.raises(InputError, match="similar size"):
        dimcli.track(video)
    for who, role in ((LEFT, "speaker"), (RIGHT, "listener")):
        area = area_of(video, who)
        assert area is not None
        reference = np.load(clips / "reference" / f"{name}.{role}.npz")
        found = reference["found"].astype(bool)
        middle = np.median(reference["landmarks"][found][..., 0]) + (256 if who == RIGHT else 0)
        assert area[0] < middle < area[0] + area[2]
        assert 240 <= area[2] <= 272


def test_a_picture_of_several_faces_of_similar_size_is_refused_however_small_they_are(
    examples: Path,
) -> None:
    face = cv2.resize(read_picture(examples / "listener.png"), (256, 256))
    with pytest.raises(InputError, match="shows 12 faces of similar size; expected one"):
        require_one_face(np.tile(face, (3, 4, 1)))
    with pytest.raises(InputError, match="shows 2 faces"):
        require_one_face(np.hstack([face, face[:, ::-1]]))
    with pytest.raises(InputError, match="cut out the one"):
        read_reference(examples / "listener.webp")  # an animation: its first picture


def test_one_face_wherever_it_is_and_one_that_is_clearly_larger_are_taken(examples: Path) -> None:
    face = read_picture(examples / "listener.png")
    require_one_face(face)
    rng = np.random.default_rng(0)
    for side in rng.integers(150, 500, 12):
        scene = np.full((700, 900, 3), 120, np.uint8)
        y, x = rng.integers(0, [700 - side, 900 - side])
        scene[y : y + side, x : x + side] = cv2.resize(face, (side, side))
        require_one_face(scene)
    scene[:] = 120
    scene[:400, :400] = cv2.resize(face, (400, 400))
    scene[400:560, 600:760] = cv2.resize(face, (160, 160))
    require_one_face(scene)
