"""What holds for every trained baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dimcli.core.motion import Motion
from dimcli.data.windows import Batch, Statistics
from dimcli.models.baseline import Baseline
from tests.answers import answer
from tests.models.tiny import make, smooth_batch, untouched
from tests.stores import AUDIO_DIM, smooth

METHODS = ("rlhg", "l2l", "elp")


def loss_of(model: Baseline, batch: Batch) -> float:
    loss, figures = model.objective(batch, 0, torch.Generator().manual_seed(0), False)
    assert torch.equal(loss, figures["loss"])
    return float(loss.detach())


@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_reaches_every_parameter_that_trains(method: str) -> None:
    model = make(method, **{"inputs.attitudes": True, "inputs.attitude_dropout": 0.0})
    assert untouched(model, smooth_batch(4)) == []


@pytest.mark.parametrize("method", METHODS)
def test_what_lies_in_the_padding_does_not_matter(method: str) -> None:
    model = make(method)
    batch = smooth_batch(there=24)
    scrambled = {role: motion.clone() for role, motion in batch.motion.items()}
    audio = batch.audio.clone()
    for array in (*scrambled.values(), audio):
        array[:, 24:] += 5.0
    other = replace(batch, motion=scrambled, audio=audio)
    assert loss_of(model, other) == pytest.approx(loss_of(model, batch), abs=1e-5)
    audio[:, 8] += 5.0
    assert loss_of(model, replace(other, audio=audio)) != pytest.approx(loss_of(model, batch))


@pytest.mark.parametrize("method", METHODS)
def test_an_attitude_counts_only_where_the_model_is_told_it(method: str) -> None:
    batch = smooth_batch()
    positive = replace(batch, attitude=torch.full_like(batch.attitude, 3))
    for told in (False, True):
        model = make(method, **{"inputs.attitudes": told})
        for parameter in (p for n, p in model.named_parameters() if "attitude" in n or "emot" in n):
            torch.nn.init.normal_(parameter)
        assert (loss_of(model, batch) != loss_of(model, positive)) == told


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frames", [1, 31, 32, 100])
def test_the_answer_is_as_long_as_the_speaker_and_the_same_for_the_same_seed(
    method: str, frames: int
) -> None:
    random = np.random.default_rng(1)
    speaker = Motion(smooth(random, frames, 56), fps=25.0)
    audio = smooth(random, frames, AUDIO_DIM)
    listener = make(method)
    first, again, other = (answer(listener, speaker, audio, seed=s) for s in (1, 1, 2))
    assert first.values.shape == (frames, 56)
    assert bool(np.isfinite(first.values).all())
    np.testing.assert_array_equal(first.values, again.values)
    if frames > 1 and method != "rlhg":
        assert not np.array_equal(first.values, other.values)
    if method == "rlhg":
        np.testing.assert_array_equal(first.values, other.values)


@pytest.mark.parametrize("method", METHODS)
def test_where_the_speaker_rests_does_not_matter_to_a_centred_model(method: str) -> None:
    random = np.random.default_rng(1)
    values, audio = smooth(random, 40, 56), smooth(random, 40, AUDIO_DIM)
    for centred in (True, False):
        listener = make(method, **{"inputs.speaker_centering": centred})
        moved = Motion(values + np.float32(0.5), fps=25.0)
        first = answer(listener, Motion(values, fps=25.0), audio, seed=0, temperature=0)
        second = answer(listener, moved, audio, seed=0, temperature=0)
        assert np.allclose(first.values, second.values, atol=1e-4) == centred


@pytest.mark.slow
def test_standardising_takes_the_training_datas_figures_with_a_floor_for_still_columns() -> None:
    model = make("rlhg")
    mean = torch.linspace(-1, 1, 56)
    std = torch.full((56,), 0.5)
    std[10] = 0.0
    sound = torch.ones(AUDIO_DIM)
    model.fit_statistics(
        Statistics(
            {"speaker": mean, "listener": -mean}, {"speaker": std, "listener": std}, sound, sound
        )
    )
    motion, audio = model.speaker_inputs(mean[None, None], 3 * sound[None, None])
    assert torch.equal(motion, torch.zeros(1, 1, 56))
    assert torch.equal(audio, torch.full((1, 1, AUDIO_DIM), 2.0))
    assert float(model.standardise(-mean + 0.03)[10]) == pytest.approx(1.0)
    torch.testing.assert_close(model.unstandardise(model.standardise(mean)), mean)
