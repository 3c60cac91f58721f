"""Rotations agree with scipy's."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dimcli.core.rotations import Rotations


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Turns of all sizes: none, hardly any, small, and up to one and a half times around."""
    random = np.random.default_rng(0)
    axes = random.normal(size=(60, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    sizes = np.concatenate([[0, 1e-12, 1e-7], random.uniform(0, 3 * np.pi, 57)])
    return axes * sizes[:, None]


def test_they_are_scipy_s_in_every_form(vectors):
    ours, theirs = Rotations.of_vectors(vectors), Rotation.from_rotvec(vectors)
    assert np.allclose(ours.vectors, theirs.as_rotvec(), atol=1e-12)
    assert np.allclose(ours.matrices, theirs.as_matrix(), atol=1e-12)
    assert np.allclose(ours.angles, theirs.magnitude(), atol=1e-12)
    again = Rotations.of_quaternions(3 * theirs.as_quat())
    assert np.allclose(again.vectors, theirs.as_rotvec(), atol=1e-12)


def test_they_follow_each_other_turn_back_and_have_a_mean_as_scipy_s(vectors):
    ours, theirs = Rotations.of_vectors(vectors), Rotation.from_rotvec(vectors)
    other, their_other = Rotations.of_vectors(vectors[::-1]), Rotation.from_rotvec(vectors[::-1])
    both = (ours * other.inverse).vectors
    assert np.allclose(both, (theirs * their_other.inv()).as_rotvec(), atol=1e-9)
    one = (Rotations.of_vectors(vectors[7]) * ours).matrices
    assert np.allclose(one, (theirs[7] * theirs).as_matrix(), atol=1e-12)
    near = 0.2 * vectors
    mean = Rotations.of_vectors(near).mean().matrices
    assert np.allclose(mean, Rotation.from_rotvec(near).mean().as_matrix(), atol=1e-9)


def test_yaw_pitch_and_roll_are_scipy_s_and_turn_a_face_that_looks_straight_up(vectors):
    found = Rotations.of_vectors(vectors).yaw_pitch_roll
    assert np.allclose(found, Rotation.from_rotvec(vectors).as_euler("YXZ"), atol=1e-12)
    for up in (np.pi / 2, -np.pi / 2):  # yaw and roll are one
        turn = Rotation.from_euler("YXZ", [0.3, up, 0.2])
        found = Rotations.of_vectors(turn.as_rotvec()).yaw_pitch_roll
        again = Rotation.from_euler("YXZ", found)
        assert (again * turn.inv()).magnitude() < 1e-7
