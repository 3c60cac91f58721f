import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW,
    JAW_OPEN_RAD,
    MOTION_DIM,
    expression_index,
)
from renderers.heads.open_head import NECK_SHARE, REGIONS, OpenHead, rotation_matrices

UPPER_LIP, LOWER_LIP, NOSE_TIP, CHIN = 13, 14, 1, 152
LID_PAIRS = {"Left": (386, 374), "Right": (159, 145)}


@pytest.fixture(scope="module")
def head() -> OpenHead:
    return OpenHead.bundled()


def frame(**settings: float) -> torch.Tensor:
    """One motion frame; a name that ends in ``_`` sets both sides."""
    values = torch.zeros(1, MOTION_DIM)
    for name, amount in settings.items():
        for full in (name,) if not name.endswith("_") else (name + "Left", name + "Right"):
            values[0, expression_index(full.replace("_", ""))] = amount
    return values


def landmarks(head: OpenHead, values: torch.Tensor) -> np.ndarray:
    return head.landmarks(head.vertices(values))[0].numpy()


def test_the_resting_head_is_symmetric(head: OpenHead) -> None:
    rest = head.template.numpy()
    mirrored = rest * [-1, 1, 1]
    nearest = np.array([np.abs(rest - point).sum(axis=1).min() for point in mirrored[::17]])
    assert np.percentile(nearest, 99) < 0.001


def test_zero_motion_gives_the_template(head: OpenHead) -> None:
    posed = head.vertices(torch.zeros(2, MOTION_DIM))
    torch.testing.assert_close(posed[1], head.template, atol=1e-6, rtol=0)


def test_vertices_equal_a_plain_numpy_reference(head: OpenHead) -> None:
    generator = np.random.default_rng(0)
    values = np.zeros((3, MOTION_DIM), np.float32)
    values[:, HEAD] = generator.normal(0, 0.4, (3, 3))
    values[:, JAW] = generator.normal((0.2, 0, 0), 0.1, (3, 3))
    values[:, EXPRESSION] = generator.uniform(0, 0.5, (3, 50))
    posed = head.vertices(torch.from_numpy(values)).numpy()
    rest, joints = head.template.numpy(), head.joints.numpy()
    units = head.units.numpy().reshape(51, -1, 3)
    skin = head.skin_weights.numpy()
    side, up, down = np.radians([25, 18, 22])
    for values_now, posed_now in zip(values, posed, strict=True):
        named = dict(zip(ARKIT_EXPRESSIONS, values_now[EXPRESSION], strict=True))
        jaw_open = values_now[3] / JAW_OPEN_RAD
        named["mouthClose"] = min(named["mouthClose"], max(jaw_open, 0))
        shaped = rest + sum(
            amount * unit for amount, unit in zip([*named.values(), jaw_open], units, strict=True)
        )

        def looking(name: str, sign: int, named: dict[str, float] = named) -> list[float]:
            out = named[f"eyeLookOut{name}"] - named[f"eyeLookIn{name}"]
            return [
                named[f"eyeLookDown{name}"] * down - named[f"eyeLookUp{name}"] * up,
                sign * out * side,
                0,
            ]

        local = [
            values_now[HEAD] * NECK_SHARE,
            values_now[HEAD] * (1 - NECK_SHARE),
            values_now[JAW],
            looking("Left", 1),
            looking("Right", -1),
        ]

        def turn(points: np.ndarray, joint: int, local: list = local) -> np.ndarray:
            turned = Rotation.from_rotvec(local[joint - 1]).apply(points - joints[joint])
            return turned + joints[joint]

        neck = turn(shaped, 1)
        chains = [shaped, neck, turn(turn(shaped, 2), 1)]
        chains += [turn(turn(turn(shaped, tip), 2), 1) for tip in (3, 4, 5)]
        expected = sum(skin[:, j : j + 1] * chain for j, chain in enumerate(chains))
        np.testing.assert_allclose(posed_now, expected, atol=2e-6)


@pytest.mark.parametrize("name", ARKIT_EXPRESSIONS)
def test_each_expression_moves_its_own_side_and_region(head: OpenHead, name: str) -> None:
    values = frame(**{name: 1.0})
    start = torch.zeros(1, MOTION_DIM)
    if name == "mouthClose":
        values[0, 3] = start[0, 3] = JAW_OPEN_RAD
    moved = (head.vertices(values) - head.vertices(start))[0].norm(dim=1)
    assert moved.max() > 0.0015
    place = head.template[moved > 0.3 * moved.max()]
    if name.endswith(("Left", "Right")) and name[:-4] not in ("jaw", "mouth", "jawR", "mouthR"):
        sign = 1 if name.endswith("Left") else -1
        centre = (head.template[:, 0] * moved).sum() / moved.sum()
        assert centre * sign > 0.004
    eyes_y = head.joints[4, 1]
    if name.startswith(("mouth", "jaw", "cheekPuff")):
        assert place[:, 1].max() < eyes_y
    if name.startswith(("brow", "eye")):
        assert place[:, 1].min() > eyes_y - 0.05


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_full_blink_shuts_the_lids_and_half_a_blink_halves_the_gap(
    head: OpenHead, side: str
) -> None:
    upper, lower = LID_PAIRS[side]

    def gap(amount: float) -> float:
        points = landmarks(head, frame(**{f"eyeBlink{side}": amount}))
        return float(points[upper, 1] - points[lower, 1])

    assert gap(0) > 0.007
    assert abs(gap(1)) < 0.0015
    assert gap(0.5) == pytest.approx(gap(0) / 2, abs=0.001)


def test_lips_meet_at_rest_and_part_with_the_jaw(head: OpenHead) -> None:
    rest = landmarks(head, frame())
    values = frame()
    values[0, 3] = JAW_OPEN_RAD
    opened = landmarks(head, values)
    assert abs(rest[UPPER_LIP, 1] - rest[LOWER_LIP, 1]) < 0.002
    assert opened[UPPER_LIP, 1] - opened[LOWER_LIP, 1] > 0.02
    np.testing.assert_allclose(opened[NOSE_TIP], rest[NOSE_TIP], atol=0.002)


def test_mouth_close_shuts_the_lips_over_an_open_jaw_and_does_nothing_on_a_shut_one(
    head: OpenHead,
) -> None:
    values = frame(mouthClose=1.0)
    torch.testing.assert_close(head.vertices(values), head.vertices(frame()))
    values[0, 3] = JAW_OPEN_RAD
    points = landmarks(head, values)
    assert abs(points[UPPER_LIP, 1] - points[LOWER_LIP, 1]) < 0.006


@pytest.mark.parametrize(
    ("axis", "landmark", "coordinate", "sign"),
    [(0, CHIN, 2, -1), (1, NOSE_TIP, 0, 1), (2, NOSE_TIP, 0, -1)],
    ids=["pitch tucks the chin", "yaw turns the nose to +x", "roll tips the nose to -x"],
)
def test_head_rotation_follows_the_sign_convention_and_leaves_the_shoulders(
    head: OpenHead, axis: int, landmark: int, coordinate: int, sign: int
) -> None:
    values = frame()
    values[0, axis] = 0.3
    change = landmarks(head, values) - landmarks(head, frame())
    if axis == 0:
        assert change[NOSE_TIP, 1] < -0.01
    if axis == 2:  # about z the top of the head goes towards +x's other side
        assert change[10, 0] * sign > 0.01
    else:
        assert change[landmark, coordinate] * sign > 0.005
    shoulders = head.template[:, 1] < head.template[:, 1].min() + 0.06
    still = (head.vertices(values)[0] - head.template)[shoulders]
    assert still.abs().max() < 1e-4


def test_the_whole_face_turns_by_exactly_the_motions_rotation(head: OpenHead) -> None:
    rotation = np.array([0.2, -0.5, 0.1], np.float32)
    values = frame()
    values[0, :3] = torch.from_numpy(rotation)
    before, after = landmarks(head, frame()), landmarks(head, values)
    face = [NOSE_TIP, 33, 263, 61, 291, 10, 168]
    before, after = before[face], after[face]
    found, _ = Rotation.align_vectors(after - after.mean(0), before - before.mean(0))
    np.testing.assert_allclose(found.as_rotvec(), rotation, atol=1e-3)


def test_gradient_reaches_every_number_of_the_motion(head: OpenHead) -> None:
    values = torch.full((2, MOTION_DIM), 0.1)
    values[1] = 0  # rotations at exactly zero too
    values.requires_grad_()
    weight = torch.randn(head.template.shape, generator=torch.Generator().manual_seed(0))
    (head.vertices(values) * weight).sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert (values.grad[0] != 0).all()


def test_rotation_matrices_agree_with_scipy_near_and_far_from_zero() -> None:
    turns = np.array([[0, 0, 0], [1e-5, 0, 0], [0.3, -0.2, 0.9], [0, 3.0, 0]], np.float32)
    found = rotation_matrices(torch.from_numpy(turns)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(turns).as_matrix(), atol=1e-6)


def test_landmarks_lie_on_the_regions_they_belong_to(head: OpenHead) -> None:
    region = head.face_region[head.landmark_face]
    right, left = REGIONS.index("eye_right"), REGIONS.index("eye_left")
    assert (region[468:473] == right).all()
    assert (region[473:478] == left).all()
    assert (region[:468] <= REGIONS.index("mouth")).all()
    rest = landmarks(head, frame())
    assert rest[263, 0] > 0 > rest[33, 0]
    assert rest[10, 1] > rest[NOSE_TIP, 1] > rest[UPPER_LIP, 1] > rest[CHIN, 1]
