"""Speakers from their speech: what a fine-tuned model's speaker task generates.

The windows are those of :mod:`dimcli.models.dim.listener`. In each, head, brows, lids, gaze and
smile are sampled as a listener's are; the mouth is then decoded from the expected code vectors,
given all that was sampled (``dim.mouth``), so that the lips follow the sound and not the dice.

Axes: T frames, N steps of a window, A audio features, P parts.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.audio import MEL, MEL4, MEL_DIM
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import ATTITUDES, UNKNOWN_STYLE, DataConfig
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim.articulation import pauses, rested, sharpened
from dimcli.models.dim.dim import DIM, Dyad
from dimcli.models.dim.sampling import Chances, Sampling, sample_codes
from dimcli.models.listener_io import one_thread, plausible
from dimcli.models.windows import Track, windows

Floats = NDArray[np.float32]

LEAD_S = 0.12
"""Recorded speech is heard so much early. The lips of four real talkers agree best with lips made
0.01, 0.08, 0.21 and 0.24 s early (published clips have their picture ahead of their sound), and
sound that is late by less than 0.125 s is not noticed (ITU-R BT.1359)."""


def load_speaker(run: Path, device: str = "auto") -> DIM:
    """The model of a run that generates speakers. Raises InputError when the run can't."""
    config, model = load_dim(run, choose_device(device))
    if "speaker" not in config.dim.output_roles or config.dim.targets != "codes":
        raise InputError(
            f"{run}: generates {config.role}s; expected a run of dim finetune --task speaker"
        )
    return model


def generate_speaker(
    model: DIM,
    audio: Floats,
    *,
    seed: int,
    temperature: float | None = None,
    steps: int | None = None,
    style: str = UNKNOWN_STYLE,
) -> Motion:
    """A speaker who says what is heard in ``audio``: motion at the model's rate.

    ``audio`` float32 [T, A]: the speech by the model's encoder, a row a frame. ``steps`` passes a
    window and ``temperature`` (0 takes the likeliest code) default to the run's. The same seed
    gives the same motion. Raises InputError when an input is not what the model was trained on.
    """
    config = model.config
    check_speech(config.data, audio)
    told = style_index(model, style)
    sampling = Sampling.of(config, temperature, steps)
    temperature, steps = sampling.temperature, sampling.steps
    size, overlap, stride = sampling.window, sampling.overlap, config.vq.stride
    generator = torch.Generator().manual_seed(seed)
    frames = len(audio)
    total = -(-frames // stride)
    track = Track(total, stride, MOTION_DIM)
    codes = torch.zeros(0, model.parts, dtype=torch.long)
    start = 0
    with one_thread():
        for window in windows(total, size, overlap):
            known = codes[window.start - start :]
            heard = np.arange(window.start * stride, window.stop * stride).clip(max=frames - 1)
            dyad = speech_inputs(model, audio[heard], told)
            codes = sample_codes(
                model,
                dyad,
                known,
                temperature,
                steps=steps,
                generator=generator,
                role="speaker",
            )
            start = window.start
            track.write(window, decode_speaker(model, dyad, codes))
    values = track.frames[:frames].numpy()
    return Motion(
        plausible(quiet_in_pauses(model, values, audio), config.data.space),
        fps=config.data.fps,
        space=config.data.space,
        meta={"generated": "dim", "seed": seed, "temperature": temperature, "style": style},
    )


def quiet_in_pauses(model: DIM, values: Floats, audio: Floats) -> Floats:
    """``values`` [T, 56] with the mouth at rest in the pauses of ``audio`` [T, A], where the
    model's features and its space say what these are."""
    data = model.config.data
    if data.space != "arkit" or data.audio_encoder not in (MEL.name, MEL4.name):
        return values
    if data.audio_dim % MEL_DIM:
        return values
    return rested(values, pauses(audio, data.fps))


def advanced(heard: Floats, fps: float) -> Floats:
    """Features [T, A] of a recording, ``LEAD_S`` early; its last row is held at the end."""
    frames = min(round(LEAD_S * fps), len(heard) - 1)
    return np.concatenate([heard[frames:], np.repeat(heard[-1:], frames, axis=0)])


def check_speech(data: DataConfig, audio: Floats) -> None:
    """Raise InputError unless ``audio`` is what a model trained on ``data`` hears."""
    if audio.ndim != 2 or audio.shape[1] != data.audio_dim:
        raise InputError(
            f"audio features have shape {audio.shape}; expected (frames, {data.audio_dim}) of the "
            f"'{data.audio_encoder}' encoder, a row a frame"
        )
    if len(audio) == 0:
        raise InputError("speech is empty; expected at least one frame")
    if not np.isfinite(audio).all():
        raise InputError("audio features have NaN or infinite values")


def style_index(model: DIM, style: str) -> int:
    """Index of a style by its name. Raises InputError that lists those of the model."""
    if style not in model.styles:
        raise InputError(f"--style {style}: expected one of {', '.join(model.styles)}")
    return model.styles.index(style)


def speech_inputs(model: DIM, audio: Floats, style: int) -> Dyad:
    """One window as the model's input, a batch of one; nobody is seen."""
    device = model.audio_mean.device
    sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None].to(device)
    frames = sound.shape[1]
    steps = frames // model.config.vq.stride
    nothing = torch.zeros(1, frames, MOTION_DIM, device=device)
    codes = {role: torch.zeros(1, steps, model.parts, dtype=torch.long) for role in model.vq}
    return Dyad(
        motion={"speaker": nothing, "listener": nothing},
        audio=model.standardise_audio(sound),
        mask=torch.ones(1, frames, dtype=torch.bool, device=device),
        attitude=torch.tensor([ATTITUDES.index("unknown")], device=device),
        codes={role: value.to(device) for role, value in codes.items()},
        style=torch.tensor([style], device=device),
    )


@torch.inference_mode()
def decode_speaker(
    model: DIM, dyad: Dyad, codes: Tensor, expected: tuple[Tensor, Tensor | None] | None = None
) -> Tensor:
    """Codes long [N, P] of a window -> motion float32 [T, 56] in its units.

    An expected mouth comes from ``expected``, logits [N, P, K] and its residual [T, C] (see
    :meth:`Chances.everything`); None: those given all of ``codes``.
    """
    vq = model.vqvae("speaker")
    there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
    standardised = vq.decode(vq.vectors(codes[None]), there)
    if model.expects_mouth:
        mouth = _heard_mouth(model, dyad, codes, expected)
        standardised[..., model.mouth_columns] = _over_offsets(model, dyad, codes, mouth)
    motion = vq.unstandardise(standardised)[0].float()
    sharpening = model.config.generation.sharpening
    if model.expects_mouth and sharpening:
        motion = sharpened(motion, model.mouth_columns, sharpening, model.fps)
    return motion


def _heard_mouth(
    model: DIM, dyad: Dyad, codes: Tensor, expected: tuple[Tensor, Tensor | None] | None = None
) -> Tensor:
    """The expected mouth of a window, standardised [1, T, C]; see :func:`decode_speaker`."""
    there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
    if expected is None:
        everywhere = torch.arange(len(codes), device=codes.device)
        expected = Chances(model, dyad, "speaker").everything(codes, there[0], everywhere)
    logits, residual = expected
    return model.expected_mouth(logits[None], None if residual is None else residual[None], there)


def _over_offsets(model: DIM, dyad: Dyad, codes: Tensor, mouth: Tensor) -> Tensor:
    """The mean of ``mouth`` [1, T, C] and of what it is when the sound comes some frames later in
    its steps (``generation.offsets``)."""
    total, count = mouth.clone(), torch.ones_like(mouth[..., :1])
    for late in range(1, min(model.config.generation.offsets, mouth.shape[1])):
        held = dyad.audio[:, :1].expand(-1, late, -1)
        delayed = replace(dyad, audio=torch.cat([held, dyad.audio[:, :-late]], dim=1))
        total[:, :-late] += _heard_mouth(model, delayed, codes)[:, late:]
        count[:, :-late] += 1
    return total / count
