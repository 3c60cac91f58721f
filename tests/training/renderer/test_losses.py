"""Losses of the per-identity renderer: pixels, regions, and what a step adds up."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.training.renderer.objective import (
    LossConfig,
    PerceptualLoss,
    RenderingLoss,
    gram,
    pixel_loss,
    weighted_mean,
)
from renderers.trained.lite import RegionConfig, region_weights
from weights.canonical_face import canonical_face

SIZE = (64, 64)
MOUTH_CORNERS, EYE_CORNERS = (61, 291), ((33, 133), (362, 263))


def landmarks() -> Tensor:
    """The canonical face [1, 478, 2], upright in the middle of a picture of SIZE."""
    vertices = canonical_face().vertices
    points = np.zeros((1, 478, 2), np.float32)
    points[0, : len(vertices)] = 32 + 2.2 * vertices[:, :2] * (1, -1)
    return torch.from_numpy(points)


def edges(pictures: Tensor) -> list[Tensor]:
    """A backbone of two maps: the picture, and half of its differences across."""
    return [pictures, 0.5 * pictures.diff(dim=3)]


def at(weights: Tensor, points: Tensor, corners: tuple[int, int]) -> float:
    """The weight halfway between two landmarks."""
    x, y = points[0, list(corners)].mean(0).int().tolist()
    return float(weights[0, 0, y, x])


def test_detail_is_lost_by_blur_and_not_by_a_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, *SIZE, generator=generator) * 2 - 1
    loss = RenderingLoss(LossConfig(pixel=0, warp_pixel=0, warp=0, final=0, detail=1.0), None)

    def lost(final: Tensor) -> float:
        return float(loss(picture, final=final)["detail"])

    blurred = torch.nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    assert lost(picture) == 0.0
    assert lost(blurred) > 5 * lost(picture.roll(1, dims=3)) > 0.0
    chequer = torch.ones(SIZE)
    chequer[::2, ::2] = chequer[1::2, 1::2] = -1
    assert lost(blurred + 0.5 * chequer) == pytest.approx(lost(blurred), rel=0.02)


def test_mouth_and_eyes_weigh_more_than_the_face_and_that_more_than_the_background() -> None:
    points = landmarks()
    weights = region_weights(points, SIZE, RegionConfig(face=1, mouth=3, eyes=5))
    assert weights.shape == (1, 1, *SIZE)
    assert at(weights, points, MOUTH_CORNERS) == pytest.approx(5, abs=0.1)
    for corners in EYE_CORNERS:
        assert at(weights, points, corners) == pytest.approx(7, abs=0.1)
    nose = at(weights, points, (4, 4))
    assert nose == pytest.approx(2, abs=0.1)
    assert float(weights[0, 0, 0, 0]) == pytest.approx(1, abs=0.01)


def test_regions_follow_a_tilted_face_and_a_closed_mouth_keeps_one() -> None:
    points = landmarks()
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    tilted = (points - 32) @ turn.T + 32
    upright, lying = region_weights(points, SIZE), region_weights(tilted, SIZE)
    assert torch.allclose(lying[0, 0], upright[0, 0].rot90(-1), atol=1e-3)
    shut = points.clone()
    shut[:, :, 1] = torch.where(
        (points[:, :, 1] - points[:, 61:62, 1]).abs() < 4, points[:, 61:62, 1], points[:, :, 1]
    )
    assert at(region_weights(shut, SIZE), shut, MOUTH_CORNERS) > 5


def test_the_weighted_mean_counts_places_as_weighed_and_keeps_an_even_error() -> None:
    error = torch.zeros(2, 3, 4, 4)
    error[..., :2, :] = 1.0
    weight = torch.ones(2, 1, 8, 8)
    weight[..., :4, :] = 3.0
    assert weighted_mean(error, None) == pytest.approx(0.5)
    assert weighted_mean(error, weight) == pytest.approx(0.75)
    assert weighted_mean(torch.full((2, 3, 4, 4), 0.2), weight) == pytest.approx(0.2)


def test_pixel_loss_is_l1() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.rand(2, 2, 3, 8, 8, generator=generator)
    assert pixel_loss(ours, theirs) == pytest.approx(float(abs(ours - theirs).mean()))


def test_the_perceptual_loss_sums_layers_and_halving_sizes() -> None:
    generator = torch.Generator().manual_seed(1)
    ours, theirs = torch.rand(2, 2, 3, 16, 16, generator=generator)
    expected, a, b = 0.0, ours.numpy(), theirs.numpy()
    for _ in range(3):
        expected += np.abs(a - b).mean()
        expected += 2 * 0.5 * np.abs(np.diff(a - b, axis=3)).mean()
        a, b = (p.reshape(2, 3, p.shape[2] // 2, 2, -1, 2).mean((3, 5)) for p in (a, b))
    loss = PerceptualLoss(edges, scales=3, layer_weights=[1.0, 2.0])
    assert float(loss(ours, theirs)) == pytest.approx(expected, rel=1e-5)
    halved = PerceptualLoss(edges, scales=2, finest=1, layer_weights=[1.0, 2.0])
    full = PerceptualLoss(edges, scales=1, layer_weights=[1.0, 2.0])
    assert float(halved(ours, theirs)) == pytest.approx(expected - float(full(ours, theirs)), 1e-4)


def test_the_style_term_compares_gram_matrices_at_full_size_only() -> None:
    generator = torch.Generator().manual_seed(2)
    ours, theirs = torch.rand(2, 1, 3, 8, 8, generator=generator)
    flat_a, flat_b = (p[0].reshape(3, -1).double() for p in (ours, theirs))
    size = 3 * 8 * 8
    expected = 10 * float(((flat_a @ flat_a.T - flat_b @ flat_b.T) / size).abs().mean())
    assert torch.allclose(gram(ours)[0], (flat_a @ flat_a.T / size).float(), atol=1e-6)
    plain = PerceptualLoss(lambda p: [p], scales=2)
    styled = PerceptualLoss(lambda p: [p], scales=2, style=10)
    assert float(styled(ours, theirs) - plain(ours, theirs)) == pytest.approx(expected, rel=1e-4)


def test_a_step_weighs_its_terms_and_leaves_out_a_missing_picture() -> None:
    generator = torch.Generator().manual_seed(3)
    target, warped, final = torch.rand(3, 1, 3, 16, 16, generator=generator)
    config = LossConfig(pixel=10, warp_pixel=5, warp=2.5, final=4, style=0, scales=1)
    loss = RenderingLoss(config, edges)
    terms = loss(target, warped=warped, final=final)
    perceptual = PerceptualLoss(edges, scales=1)
    assert terms == {
        "warp pixel": pytest.approx(5 * float(pixel_loss(warped, target))),
        "warp": pytest.approx(2.5 * float(perceptual(warped, target))),
        "pixel": pytest.approx(10 * float(pixel_loss(final, target))),
        "final": pytest.approx(4 * float(perceptual(final, target))),
    }
    assert set(loss(target, warped=warped)) == {"warp pixel", "warp"}


def test_a_weight_out_of_range_names_its_field() -> None:
    with pytest.raises(InputError, match="region mouth is -1; expected 0 to 100"):
        RegionConfig(mouth=-1)
    with pytest.raises(InputError, match="loss scales is 9; expected 1 to 6"):
        LossConfig(scales=9)
    with pytest.raises(InputError, match="loss style is -2"):
        LossConfig(style=-2)
