from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.motion import expression_index
from dimcli.data.windows import Batch
from dimcli.models.meshtalk import ExpressionSpace, MeshTalk, exchanged, one_hot
from dimcli.training.methods import prior_preset
from tests.models.tiny import make, overfit, smooth_batch, untouched

STYLES = {"data.styles": "calm,lively"}


def space(**settings: object) -> ExpressionSpace:
    model = make("meshtalk", stage="prior", **STYLES, **settings)
    assert isinstance(model, ExpressionSpace)
    return model


def meshtalk(**settings: object) -> MeshTalk:
    model = make("meshtalk", **STYLES, **settings)
    assert isinstance(model, MeshTalk)
    return model


def told(batch: Batch) -> Batch:
    """The same with everybody's style in it."""
    return replace(batch, style=torch.arange(len(batch.audio)) % 3)


@pytest.mark.slow
def test_the_space_learns_one_batch_by_heart_and_the_gradient_reaches_all() -> None:
    assert not untouched(space(), told(smooth_batch()))
    first, last = overfit(space(**{"meshtalk.width": 32}), smooth_batch(2, frames=12), 150)
    assert last < 0.5 * first


def test_its_loss_is_that_of_own_and_exchanged_samples_written_out() -> None:
    model, batch = space(**{"training.batch_size": 2}), smooth_batch(2, frames=8)
    with torch.no_grad():
        loss = model.objective(batch, 0, torch.Generator().manual_seed(0), False)[0]
        target = batch.motion["speaker"]
        seen, heard = model.see(target), model.hear(batch.audio, batch.mask)
        assert not set(model.mouth.tolist()) & set(model.upper.tolist())
        assert expression_index("mouthPucker") in model.mouth and 3 in model.mouth
        assert expression_index("browInnerUp") in model.upper and 0 in model.upper
        total = torch.zeros(())
        for row, other in ((0, 1), (1, 0)):
            for face, sound, columns, weight in (
                (row, row, torch.arange(56), 1.0),
                (row, row, model.eyelids, 1.0),
                (other, row, model.mouth, 1.0),
                (row, other, model.upper, 1.0),
            ):
                logits = model.logits(seen[face : face + 1], heard[sound : sound + 1])
                chosen = torch.nn.functional.one_hot(logits.argmax(-1), 8).float()
                made = model.decode(chosen, torch.zeros(1, dtype=torch.long))[0]
                total += weight * (made - target[row])[:, columns].square().mean() / 2
    torch.testing.assert_close(loss, total)


def test_categories_are_drawn_by_their_chances_and_pass_the_softmaxs_gradient() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0]).expand(4000, 1, 3).clone().requires_grad_()
    drawn = one_hot(logits, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.detach().sum(-1), torch.ones(4000, 1))
    shares = drawn.detach().mean(dim=(0, 1))
    torch.testing.assert_close(shares, logits[0, 0].softmax(-1).detach(), atol=0.02, rtol=0)
    drawn[..., 0].sum().backward()
    assert logits.grad is not None and bool((logits.grad[..., 0] > 0).all())
    assert torch.equal(one_hot(logits, None).argmax(-1), logits.argmax(-1))


def test_samples_are_exchanged_whole() -> None:
    rows = torch.arange(4)[:, None, None].expand(4, 2, 3)
    assert exchanged(rows, 1)[:, 0, 0].tolist() == [3, 0, 1, 2]
    assert exchanged(rows, 3)[:, 1, 2].tolist() == [1, 2, 3, 0]


def test_a_latent_is_predicted_from_those_before_it_and_from_speech_up_to_it() -> None:
    model, frames, heads = meshtalk(), 24, 4
    torch.manual_seed(1)
    chosen = torch.rand(1, frames, heads, 8).requires_grad_()
    heard = torch.randn(1, frames, 16).requires_grad_()
    for frame, head in ((22, 2), (22, 0), (0, 3)):
        logits = model.predict(chosen, heard)[0, frame, head]
        read, sound = torch.autograd.grad(logits.square().sum(), (chosen, heard))
        found = read[0].abs().sum(dim=-1) > 0
        expected = torch.zeros(frames, heads, dtype=torch.bool)
        expected[max(frame - 19, 0) : frame] = True
        expected[frame, :head] = True
        assert torch.equal(found, expected)
        listened = sound[0].abs().sum(dim=-1) > 0
        assert bool(listened[frame]) and not bool(listened[frame + 1 :].any())


def test_latents_drawn_one_by_one_are_the_likeliest_ones_of_the_whole() -> None:
    model = meshtalk(**{"generation.temperature": 0.0})
    heard = torch.randn(1, 30, 16, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        drawn = model.sample(heard, torch.Generator())
        whole = model.predict(drawn, heard)
    assert torch.equal(drawn.argmax(-1), whole.argmax(-1))
    assert len(drawn.argmax(-1).unique()) > 2


@pytest.mark.slow
def test_the_second_stage_learns_by_heart_and_leaves_the_space_alone() -> None:
    model, batch = meshtalk(), told(smooth_batch(2, frames=12))
    before = {name: tensor.clone() for name, tensor in model.prior.state_dict().items()}
    assert not untouched(model, batch)
    first, last = overfit(model, batch, 40)
    assert last < 0.3 * first
    for name, tensor in model.prior.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_padding_and_the_listener_do_not_matter() -> None:
    batch = told(smooth_batch(2, frames=16, there=10))
    models = (space(**{"training.batch_size": 2}), meshtalk())
    with torch.no_grad():
        losses = [model.objective(batch, 0, torch.Generator(), False)[0] for model in models]
        batch.audio[:, 10:] += 3
        batch.motion["speaker"][:, 10:] += 3
        batch.motion["listener"] += 1
        for model, loss in zip(models, losses, strict=True):
            torch.testing.assert_close(loss, model.objective(batch, 0, torch.Generator(), False)[0])


def test_seeds_and_styles_tell_faces_apart() -> None:
    model, audio = meshtalk(), smooth_batch(1, frames=20).audio[0]

    def said(style: str, seed: int) -> torch.Tensor:
        with torch.inference_mode():
            return model.say(audio, style, torch.Generator().manual_seed(seed))

    assert torch.equal(said("calm", 1), said("calm", 1))
    assert not torch.allclose(said("calm", 1), said("calm", 2))
    assert not torch.allclose(said("calm", 1), said("lively", 1))
    assert torch.equal(said("unheard of", 1), said("unknown", 1))


def test_a_single_sample_has_nobody_to_exchange_with() -> None:
    with pytest.raises(InputError, match=r"training\.batch_size is 1; expected between 2"):
        with_overrides(prior_preset("tiny", "meshtalk"), {"training.batch_size": 1})


def test_a_space_without_names_crosses_the_face_with_the_head() -> None:
    model, batch = space(**{"data.space": "flame"}), smooth_batch(2, frames=8)
    assert model.upper.tolist() == [0, 1, 2] and len(model.mouth) == 53
    assert not len(model.eyelids)
    loss, figures = model.objective(batch, 0, torch.Generator().manual_seed(0), True)
    torch.testing.assert_close(loss, figures["motion"] + figures["crossed"])
