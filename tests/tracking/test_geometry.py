"""The geometry around the networks, against plain arithmetic."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dimcli.tracking.geometry import Region, head_rotations, region_of_landmarks
from weights.canonical_face import canonical_face

SIZE = (640, 480)


@pytest.fixture(scope="module")
def face():
    return canonical_face()


def seen_by_camera(face, rotation, position):
    """Landmarks [1, 478, 3] px of the canonical face, turned and put before the camera (cm)."""
    width, height = SIZE
    points = face.vertices @ Rotation.from_rotvec(rotation).as_matrix().T + position
    focal = height / 2 / np.tan(np.deg2rad(63) / 2)
    depth = -points[:, 2]
    x = width / 2 + focal * points[:, 0] / depth
    y = height / 2 - focal * points[:, 1] / depth
    # the landmark network's z is relative, at the scale of x at the face's middle
    z = (depth - depth.mean()) * focal / depth.mean()
    landmarks = np.zeros((1, 478, 3), np.float32)
    landmarks[0, :468] = np.column_stack([x, y, z])
    return landmarks


@pytest.mark.parametrize("rotation", [(0.3, 0, 0), (0, 0.4, 0), (0, 0, -0.3), (0.1, -0.3, 0.2)])
def test_head_rotation_is_that_of_the_canonical_face(face, rotation):
    landmarks = seen_by_camera(face, rotation, position=(3.0, -2.0, -50.0))
    found, position = head_rotations(landmarks, SIZE, face)
    assert found[0] == pytest.approx(rotation, abs=0.02)
    assert position[0] == pytest.approx((3.0, -2.0, -50.0), rel=0.05)


def test_frames_are_fitted_each_on_its_own(face):
    turns = [(0.3, 0, 0), (0, 0.4, 0), (0, 0, 0.5)]
    stack = np.concatenate([seen_by_camera(face, turn, (0, 0, -40)) for turn in turns])
    together, _ = head_rotations(stack, SIZE, face)
    alone = [head_rotations(one[None], SIZE, face)[0][0] for one in stack]
    assert together == pytest.approx(np.stack(alone), abs=1e-6)


def test_a_crop_shows_the_region_upright():
    picture = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(picture, (120, 90), 3, (255, 255, 255), -1)
    region = Region(120, 90, 40, 40, angle=0.6)
    crop = region.crop(picture, 64, cv2.BORDER_CONSTANT)
    y, x = np.argwhere(crop[..., 0] > 128).mean(axis=0)
    assert (x, y) == pytest.approx((32, 32), abs=1)


def test_a_regions_matrix_takes_its_corners_to_the_picture():
    matrix = Region(10, 20, 8, 4).matrix(256)
    assert matrix @ (0, 0, 1) == pytest.approx((6, 18))
    assert matrix @ (256, 256, 1) == pytest.approx((14, 22))


def test_regions_overlap_from_not_at_all_to_wholly():
    region = Region(50, 50, 20, 20)
    assert region.overlap(region) == pytest.approx(1)
    assert region.overlap(Region(60, 50, 20, 20)) == pytest.approx(1 / 3)
    assert region.overlap(Region(90, 50, 20, 20)) == 0


def test_the_next_region_is_the_landmarks_box_made_square_and_larger():
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[0, :2], landmarks[1, :2] = (10, 20), (50, 40)
    landmarks[2:, :2] = (30, 30)
    landmarks[33, :2], landmarks[263, :2] = (20, 30), (40, 35)
    region = region_of_landmarks(landmarks)
    assert (region.x, region.y, region.width, region.height) == (30, 30, 60, 60)
    assert region.angle == pytest.approx(np.arctan2(5, 20))


def test_the_canonical_face_looks_at_the_camera(face):
    nose, chin, forehead = face.vertices[[1, 152, 10]]
    right_eye, left_eye = face.vertices[[33, 263]]
    assert left_eye[0] > 0 > right_eye[0]
    assert forehead[1] > nose[1] > chin[1]
    assert nose[2] > left_eye[2]
    assert (face.weights >= 0).all()
    assert (face.weights > 0).sum() > 10
