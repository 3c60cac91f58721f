"""The head against FLAME's equations written out in plain numpy, one frame and joint at a time."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from renderers.heads.flame import FlameHead, FlameLandmarks, FlameMesh
from renderers.mesh.mesh import MeshRenderer
from tests.flame_files import NUM_SKIN, flame_arrays, mediapipe_embedding

Array = np.ndarray[Any, Any]
PARENTS = [-1, 0, 1, 1, 1]


def head_arrays() -> dict[str, Array]:
    arrays = flame_arrays()
    return {
        "template": arrays["v_template"],
        "faces": arrays["f"],
        "shape_basis": arrays["shapedirs"][..., :300],
        "expression_basis": arrays["shapedirs"][..., 300:],
        "pose_basis": arrays["posedirs"],
        "joint_regressor": arrays["J_regressor"],
        "parents": np.array(PARENTS),
        "skin_weights": arrays["weights"],
    }


@pytest.fixture(scope="module")
def head() -> FlameHead:
    return FlameHead(head_arrays())


def tiny_arrays(vertices: int = 7, joints: int = 5) -> dict[str, Array]:
    generator = np.random.default_rng(1)
    weights = generator.random((vertices, joints))
    return {
        "template": generator.normal(size=(vertices, 3)),
        "faces": np.array([[0, 1, 2], [2, 3, 4]]),
        "shape_basis": generator.normal(size=(vertices, 3, 3)),
        "expression_basis": generator.normal(size=(vertices, 3, 60)) * 0.1,
        "pose_basis": generator.normal(size=(vertices, 3, 36)) * 0.1,
        "joint_regressor": generator.random((joints, vertices)) / vertices * 2,
        "parents": np.array(PARENTS),
        "skin_weights": weights / weights.sum(axis=1, keepdims=True),
    }


def reference(arrays: dict[str, Array], shape: Array, expression: Array, pose: Array) -> Array:
    """FLAME for one frame, from homogeneous 4 x 4 matrices: Li et al. 2017, equations 2 to 4."""
    shaped = arrays["template"].copy()
    for index, amount in enumerate(shape):
        shaped += amount * arrays["shape_basis"][:, :, index]
    for index, amount in enumerate(expression):
        shaped += amount * arrays["expression_basis"][:, :, index]
    joints = arrays["joint_regressor"] @ shaped
    rotations = [Rotation.from_rotvec(turn).as_matrix() for turn in pose.reshape(-1, 3)]
    bent = np.concatenate([(turn - np.eye(3)).ravel() for turn in rotations[1:]])
    shaped = shaped + arrays["pose_basis"] @ bent
    world: list[Array] = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    skinned = np.zeros_like(shaped)
    for joint, matrix in enumerate(world):
        rest = np.eye(4)
        rest[:3, 3] = -joints[joint]
        turned = np.column_stack([shaped, np.ones(len(shaped))]) @ (matrix @ rest).T
        skinned += arrays["skin_weights"][:, joint, None] * turned[:, :3]
    return skinned


def test_vertices_equal_a_plain_numpy_reference(head: FlameHead) -> None:
    generator = np.random.default_rng(0)
    shape = generator.normal(size=(4, 100))
    expression = generator.normal(size=(4, 50))
    pose = generator.normal(0, 0.4, (4, 15))
    found = head.posed(*(torch.from_numpy(part).float() for part in (shape, expression, pose)))
    arrays = head_arrays()
    for index in range(4):
        wanted = reference(arrays, shape[index], expression[index], pose[index])
        np.testing.assert_allclose(found[index].numpy(), wanted, atol=1e-5)


def test_the_result_does_not_depend_on_the_rest_of_the_batch(head: FlameHead) -> None:
    generator = torch.Generator().manual_seed(0)
    values = 0.3 * torch.randn(5, MOTION_DIM, generator=generator)
    together = head.vertices(values)
    for index in (0, 3):
        torch.testing.assert_close(together[index], head.vertices(values[index : index + 1])[0])


def test_motion_turns_the_head_about_its_neck_joint(head: FlameHead) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(0, 0.3, (3, MOTION_DIM)).astype(np.float32)
    found = head.vertices(torch.from_numpy(values)).numpy()
    arrays = head_arrays()
    for frame, posed in zip(values.astype(float), found, strict=True):
        turn, jaw, expression = frame[:3], frame[3:6], frame[6:]
        pose = np.concatenate([turn, np.zeros(3), jaw, np.zeros(6)])
        wanted = reference(arrays, np.zeros(1), expression, pose)
        shaped = arrays["template"] + arrays["expression_basis"][..., :50] @ expression
        root, neck = (arrays["joint_regressor"] @ shaped)[:2]
        neck = Rotation.from_rotvec(turn).apply(neck - root) + root
        np.testing.assert_allclose(posed, wanted - neck, atol=1e-5)


def test_a_persons_shape_moves_the_vertices(head: FlameHead) -> None:
    values = torch.zeros(2, MOTION_DIM)
    shape = torch.zeros(1, 10)
    shape[0, 3] = 2
    moved = head.vertices(values, shape) - head.vertices(values)
    expected = 2 * torch.from_numpy(flame_arrays()["shapedirs"][..., 3]).float()
    joints = head.joints(shape, torch.zeros(1, 1)) - head.joint_template
    torch.testing.assert_close(moved[1], expected - joints[0, 1], atol=1e-6, rtol=0)


def test_the_chin_goes_down_when_the_jaw_turns_by_a_positive_angle(head: FlameHead) -> None:
    values = torch.zeros(2, MOTION_DIM)
    values[1, 3] = 0.3
    rest, opened = head.vertices(values)
    jaw = head.skin_weights[:, 2] > 0.9
    assert (opened[jaw, 1] - rest[jaw, 1]).mean() < -0.01
    still = head.skin_weights[:NUM_SKIN, 2] == 0
    # what the jaw does not hold moves only by the pose correctives, which are small
    assert (opened - rest)[:NUM_SKIN][still].abs().max() < 0.005


def test_gradients_are_right() -> None:
    head = FlameHead(tiny_arrays()).double()
    generator = torch.Generator().manual_seed(0)

    def drawn(*size: int) -> torch.Tensor:
        return (0.5 * torch.randn(*size, generator=generator)).double().requires_grad_()

    parts = drawn(2, 3), drawn(2, 4), drawn(2, 15)
    assert torch.autograd.gradcheck(head.posed, parts)
    at_rest = tuple(torch.zeros_like(part).requires_grad_() for part in parts)
    assert torch.autograd.gradcheck(head.posed, at_rest)
    assert torch.autograd.gradcheck(head.vertices, (drawn(2, MOTION_DIM), drawn(1, 3)))


def test_a_saved_head_loads_as_it_was(tmp_path: Path) -> None:
    arrays = {key: np.ascontiguousarray(value) for key, value in tiny_arrays().items()}
    save_file(arrays, tmp_path / "flame.safetensors")
    found = FlameHead.load(tmp_path / "flame.safetensors")
    values = torch.ones(1, MOTION_DIM) * 0.1
    torch.testing.assert_close(found.vertices(values), FlameHead(tiny_arrays()).vertices(values))


def test_a_damaged_file_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "flame.safetensors"
    save_file({"template": np.zeros((5, 3))}, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"flame\.safetensors: damaged .* --force"):
        FlameHead.load(path)


# --- landmarks ------------------------------------------------------------------------------------


def embedding(shape: tuple[int, ...], generator: np.random.Generator) -> tuple[Array, Array]:
    weights = generator.random((*shape, 3))
    return generator.integers(0, 9976, shape), weights / weights.sum(axis=-1, keepdims=True)


def test_landmarks_lie_where_their_embedding_says(head: FlameHead) -> None:
    generator = np.random.default_rng(0)
    arrays = {}
    for name, shape in (("static", (51,)), ("dynamic", (79, 17)), ("full", (68,))):
        arrays[f"{name}_faces"], arrays[f"{name}_barycentric"] = embedding(shape, generator)
    landmarks = FlameLandmarks(arrays, head.faces)
    assert tuple(landmarks.sets) == ("dynamic", "full", "static")
    values = torch.from_numpy(generator.normal(0, 0.3, (3, MOTION_DIM))).float()
    vertices = head.vertices(values)
    found = landmarks.points("static", vertices).numpy()
    corners = vertices.numpy()[:, head.faces[arrays["static_faces"]]]
    wanted = (corners * arrays["static_barycentric"][..., None]).sum(axis=2)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert landmarks.points("full", vertices).shape == (3, 68, 3)


def test_mediapipes_landmarks_come_with_their_numbers(head: FlameHead) -> None:
    found = mediapipe_embedding()
    arrays = {
        "mediapipe_faces": found["lmk_face_idx"],
        "mediapipe_barycentric": found["lmk_b_coords"],
        "mediapipe_indices": found["landmark_indices"],
    }
    landmarks = FlameLandmarks(arrays, head.faces)
    points = landmarks.points("mediapipe", head.template[None])[0]
    assert points.shape == (105, 3)
    nose = list(landmarks.mediapipe_indices).index(4)
    assert points[nose, 2] > 0.9 * head.template[:, 2].max()


# --- pictures -------------------------------------------------------------------------------------


def test_the_inside_of_the_skin_is_drawn_dark_behind_a_hole() -> None:
    """One wall that faces away from the camera, as the back of the head does behind the mouth."""
    arrays = tiny_arrays(vertices=3)
    arrays["template"] = np.array([[-0.1, -0.1, 0], [0, 0.1, 0], [0.1, -0.1, 0.0]])
    arrays["faces"] = np.array([[0, 1, 2]])
    arrays["joint_regressor"] = np.zeros((5, 3))
    for basis in ("expression_basis", "pose_basis"):
        arrays[basis] = arrays[basis] * 0
    values = np.zeros((1, MOTION_DIM), np.float32)
    wall = FlameHead(arrays)
    seen_from_behind = next(MeshRenderer(64, head=wall, look="clay").render(values))
    mesh = FlameMesh(wall, skin=3)
    seen = next(MeshRenderer(64, head=mesh, look="clay").render(values))
    turned = values.copy()
    turned[0, 1] = math.pi
    lit = next(MeshRenderer(64, head=mesh, look="clay").render(turned))
    backdrop = seen_from_behind[32, 32].mean()
    assert abs(seen_from_behind[2, 2].mean() - seen[2, 2].mean()) < 1
    assert seen[32, 32].mean() < 0.75 * backdrop
    assert seen[32, 32].mean() < 0.6 * lit[32, 32].mean()


def test_the_mesh_renderer_draws_the_head(head: FlameHead) -> None:
    values = np.zeros((2, MOTION_DIM), np.float32)
    values[1, 3] = 0.35
    rest, opened = (
        frame.astype(int) for frame in MeshRenderer(120, head=head, look="clay").render(values)
    )
    changed = np.abs(opened - rest).max(axis=2) > 12
    rows, columns = np.nonzero(changed)
    assert 60 < columns.mean() + 5 < 70  # in the middle,
    assert rows.mean() > 60  # and in the lower half, where the mouth and chin are
