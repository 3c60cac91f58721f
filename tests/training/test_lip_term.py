from dataclasses import replace

import pytest
import torch

from dimcli.core.motion import JAW, expression_index
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.objectives import finetune_objective, lip_term, standardised
from renderers.heads.regions import CLOSED, lip_gap
from tests.models.conftest import random_batch, tiny_config

SPEAKING = {
    "dim.outputs": "speaker", "dim.speaker_inputs": "codes", "dim.listener_inputs": "motion",
    "dim.mouth": "expected", "dim.mouth_residual": True, "dim.lips_weight": 1.0,
}  # fmt: skip


def talking(**settings: object) -> DIM:
    torch.manual_seed(0)
    return DIM(tiny_config(**SPEAKING, **settings))


def test_the_lip_term_is_zero_for_the_truth_and_counts_closed_frames_for_more() -> None:
    motion = torch.zeros(1, 8, 56)
    motion[:, :4, JAW.start] = 0.2
    assert (lip_gap(motion[0])[:4] > CLOSED).all()
    assert (lip_gap(motion[0])[4:] < CLOSED).all()
    batch = replace(random_batch(1, 8), motion={"speaker": motion, "listener": motion})
    parted = [slice(0, 4), slice(4, 8)]  # while they are open, and while they should be closed
    found = {}
    for weight in (0.0, 3.0):
        model = talking(**{"dim.closed_weight": weight})
        dyad = standardised(model, batch)
        truth = dyad.targets["speaker"][..., model.mouth_columns]
        assert lip_term(model, "speaker", dyad, truth) == 0
        for index, frames in enumerate(parted):
            wider = motion.clone()
            wider[:, frames, expression_index("mouthLowerDownLeft")] += 0.3
            wider[:, frames, expression_index("mouthLowerDownRight")] += 0.3
            made = model.vqvae("speaker").standardise(wider)[..., model.mouth_columns]
            found[weight, index] = float(lip_term(model, "speaker", dyad, made))
    assert found[3.0, 1] > 3 * found[0.0, 1] > 0
    assert found[3.0, 0] < 2 * found[0.0, 0]


def test_the_gap_reaches_the_residual_and_no_column_but_the_mouths() -> None:
    model = talking()
    loss, figures = finetune_objective(
        model, random_batch(), "speaker", torch.Generator().manual_seed(0), True
    )
    loss.backward()
    assert figures["speaker_lips"] > 0
    assert model.residual is not None
    assert model.residual.weight.grad.abs().max() > 0


def test_lips_that_press_on_each_other_have_a_gap_below_zero() -> None:
    motion = torch.zeros(2, 56)
    motion[1, expression_index("mouthRollLower")] = 0.4
    motion[1, expression_index("mouthPressLeft")] = 0.5
    open_, pressed = lip_gap(motion + 0.0)
    assert pressed < open_
    assert pressed < 0


def test_a_mouth_in_another_space_has_no_lip_term() -> None:
    model = talking(**{"data.space": "flame"})
    batch = random_batch()
    _, figures = finetune_objective(model, batch, "speaker", torch.Generator().manual_seed(0), True)
    assert "speaker_lips" not in figures


@pytest.mark.parametrize("weight", ["dim.lips_weight", "dim.closed_weight"])
def test_a_negative_weight_is_refused(weight: str) -> None:
    with pytest.raises(Exception, match=weight):
        talking(**{weight: -1.0})
