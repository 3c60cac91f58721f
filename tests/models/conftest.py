import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.data.clip import DataConfig
from dimcli.data.windows import Batch
from dimcli.models.dim.config import DIMRun, preset


def tiny_config(**settings: object) -> DIMRun:
    """The tiny fine-tuning preset with an audio width, and dotted ``settings``."""
    config = with_overrides(preset("tiny", "finetune"), {"data.audio_dim": 5, **settings})
    assert isinstance(config.data, DataConfig)
    return config


def random_batch(size: int = 3, frames: int = 32, audio_dim: int = 5, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return Batch(
        motion={role: 0.3 * noise(size, frames, 56) for role in ("speaker", "listener")},
        audio=noise(size, frames, audio_dim),
        mask=torch.ones(size, frames, dtype=torch.bool),
        attitude=torch.arange(size) % 4,
    )


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
