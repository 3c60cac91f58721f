"""EMOCA's per-frame folders as motion, and back."""

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion, slerp_axis_angle
from dimcli.tracking.emoca_folder import read_emoca_folder, write_emoca_folder

FPS = 30.0


def write_frame(folder: Path, random: np.random.Generator, **changed: np.ndarray) -> None:
    """One frame as EMOCA's demo writes it with ``--save_codes``: 1-D float32 arrays."""
    folder.mkdir(parents=True)
    arrays = {
        "exp": random.normal(size=50),
        "pose": random.normal(size=6) * 0.1,
        "shape": random.normal(size=100),
        "tex": random.normal(size=50),
        "detail": random.normal(size=128),
    }
    for name, array in (arrays | changed).items():
        np.save(folder / f"{name}.npy", np.asarray(array, np.float32))


@pytest.fixture
def output(tmp_path) -> Path:
    """Output for a video of 6 frames: no face in frame 3, two in frame 4."""
    random = np.random.default_rng(0)
    frames = tmp_path / "clip.0" / "results" / "EMOCA_v2_lr_mse_20"
    for number in (1, 2, 4, 5, 6):
        write_frame(frames / f"{number:06d}_000", random)
    write_frame(frames / "000004_001", random)
    (frames / "geometry.mp4").write_bytes(b"video")
    return tmp_path / "clip.0"


def test_frames_become_pose_then_expression_from_any_folder_above(output):
    inner = output / "results" / "EMOCA_v2_lr_mse_20"
    for folder in (output, output / "results", inner):
        motion = read_emoca_folder(folder, FPS)
        assert (motion.space, motion.fps, len(motion)) == ("flame", FPS, 6)
        for number in (1, 2, 4, 5, 6):
            frame = inner / f"{number:06d}_000"
            wanted = np.concatenate([np.load(frame / "pose.npy"), np.load(frame / "exp.npy")])
            np.testing.assert_array_equal(motion.values[number - 1], wanted)
    shapes = [np.load(folder / "shape.npy") for folder in sorted(inner.glob("*_000"))]
    np.testing.assert_allclose(motion.shape, np.mean(shapes, axis=0), atol=1e-6)


def test_a_missing_frame_is_not_valid_and_lies_between_its_neighbours(output):
    motion = read_emoca_folder(output, FPS)
    assert motion.valid.tolist() == [True, True, False, True, True, True]
    between = (motion.expression[1] + motion.expression[3]) / 2
    np.testing.assert_allclose(motion.expression[2], between, atol=1e-6)
    head = slerp_axis_angle(motion.head[1:2], motion.head[3:4], np.array([0.5], np.float32))
    np.testing.assert_allclose(motion.head[2:3], head, atol=1e-6)


def test_a_frame_of_nan_is_not_valid(output):
    folder = output / "results" / "EMOCA_v2_lr_mse_20" / "000005_000"
    np.save(folder / "exp.npy", np.full(50, np.nan, np.float32))
    motion = read_emoca_folder(output, FPS)
    assert motion.valid.tolist() == [True, True, False, True, False, True]
    assert np.isfinite(motion.values).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("exp.npy", np.zeros(49), r"exp\.npy: is float64 \(49,\); expected 50 or 100 numbers"),
        ("pose.npy", np.zeros((2, 3)), r"pose\.npy: is float64 \(2, 3\); expected 6 numbers"),
        ("pose.npy", np.array([None] * 6), r"pose\.npy: not an array of numbers"),
        ("pose.npy", None, r"000002_000/pose\.npy: no such file"),
    ],
)
def test_a_broken_frame_is_named(output, name, content, message):
    file = output / "results" / "EMOCA_v2_lr_mse_20" / "000002_000" / name
    file.unlink()
    if content is not None:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        read_emoca_folder(output, FPS)


def test_a_pickle_in_a_frame_is_never_called(output, tmp_path):
    class Caller:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "called",))

    file = output / "results" / "EMOCA_v2_lr_mse_20" / "000002_000" / "exp.npy"
    np.save(file, np.array([Caller()], object), allow_pickle=True)
    with pytest.raises(InputError, match="not an array of numbers"):
        read_emoca_folder(output, FPS)
    assert not (tmp_path / "called").exists()


def test_a_folder_of_something_else_is_told_apart(tmp_path, output):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no EMOCA frames"):
        read_emoca_folder(tmp_path / "empty", FPS)
    with pytest.raises(InputError, match="no such folder"):
        read_emoca_folder(tmp_path / "gone", FPS)
    write_frame(output / "results" / "EMOCA" / "000001_000", np.random.default_rng(1))
    with pytest.raises(InputError, match="several EMOCA outputs"):
        read_emoca_folder(output, FPS)


def test_written_folders_read_back_the_same(output, tmp_path):
    motion = read_emoca_folder(output, FPS)
    write_emoca_folder(motion, tmp_path / "again")
    again = read_emoca_folder(tmp_path / "again", FPS)
    np.testing.assert_array_equal(again.values, motion.values)
    np.testing.assert_array_equal(again.valid, motion.valid)
    np.testing.assert_allclose(again.shape, motion.shape, atol=1e-6)
    exp = np.load(tmp_path / "again" / "000001_000" / "exp.npy")
    assert (exp.shape, exp.dtype) == ((50,), np.float32)


def test_writing_refuses_another_space_and_what_exists(output, tmp_path):
    motion = read_emoca_folder(output, FPS)
    with pytest.raises(InputError, match="'arkit' space"):
        write_emoca_folder(Motion(motion.values, FPS, "arkit"), tmp_path / "again")
    write_emoca_folder(motion, tmp_path / "again")
    with pytest.raises(InputError, match="already exists"):
        write_emoca_folder(motion, tmp_path / "again")
    write_emoca_folder(motion, tmp_path / "again", force=True)
    (tmp_path / "again" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="more than EMOCA frames"):
        write_emoca_folder(motion, tmp_path / "again", force=True)
    assert not list(tmp_path.glob(".*.part"))


def test_a_motion_file_keeps_shape_and_camera(output, tmp_path):
    motion = read_emoca_folder(output, FPS)
    motion.save(tmp_path / "motion.npz")
    loaded = Motion.load(tmp_path / "motion.npz")
    np.testing.assert_array_equal(loaded.shape, motion.shape)
    with pytest.raises(InputError, match=r"motion camera is .*; expected numbers \[6, 3\]"):
        Motion(motion.values, FPS, "flame", camera=np.zeros((5, 3), np.float32))
