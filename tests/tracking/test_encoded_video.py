"""Videos through the encoders: the crop, the camera, and the stream."""

import itertools
import json

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.tracking.emoca_folder import read_emoca_folder
from dimcli.tracking.encoders import load_encoder, track_video
from dimcli.tracking.flame_encoders import Deca, Smirk, Square
from dimcli.tracking.landmarks import track_face, with_faces
from tests.tracking.encoder_files import smirk_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("smirk") / "SMIRK_em1.pt"
    smirk_file(path)
    return path


@pytest.fixture(scope="module")
def smirk(checkpoint):
    return load_encoder("smirk", checkpoint, "cpu")


def test_a_crops_corner_pixels_are_the_squares_corners():
    """The similarity of the encoders' own code: corners to 0 and 223."""
    across = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    square = Square(left=20.0, top=30.0, side=111.5)
    places = 20 + np.arange(224) * 111.5 / 223
    cropped = square.crop(across)
    assert cropped.shape == (224, 224, 3)
    np.testing.assert_allclose(cropped[100, :, 0], places, atol=0.6)
    down = square.crop(np.ascontiguousarray(across.transpose(1, 0, 2)))
    np.testing.assert_allclose(down[:, 100, 0], places + 10, atol=0.6)
    assert not Square(-500.0, -500.0, 100.0).crop(across).any()  # black beyond the picture


def test_crops_are_made_around_the_box_that_each_encoder_was_trained_with():
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, 0] = np.linspace(100, 200, 478)
    landmarks[:, 1] = np.linspace(50, 170, 478)
    smirk = Smirk().square(landmarks)
    assert smirk.side == int((100 + 120) / 2 * 1.4)
    np.testing.assert_allclose([smirk.left, smirk.top], [150 - 77, 110 - 77], atol=1e-3)
    box = landmarks[Deca.box, :2]
    deca = Deca().square(landmarks)
    assert deca.side == int((box.max(axis=0) - box.min(axis=0)).mean() * 1.1 * 1.25)


def test_the_pictures_camera_puts_points_where_the_crops_does():
    square, camera, size = Square(40.0, -25.0, 180.0), np.array([8.0, 0.02, -0.03]), (640, 360)
    point = np.array([0.05, -0.04])
    scale, *shift = camera
    in_crop = (scale * (point + shift) * (1, -1) + 1) * 112  # the encoders' formula
    wanted = np.array([40, -25]) + in_crop * 180 / 223
    x, y, metre = square.picture_camera(camera, size)
    ours = np.array([x, y]) * size + metre * np.mean(size) * point * (1, -1)
    np.testing.assert_allclose(ours, wanted, atol=1e-3)


def test_a_video_is_each_frames_crop_through_the_network(smirk, heads, film, monkeypatch):
    clip = film(heads[:21])
    monkeypatch.setattr("dimcli.tracking.encoders._BATCH", 8)
    motion = track_video(clip, smirk)
    assert (motion.space, len(motion), motion.fps) == ("flame", 21, 25.0)
    assert motion.valid.all()
    assert motion.meta["tracker"] == "smirk"

    from dimcli.media import probe_video, read_frames

    track = track_face(clip, keep_landmarks=True)
    shapes = []
    for frame, (image, landmarks) in enumerate(
        zip(read_frames(probe_video(clip)), track.landmarks, strict=True)
    ):
        crop = smirk.square(landmarks).crop(image)
        picture = torch.from_numpy(crop).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            codes = smirk(picture)
        alone = torch.cat([codes.pose, codes.expression], dim=1)[0]
        np.testing.assert_allclose(motion.values[frame], alone, atol=1e-4)
        shapes.append(codes.shape[0].numpy())
    np.testing.assert_allclose(motion.shape, np.mean(shapes, axis=0), atol=1e-4)
    assert motion.camera.shape == (21, 3)


def test_frames_without_a_face_are_bridged(smirk, heads, film):
    frames = list(heads[:30])
    for lost in range(12, 18):
        frames[lost] = np.zeros_like(frames[lost])
    motion = track_video(film(frames), smirk)
    assert motion.valid.tolist() == [not 12 <= frame < 18 for frame in range(30)]
    between = (motion.expression[11] * 2 + motion.expression[18] * 5) / 7
    np.testing.assert_allclose(motion.expression[16], between, atol=1e-4)
    with pytest.raises(InputError, match="show no face"):
        track_video(film([np.zeros_like(heads[0])] * 5, "black.mp4"), smirk)


def test_memory_holds_as_many_frames_as_the_follower_looks_ahead():
    ahead, alive = 3, []

    def frames():
        for number in itertools.count():
            alive.append(number)
            yield np.full((4, 4, 3), number % 256, np.uint8)

    def follower(images):
        waiting = []
        for image in images:
            waiting.append(image)
            if len(waiting) > ahead:
                yield waiting.pop(0)

    for count, (image, face) in enumerate(with_faces(follower, frames())):
        assert face is image  # the frame and its own face
        assert len(alive) == count + ahead + 1
        if count == 300:
            break


@pytest.fixture
def speaking(heads, film):
    return film(heads[:12], "speaking.mp4")


def run_cli(*arguments, capsys):
    from dimcli.cli import main

    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.out, captured.err


def test_the_command_tracks_with_a_checkpoint(speaking, checkpoint, tmp_path, capsys):
    extract = ("extract", speaking, "--tracker", "smirk", "--checkpoint", checkpoint)
    motion = tmp_path / "motion.npz"
    code, out, err = run_cli(
        *extract, "-o", motion, "--audio-encoder", "mel", "--json", capsys=capsys
    )
    assert code == 0, err
    assert json.loads(out)["space"] == "flame"
    assert Motion.load(motion).shape.shape == (300,)

    from dimcli.audio import AudioFeatures

    heard = AudioFeatures.load(tmp_path / "motion.audio.npz")
    assert (heard.values.shape, heard.encoder, heard.fps) == ((12, 32), "mel", 25.0)

    code, _, err = run_cli(*extract, "-o", tmp_path / "frames", "--format", "emoca", capsys=capsys)
    assert code == 0, err
    written = read_emoca_folder(tmp_path / "frames", 25.0)
    np.testing.assert_array_equal(written.values, Motion.load(motion).values)

    code, _, err = run_cli(
        *("extract", tmp_path / "frames", "--fps", 25, "-o", tmp_path / "again.npz"), capsys=capsys
    )
    assert code == 0, err
    np.testing.assert_array_equal(Motion.load(tmp_path / "again.npz").values, written.values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tracker", "smirk", "--checkpoint", "gone.pt"), "gone.pt: no such"),
        (("--checkpoint", "some.pt"), "--checkpoint some.pt: --tracker landmarks has its own"),
        (("--format", "emoca"), "measures in the 'arkit' space"),
        (("--fps", "30"), "--fps is for EMOCA's folders"),
        (("--audio-encoder", "whale"), "audio encoder 'whale' is unknown"),
        (("--tracker", "emoca"), "--tracker emoca needs emoca, which is not imported"),
    ],
)
def test_a_wrong_choice_is_told_before_any_work(
    speaking, options, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("extract", speaking, *options, capsys=capsys)
    assert code == 2
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert message in line
    assert not list(tmp_path.glob("*.npz"))


def test_a_folder_needs_its_frame_rate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.0").mkdir()
    code, _, err = run_cli("extract", "clip.0", capsys=capsys)
    assert code == 2
    assert "--fps is missing" in err
    code, _, err = run_cli("extract", "clip.0", "--fps", 30, capsys=capsys)
    assert code == 2
    assert "has no EMOCA frames" in err
