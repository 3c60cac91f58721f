from __future__ import annotations

import pytest
import torch

from tests.models.tiny import make, overfit, smooth_batch


@pytest.mark.slow
def test_it_learns_one_batch_by_heart() -> None:
    model = make("rlhg", **{"rlhg.hidden": 64, "rlhg.dropout": 0.0, "inputs.attitude_dropout": 0.0})
    first, last = overfit(model, smooth_batch(2), 150)
    assert last < 0.1 * first


def test_a_frame_is_decided_before_the_speakers_same_frame() -> None:
    model = make("rlhg")
    batch = smooth_batch()
    motion, audio = batch.motion["speaker"], batch.audio
    before = model(motion, audio, batch.attitude)
    for changed in (motion, audio):
        disturbed = changed.clone()
        disturbed[:, 10] += 1
        inputs = (disturbed, audio) if changed is motion else (motion, disturbed)
        after = model(*inputs, batch.attitude)
        assert torch.equal(after[:, :11], before[:, :11])
        assert not torch.equal(after[:, 11], before[:, 11])
