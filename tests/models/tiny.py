from __future__ import annotations

import numpy as np
import torch

from dimcli.core.config import with_overrides
from dimcli.data.windows import Batch
from dimcli.models.baseline import Baseline
from dimcli.models.coded import CodedBaseline
from dimcli.models.registry import build_model, method
from tests.stores import AUDIO_DIM, smooth


def make(name: str, **settings: object) -> Baseline:
    """An untrained tiny baseline without augmentation; codebooks spread out."""
    plain = {"data.audio_dim": AUDIO_DIM, "inputs.noise_std": 0.0, "inputs.modality_dropout": 0.0}
    config = with_overrides(method(name).preset("tiny"), {**plain, **settings})
    torch.manual_seed(0)
    model = build_model(config)
    assert isinstance(model, Baseline)
    if isinstance(model, CodedBaseline):
        for part in model.vq.part_modules:
            part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model.eval()


def smooth_batch(size: int = 3, frames: int = 32, there: int | None = None) -> Batch:
    """Smooth dyads; the mask covers the first ``there`` frames."""
    random = np.random.default_rng(0)

    def curves(columns: int) -> torch.Tensor:
        found = [smooth(random, frames, columns) for _ in range(size)]
        return torch.from_numpy(np.stack(found))

    mask = torch.zeros(size, frames, dtype=torch.bool)
    mask[:, : frames if there is None else there] = True
    return Batch(
        motion={"speaker": curves(56), "listener": curves(56)},
        audio=curves(AUDIO_DIM),
        mask=mask,
        attitude=torch.arange(size) % 4,
    )


def overfit(model: Baseline, batch: Batch, steps: int, rate: float = 1e-2) -> tuple[float, float]:
    """First and last loss of ``steps`` steps on one batch."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    generator = torch.Generator().manual_seed(0)
    model.train()
    losses = []
    for step in range(steps):
        loss, _ = model.objective(batch, step, generator, True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses[0], losses[-1]


def untouched(model: Baseline, batch: Batch) -> list[str]:
    """Names of the trainable parameters that a step's gradient does not reach."""
    loss, _ = model.train().objective(batch, 0, torch.Generator().manual_seed(0), True)
    loss.backward()
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
    ]
