"""Smoothing of a motion field where it jumps."""

import numpy as np

from renderers.portrait.portrait import smooth_folds


def jump(by: float) -> np.ndarray:
    """A field [60, 80, 2] px whose motion across jumps along a line that is not upright."""
    rows, columns = np.mgrid[:60, :80]
    field = np.zeros((60, 80, 2), np.float32)
    field[..., 0] = by * (columns > 40 + rows / 7)
    return field


def test_gentle_motion_stays_as_it_is() -> None:
    field = np.stack(np.meshgrid(np.linspace(0, 9, 80), np.linspace(0, 5, 60)), -1)
    smooth = field.astype(np.float32)
    smooth_folds(smooth, field.astype(np.float32), 2.0)
    assert np.array_equal(smooth, field.astype(np.float32))


def test_a_fold_becomes_a_slope_without_steps_and_far_from_it_nothing_changes() -> None:
    field = jump(12)
    smooth = field.copy()
    smooth_folds(smooth, field, 2.0)
    assert np.abs(np.diff(smooth[..., 0], axis=1)).max() < 3
    assert np.abs(np.diff(smooth[..., 0], axis=0)).max() < 1.5
    assert np.array_equal(smooth[:, :20], field[:, :20])
    assert np.array_equal(smooth[:, 72:], field[:, 72:])


def test_a_stretch_is_smoothed_too() -> None:
    field = jump(-4)
    smooth = field.copy()
    smooth_folds(smooth, field, 2.0)
    assert np.abs(np.diff(smooth[..., 0], axis=1)).max() < 1
