import numpy as np
import torch

from dimcli.audio import ACTIVITY, MEL_DIM
from dimcli.models.dim.articulation import pauses, rested, sharpened

FPS = 25.0


def test_sharpening_deepens_a_short_closure_and_leaves_a_still_mouth() -> None:
    motion = torch.full((50, 56), 0.2)
    motion[25, 3] = 0.1
    made = sharpened(motion, [3, 4], 1.0, FPS)
    assert made[25, 3] < 0.05
    assert torch.allclose(made[:10], motion[:10], atol=1e-6)
    assert torch.equal(made[:, 5:], motion[:, 5:])
    assert torch.allclose(sharpened(motion, [3], 0.0, FPS), motion)


def test_the_mouth_is_at_rest_inside_pauses_of_04_s_and_not_in_shorter_ones() -> None:
    features = np.zeros((100, 4, MEL_DIM), np.float32)
    features[:, :, ACTIVITY] = 1.0
    features[20:45, :, ACTIVITY] = 0.0  # 1 s
    features[70:77, :, ACTIVITY] = 0.0  # 0.28 s
    features[86:, :, ACTIVITY] = 0.0  # to the end
    share = pauses(features.reshape(100, -1), FPS)
    assert (share[32:36] == 0).all()
    # words are ended and prepared with the mouth, in silence
    assert (share[:25] == 1).all()
    assert (share[42:86] == 1).all()
    assert share[98:].max() < 1e-6
    assert np.abs(np.diff(share)).max() < 0.5
    values = np.full((100, 56), 0.3, np.float32)
    quiet = rested(values, share)
    assert (quiet[32:36, 3] == 0).all()
    assert np.array_equal(quiet[:, :3], values[:, :3])
