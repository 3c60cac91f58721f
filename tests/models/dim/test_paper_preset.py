"""The preset ``paper`` against the paper's equations, computed plainly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dimcli.core.config import with_overrides
from dimcli.data.clip import ROLES
from dimcli.models.dim.config import DIMRun, preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.layers import sinusoidal_positions
from dimcli.models.dim.objectives import (
    finetune_objective,
    pretrain_objective,
    standardised,
    vq_objective,
)
from dimcli.models.dim.vqvae import VQVAE
from dimcli.training.motion import MotionTraining
from dimcli.training.stages import StageOptions, train_vq, with_steps
from tests.models.conftest import random_batch
from tests.stores import AUDIO_DIM, make_store

SMALLER = {
    "vq.width": 32, "vq.layers": 1, "vq.feedforward": 48, "vq.dropout": 0.0,
    "dim.width": 32, "dim.role_layers": 1, "dim.joint_layers": 1, "dim.decoder_layers": 1,
    "dim.feedforward": 48, "dim.dropout": 0.0, "data.audio_dim": AUDIO_DIM, "data.space": "flame",
}  # fmt: skip


def paper(stage: str, **settings: object) -> DIMRun:
    return with_overrides(preset("paper", stage), {**SMALLER, **settings})


def made(**settings: object) -> DIM:
    torch.manual_seed(0)
    return DIM(paper("pretrain", **settings)).eval()


def test_equation_3_weighs_sums_over_the_motion_and_over_the_code() -> None:
    torch.manual_seed(0)
    config = paper("train-vq").vq
    model = VQVAE(config, "flame").eval()
    batch = random_batch()
    loss, _, _ = vq_objective(model, batch, "listener")
    motion, mask, part = batch.motion["listener"], batch.mask, model.part_modules[0]
    latent = part.encode(motion, mask)
    vector = part.quantizer(latent, mask).vectors
    sums = (motion - part.decode(vector, mask)).square().sum(dim=2)
    # equation 2: both of its terms have the same value, the second counts beta times
    sums = sums + (1 + config.commitment) * (latent - vector).square().sum(dim=2)
    torch.testing.assert_close(56 * loss, sums[mask].mean())


def test_equation_9_adds_a_sum_over_the_motion_to_the_codes_entropy() -> None:
    model, batch = made(**{"dim.outputs": "listener"}), random_batch()
    generator = torch.Generator().manual_seed(0)
    loss, _ = finetune_objective(model, batch, "listener", generator, augment=False)
    dyad = standardised(model, batch)
    there = batch.mask
    logits = model(dyad, {"speaker": there, "listener": torch.zeros_like(there)}).logits["listener"]
    codes = dyad.codes["listener"]
    entropy = F.cross_entropy(logits[:, :, 0].mT, codes[..., 0], reduction="none")
    vq = model.vqvae("listener")
    decoded = vq.decode(vq.vectors(logits.argmax(dim=-1)), there)
    terms = entropy + (batch.motion["listener"] - decoded).square().sum(dim=2)
    torch.testing.assert_close(loss, terms[there].mean())


def test_role_encoders_work_on_visible_frames_alone_and_come_to_the_same() -> None:
    model, batch = made(), random_batch(size=2, frames=192)
    worked: dict[str, int] = {}
    for role in ROLES:
        block = model.encoder[role].blocks[0]  # type: ignore[union-attr, index]
        block.register_forward_hook(
            lambda module, given, out, role=role: worked.update({role: given[0].shape[1]})
        )
    generator = torch.Generator().manual_seed(0)
    pretrain_objective(model, batch, generator, augment=False)
    assert worked == {"speaker": 48, "listener": 48}
    dyad = standardised(model, batch)
    visible = torch.rand(2, 192, generator=generator) < 0.25
    found = model.encode_role("speaker", dyad, visible)
    features = model.embed["speaker"](dyad.motion["speaker"]) + model.role_token["speaker"]
    features = features + sinusoidal_positions(192, 32, features)
    whole = model.encoder["speaker"](features, visible)
    torch.testing.assert_close(found, whole * visible[..., None], atol=1e-5, rtol=1e-5)
    nothing = torch.zeros_like(visible)
    assert bool((model.encode_role("speaker", dyad, nothing) == 0).all())


def test_an_epoch_is_a_window_for_each_stretch_of_every_training_clip(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data", frames=60)  # 4 training clips of 2.4 s
    config = preset("paper", "pretrain")
    for window_s, batch, epochs, steps in (
        (6.4, 32, 100.0, 13),  # 4 windows: 400 / 32
        (1.0, 4, 1.0, 3),  # 3 windows a clip: 12 / 4
        (1.0, 5, 2.5, 6),  # 30 / 5
    ):
        training = replace(
            config.training, window_s=window_s, batch_size=batch, epochs=epochs, conversations=0
        )
        assert with_steps(replace(config, training=training), store).training.steps == steps
    steps_said = StageOptions(preset="paper", steps=7).settings()
    assert with_overrides(config, steps_said).training.epochs == 0.0
    run = tmp_path / "run"
    often = {"training.batch_size": 2, "training.validate_every": 1}
    options = StageOptions(preset="tiny", epochs=1, overrides=often, device="cpu")
    assert (
        train_vq(tmp_path / "data", run, "listener", options).step == 4
    )  # 2 windows a clip: 8 / 2


def test_training_is_adam_as_the_paper_has_it(tmp_path: Path) -> None:
    config = paper("pretrain").training
    assert (config.learning_rate, config.epochs, config.schedule) == (1e-5, 100.0, "constant")
    model = torch.nn.Linear(2, 2)
    training = MotionTraining(
        model, None, None, None, config, directory=tmp_path, device=torch.device("cpu")
    )  # type: ignore[arg-type]
    plain = torch.nn.Linear(2, 2)
    plain.load_state_dict(model.state_dict())
    adam = torch.optim.Adam(plain.parameters(), lr=1e-5)
    for step in range(3):
        for each, optimizer in ((model, training.optimizer), (plain, adam)):
            optimizer.zero_grad()
            each(torch.full((1, 2), step + 1.0)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight, plain.weight)
    training.ahead.close()


@pytest.mark.parametrize("stage", ["train-vq", "pretrain", "finetune"])
def test_the_codebook_is_set_by_k_means_and_learns_faster_than_the_rest(stage: str) -> None:
    config = preset("paper", stage)
    assert config.vq.warmup_steps > 0
    assert config.training.learning_rate == (1e-4 if stage == "train-vq" else 1e-5)
