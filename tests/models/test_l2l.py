from __future__ import annotations

import pytest
import torch

from dimcli.models.l2l import L2L
from tests.models.tiny import make, overfit, smooth_batch


def l2l(**settings: object) -> L2L:
    model = make("l2l", **settings)
    assert isinstance(model, L2L)
    return model


def inputs(model: L2L) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    batch = smooth_batch()
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(16, (3, 8, model.parts), generator=generator)
    return batch.motion["speaker"], batch.audio, codes, batch.attitude * 0


def logits(
    model: L2L, motion: torch.Tensor, audio: torch.Tensor, codes: torch.Tensor, told: torch.Tensor
) -> torch.Tensor:
    present = torch.ones(codes.shape[:2], dtype=torch.bool)
    return model.predict(model.encode_speaker(motion, audio, present), codes, told, present)


@pytest.mark.slow
def test_it_learns_one_batch_by_heart() -> None:
    model = l2l(**{"l2l.width": 32})
    first, last = overfit(model, smooth_batch(2), 120)
    assert last < 0.1 * first


def test_a_code_is_predicted_from_the_codes_before_it_and_the_speaker_up_to_it() -> None:
    model = l2l()
    motion, audio, codes, told = inputs(model)
    before = logits(model, motion, audio, codes, told)
    moved = motion.clone()
    moved[:, 4 * 5] += 1  # in step 5
    heard = audio.clone()
    heard[:, 4 * 5] += 1
    other = codes.clone()
    other[:, 5] = (other[:, 5] + 1) % 16
    for arguments, first in (
        ((moved, audio, codes), 5),
        ((motion, heard, codes), 5),
        ((motion, audio, other), 6),
    ):
        after = logits(model, *arguments, told)
        torch.testing.assert_close(after[:, :first], before[:, :first])
        assert bool(((after - before).abs().amax(dim=(0, 2, 3))[first:] > 1e-6).all())


def test_a_part_of_the_codes_gives_that_part_of_the_chances() -> None:
    model = l2l()
    motion, audio, codes, told = inputs(model)
    whole = logits(model, motion, audio, codes, told)
    part = logits(model, motion[:, :20], audio[:, :20], codes[:, :5], told)
    torch.testing.assert_close(part, whole[:, :5])


def test_codes_drawn_one_by_one_are_the_likeliest_ones_of_the_whole() -> None:
    model = l2l()
    motion, audio, _, told = (tensor[:1] for tensor in inputs(model))
    known = torch.tensor([[3] * model.parts, [5] * model.parts])
    generator = torch.Generator()
    with torch.inference_mode():
        drawn = model.choose(motion, audio, told, known, generator, 0.0)
        whole = logits(model, motion, audio, drawn[None], told)[0].argmax(dim=-1)
    assert torch.equal(drawn[:2], known)
    assert torch.equal(drawn[2:], whole[2:])
    assert len(drawn.unique()) > 2


def test_training_leaves_the_vq_vae_alone() -> None:
    model = l2l()
    before = {name: tensor.clone() for name, tensor in model.vq.state_dict().items()}
    overfit(model, smooth_batch(2), 3)
    for name, tensor in model.vq.state_dict().items():
        assert torch.equal(tensor, before[name]), name
