"""Whole clips through a trained baseline. Nothing here ever sees a true listener."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import ATTITUDES
from dimcli.models.base import Baseline
from dimcli.models.config import RunConfig
from dimcli.models.listener_io import check_speaker, one_thread, plausible, speaker_values
from dimcli.models.nearest import Nearest

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class BaselineListener:
    """A trained baseline that generates listeners."""

    model: Baseline | Nearest

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.model.config

    def generate(
        self,
        speaker: Motion,
        audio: Floats,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
        attitude: str = "unknown",
    ) -> Motion:
        """A listener for ``speaker``; see :func:`dimcli.models.dim.listener.generate_listener`.

        ``temperature`` is for L2L and ELP, ``attitude`` for models that are told it; ``steps`` is
        DIM's alone.
        """
        config, model = self.config, self.model
        check_speaker(config.data, speaker, audio, attitude)
        temperature = config.generation.temperature if temperature is None else temperature
        if temperature < 0:
            raise InputError(f"temperature is {temperature}; expected 0 or more")
        device = next(model.buffers()).device
        motion = torch.from_numpy(speaker_values(speaker, config.centred)).to(device)
        sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32)).to(device)
        with one_thread(), torch.inference_mode():
            if isinstance(model, Nearest):
                values = model.respond(motion, sound)
            else:
                told = torch.tensor(ATTITUDES.index(attitude), device=device)
                generator = torch.Generator().manual_seed(seed)
                inputs = model.speaker_inputs(motion[None], sound[None])
                values = model.respond(inputs[0][0], inputs[1][0], told, generator, temperature)
        return Motion(
            plausible(values.float().cpu().numpy(), config.data.space),
            fps=speaker.fps,
            space=speaker.space,
            meta={"generated": config.kind, "seed": seed, "temperature": temperature},
        )
