from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dimcli.data.windows import Batch
from dimcli.models.codetalker import CodeTalker, MotionPrior, TemporalConvolution
from tests.models.tiny import make, overfit, smooth_batch, untouched

STYLES = {"data.styles": "calm,lively"}


def motion_prior(**settings: object) -> MotionPrior:
    model = make("codetalker", stage="prior", **STYLES, **settings)
    assert isinstance(model, MotionPrior)
    return model


def codetalker(**settings: object) -> CodeTalker:
    """With codes, and a second stage's answers, that are spread out, as after training."""
    model = make("codetalker", **STYLES, **settings)
    assert isinstance(model, CodeTalker)
    model.prior.quantizer.initialise(torch.randn(64, model.prior.quantizer.codebook.shape[1]))
    nn.init.normal_(model.to_features.weight, std=0.5)
    return model


def told(batch: Batch) -> Batch:
    """The same with everybody's style in it."""
    return replace(batch, style=torch.arange(len(batch.audio)) % 3)


def everything(frames: int) -> torch.Tensor:
    return torch.ones(1, frames, dtype=torch.bool)


def test_instance_norm_and_replicated_ends_are_torchs_and_padding_is_no_frame() -> None:
    torch.manual_seed(0)
    layer, features = TemporalConvolution(6), torch.randn(2, 9, 6)
    expected = nn.InstanceNorm1d(6)(
        nn.functional.leaky_relu(layer.convolution(features.mT), 0.2)
    ).mT
    present = torch.ones(2, 9, dtype=torch.bool)
    torch.testing.assert_close(layer(features, present), expected, atol=1e-5, rtol=1e-4)
    padded = torch.cat([features, torch.randn(2, 4, 6)], dim=1)
    mask = torch.arange(13).expand(2, 13) < 9
    torch.testing.assert_close(layer(padded, mask)[:, :9], expected, atol=1e-5, rtol=1e-4)
    assert bool(layer(features[:, :1], present[:, :1]).isfinite().all())


@pytest.mark.slow
def test_the_prior_learns_one_batch_by_heart_and_its_codes_reproduce_its_output() -> None:
    model, batch = motion_prior(**{"codetalker.prior_width": 32}), smooth_batch(2, frames=12)
    first, last = overfit(model, batch, 120, rate=5e-3)
    assert last < 0.5 * first
    with torch.no_grad():
        target = model.standardise_speaker(batch.motion["speaker"])
        found = model.quantise(model.encode(target, batch.mask), batch.mask)
        assert found.codes.shape == (2, 12, 4) and len(found.codes.unique()) > 4
        looked_up = model.quantizer.lookup(found.codes).flatten(2)
        written = model.decode(found.vectors, batch.mask)
        torch.testing.assert_close(model.decode(looked_up, batch.mask), written)
        error = (written - target).abs().mean()
        torch.testing.assert_close(
            model.objective(batch, 99, torch.Generator(), False)[1]["loss"], error
        )


def test_the_priors_gradient_reaches_all() -> None:
    model = motion_prior(**{"codetalker.warmup_steps": 0})
    model.quantizer.initialise(torch.randn(64, 4))
    assert not untouched(model, smooth_batch())


@pytest.mark.slow
def test_training_reaches_all_of_the_second_stage_and_nothing_of_the_prior() -> None:
    model, batch = codetalker(), told(smooth_batch(3, frames=12))
    assert not untouched(model, batch)
    before = {name: tensor.clone() for name, tensor in model.prior.state_dict().items()}
    first, last = overfit(model, batch, 60)
    assert last < 0.7 * first
    for name, tensor in model.prior.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_frame_is_predicted_from_the_motion_before_it_and_its_own_speech() -> None:
    model, batch = codetalker(), told(smooth_batch(2, frames=10))
    heard = model.speech(batch.audio, batch.mask)
    assert batch.style is not None
    with torch.no_grad():
        before = model.predict(batch.motion["speaker"], heard, batch.style)
        moved, sounded = batch.motion["speaker"].clone(), heard.clone()
        moved[:, 5] += 1
        sounded[:, 5] += 1
        for arguments in ((moved, heard), (batch.motion["speaker"], sounded)):
            after = model.predict(*arguments, batch.style)
            torch.testing.assert_close(after[:, :5], before[:, :5])
            assert bool(((after - before).abs().amax(dim=(0, 2))[5:] > 1e-6).all())
        other = model.predict(batch.motion["speaker"], heard, batch.style * 0)
        assert not torch.allclose(other[1], before[1])


def test_frames_written_one_by_one_are_those_that_teacher_forcing_on_them_predicts() -> None:
    model, frames = codetalker(), 14
    audio, style = smooth_batch(1, frames=frames).audio, torch.tensor([2])
    with torch.no_grad():
        first = model.go_on(audio, style, audio.new_zeros(1, 0, model.prior.features))
        again = model.go_on(audio, style, first[:, :5])
        befores = [torch.zeros(1, 56)]
        for frame in range(1, frames):  # the last frame of what all codes so far decode to
            decoded = model.prior.decode(first[:, :frame], everything(frame))
            befores.append(decoded[:, -1])
        heard = model.speech(audio, everything(frames))
        features = model.predict(torch.stack(befores, dim=1), heard, style)
        found = model.prior.quantise(features, everything(frames)).vectors
    torch.testing.assert_close(first, found)
    torch.testing.assert_close(again[:, :6], first[:, :6])  # one more frame, as it was
    assert len(model.prior.quantise(first, everything(frames)).codes.unique()) > 2


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_samples_learns_without_the_true_past(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = codetalker(**{"codetalker.own_past": share}), told(smooth_batch(64, frames=6))
    seen: list[torch.Tensor] = []
    predict = model.predict

    def watched(before: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        seen.append(before)
        return predict(before, *rest)

    monkeypatch.setattr(model, "predict", watched)
    with torch.no_grad():
        model.objective(batch, 0, torch.Generator().manual_seed(0), True)
        true = F.pad(batch.motion["speaker"][:, :-1], (0, 0, 1, 0))
        right = (seen[-1] == true).all(dim=2).all(dim=1)
        nothing = (seen[-1] == 0).all(dim=2).all(dim=1)
        assert float(right.float().mean()) == pytest.approx(1 - share, abs=0.15)
        assert float(nothing.float().mean()) == pytest.approx(share / 2, abs=0.15)
        seen.clear()
        model.objective(batch, 0, torch.Generator().manual_seed(0), False)
        assert torch.equal(seen[-1], true)


def test_padding_and_the_listener_do_not_matter() -> None:
    model, batch = codetalker(), told(smooth_batch(2, frames=16, there=10))
    with torch.no_grad():
        loss = model.objective(batch, 0, torch.Generator(), False)[0]
        batch.audio[:, 10:] += 3
        batch.motion["speaker"][:, 10:] += 3
        batch.motion["listener"] += 1
        torch.testing.assert_close(loss, model.objective(batch, 0, torch.Generator(), False)[0])


def test_long_speech_is_said_in_windows_that_go_on_from_one_another() -> None:
    model = codetalker(**{"generation.window_s": 0.64, "generation.overlap_s": 0.16})
    audio, style = smooth_batch(1, frames=40).audio, torch.tensor([0])
    with torch.inference_mode():
        whole = model.write(audio, style, torch.Generator())
        short = model.write(audio[:, :16], style, torch.Generator())
    assert whole.shape == (1, 40, 56) and bool(whole.isfinite().all())
    torch.testing.assert_close(whole[:, :12], short[:, :12])
    assert float(whole.std(dim=1).max()) > 0.01


def test_adopting_a_prior_takes_its_means_along() -> None:
    prior, model = motion_prior(), codetalker()
    prior.speaker_mean.fill_(0.3)
    prior.audio_std.fill_(2.0)
    model.adopt(prior)
    assert (
        float(model.speaker_mean[0])
        == float(model.prior.speaker_mean[5])
        == float(torch.tensor(0.3))
    )
    assert float(model.audio_std[0]) == 2.0
