"""Re-anchoring motion to a picture."""

import numpy as np
from scipy.spatial.transform import Rotation

from dimcli.core.motion import EXPRESSION, HEAD, JAW, Motion, expression_index
from renderers.anchor import ROLL_DEGREES, TURN_DEGREES, anchor, places, rest_of, within_reach
from tests.renderers.faces import frame


def wandering(count: int = 60) -> np.ndarray:
    random = np.random.default_rng(3)
    values = np.repeat(frame(yaw=12, pitch=4)[None], count, 0)
    values[:, HEAD] += 0.03 * random.normal(size=(count, 3))
    values[:, EXPRESSION] = random.uniform(0, 0.3, (count, 50))
    values[:, 3] = random.uniform(0, 0.1, count)
    return values.astype(np.float32)


def test_a_motion_at_rest_gives_the_picture_s_pose_brows_and_gaze() -> None:
    own = frame(yaw=-5, browDown=0.4, eyeLookDown=0.3, eyeBlink=0.2)
    still = np.repeat(frame(yaw=9, browDown=0.1, eyeLookDown=0.1, eyeBlink=0.05)[None], 5, 0)
    assert np.allclose(anchor(still, own), own, atol=1e-5)


def test_a_look_far_to_a_side_is_brought_to_the_camera_and_one_into_it_stays() -> None:
    still, look = frame()[None], ("eyeLookOutLeft", "eyeLookInRight")
    columns = [expression_index(name) for name in look]
    for yaw, stays in ((0, False), (-20, True)):
        own = frame(yaw=yaw)
        own[columns] = 0.65  # to the image's right, as far as the head turns to its left
        assert np.allclose(anchor(still, own)[0, columns], own[columns] if stays else 0, atol=1e-5)


def test_head_turns_are_kept_from_the_motion_s_mean() -> None:
    values, own = wandering(), frame(yaw=-20, roll=5)
    anchored = anchor(values, own)
    mean = Rotation.from_rotvec(rest_of(values)[HEAD])
    for before, after in zip(values[:, HEAD], anchored[:, HEAD], strict=True):
        turn = Rotation.from_rotvec(before) * mean.inv()
        kept = Rotation.from_rotvec(after) * Rotation.from_rotvec(own[HEAD]).inv()
        assert np.allclose(turn.as_rotvec(), kept.as_rotvec(), atol=1e-4)


def test_jaw_and_smile_are_the_motion_s_own() -> None:
    values, own = wandering(), frame(mouthSmile=0.9, jaw=0.5)
    anchored = anchor(values, own)
    smile = expression_index("mouthSmileLeft")
    assert np.array_equal(anchored[:, JAW], values[:, JAW])
    assert np.allclose(anchored[:, smile], values[:, smile], atol=1e-6)


def test_lips_that_a_picture_s_smile_draws_apart_close_with_the_smile() -> None:
    own = frame(mouthSmile=0.8, mouthUpperUp=0.4)
    column = expression_index("mouthUpperUpLeft")
    serious, smiling = (anchor(frame(mouthSmile=s)[None], own)[0, column] for s in (0.0, 0.8))
    assert serious == 0
    assert np.isclose(smiling, 0.4)


def test_a_closed_eye_closes_whatever_the_picture_s_open_eye_reads() -> None:
    own, column = frame(eyeBlink=0.3), expression_index("eyeBlinkLeft")
    values = np.stack([frame(eyeBlink=b) for b in (0.1, 0.1, 0.1, 1.0)])
    anchored = anchor(values, own)[:, column]
    assert np.allclose(anchored, [0.3, 0.3, 0.3, 1.0])


def test_expressions_stay_in_their_range() -> None:
    anchored = anchor(wandering(), frame(browDown=0.95, mouthPress=0.02))
    assert anchored[:, EXPRESSION].min() >= 0
    assert anchored[:, EXPRESSION].max() <= 1
    assert anchored.dtype == np.float32


def test_small_turns_stay_and_large_ones_end_smoothly_where_a_picture_ends() -> None:
    own = frame(yaw=30, pitch=5, roll=10)
    for axis, (free, most) in ((0, TURN_DEGREES), (1, TURN_DEGREES), (2, ROLL_DEGREES)):
        turns = np.zeros((181, 3))
        turns[:, axis] = np.radians(np.arange(181) - 90)
        values = np.repeat(own[None], len(turns), 0)
        heads = Rotation.from_rotvec(turns) * Rotation.from_rotvec(own[HEAD])
        values[:, HEAD] = heads.as_rotvec().astype(np.float32)
        limited, beyond = within_reach(values, own)
        kept = Rotation.from_rotvec(limited[:, HEAD]) * Rotation.from_rotvec(own[HEAD]).inv()
        angle = np.degrees(kept.as_rotvec()[:, axis])
        asked = np.degrees(turns[:, axis])
        small = np.abs(asked) < free
        assert np.array_equal(limited[small], values[small])
        assert (np.diff(angle) > -1e-3).all()
        assert np.diff(angle).max() < 1.01
        assert np.abs(angle).max() <= most + 1e-3
        away = np.abs(asked) != most
        assert np.array_equal(beyond[away], (np.abs(asked) > most)[away])


def test_places_are_in_sizes_of_the_face_beside_the_usual_place() -> None:
    camera = np.repeat(np.float32([[0.5, 0.4, 0.2]]), 5, 0)
    camera[4] = 0.5 + 0.03, 0.4 - 0.05, 0.2 * np.e**0.1
    meta = {"width": 1200, "height": 800}  # its face is 200 px large
    tracked = Motion(np.stack([frame()] * 5), fps=25, camera=camera, meta=meta)
    found = places(tracked)
    assert found is not None
    assert np.allclose(found[:4], 0)
    assert np.allclose(found[4], [0.18, -0.2, 0.1], atol=1e-5)
    for other in (
        Motion(tracked.values, fps=25, meta=meta),
        Motion(tracked.values, fps=25, camera=camera),
        Motion(tracked.values, fps=25, camera=camera, meta={"width": "wide", "height": 0}),
        Motion(tracked.values, fps=25, camera=camera, meta={"width": 10**400, "height": 800}),
        Motion(tracked.values, fps=25, camera=0 * camera, meta=meta),
    ):
        assert places(other) is None
    camera[4, :2] = 1e38
    far = places(Motion(tracked.values, fps=25, camera=camera, meta=meta))
    assert far is not None
    assert np.abs(far).max() == 10
