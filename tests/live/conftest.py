"""A small causal listener, and something for it to hear and see."""

import numpy as np
import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from weights import DEFAULT_SPEAKER, resolve


def spread_out(model: DIM) -> DIM:
    """The model, untrained, with codebooks whose codes are told apart."""
    for vq in model.vq.values():
        for part in vq.part_modules:
            part.quantizer.initialise(torch.randn(64, part.quantizer.codebook.shape[1]))
    return model.eval()


@pytest.fixture(scope="session")
def listener() -> DIM:
    settings = {"dim.outputs": "listener", "dim.causal": True, "vq.causal": True}
    config = with_overrides(
        preset("tiny", "finetune"),
        {"data.audio_dim": 32, "data.audio_encoder": "mel", **settings},
    )
    torch.manual_seed(0)
    return spread_out(DIM(config))


@pytest.fixture(scope="session")
def sound() -> np.ndarray:
    """Six seconds of a buzz that comes and goes, 16 kHz."""
    time = np.arange(16000 * 6) / 16000
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) * (np.sin(2 * np.pi * 0.7 * time) > 0)
    return (0.1 * buzz + 0.001 * np.random.default_rng(0).normal(size=len(time))).astype("float32")


@pytest.fixture(scope="session")
def speaker() -> DIM:
    """The bundled one."""
    return load_dim(resolve(DEFAULT_SPEAKER))[1]
