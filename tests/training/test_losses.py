import math

import torch

from dimcli.models.dim import losses


def test_contrastive_loss_equals_a_plain_loop_over_equation_5() -> None:
    generator = torch.Generator().manual_seed(0)
    speaker = torch.randn(4, 6, generator=generator)
    listener = torch.randn(4, 6, generator=generator)
    total = 0.0
    for i in range(4):
        weights = [math.exp(float(speaker[i] @ listener[k]) / 0.7) for k in range(4)]
        total -= math.log(weights[i] / sum(weights)) / 4
    assert abs(float(losses.contrastive_loss(speaker, listener, 0.7)) - total) < 1e-5


def test_symmetric_contrastive_loss_is_the_mean_of_both_directions() -> None:
    generator = torch.Generator().manual_seed(1)
    speaker = torch.randn(3, 4, generator=generator)
    listener = torch.randn(3, 4, generator=generator)
    there = losses.contrastive_loss(speaker, listener, 0.5)
    back = losses.contrastive_loss(listener, speaker, 0.5)
    both = losses.contrastive_loss(speaker, listener, 0.5, symmetric=True)
    assert torch.isclose(both, (there + back) / 2)


def test_codebook_loss_moves_codes_by_one_term_and_latents_by_the_other() -> None:
    latent = torch.ones(1, 2, 3, requires_grad=True)
    vectors = torch.zeros(1, 2, 3, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss = losses.codebook_loss(latent, vectors, 0.25, mask)
    loss.backward()
    assert torch.isclose(loss, torch.tensor(1.25))
    assert latent.grad is not None
    assert vectors.grad is not None
    assert torch.allclose(latent.grad, -0.25 * vectors.grad)


def test_masked_steps_alone_count_in_the_code_loss() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 3, 1, 5, generator=generator)
    codes = torch.randint(5, (2, 3, 1), generator=generator)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    chances = logits.log_softmax(-1)
    wanted = [-chances[b, n, 0, codes[b, n, 0]] for b, n in mask.nonzero().tolist()]
    assert torch.isclose(losses.code_loss(logits, codes, mask), torch.stack(wanted).mean())


def test_reconstruction_ignores_padding_and_knows_both_norms() -> None:
    motion = torch.zeros(1, 3, 2)
    prediction = torch.tensor([[[2.0, 2.0], [2.0, 2.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    ones = torch.ones(2)
    assert float(losses.reconstruction_loss(motion, prediction, mask, ones, "l2")) == 4.0
    assert float(losses.reconstruction_loss(motion, prediction, mask, ones, "l1")) == 2.0


def test_equations_3_and_10_are_weighted_sums() -> None:
    one, two, three = (torch.tensor(float(value)) for value in (1, 2, 3))
    assert float(losses.vq_loss(one, two, 0.5)) == 2.0
    assert float(losses.total_loss(one, two, three, 10.0, 0.5)) == 12.5
