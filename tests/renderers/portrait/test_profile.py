"""A picture that looks to a side keeps doing so, whatever moves it."""

import cv2
import numpy as np
import pytest

from dimcli.jobs.render import load_renderer
from tests.pictures import nodding, profile, seen


@pytest.mark.parametrize("degrees", [-35, 35])
def test_a_profile_that_a_frontal_motion_moves_is_a_profile_that_nods(degrees, tmp_path):
    picture = profile(degrees, side=256)
    cv2.imwrite(str(tmp_path / "profile.png"), picture[..., ::-1])
    motion = nodding(seed=0, frames=40)
    moved = seen(load_renderer("portrait", tmp_path / "profile.png").frames(motion), motion.fps)
    own = seen([picture], motion.fps)
    assert abs(own.degrees[0, 1]) > 25
    turned = np.degrees(motion.values[:, 1])
    assert np.abs(moved.degrees[:, 1] - own.degrees[0, 1] - turned).max() < 3
    assert np.corrcoef(moved.degrees[:, 0], np.degrees(motion.values[:, 0]))[0, 1] > 0.95
    assert moved.differs(own).max() < 0.4
