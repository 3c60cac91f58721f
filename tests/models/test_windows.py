from __future__ import annotations

import pytest
import torch

from dimcli.models.dim.sampling import draw
from dimcli.models.windows import Track, windows


@pytest.mark.parametrize("total", [1, 5, 8, 9, 13, 40])
def test_windows_cover_every_step_and_overlap_by_no_less_than_asked(total: int) -> None:
    found = list(windows(total, 8, 3))
    covered = 0
    for window in found:
        assert window.start + window.known == covered
        assert window.stop - window.start == min(8, total)
        assert window.known >= (3 if covered else 0)
        covered = window.stop
    assert covered == total


def test_what_windows_agree_on_is_kept_and_what_they_differ_on_fades_over() -> None:
    truth = torch.arange(20.0)[:, None].repeat_interleave(2, dim=0)
    track, shifted = Track(20, 2, 1), Track(20, 2, 1)
    for index, window in enumerate(windows(20, 8, 3)):
        piece = truth[2 * window.start : 2 * window.stop]
        track.write(window, piece)
        shifted.write(window, piece + index)
    torch.testing.assert_close(track.frames, truth)
    offset = (shifted.frames - truth)[:, 0]
    assert bool((offset.diff() >= -1e-6).all())  # nowhere a step back
    assert float(offset.diff().max()) < 0.3  # against 1 at a cut


def test_a_nucleus_leaves_the_unlikely_out_and_draws_the_rest_by_their_chances() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    counts = torch.bincount(draw(chances, 1.0, generator, top_p=0.75), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.tensor([0.625, 0.375, 0, 0]), atol=0.03, rtol=0)
    counts = torch.bincount(draw(chances, 1.0, generator), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03, rtol=0)
    assert bool((draw(chances, 0.0, generator) == 0).all())
