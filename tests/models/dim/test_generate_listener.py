from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.models.checkpoint import load_run
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import window_inputs
from dimcli.models.dim.sampling import (
    UNKNOWN,
    CodePredictor,
    draw,
    draw_step,
    fill_order,
    sample_codes,
)
from tests.answers import generate_listener
from tests.stores import AUDIO_DIM, smooth


def make(**settings: object) -> DIM:
    settings = {"data.audio_dim": AUDIO_DIM, "dim.outputs": "listener", **settings}
    torch.manual_seed(0)
    model = DIM(with_overrides(preset("tiny", "finetune"), settings)).eval()
    for part in model.vqvae("listener").part_modules:
        part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model


def speaker(frames: int = 100, fps: float = 25.0) -> tuple[Motion, np.ndarray]:
    random = np.random.default_rng(0)
    return Motion(smooth(random, frames, 56), fps=fps), smooth(random, frames, AUDIO_DIM)


@pytest.mark.parametrize("frames", [1, 3, 4, 31, 32, 33, 100])
def test_the_listener_is_as_long_as_the_speaker(frames: int) -> None:
    motion, audio = speaker(frames)
    made = generate_listener(make(), motion, audio, seed=0)
    assert made.values.shape == (frames, 56)
    assert made.fps == 25.0
    assert bool(np.isfinite(made.values).all())


@pytest.mark.parametrize("inputs", ["codes", "motion"])
@pytest.mark.parametrize("decoder", ["parallel", "autoregressive"])
def test_a_seed_gives_the_same_motion_and_another_one_another(inputs: str, decoder: str) -> None:
    model = make(**{"dim.listener_inputs": inputs, "dim.decoder": decoder})
    motion, audio = speaker(60)
    first, again, other = (generate_listener(model, motion, audio, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_temperature_zero_is_the_same_for_every_seed_in_one_step() -> None:
    motion, audio = speaker()
    first, other = (
        generate_listener(make(), motion, audio, seed=s, temperature=0.0, steps=1) for s in (1, 2)
    )
    assert np.array_equal(first.values, other.values)


def test_the_speakers_resting_pose_does_not_matter() -> None:
    motion, audio = speaker()
    moved = Motion(motion.values + np.float32(0.25), fps=25.0)
    model = make()
    first = generate_listener(model, motion, audio, seed=0)
    other = generate_listener(model, moved, audio, seed=0)
    assert np.allclose(first.values, other.values, atol=1e-4)


def test_windows_join_without_a_seam() -> None:
    model = make()
    motion, audio = speaker(400)
    values = generate_listener(model, motion, audio, seed=0).values
    step = np.abs(np.diff(values, axis=0)).mean(axis=1)
    hop = 24  # frames from window to window in the tiny preset
    seams = step[[i for i in range(hop, 400, hop) if i < len(step)]]
    assert seams.mean() < 2.0 * step.mean()


@pytest.mark.parametrize("count", [1, 2, 5, 30, 32, 33])
@pytest.mark.parametrize("passes", [1, 2, 6, 9])
def test_passes_fill_every_step_once(count: int, passes: int) -> None:
    order = fill_order(count, passes, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(order).tolist()) == list(range(count))
    assert len(order) <= passes
    assert len(order) == min(passes, count) or passes < 6
    assert all(len(chosen) for chosen in order)


def test_each_pass_fills_steps_that_are_not_neighbours() -> None:
    order = fill_order(32, 6, torch.Generator().manual_seed(3))
    assert [len(chosen) for chosen in order] == [1, 1, 2, 4, 8, 16]
    for chosen in order:
        assert all(gap >= 2 for gap in chosen.sort().values.diff().tolist())


def test_drawn_codes_follow_the_given_chances() -> None:
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(20000, 3)
    codes = draw(logits, 1.0, torch.Generator().manual_seed(0))
    shares = torch.bincount(codes, minlength=3) / 20000
    assert torch.allclose(shares, torch.tensor([0.7, 0.2, 0.1]), atol=0.02)


def test_inputs_of_another_kind_are_refused_with_the_reason() -> None:
    model = make()
    motion, audio = speaker(40)
    for bad, sound, message in (
        (Motion(motion.values, fps=30.0), audio, "resample it first"),
        (Motion(motion.values, fps=25.0, space="flame"), audio, "'flame' space"),
        (motion, audio[:-1], "a row a frame"),
        (motion, audio[:, :3], "expected \\(40, 5\\)"),
    ):
        with pytest.raises(InputError, match=message):
            generate_listener(model, bad, sound, seed=0)
    with pytest.raises(InputError, match="expected one of unknown, negative"):
        generate_listener(model, motion, audio, seed=0, attitude="bored")


def test_loading_a_run_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a run directory nor a bundled name"):
        load_run(tmp_path / "none")


@torch.inference_mode()
def window_logits(model: DIM, attitude: str) -> torch.Tensor:
    """Chances of a window's first pass, in logs."""
    motion, audio = speaker(32)
    dyad = window_inputs(model, motion.values, audio, attitude)
    codes = dyad.codes["listener"][0]
    none = torch.zeros(len(codes), dtype=torch.bool)
    return CodePredictor(model, dyad).logits(codes, none, torch.arange(len(codes)))


def test_guidance_makes_the_attitude_count_for_more() -> None:
    plain, guided = make(), make(**{"generation.attitude_guidance": 3.0})
    for model in (plain, guided):
        assert model.attitude is not None
        torch.manual_seed(0)
        torch.nn.init.normal_(model.attitude.weight)
    unknown = window_logits(plain, "unknown")
    moved = window_logits(plain, "positive") - unknown
    assert float(moved.abs().mean()) > 1e-3
    torch.testing.assert_close(window_logits(guided, "unknown"), unknown)
    torch.testing.assert_close(window_logits(guided, "positive"), unknown + 3 * moved)


def test_guidance_needs_a_model_that_is_told_attitudes() -> None:
    with pytest.raises(InputError, match=r"attitude_guidance is 2, .* dim\.attitudes"):
        make(**{"generation.attitude_guidance": 2.0, "dim.attitudes": False})


@pytest.mark.parametrize("part", ["nod", "turn", "lids", "gaze", "mouth"])
def test_parts_of_the_face_are_drawn_at_temperatures_of_their_own(part: str) -> None:
    """Variety of many draws of one step: only the part whose factor is low has little."""
    logits = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(3)).expand(2000, 6, 16)
    model = make(**{"vq.parts": "face", f"generation.{part}_temperature": 0.01})
    codes = draw_step(model, "listener", logits, 0.9, torch.Generator().manual_seed(0))
    for index, name in enumerate(model.vqvae("listener").columns):
        variety = len(codes[:, index].unique())
        assert variety <= 2 if name == part else variety > 8


@pytest.mark.parametrize("kernel", [0, 5])
@pytest.mark.parametrize(("guidance", "weight"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.6), (2.0, 0.6)])
def test_an_autoregressive_decoder_gives_the_same_codes_without_its_memory(
    kernel: int, guidance: float, weight: float
) -> None:
    model = make(**{
        "dim.decoder": "autoregressive", "dim.local_kernel": kernel, "dim.decoder_layers": 2,
        "generation.attitude_guidance": guidance, "generation.history_weight": weight,
    })  # fmt: skip
    with torch.no_grad():
        model.heads["listener"].weight.mul_(5)
        if model.attitude is not None:
            model.attitude.weight.normal_()
    motion, audio = speaker(64)
    dyad = window_inputs(model, motion.values, audio, "positive")
    known = torch.randint(16, (3, model.parts), generator=torch.Generator().manual_seed(1))
    found = sample_codes(
        model, dyad, known, 0.9, steps=1, generator=torch.Generator().manual_seed(2)
    )
    # the same, with the whole decoder again for every step
    generator = torch.Generator().manual_seed(2)
    present = model.step_mask(dyad.mask)
    shown = {"speaker": present, "listener": torch.zeros_like(present)}
    codes = torch.zeros(16, model.parts, dtype=torch.long)
    codes[:3] = known
    with torch.inference_mode():
        for index in range(3, 16):
            dyad.codes["listener"][0] = codes
            told = []
            for attitude in (dyad.attitude, torch.tensor([UNKNOWN])):
                view = replace(dyad, attitude=attitude)
                full = model(view, shown).logits["listener"]
                alone = replace(view, forgotten=torch.ones_like(present))
                without = model(alone, shown).logits["listener"]
                told.append(without + weight * (full - without))
            logits = told[1] + guidance * (told[0] - told[1])
            codes[index] = draw(logits[0, index], 0.9, generator)
    assert torch.equal(found, codes)
    assert len(found.unique(dim=0)) > 4
