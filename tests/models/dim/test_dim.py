from dataclasses import replace

import pytest
import torch

from dimcli.data.clip import ROLES
from dimcli.models.dim.dim import DIM, Dyad
from dimcli.models.dim.objectives import (
    finetune_objective,
    pretrain_objective,
    random_mask,
    standardised,
)
from tests.models.conftest import random_batch, tiny_config


def make(seed: int = 0, **settings: object) -> DIM:
    torch.manual_seed(seed)
    settings = {"dim.outputs": "both", "dim.clamp_std": 0.0, "dim.noise_std": 0.0, **settings}
    model = DIM(tiny_config(**settings)).eval()
    with torch.no_grad():
        for role in model.vq:
            for part in model.vqvae(role).part_modules:
                part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model


def seen(dyad: Dyad, model: DIM, **shares: float) -> dict[str, torch.Tensor]:
    """Which steps are visible: the first ``share`` of them, by role."""
    present = model.step_mask(dyad.mask)
    steps = torch.arange(present.shape[1])
    return {role: (steps < shares[role] * len(steps)).expand_as(present) for role in ROLES}


@pytest.mark.parametrize("joint", ["feature", "time"])
@pytest.mark.parametrize("inputs", ["motion", "codes"])
@pytest.mark.parametrize("direct", [False, True])
def test_visible_listener_steps_reach_the_prediction_and_masked_ones_do_not(
    joint: str, inputs: str, direct: bool
) -> None:
    settings = {"dim.joint": joint, "dim.listener_inputs": inputs}
    model = make(**settings, **{"dim.visible_targets": direct})
    dyad = standardised(model, random_batch())
    visible = seen(dyad, model, speaker=1.0, listener=0.5)
    before = model(dyad, visible).logits["listener"]
    for changed, reaches in ((0, True), (7, False)):
        motion = dyad.motion["listener"].clone()
        motion[:, 4 * changed : 4 * changed + 4] += 1
        codes = dyad.codes["listener"].clone()
        codes[:, changed] = (codes[:, changed] + 1) % 16
        other = Dyad(
            {**dyad.motion, "listener": motion},
            dyad.audio,
            dyad.mask,
            dyad.attitude,
            {**dyad.codes, "listener": codes},
        )
        after = model(other, visible).logits["listener"]
        assert torch.equal(before, after) != reaches


def test_the_target_is_predicted_from_its_own_visible_steps_when_the_other_is_masked() -> None:
    model = make()
    dyad = standardised(model, random_batch())
    none = seen(dyad, model, speaker=0.0, listener=0.0)
    some = seen(dyad, model, speaker=0.5, listener=0.0)
    before = model(dyad, none).logits["speaker"]
    assert bool(torch.isfinite(before).all())
    assert not torch.equal(before, model(dyad, some).logits["speaker"])


def test_padding_does_not_change_what_is_there() -> None:
    model = make()
    short, long = random_batch(frames=24), random_batch(frames=32, seed=5)
    for role in ROLES:
        long.motion[role][:, :24] = short.motion[role]
    long.audio[:, :24] = short.audio
    long.mask[:, 24:] = False
    outputs = []
    for batch in (short, long):
        dyad = standardised(model, batch)
        visible = {role: torch.ones_like(model.step_mask(dyad.mask)) for role in ROLES}
        outputs.append(model(dyad, visible))
    for role in ROLES:
        assert torch.allclose(outputs[0].logits[role], outputs[1].logits[role][:, :6], atol=1e-4)
        assert torch.allclose(outputs[0].pooled[role], outputs[1].pooled[role], atol=1e-5)


def test_the_place_in_the_batch_does_not_matter() -> None:
    model = make()
    dyad = standardised(model, random_batch())
    turned = Dyad(
        {role: motion.roll(1, dims=0) for role, motion in dyad.motion.items()},
        dyad.audio.roll(1, dims=0),
        dyad.mask,
        dyad.attitude.roll(1, dims=0),
        {role: codes.roll(1, dims=0) for role, codes in dyad.codes.items()},
    )
    visible = seen(dyad, model, speaker=1.0, listener=0.5)
    there = model(dyad, visible).logits["listener"]
    back = model(turned, visible).logits["listener"].roll(-1, dims=0)
    assert torch.allclose(there, back, atol=1e-5)


def test_in_pretraining_the_gradient_reaches_all_but_the_frozen_parameters(
    generator: torch.Generator,
) -> None:
    # traits are told with the augmentations
    model = make(**{"dim.motion_share": 1.0, "dim.traits": False}).train()
    loss, _ = pretrain_objective(model, random_batch(), generator, augment=False)
    loss.backward()
    frozen = {
        id(p) for role in ROLES for m in model.vqvae(role).frozen_parts() for p in m.parameters()
    }
    assert frozen
    for name, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        assert reached == (id(parameter) not in frozen), name


def test_frozen_parts_stay_in_eval_while_the_rest_trains() -> None:
    model = make(**{"vq.dropout": 0.5}).train()
    vq = model.vqvae("listener")
    assert not any(module.training for module in vq.frozen_parts())
    assert vq.part_modules[0].decoder.training


def test_fine_tuning_masks_all_of_the_listener_in_the_paper(generator: torch.Generator) -> None:
    model = make(**{"dim.listener_visible": "none", "dim.listener_inputs": "motion"})
    batch, other = random_batch(), random_batch(seed=9)
    losses = []
    for listener in (batch.motion["listener"], other.motion["listener"]):
        dyad = standardised(model, batch)
        dyad.motion["listener"] = listener
        visible = seen(dyad, model, speaker=1.0, listener=0.0)
        losses.append(model(dyad, visible).logits["listener"])
    assert torch.equal(*losses)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["parallel", "autoregressive"])
def test_one_batch_can_be_learned_by_heart(decoder: str, generator: torch.Generator) -> None:
    settings = {"dim.decoder": decoder, "dim.width": 32, "dim.listener_visible": "none"}
    settings |= {"dim.outputs": "listener", "vq.parts": "whole"}
    model = make(**settings, **{"dim.attitude_dropout": 0.0}).train()
    batch = random_batch(size=2)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)
    for _ in range(80):
        loss, figures = finetune_objective(model, batch, "listener", generator, augment=False)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(figures["listener_code"].detach()) < 0.5


def test_an_autoregressive_decoder_sees_only_earlier_codes() -> None:
    model = make(**{"dim.decoder": "autoregressive"})
    dyad = standardised(model, random_batch())
    visible = seen(dyad, model, speaker=1.0, listener=0.0)
    before = model(dyad, visible).logits["listener"]
    dyad.codes["listener"][:, 4] = (dyad.codes["listener"][:, 4] + 1) % 16
    after = model(dyad, visible).logits["listener"]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_codes_that_are_forgotten_reach_no_later_step() -> None:
    model = make(**{"dim.decoder": "autoregressive"})
    dyad = standardised(model, random_batch())
    visible = seen(dyad, model, speaker=1.0, listener=0.0)
    forgotten = torch.zeros_like(visible["listener"])
    forgotten[:, 4] = True
    hidden = replace(dyad, forgotten=forgotten)
    before, shown = (model(one, visible).logits["listener"] for one in (hidden, dyad))
    dyad.codes["listener"][:, 4] = (dyad.codes["listener"][:, 4] + 1) % 16
    assert torch.equal(before, model(hidden, visible).logits["listener"])
    assert not torch.equal(before[:, 5:], shown[:, 5:])


def test_some_fine_tuning_samples_go_without_the_codes_before(generator: torch.Generator) -> None:
    settings = {"dim.outputs": "listener", "dim.listener_visible": "none"}
    settings |= {"dim.decoder": "autoregressive"}
    model = make(**settings, **{"dim.history_dropout": 0.4})
    batch, read = random_batch(size=64), []

    def keep(_: object, __: object, output: torch.Tensor) -> None:
        output.retain_grad()
        read.append(output)

    assert model.previous is not None
    model.previous.register_forward_hook(keep)
    for augment in (True, False):
        loss, _ = finetune_objective(model, batch, "listener", generator, augment=augment)
        loss.backward()
    shown = [(output.grad.abs().sum(dim=(1, 2)) > 0).float().mean() for output in read]
    assert 0.4 < shown[0] < 0.8
    assert shown[1] == 1.0


def test_a_causal_model_does_not_see_the_future() -> None:
    model = make(**{"dim.causal": True, "vq.causal": True})
    batch, other = random_batch(), random_batch()
    other.motion["speaker"][:, 16:] += 1
    other.audio[:, 16:] += 1
    outputs = []
    for each in (batch, other):
        dyad = standardised(model, each)
        visible = seen(dyad, model, speaker=1.0, listener=0.0)
        outputs.append(model(dyad, visible).logits["listener"])
    assert torch.allclose(outputs[0][:, :4], outputs[1][:, :4], atol=1e-5)
    assert not torch.allclose(outputs[0][:, 4:], outputs[1][:, 4:], atol=1e-5)


def test_a_mask_covers_the_asked_share_and_no_padding(generator: torch.Generator) -> None:
    present = torch.arange(20).expand(3, 20) < torch.tensor([[20], [10], [4]])
    masked = random_mask(present, torch.full((3,), 0.75), generator)
    assert masked.sum(dim=1).tolist() == [15, 8, 3]
    assert not bool((masked & ~present).any())


def test_attitude_changes_the_prediction_once_it_is_learned() -> None:
    model = make()
    assert model.attitude is not None
    with torch.no_grad():
        model.attitude.weight.normal_()
    dyad = standardised(model, random_batch())
    visible = seen(dyad, model, speaker=1.0, listener=0.0)
    before = model(dyad, visible).logits["listener"]
    dyad.attitude.copy_((dyad.attitude + 1) % 4)
    assert not torch.equal(before, model(dyad, visible).logits["listener"])


def test_code_geometry_scores_like_codes_alike() -> None:
    model = make(**{"dim.code_geometry": True})
    with torch.no_grad():
        for part in model.vqvae("listener").part_modules:
            part.quantizer.codebook[1] = part.quantizer.codebook[0]
        model.heads["listener"].weight.zero_()
        model.heads["listener"].bias.zero_()
    dyad = standardised(model, random_batch())
    logits = model(dyad, seen(dyad, model, speaker=1.0, listener=0.0)).logits["listener"]
    assert torch.allclose(logits[..., 0], logits[..., 1], atol=1e-5)
    assert not torch.allclose(logits[..., 0], logits[..., 2], atol=1e-5)
