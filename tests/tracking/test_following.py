"""Fitting ahead changes nothing but the time it takes."""

import numpy as np
import pytest

from dimcli.tracking import following
from dimcli.tracking.following import Follower, enlarged
from dimcli.tracking.networks import Bundle, FaceMesh


def follow(frames):
    return list(Follower(Bundle.shipped(), fps=25)(iter(frames)))


def same(one, other):
    return [face is None for face in one] == [face is None for face in other] and all(
        (a.landmarks == b.landmarks).all() and (a.blendshapes == b.blendshapes).all()
        for a, b in zip(one, other, strict=True)
        if a is not None
    )


@pytest.fixture
def frames(heads):
    """A head that vanishes for five frames, and jumps."""
    shown = [head * (not 8 <= i < 13) for i, head in enumerate(heads[:30])]
    return shown[:20] + [np.roll(head, 90, axis=1) for head in shown[20:]]


def one_at_a_time(frames, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(following, "SURELY_SAME_FACE", 2.0)
        return follow(frames)


def test_fitting_ahead_gives_what_one_frame_at_a_time_gives(frames, monkeypatch):
    ahead = follow(frames)
    assert same(ahead, one_at_a_time(frames, monkeypatch))
    assert [face is None for face in ahead] == [8 <= i < 13 for i in range(30)]


@pytest.mark.parametrize("hidden", [{5}, {4, 5, 6}, {29}])
def test_a_fit_that_finds_no_face_is_taken_back(heads, monkeypatch, hidden):
    frames = [head.copy() for head in heads[:30]]
    for i in hidden:
        frames[i][:8, :8] = (1, 2, 3)  # the mark of a frame in which the mesh sees no face
    honest = FaceMesh.__call__

    def blind(mesh, image, region):
        landmarks, presence = honest(mesh, image, region)
        return landmarks, 0.0 if (np.abs(image[0, 0] - (1.0, 2, 3)) < 2).all() else presence

    monkeypatch.setattr(FaceMesh, "__call__", blind)
    ahead = follow(frames)
    assert {i for i, face in enumerate(ahead) if face is None} == hidden
    assert same(ahead, one_at_a_time(frames, monkeypatch))


def test_a_follower_that_is_let_go_of_early_ends_its_workers(heads):
    stream = Follower(Bundle.shipped(), fps=25)(iter(heads))
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.parametrize(("side", "factor"), [(100, 5), (256, 2), (300, 1), (512, 1), (900, 1)])
def test_only_small_pictures_are_enlarged(side, factor):
    larger, by = enlarged(np.zeros((side // 2, side, 3), np.uint8))
    assert by == factor
    assert larger.shape == (side // 2 * factor, side * factor, 3)
