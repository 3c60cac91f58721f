"""Sampling listeners from a fine-tuned model. Nothing here ever sees a true listener.

Long input runs in windows. A window starts from the codes of the last one, which stay fixed and
visible, so that memory does not grow with the clip and windows join without a seam.
:mod:`dimcli.models.dim.sampling` fills a window.

Axes: T frames, N steps of a window, D features, P parts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import ATTITUDES
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim.dim import DIM, Dyad
from dimcli.models.dim.sampling import Sampling, sample_codes
from dimcli.models.listener_io import check_speaker, one_thread, plausible, speaker_values

Floats = NDArray[np.float32]


def load_listener(run: Path, device: str = "auto") -> DIM:
    """The model of a run that generates listeners. Raises InputError when the run can't."""
    config, model = load_dim(run, choose_device(device))
    if "listener" not in config.dim.output_roles:
        raise InputError(f"{run}: was fine-tuned for the {config.role}; expected a listener run")
    return model


def generate_listener(
    model: DIM,
    speaker: Motion,
    audio: Floats,
    *,
    seed: int,
    temperature: float | None = None,
    steps: int | None = None,
    attitude: str = "unknown",
) -> Motion:
    """A listener for ``speaker``: motion of the same length and rate.

    ``audio`` float32 [T, A]: the speaker's sound, by the model's encoder, a row a frame. ``steps``
    passes a window (1 is the paper's) and ``temperature`` (0 takes the likeliest code) default to
    the run's. ``attitude`` is one of ``ATTITUDES``. The same seed gives the same motion. Raises
    InputError when an input is not what the model was trained on.
    """
    config = model.config
    check_speaker(config.data, speaker, audio, attitude)
    sampling = Sampling.of(config, temperature, steps)
    temperature, steps = sampling.temperature, sampling.steps
    window, overlap, stride = sampling.window, sampling.overlap, config.vq.stride
    generator = torch.Generator().manual_seed(seed)

    frames = len(speaker)
    total = -(-frames // stride)
    values = speaker_values(speaker, config.dim.speaker_centering)
    output = np.empty((total * stride, values.shape[1]), np.float32)
    known = torch.zeros(0, 1, dtype=torch.long)
    start = done = 0
    with one_thread():
        while True:
            size = min(window, total - start)
            held = np.minimum(np.arange(start * stride, (start + size) * stride), frames - 1)
            dyad = window_inputs(model, values[held], audio[held], attitude)
            if config.dim.targets == "motion":
                decoded = predict_window(model, dyad)
            else:
                codes = sample_codes(
                    model, dyad, known, temperature, steps=steps, generator=generator
                )
                decoded = _decode(model, codes)
            # Both windows decode the overlap; each is surest away from its own edge.
            prefix = (done - start) * stride
            fade = (np.arange(prefix, dtype=np.float32)[:, None] + 1) / (prefix + 1)
            old = output[start * stride : done * stride]
            decoded[:prefix] = old * (1 - fade) + decoded[:prefix] * fade
            output[start * stride : (start + size) * stride] = decoded
            done = start + size
            if done == total:
                break
            following = min(done - overlap, total - window)
            if config.dim.targets == "codes":
                known = codes[following - start :]
            start = following
    return Motion(
        plausible(output[:frames], config.data.space),
        fps=speaker.fps,
        space=speaker.space,
        meta={"generated": "dim", "seed": seed, "temperature": temperature, "steps": steps},
    )


def window_inputs(model: DIM, speaker: Floats, audio: Floats, attitude: str) -> Dyad:
    """One window as the model's input, a batch of one; the listener is all zeros."""
    device = model.audio_mean.device
    motion = torch.from_numpy(np.ascontiguousarray(speaker, np.float32))[None].to(device)
    sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None].to(device)
    steps = motion.shape[1] // model.config.vq.stride
    standardised = model.standardise_motion(motion, "speaker")
    codes = {role: torch.zeros(1, steps, model.parts, dtype=torch.long) for role in model.vq}
    if "speaker" in codes:
        there = torch.ones(motion.shape[:2], dtype=torch.bool, device=device)
        vq = model.vqvae("speaker")
        codes["speaker"] = vq.encode(vq.standardise(motion), there)
    return Dyad(
        motion={"speaker": standardised, "listener": torch.zeros_like(standardised)},
        audio=model.standardise_audio(sound),
        mask=torch.ones(motion.shape[:2], dtype=torch.bool, device=device),
        attitude=torch.tensor([ATTITUDES.index(attitude)], device=device),
        codes={role: value.to(device) for role, value in codes.items()},
    )


@torch.inference_mode()
def predict_window(model: DIM, dyad: Dyad) -> Floats:
    """What a model that predicts motion itself says of a window: float32 [T, 56] in its units."""
    nothing = torch.zeros_like(model.step_mask(dyad.mask))
    output = model(dyad, {"speaker": ~nothing, "listener": nothing}).logits["listener"]
    predicted: Floats = model.unstandardise_listener(output)[0].float().cpu().numpy()
    return predicted


@torch.inference_mode()
def _decode(model: DIM, codes: Tensor) -> Floats:
    """Codes long [N, P] -> motion float32 [T, 56] in its units."""
    vq = model.vqvae("listener")
    there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
    motion = vq.unstandardise(vq.decode(vq.vectors(codes[None]), there))
    decoded: Floats = motion[0].float().cpu().numpy()
    return decoded
