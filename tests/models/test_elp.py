from __future__ import annotations

import pytest
import torch

from dimcli.models.elp import ELP
from tests.models.tiny import make, overfit, smooth_batch


@pytest.mark.slow
def test_it_learns_one_batch_by_heart() -> None:
    model = make("elp", **{"elp.width": 32, "elp.velocity_weight": 0.0})
    first, last = overfit(model, smooth_batch(2), 150)
    assert last < 0.1 * first


def test_motion_is_composed_of_every_codeword_and_of_the_emotion() -> None:
    model = make("elp")
    assert isinstance(model, ELP)
    torch.nn.init.normal_(model.space_emotion.weight)
    present = torch.ones(1, 4, dtype=torch.bool)
    codes = torch.zeros(1, 4, model.parts, dtype=torch.long)
    neutral, positive = torch.tensor([2]), torch.tensor([3])
    before = model.adapt(codes, neutral, present)
    assert before.shape == (1, 16, 56)
    assert not torch.allclose(before, model.adapt(codes, positive, present))
    for part in range(model.parts):
        other = codes.clone()
        other[:, 2, part] = 5
        assert not torch.allclose(before, model.adapt(other, neutral, present))


def test_the_chances_of_codewords_depend_on_the_emotion_and_on_the_whole_speaker() -> None:
    model = make("elp")
    assert isinstance(model, ELP)
    torch.nn.init.normal_(model.emotion.weight)
    batch = smooth_batch()
    present = torch.ones(3, 8, dtype=torch.bool)
    motion, audio, told = batch.motion["speaker"], batch.audio, batch.attitude
    before = model.expect(motion, audio, told, present)
    late = audio.clone()
    late[:, -1] += 1
    assert not torch.allclose(before[:, 0], model.expect(motion, late, told, present)[:, 0])
    assert not torch.allclose(before, model.expect(motion, audio, (told + 1) % 4, present))


def test_training_leaves_the_codewords_alone_and_the_adaptive_space_learns() -> None:
    model = make("elp", **{"inputs.attitude_dropout": 0.0})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    overfit(model, smooth_batch(2), 3)
    after = model.state_dict()
    for name, _ in model.named_parameters():
        assert torch.equal(before[name], after[name]) == name.startswith("vq."), name
