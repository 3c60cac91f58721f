import pytest
import torch

from dimcli.core.motion import MOTION_DIM
from dimcli.models.dim.quantizer import Quantizer
from dimcli.models.dim.vqvae import VQVAE, part_columns
from tests.models.conftest import tiny_config


def make(seed: int = 0, **settings: object) -> VQVAE:
    torch.manual_seed(seed)
    model = VQVAE(tiny_config(**settings).vq, "arkit")
    for part in model.part_modules:
        part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model.eval()


@pytest.mark.parametrize("space", ["arkit", "flame"])
@pytest.mark.parametrize("parts", ["whole", "face"])
def test_parts_hold_every_column_once(parts: str, space: str) -> None:
    columns = [column for part in part_columns(parts, space).values() for column in part]
    assert sorted(columns) == list(range(MOTION_DIM))


def test_codes_reproduce_the_output() -> None:
    model = make()
    motion = torch.randn(2, 24, MOTION_DIM)
    mask = torch.ones(2, 24, dtype=torch.bool)
    result = model(motion, mask)
    steps = model.step_mask(mask)
    assert torch.allclose(
        model.decode(model.vectors(result.codes), steps), result.motion, atol=1e-5
    )
    assert torch.equal(model.encode(motion, mask), result.codes)


def test_padding_does_not_change_what_is_there() -> None:
    model = make()
    motion = torch.randn(1, 24, MOTION_DIM)
    alone = model(motion, torch.ones(1, 24, dtype=torch.bool))
    padded = torch.cat([motion, 9 * torch.randn(1, 8, MOTION_DIM)], dim=1)
    mask = torch.arange(32)[None] < 24
    result = model(padded, mask)
    assert torch.equal(result.codes[:, :6], alone.codes)
    assert torch.allclose(result.motion[:, :24], alone.motion, atol=1e-5)
    assert torch.isclose(result.loss, alone.loss, atol=1e-5)


def test_the_place_in_the_batch_does_not_matter() -> None:
    model = make()
    motion = torch.randn(3, 16, MOTION_DIM)
    mask = torch.ones(3, 16, dtype=torch.bool)
    turned = model(motion.roll(1, dims=0), mask)
    assert torch.allclose(turned.motion.roll(-1, dims=0), model(motion, mask).motion, atol=1e-5)


def test_a_causal_decoder_does_not_see_later_codes() -> None:
    model = make(**{"vq.causal": True})
    vectors = torch.randn(1, 8, len(model.columns), model.config.code_dim)
    changed = vectors.clone()
    changed[:, 4:] += 1
    mask = torch.ones(1, 8, dtype=torch.bool)
    before, after = model.decode(vectors, mask), model.decode(changed, mask)
    assert torch.allclose(before[:, :16], after[:, :16], atol=1e-5)
    assert not torch.allclose(before[:, 16:], after[:, 16:], atol=1e-5)


def test_the_gradient_reaches_every_parameter() -> None:
    model = make().train()
    mask = torch.ones(2, 16, dtype=torch.bool)
    model(torch.randn(2, 16, MOTION_DIM), mask).loss.backward()
    lacking = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert lacking == []


@pytest.mark.slow
def test_one_batch_can_be_learned_by_heart() -> None:
    model = make(**{"vq.codebook_size": 64, "vq.width": 32, "vq.parts": "whole"}).train()
    phase = torch.linspace(0, 12, 32)[None, :, None] + torch.arange(MOTION_DIM)
    motion = torch.cat([phase.sin(), (1.7 * phase).cos()])
    mask = torch.ones(2, 32, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    start = float(model(motion, mask).reconstruction.detach())
    for _ in range(100):
        loss = model(motion, mask).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(model(motion, mask).reconstruction.detach()) < 0.15 * start


def test_statistics_are_floored_and_standardising_is_undone() -> None:
    model = make()
    model.fit_statistics(torch.full((MOTION_DIM,), 0.2), torch.zeros(MOTION_DIM))
    assert float(model.std.min()) > 0
    motion = torch.randn(4, MOTION_DIM)
    assert torch.allclose(model.unstandardise(model.standardise(motion)), motion, atol=1e-5)


def test_dead_codes_are_moved_onto_latents_and_live_ones_stay() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(4, 2, beta=0.25).train()
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor([[0.0, 0], [50, 50], [1, 1], [60, 60]]))
    latent = torch.tensor([[[0.0, 0.1], [1.1, 1]]])
    for _ in range(3):
        quantizer(latent, torch.ones(1, 2, dtype=torch.bool))
    assert quantizer.revive(latent[0], after=3) == 2
    assert quantizer.codebook[0].tolist() == [0, 0]
    assert float(quantizer.codebook.max()) < 2


def test_perplexity_counts_the_codes_in_use() -> None:
    quantizer = Quantizer(8, 1, beta=0.25)
    with torch.no_grad():
        quantizer.codebook.copy_(torch.arange(8.0)[:, None])
    latent = torch.tensor([[[0.0], [1], [2], [3]]])
    result = quantizer(latent, torch.ones(1, 4, dtype=torch.bool))
    assert torch.isclose(result.perplexity, torch.tensor(4.0))


def test_expected_vectors_take_the_likeliest_value_and_the_soft_gradient() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(5, 3, beta=0.25)
    logits = torch.randn(2, 5, requires_grad=True)
    vectors = quantizer.expected(logits)
    assert torch.allclose(vectors, quantizer.lookup(logits.argmax(-1)), atol=1e-6)
    vectors.sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.any())
