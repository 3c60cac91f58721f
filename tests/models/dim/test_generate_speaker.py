import numpy as np
import pytest
import torch

from dimcli.audio import MEL4, load_encoder
from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.motion import JAW
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import decode, window_inputs
from dimcli.models.dim.online import Stream
from tests.answers import generate_speaker
from tests.stores import smooth

pytestmark = pytest.mark.slow

SPEAKER = {
    "data.audio_encoder": "mel4", "data.audio_dim": MEL4.dim, "data.styles": "calm,lively",
    "dim.outputs": "speaker", "dim.speaker_inputs": "codes", "dim.listener_inputs": "motion",
    "dim.mouth": "expected", "dim.styles": True, "vq.parts": "speech", "vq.stride": 2,
    "generation.window_s": 0.96, "generation.overlap_s": 0.24,
}  # fmt: skip


def make(**settings: object) -> DIM:
    torch.manual_seed(0)
    model = DIM(with_overrides(preset("tiny", "finetune", "speaker"), SPEAKER | settings)).eval()
    for part in model.vqvae("speaker").part_modules:
        part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model


def speech(frames: int = 90) -> np.ndarray:
    return smooth(np.random.default_rng(0), frames, MEL4.dim)


@pytest.mark.parametrize("frames", [1, 2, 3, 23, 24, 25, 90])
def test_the_speaker_is_as_long_as_the_speech(frames: int) -> None:
    made = generate_speaker(make(), speech(frames), seed=0)
    assert made.values.shape == (frames, 56)
    assert np.isfinite(made.values).all()


def test_a_seed_gives_the_same_motion_and_another_one_another_head_and_the_same_lips() -> None:
    model = make()
    first, again, other = (generate_speaker(model, speech(24), seed=s).values for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:, :3], other[:, :3])
    # the lips know the sampled parts, but their own part isn't sampled
    moved = np.abs(first[:, 3] - other[:, 3]).max(), np.abs(first[:, 0] - other[:, 0]).max()
    assert moved[0] < moved[1]


def test_a_style_makes_a_difference_and_an_unknown_one_lists_the_known() -> None:
    model = make()
    torch.nn.init.normal_(model.style.weight)
    calm, lively = (
        generate_speaker(model, speech(24), seed=1, temperature=0.0, style=style).values
        for style in ("calm", "lively")
    )
    assert not np.array_equal(calm, lively)
    with pytest.raises(InputError, match="--style shy: expected one of unknown, calm, lively"):
        generate_speaker(model, speech(), seed=1, style="shy")


def test_the_mouth_of_long_speech_is_that_of_its_windows() -> None:
    """Where a window is alone, what comes before and after it makes no difference to its lips."""
    model = make(**{"dim.visible_targets": False})
    whole = generate_speaker(model, speech(90), seed=1, temperature=0.0, steps=1).values
    window = generate_speaker(model, speech(90)[:24], seed=1, temperature=0.0, steps=1).values
    assert np.allclose(whole[:18, JAW], window[:18, JAW], atol=1e-5)


def test_the_codes_of_an_expected_mouth_are_never_read() -> None:
    model = make()
    mouth = list(model.vqvae("speaker").columns).index("mouth")
    assert model.fed_parts[:, 0].tolist().index(0.0) == mouth
    assert model.fed_parts.sum() == model.parts - 1


def test_a_residual_moves_the_mouth_and_nothing_else() -> None:
    model = make(**{"dim.mouth_residual": True})
    assert model.residual is not None
    before, after = (_said_with(model, bias) for bias in (0.0, 0.5))
    moved = np.abs(after - before).max(axis=0)
    others = [column for column in range(56) if column not in model.mouth_columns]
    assert (moved[others] == 0).all()
    # half a standard deviation, but where expressions end at 0 or 1
    assert moved[JAW.start] == pytest.approx(0.5 * float(model.vqvae("speaker").std[JAW.start]))


def _said_with(model: DIM, bias: float) -> np.ndarray:
    torch.nn.init.constant_(model.residual.bias, bias)
    return generate_speaker(model, speech(24), seed=1).values


def test_offsets_average_the_mouth_over_where_its_steps_begin_and_leave_the_rest() -> None:
    plain, both = (
        generate_speaker(make(**{"generation.offsets": count}), speech(24), seed=1).values
        for count in (1, 2)
    )
    mouth = make().mouth_columns
    others = [column for column in range(56) if column not in mouth]
    assert np.array_equal(plain[:, others], both[:, others])
    assert not np.array_equal(plain[:-1, mouth], both[:-1, mouth])
    assert np.array_equal(plain[-1, mouth], both[-1, mouth])
    model = make()
    still = window_inputs(model, None, np.repeat(speech(1), 24, axis=0), "unknown", 0)
    codes = torch.zeros(12, model.parts, dtype=torch.long)
    once = decode(model, "speaker", still, codes)
    model.config = with_overrides(model.config, {"generation.offsets": 2})
    twice = decode(model, "speaker", still, codes)
    assert torch.allclose(twice[:-1, JAW], (once[:-1, JAW] + once[1:, JAW]) / 2, atol=1e-6)


@pytest.mark.parametrize(("causal", "residual"), [(False, True), (True, False)])
def test_a_stream_fed_frame_by_frame_gives_what_all_at_once_gives(
    causal: bool, residual: bool
) -> None:
    model = make(**{"dim.causal": causal, "vq.causal": causal, "dim.mouth_residual": residual})
    if model.residual is not None:
        torch.nn.init.normal_(model.residual.weight, std=0.1)
    heard = speech(81)
    speaker = Stream(model, "speaker")
    made, state = speaker.feed(speaker.start(3), heard)
    whole = np.concatenate([made, speaker.finish(state)])
    assert whole.shape == (81, 56)
    state, pieces, start = speaker.start(3), [], 0
    for stop in (1, 2, 7, 8, 50, 81):
        made, state = speaker.feed(state, heard[start:stop])
        pieces.append(made)
        start = stop
    assert np.array_equal(np.concatenate([*pieces, speaker.finish(state)]), whole)
    assert speaker.delay_s == pytest.approx(0.08 if causal else 0.32)


def test_what_a_stream_says_does_not_depend_on_what_comes_after_its_look_ahead() -> None:
    speaker = Stream(make(), "speaker")
    heard, other = speech(60), speech(60)
    other[40:] += 1.0
    first, second = (speaker.feed(speaker.start(3), each)[0] for each in (heard, other))
    assert np.array_equal(first[:32], second[:32])
    assert not np.array_equal(first, second)


def test_an_encoder_that_needs_the_whole_sound_is_refused_online() -> None:
    with pytest.raises(InputError, match=r"hubert.*whole sounds only; expected .* mel or mel4"):
        load_encoder("hubert", online=True)


def test_speech_of_another_encoder_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(90, 128\) of the 'mel4' encoder"):
        generate_speaker(make(), speech()[:, :32], seed=0)
