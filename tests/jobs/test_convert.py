from dataclasses import replace

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, JAW_OPEN_RAD, MOTION_DIM, Motion, expression_index
from dimcli.jobs.convert import Converter
from renderers.heads.correspondence import Correspondence, correspond
from renderers.heads.fitting import GAZE
from renderers.heads.flame import FlameHead, SurfacePoints
from renderers.heads.open_head import OpenHead
from tests.renderers.heads.test_flame import head_arrays

GAZE_COLUMNS = [expression_index(name) for name in GAZE]


@pytest.fixture(scope="module")
def open_head() -> OpenHead:
    return OpenHead.bundled()


def talking(frames: int, seed: int = 0) -> Motion:
    """Arkit motion: the jaw opens and shuts, a few units at a time are raised, no gaze."""
    generator = np.random.default_rng(seed)
    values = np.zeros((frames, MOTION_DIM), np.float32)
    values[:, :3] = generator.normal(0, 0.2, (frames, 3))
    values[:, 3] = JAW_OPEN_RAD * generator.uniform(0, 0.8, frames)
    raised = generator.random((frames, 50)) < 0.2
    values[:, EXPRESSION] = np.where(raised, generator.uniform(0, 0.6, (frames, 50)), 0)
    values[:, GAZE_COLUMNS] = 0
    values[:, expression_index("mouthClose")] = 0
    valid = generator.random(frames) < 0.9
    return Motion(values, fps=25, valid=valid, meta={"source": "a.mp4"})


def twin(open_head: OpenHead) -> FlameHead:
    """A FLAME model that is the open head: same mesh and jaw, its units mixed as expression, the
    rest of jawOpen as a pose corrective of the jaw."""
    mixture = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 50)))[0]
    units = open_head.units.numpy().reshape(51, -1, 3)
    joints = open_head.joints.numpy()[[1, 2, 3, 4, 5]].astype(float)
    skin = np.zeros((len(open_head.template), 5))
    ours = open_head.skin_weights.numpy()  # root, neck, head, jaw, eyes
    skin[:, 0], skin[:, 1], skin[:, 2:] = ours[:, :2].sum(1), ours[:, 2], ours[:, 3:]
    template = open_head.template.numpy().astype(float)
    regressor = np.zeros((5, len(template)))
    system = np.vstack([template.T, np.ones(len(template))])[:, ::40]
    for joint, place in enumerate(joints):
        solution = np.linalg.lstsq(system, np.append(place, 1), rcond=None)[0]
        regressor[joint, ::40] = solution
    basis = np.einsum("ukc,um->kcm", units[:50], mixture)
    corrective = np.zeros((len(template), 3, 36))
    corrective[..., 9 + 5] = -units[50] / JAW_OPEN_RAD  # row 1, column 2 of the jaw: -sin(angle)
    return FlameHead(
        {
            "template": template,
            "faces": open_head.faces,
            "shape_basis": np.zeros((len(template), 3, 1)),
            "expression_basis": basis,
            "pose_basis": corrective,
            "joint_regressor": regressor,
            "parents": np.array([-1, 0, 1, 1, 1]),
            "skin_weights": skin,
        }
    )


@pytest.fixture(scope="module")
def exact(open_head: OpenHead) -> Converter:
    """Between the open head and its twin, whose points are the same by construction."""
    points = SurfacePoints(open_head.landmark_corners[:468], open_head.landmark_barycentric[:468])
    flame = twin(open_head)
    flame.joint_expression_basis.zero_()  # the open head's joints stay, whatever the expression
    return Converter(open_head, flame, Correspondence(points, points, 1.0, 468))


@pytest.fixture(scope="module")
def made_up(open_head: OpenHead) -> Converter:
    """Between the open head and the made-up FLAME."""
    flame = FlameHead(head_arrays())
    return Converter(open_head, flame, correspond(open_head, flame))


def test_a_face_that_both_heads_can_make_goes_there_and_back(exact: Converter) -> None:
    motion = talking(12)
    there = exact.convert(motion, "flame")
    assert there.residual_mm.mean() < 0.1
    assert there.residual_mm.mean() < 0.03 * there.moved_mm.mean()
    back = exact.convert(there.motion, "arkit")
    assert back.residual_mm.mean() < 0.1
    off = np.abs(back.motion.values - motion.values)
    assert off[:, 3].max() < 0.04 * JAW_OPEN_RAD
    assert off[:, EXPRESSION].mean() < 0.02


def test_the_jaw_alone_is_found_as_the_jaw(exact: Converter) -> None:
    values = np.zeros((3, MOTION_DIM), np.float32)
    values[:, 3] = (0.0, 0.1, 0.3)
    there = exact.convert(Motion(values, fps=25), "flame")
    np.testing.assert_allclose(there.motion.values[:, 3], values[:, 3], atol=0.02)
    assert np.abs(there.motion.values[:, 4:6]).max() < 0.01
    assert np.abs(there.motion.values[0]).max() < 1e-4


def test_a_made_up_flame_gives_back_the_face_that_went_in(
    open_head: OpenHead, made_up: Converter
) -> None:
    motion = talking(24, seed=1)
    there = made_up.convert(motion, "flame")
    back = made_up.convert(there.motion, "arkit")
    # the made-up mesh is coarse and its lips have no slit: the rest is what it can't follow
    assert there.residual_mm.mean() < 0.35 * there.moved_mm.mean()
    posed = [
        open_head.landmarks(open_head.vertices(torch.from_numpy(one.values))).numpy()
        for one in (motion, back.motion)
    ]
    apart = 1000 * np.linalg.norm(posed[0] - posed[1], axis=2)
    assert apart.mean() < 0.4
    arkit = back.motion.values
    assert arkit[:, EXPRESSION].min() >= 0
    assert arkit[:, EXPRESSION].max() <= 1
    assert arkit[:, 3].min() >= 0
    assert (arkit[:, GAZE_COLUMNS] == 0).all()


def test_the_heads_rotation_and_what_belongs_to_the_frames_stay(made_up: Converter) -> None:
    motion = talking(6)
    found = made_up.convert(motion, "flame").motion
    np.testing.assert_array_equal(found.head, motion.head)
    np.testing.assert_array_equal(found.valid, motion.valid)
    assert found.fps == motion.fps
    assert found.space == "flame"
    assert found.meta["source"] == "a.mp4"
    assert found.meta["converted"]["from"] == "arkit"


def test_the_reported_residual_is_the_distance_of_the_points(made_up: Converter) -> None:
    motion = talking(4)
    found = made_up.convert(motion, "flame")
    here, there = (
        made_up.faces[one.space].moved(torch.from_numpy(one.values)).unflatten(1, (-1, 3))
        for one in (motion, found.motion)
    )
    wanted = (here - there).square().sum(-1).mean(-1).sqrt()
    np.testing.assert_allclose(found.residual_mm, wanted.numpy(), atol=1e-4)


def test_a_frame_is_solved_alike_alone_and_among_others(made_up: Converter) -> None:
    motion = talking(5)
    together = made_up.convert(motion, "flame").motion.values
    alone = made_up.convert(replace(motion, values=motion.values[3:4], valid=None), "flame")
    np.testing.assert_allclose(alone.motion.values[0], together[3], atol=0.01)


def test_lost_gaze_and_missing_landmarks_are_told(made_up: Converter) -> None:
    motion = talking(2)
    values = motion.values.copy()
    values[:, GAZE_COLUMNS[0]] = 0.5
    remarks = made_up.convert(replace(motion, values=values), "flame").remarks
    assert any("gaze" in remark for remark in remarks)
    assert any("flame-landmarks" in remark for remark in remarks)
    assert not any("gaze" in remark for remark in made_up.convert(motion, "flame").remarks)


def test_a_motion_of_that_space_is_refused(made_up: Converter) -> None:
    with pytest.raises(InputError, match="'arkit' space"):
        made_up.convert(talking(1), "arkit")
