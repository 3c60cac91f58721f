import numpy as np

from dimcli.live.turns import hand_over


def test_a_hand_over_is_smooth_and_ends_at_the_turn() -> None:
    talks = np.zeros(112, bool)
    talks[46:] = True
    share = hand_over(talks, 6)
    assert share.shape == (100,)
    assert share[20] == 0.0
    assert np.isclose(share[60], 1.0)
    assert (np.diff(share) >= -1e-6).all()
    assert np.diff(share).max() < 0.2
