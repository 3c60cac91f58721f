"""A head that holds still."""

import numpy as np

from dimcli.models.dim.stillness import Hold


def trembling(frames: int = 200) -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.normal(0, np.radians(0.08), (frames, 56)).astype(np.float32)
    values[:, 0] += np.radians(3 * np.sin(np.arange(frames) / 6) * (np.arange(frames) // 50 % 2))
    return values


def test_a_head_that_only_trembles_is_still_and_a_nod_goes_through() -> None:
    values = trembling()
    held, _ = Hold(0.3)(values)
    assert np.array_equal(held[:, 3:], values[:, 3:])
    assert np.abs(held[:, :3] - values[:, :3]).max() < np.radians(2.5)
    speed = np.abs(np.diff(np.degrees(held[:, 0]))) * 25
    assert (speed[5:45] < 0.5).mean() > 0.9
    assert np.ptp(np.degrees(held[50:100, 0])) > 5
    assert np.array_equal(Hold(0.0)(values)[0], values)


def test_held_in_pieces_is_held_at_once() -> None:
    values = trembling()
    whole, _ = Hold(0.3)(values)
    hold, pieces = Hold(0.3), []
    for piece in np.split(values, [1, 1, 7, 90]):
        made, hold = hold(piece)
        pieces.append(made)
    assert np.array_equal(np.concatenate(pieces), whole)
