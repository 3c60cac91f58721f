"""The tracker on the open head, where the truth is known, and on real clips where they are."""

import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.media import read_frames, read_picture
from dimcli.tracking.landmarks import observe_picture, track_face, track_video
from dimcli.tracking.networks import BLENDSHAPES
from tests.renderers.faces import drawn_gaps


def on_canvas(width, height, *placed):
    """A picture with heads put into it, each (frame, x, y, side)."""
    frame = placed[0][0]
    canvas = np.full((height, width, 3), frame[0, 0], np.uint8)
    for head, x, y, side in placed:
        how = cv2.INTER_AREA if side < len(head) else cv2.INTER_CUBIC
        canvas[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=how)
    return canvas


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


def degrees_apart(one, other):
    return np.rad2deg((Rotation.from_rotvec(one).inv() * Rotation.from_rotvec(other)).magnitude())


def test_a_made_head_gives_its_motion_back(heads, values, film):
    motion = track_video(film(heads))
    assert len(motion) == len(heads)
    assert motion.space == "arkit"
    assert motion.valid.all()
    truth = Motion(values, fps=25)
    for axis in range(3):
        assert correlation(motion.head[:, axis], truth.head[:, axis]) > 0.95
    # signs and size, not only shape
    for axis in range(3):
        slope = np.polyfit(truth.head[:, axis], motion.head[:, axis], 1)[0]
        assert 0.5 < slope < 1.3
    assert correlation(motion.column("jawOpen"), truth.column("jawOpen")) > 0.9
    assert correlation(motion.column("eyeBlinkLeft"), truth.column("eyeBlinkLeft")) > 0.8


def test_a_motion_says_where_it_comes_from(heads, film):
    path = film(heads[:3])
    motion = track_video(path)
    assert Path(motion.meta["source"]) == path.resolve()
    assert motion.meta["tracker"] == "mediapipe-face-landmarker"
    assert (motion.meta["width"], motion.meta["height"]) == (256, 256)
    assert motion.meta["frames_without_face"] == 0
    assert motion.camera.shape == (3, 3)
    assert np.abs(motion.camera[:, 0] - 0.5).max() < 0.1


def test_one_picture_and_one_frame_agree(heads, film):
    path = film(heads[10:11])
    (frame,) = read_frames(path)
    observation = observe_picture(frame)
    track = track_face(path, keep_landmarks=True)
    assert observation.faces == 1
    assert observation.presence > 0.9
    assert observation.values.shape == (56,)
    assert np.abs(observation.landmarks - track.landmarks[0]).max() < 1e-3
    assert np.abs(observation.values - track.motion.values[0]).max() < 1e-4


def test_a_picture_without_a_face_is_refused():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=r"looking at the camera$"):
        observe_picture(noise)
    large = np.full((1500, 2500, 3), 128, np.uint8)
    with pytest.raises(InputError, match="crop it closer to the head"):
        observe_picture(large)


def test_of_two_faces_in_a_picture_the_largest_is_taken(heads):
    picture = on_canvas(640, 320, (heads[0], 20, 60, 200), (heads[0], 320, 0, 320))
    observation = observe_picture(picture)
    assert observation.faces == 2
    assert observation.landmarks[:, 0].mean() == pytest.approx(480, abs=40)


@pytest.mark.parametrize("side", [60, 100])
def test_a_face_that_is_small_in_the_picture_is_found(heads, side):
    observation = observe_picture(on_canvas(1280, 720, (heads[0], 900, 300, side)))
    assert observation.landmarks[:, 0].mean() == pytest.approx(900 + side / 2, abs=side / 5)


def test_a_face_that_fills_the_picture_is_found(heads):
    assert observe_picture(np.ascontiguousarray(heads[0][60:200, 60:200])).faces == 1


def test_the_largest_face_is_followed_while_the_other_stays(heads, film):
    frames = [
        on_canvas(640, 320, (heads[0], 20, 60, 200), *([(h, 320, 0, 320)] if use else []))
        for h, use in zip(heads, [True] * 10 + [False] * 8 + [True] * 10, strict=False)
    ]
    motion = track_video(film(frames))
    assert motion.meta["most_faces"] == 2
    assert (motion.valid == ([True] * 10 + [False] * 8 + [True] * 10)).all()
    assert motion.camera[:, 0].min() > 0.6


def test_another_face_is_taken_when_the_first_does_not_come_back(heads, film):
    frames = [
        on_canvas(640, 320, (heads[0], 20, 60, 200), *([(h, 320, 0, 320)] if i < 20 else []))
        for i, h in enumerate(heads)
    ]
    motion = track_video(film(frames))
    assert not motion.valid[20:44].any()
    assert motion.valid[46:].all()
    assert motion.camera[-1, 0] < 0.4


def test_after_a_cut_the_face_is_found_at_once(heads, film):
    frames = [on_canvas(640, 320, (head, 20, 60, 200)) for head in heads[:8]]
    frames += [on_canvas(640, 320, (head, 320, 0, 320)) for head in heads[8:16]]
    motion = track_video(film(frames))
    assert motion.valid.all()
    assert (motion.camera[:8, 0] < 0.4).all()
    assert (motion.camera[8:, 0] > 0.6).all()


def test_a_region_picks_one_half_of_a_pair(heads, film):
    path = film([on_canvas(512, 256, (heads[0], 0, 0, 256), (h, 256, 0, 256)) for h in heads[:20]])
    still = track_video(path, region=(0, 0, 256, 256))
    moving = track_video(path, region=(256, 0, 256, 256))
    assert np.ptp(still.head[:, 1]) < 0.02
    assert np.ptp(moving.head[:, 1]) > 0.2


def test_frames_without_a_face_are_marked_and_bridged(heads, values, film):
    frames = [head * (not 20 <= i < 30) for i, head in enumerate(heads)]
    track = track_face(film(frames), keep_landmarks=True)
    motion = track.motion
    assert (np.flatnonzero(~motion.valid) == np.arange(20, 30)).all()
    assert motion.meta["frames_without_face"] == pytest.approx(0.2)
    assert np.isnan(track.blendshapes[25]).all()
    assert np.isnan(track.landmarks[25]).all()
    assert np.isfinite(track.landmarks[motion.valid]).all()
    between = motion.head[19] + (motion.head[30] - motion.head[19]) * np.arange(1, 11)[:, None] / 11
    assert np.abs(motion.head[20:30] - between).max() < 0.02


def test_a_clip_that_starts_and_ends_without_a_face_holds_the_nearest_values(heads, film):
    frames = [head * (5 <= i < 25) for i, head in enumerate(heads[:30])]
    motion = track_video(film(frames))
    assert (motion.values[:5] == motion.values[5]).all()
    assert (motion.values[25:] == motion.values[24]).all()


@pytest.mark.parametrize(("seen", "share"), [(0, "100%"), (8, "60%")])
def test_a_clip_that_shows_mostly_no_face_is_refused(heads, film, seen, share):
    path = film([head * (i < seen) for i, head in enumerate(heads[:20])])
    with pytest.raises(InputError, match=rf"clip\.mp4: {share} of its frames show no face"):
        track_video(path)


def test_odd_sizes_and_rotation_tags_change_nothing(heads, film, tmp_path):
    plain = track_video(film(heads[:10]))
    turned = film([np.rot90(head, -1)[:255] for head in heads[:10]], name="turned.mp4")
    tagged = tmp_path / "tagged.mp4"
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    copy = ["-v", "error", "-display_rotation", "90", "-i", str(turned), "-c", "copy", str(tagged)]
    subprocess.run([ffmpeg, *copy], check=True)
    assert degrees_apart(plain.head, track_video(tagged).head).max() < 2


def test_progress_counts_every_frame(heads, film):
    calls = []
    track_video(film(heads[:5]), progress=lambda *call: calls.append(call))
    assert calls == [("tracking", count, 5) for count in range(1, 6)]


def test_landmarks_are_kept_only_when_asked_for(heads, film):
    assert track_face(film(heads[:2])).landmarks is None


REFERENCES = (
    "sadtalker_WDA_KatieHill_000",
    "liveportrait_d20",
    "vico_d5s6u96knvkp.speaker",
    "vico_d5s6u96knvkp.listener",
)


@pytest.mark.clips
@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_tracks_agree_with_the_vendors_own_runtime(clips, name):
    with np.load(clips / "reference" / f"{name}.npz") as file:
        reference = dict(file)
    region = tuple(int(side) for side in reference["crop"]) or None
    track = track_face(clips / f"{name.split('.')[0]}.mp4", region=region, keep_landmarks=True)
    assert tuple(reference["names"]) == BLENDSHAPES
    assert len(track.motion) == len(reference["t"])
    at_512 = 512 / (region[2] if region else track.motion.meta["width"])
    apart = np.linalg.norm((track.landmarks - reference["landmarks"])[..., :2], axis=-1)
    assert apart.mean() * at_512 < 0.2
    assert np.abs(track.blendshapes - reference["blendshapes"]).mean() < 0.004
    assert degrees_apart(track.motion.head, reference["axisangle"]).mean() < 0.2


@pytest.mark.clips
@pytest.mark.parametrize("name", ["mona_lisa.jpg", "old_photo.jpg", "people_0.png"])
def test_real_and_painted_portraits_show_one_face(clips, name):
    observation = observe_picture(read_picture(clips / "portraits" / name))
    assert observation.faces == 1
    assert np.isfinite(observation.values).all()


@pytest.mark.clips
@pytest.mark.slow
def test_a_broadcast_speaker_opens_the_jaw_although_the_network_is_deaf_to_it(clips):
    with np.load(clips / "reference" / "vico_d5s6u96knvkp.speaker.npz") as file:
        lips = file["lip"]
    track = track_face(clips / "vico_d5s6u96knvkp.mp4", region=(0, 0, 256, 256))
    assert np.percentile(track.blendshapes[:, BLENDSHAPES.index("jawOpen")], 99) < 0.02
    assert 0.08 < np.percentile(track.motion.column("jawOpen"), 95) < 0.6
    assert correlation(drawn_gaps(track.motion.values), lips) > 0.98


@pytest.mark.clips
@pytest.mark.slow
def test_a_clip_stretched_like_a_broadcast_crop_keeps_its_jaw(clips, tmp_path):
    usual = clips / "liveportrait_d20.mp4"
    stretched = tmp_path / "stretched.mp4"
    how = "scale=650:480,crop=480:480,setsar=1"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", usual, "-vf", how, stretched]
    subprocess.run(list(map(str, command)), check=True)
    truth, track = track_video(usual), track_video(stretched)
    usual_lips, wide_lips = drawn_gaps(truth.values), drawn_gaps(track.values)
    assert correlation(usual_lips, wide_lips) > 0.95
    # of eyes that are 1.35 times as far apart
    ratio = np.percentile(wide_lips, 95) / np.percentile(usual_lips, 95)
    assert 0.6 < ratio * 1.35 < 1.4
