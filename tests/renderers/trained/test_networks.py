"""PIRenderer's networks: shapes, conventions, and that they learn."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.training.renderer.objective import LossConfig, RenderingLoss
from renderers.trained.pirenderer.networks import PRESETS, PIRenderer, PIRendererConfig, warp

TINY = PRESETS["tiny"]
SIZE = 32


def motion_windows(coefficients: Tensor, window: int = 27) -> Tensor:
    """For each frame of ``coefficients`` [T, K] the window about it, [T, K, W]; before the first
    and after the last frame it repeats them.
    """
    frames = torch.arange(len(coefficients))[:, None] + torch.arange(window) - window // 2
    return coefficients[frames.clamp(0, len(coefficients) - 1)].transpose(1, 2)


def smooth(count: int, seed: int) -> Tensor:
    """Smooth random pictures [count, 3, SIZE, SIZE]."""
    coarse = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return F.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear", align_corners=True)


def windows(count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, TINY.coefficients, TINY.window, generator=generator)


def test_paper_has_the_published_sizes() -> None:
    """22,519,109 weights, less those of the dropped branch and plus those of a first layer for 59
    coefficients in place of 73.
    """
    network = PIRenderer(PRESETS["paper"])
    dropped = sum(
        2 * (9 * width**2 + width + 256 * 128 + 128 + 2 * (128 * width + width))
        for width in (128, 256, 256)
    )
    expected = 22_519_109 - dropped - (73 - 59) * 256 * 7
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_the_flow_grid_is_a_quarter_and_pictures_keep_their_size() -> None:
    config = PIRendererConfig(latent=8, warp_width=4, edit_width=4, widest=8)
    network = PIRenderer(config)
    drive = torch.zeros(2, 59, 27)
    with torch.no_grad():
        rendering = network(torch.zeros(2, 3, 64, 96), drive)
        unedited = network(torch.zeros(2, 3, 64, 96), drive, edit=False)
    assert rendering.flow.shape == (2, 2, 16, 24)
    assert rendering.picture is not None
    assert rendering.warped.shape == rendering.picture.shape == (2, 3, 64, 96)
    assert unedited.picture is None and torch.equal(unedited.flow, rendering.flow)


def test_windows_are_centred_and_repeat_the_ends() -> None:
    coefficients = torch.arange(5.0)[:, None] * torch.tensor([1.0, 10.0])
    found = motion_windows(coefficients, 5)
    assert found.shape == (5, 2, 5)
    assert found[0, 0].tolist() == [0, 0, 0, 1, 2]
    assert found[2, 1].tolist() == [0, 10, 20, 30, 40]
    assert found[4, 0].tolist() == [2, 3, 4, 4, 4]


def test_a_flow_moves_the_picture_by_its_samples() -> None:
    """One sample of a 16-wide grid is 1/15 of the picture, the published convention."""
    across = torch.linspace(-1, 1, SIZE).expand(1, 3, SIZE, SIZE)
    flow = torch.zeros(1, 2, 16, 16)
    still, rows, inner = warp(across, flow), slice(6, -6), slice(10, -10)
    assert torch.allclose(still[..., rows, inner], across[..., rows, inner], atol=0.03)
    flow[:, 0] = 1.0
    moved = (warp(across, flow) - still)[..., rows, inner]
    assert moved.mean() == pytest.approx(2 / 15 * SIZE / (SIZE - 1), rel=0.02)
    flow[:, 0], flow[:, 1] = 0.0, 1.0
    assert torch.allclose(warp(across, flow)[..., rows, inner], still[..., rows, inner], atol=1e-5)


def test_an_untrained_warp_is_the_source_itself() -> None:
    source = smooth(1, seed=0)
    rendering = PIRenderer(TINY)(source, windows(1))
    assert rendering.flow.abs().max() < 0.1
    inner = slice(3, -3)
    assert (rendering.warped - source)[..., inner, inner].abs().mean() < 0.05


def test_the_place_in_a_batch_does_not_matter() -> None:
    network = PIRenderer(TINY)
    source, drive = smooth(3, seed=2), windows(3)
    with torch.no_grad():
        together = network(source, drive)
        alone = network(source[1:2], drive[1:2])
    assert torch.allclose(together.picture[1:2], alone.picture, atol=1e-5)
    assert torch.allclose(together.flow[1:2], alone.flow, atol=1e-5)


def test_a_still_motion_gives_the_very_same_picture() -> None:
    """No dropout, no noise: frames of equal windows are equal."""
    network = PIRenderer(TINY)
    drive = motion_windows(windows(1)[0, :, :1].T.expand(4, -1), TINY.window)
    source = smooth(1, seed=3).expand(4, -1, -1, -1)
    with torch.no_grad():
        pictures = network(source, drive).picture
    assert torch.allclose(pictures, pictures[:1].expand_as(pictures), atol=1e-6)


def test_the_gradient_reaches_every_weight_of_all_three_networks() -> None:
    network = PIRenderer(PIRendererConfig(
        adapter=73, window=13, latent=16, mapping_layers=1, warp_width=8, warp_down=3, warp_up=2,
        edit_width=8, edit_layers=2, edit_blocks=1, widest=16,
    ))  # fmt: skip
    rendering = network(smooth(2, seed=4), windows(2))
    (rendering.picture - smooth(2, seed=5)).abs().mean().backward()
    parts = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert parts == {"mapping", "warping", "editing"}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_the_warps_loss_alone_trains_mapping_and_warping_only() -> None:
    network = PIRenderer(TINY)
    rendering = network(smooth(2, seed=4), windows(2), edit=False)
    (rendering.warped - smooth(2, seed=5)).abs().mean().backward()
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert reached != name.startswith("editing."), name


@pytest.mark.slow
def test_overfitting_one_batch_brings_both_pictures_under_an_l1_of_five_hundredths() -> None:
    """One source, two motions; each target is moved another way and has a patch that no warp knows.
    0.05 is 6 grey levels of 255; untrained it is 0.21 for the warp and 0.31 for the final picture.
    """
    network, steps = PIRenderer(TINY), 100
    source = smooth(1, seed=6).expand(2, -1, -1, -1)
    flow = torch.zeros(2, 2, 16, 16)
    flow[0, 0], flow[1, 1] = 2.0, -2.0
    target = warp(source, flow)
    target[:, :, 20:26, 10:22] = torch.tensor([-0.5, 0.5])[:, None, None, None]
    drive = motion_windows(windows(1, seed=8)[0, :, :2].T, TINY.window)
    loss = RenderingLoss(LossConfig(pixel=1, warp_pixel=0.5, warp=0, final=0), None)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3, betas=(0.5, 0.999))
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, steps)
    for _ in range(steps):
        rendering = network(source, drive)
        terms = loss(target, warped=rendering.warped, final=rendering.picture)
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        schedule.step()
    assert terms["pixel"] < 0.05
    assert terms["warp pixel"] < 0.5 * 0.05


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (PIRenderer(TINY, seed).mapping.first.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_settings_and_windows_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="window is 20; expected an odd number from 25"):
        PIRendererConfig(window=20)
    with pytest.raises(InputError, match=r"warp_up is 6; expected 1 to warp_down \(5\)"):
        PIRendererConfig(warp_up=6)
    with pytest.raises(InputError, match="latent is 0"):
        PIRendererConfig(latent=0)
    with pytest.raises(ValueError, match=r"\(1, 59, 27\); expected \[B, 59, 13\]"):
        PIRenderer(TINY)(smooth(1, seed=0), torch.zeros(1, 59, 27))
