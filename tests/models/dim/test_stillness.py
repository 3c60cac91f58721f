"""A head that holds still."""

import numpy as np

from dimcli.evaluation.behaviour import STILL_SPEED
from dimcli.models.dim.stillness import Hold

FPS = 25.0


def trembling(frames: int = 200) -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.normal(0, np.radians(0.08), (frames, 56)).astype(np.float32)
    values[:, 0] += np.radians(3 * np.sin(np.arange(frames) / 6) * (np.arange(frames) // 50 % 2))
    return values


def test_a_head_that_only_trembles_is_still_and_a_nod_goes_through() -> None:
    values = trembling()
    held, _ = Hold(0.4, 0.0, FPS)(values)
    assert np.array_equal(held[:, 3:], values[:, 3:])
    assert np.abs(held[:, :3] - values[:, :3]).max() < np.radians(2.5)
    pitch = np.degrees(held[:, 0])
    moved, meant = (np.abs(np.diff(each[5:45])) for each in (pitch, np.degrees(values[:, 0])))
    assert moved.max() * FPS < STILL_SPEED < np.median(meant) * FPS
    assert np.median(moved) < 0.15 * np.median(meant)
    assert np.diff(pitch).all()  # a head that does not move at all is a picture
    assert np.ptp(pitch[55:100]) > 0.97 * np.ptp(np.degrees(values[55:100, 0]))
    assert np.array_equal(Hold(0.0, 0.0, FPS)(values)[0], values)


def test_expression_holds_and_the_jaw_never_does() -> None:
    values = trembling() + 0.3
    held, _ = Hold(0.0, 0.02, FPS)(values)
    assert np.array_equal(held[:, :6], values[:, :6])
    moved, meant = (np.abs(np.diff(each[:, 6:], axis=0)) for each in (held, values))
    assert np.median(moved) < 0.15 * np.median(meant)
    assert np.abs(held - values).max() < 0.02


def test_held_in_pieces_is_held_at_once() -> None:
    values = trembling()
    hold, pieces = Hold(0.3, 0.02, FPS), []
    whole, _ = hold(values)
    for piece in np.split(values, [1, 1, 7, 90]):
        made, hold = hold(piece)
        pieces.append(made)
    assert np.array_equal(np.concatenate(pieces), whole)
