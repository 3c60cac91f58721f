"""The paper's model as a method; how its stages train is in :mod:`dimcli.training.stages`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from dimcli.data.clip import ROLES
from dimcli.models.dim.config import DIMRun, preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import DIMModel, model_of
from dimcli.models.dim.online import OnlineModel
from dimcli.models.dim.vqvae import VQVAE
from dimcli.models.names import PRESETS
from dimcli.models.registry import Method, Model, Run, register


def build(config: DIMRun) -> nn.Module:
    """The VQ-VAE or the dyadic model that a configuration describes."""
    return VQVAE(config.vq, config.data.space) if config.kind == "vq" else DIM(config)


def open_run(run: Run, folder: Path, role: str, online: bool) -> Model:
    """What answers as ``role``, as a stream if ``online``. InputError when the run can't."""
    model = model_of(run, folder, role)
    return OnlineModel(model, role) if online else DIMModel(model, role)


register(
    Method(
        "dim",
        ROLES,
        presets={name: preset(name, "finetune") for name in PRESETS},
        build=build,
        open=open_run,
    )
)
