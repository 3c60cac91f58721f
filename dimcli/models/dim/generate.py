"""Whole clips from a fine-tuned model. Nothing here ever sees the truth.

Long input runs in windows. A window starts from the codes of the last one, which stay fixed and
visible, so that memory does not grow with the clip and windows join without a seam;
:mod:`dimcli.models.dim.sampling` fills a window. Listener and speaker are two settings of one
model. Of a speaker, head, brows, lids, gaze and smile are sampled as a listener's are; the mouth is
then decoded from the expected code vectors, given all that was sampled (``dim.mouth``), so that the
lips follow the sound and not the dice.

Axes: T frames, N steps of a window, P parts, A audio features, C columns of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dimcli.audio import MEL, MEL4, MEL_DIM
from dimcli.core.device import one_thread
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Floats, Motion
from dimcli.data.clip import ATTITUDES, UNKNOWN_STYLE, Stimulus
from dimcli.models.checkpoint import Run, as_dim
from dimcli.models.dim.articulation import pauses, rested, sharpened
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.dim import DIM, Dyad
from dimcli.models.dim.sampling import CodePredictor, Sampling, sample_codes
from dimcli.models.dim.stillness import Hold
from dimcli.models.dim.traits import told
from dimcli.models.windows import Track, check_stimulus, clip_to_range, speaker_values, windows


def model_of(run: Run, folder: Path, role: str) -> DIM:
    """The model of a run, of ``folder``, that generates ``role``. InputError when the run can't."""
    config, model = as_dim(run, folder)
    if role == "listener" and role not in config.dim.output_roles:
        raise InputError(f"{folder}: was fine-tuned for the {config.role}; expected a listener run")
    if role == "speaker" and (role not in config.dim.output_roles or config.dim.targets != "codes"):
        raise InputError(
            f"{folder}: generates {config.role}s; expected a run of dim finetune --task speaker"
        )
    return model


@dataclass(frozen=True)
class DIMModel:
    """A fine-tuned model that generates ``role``; see :class:`dimcli.models.registry.Model`."""

    model: DIM
    role: str

    @property
    def config(self) -> DIMRun:
        """The run's configuration."""
        return self.model.config

    def answer(
        self,
        stimulus: Stimulus,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
    ) -> Motion:
        """Motion of the stimulus's length and rate; a style that the model does not know
        counts as unknown."""
        stimulus = replace(stimulus, style=known_style(self.model, stimulus.style))
        return generate(
            self.model, self.role, stimulus, seed=seed, temperature=temperature, steps=steps
        )


def generate(
    model: DIM,
    role: str,
    stimulus: Stimulus,
    *,
    seed: int,
    temperature: float | None = None,
    steps: int | None = None,
) -> Motion:
    """``role``'s motion for ``stimulus``, of the same length and rate.

    ``steps`` passes a window (1 is the paper's) and ``temperature`` (0 takes the likeliest code)
    default to the run's. The same seed gives the same motion. Raises InputError when an input is
    not what the model was trained on.
    """
    config = model.config
    check_stimulus(config.data, stimulus)
    style = style_index(model, stimulus.style) if role == "speaker" else None
    attitude = stimulus.attitude if role == "listener" else "unknown"
    traits = listener_traits(model, stimulus, seed) if role == "listener" else None
    sampling = Sampling.of(config, temperature, steps)
    stride, frames = config.vq.stride, len(stimulus)
    generator = torch.Generator().manual_seed(seed)
    speaker = None
    if role == "listener":
        speaker = _speaker_of(model, stimulus)
    total = -(-frames // stride)
    track = Track(total, stride, MOTION_DIM)
    codes = torch.zeros(0, model.parts, dtype=torch.long)
    start = 0
    with one_thread(), torch.inference_mode():
        for window in windows(total, sampling.window, sampling.overlap):
            held = np.arange(window.start * stride, window.stop * stride).clip(max=frames - 1)
            seen = None if speaker is None else speaker[held]
            dyad = window_inputs(model, seen, stimulus.audio[held], attitude, style, traits)
            if config.dim.targets == "motion":
                decoded = predict_window(model, dyad)
            else:
                codes = sample_codes(
                    model,
                    dyad,
                    codes[window.start - start :],
                    sampling.temperature,
                    steps=sampling.steps,
                    generator=generator,
                    role=role,
                )
                start = window.start
                decoded = decode(model, role, dyad, codes)
            track.write(window, decoded)
    values = track.frames[:frames].numpy()
    meta = {"generated": "dim", "seed": seed, "temperature": sampling.temperature}
    if role == "listener":
        meta["steps"] = sampling.steps
        values, _ = Hold.of(config.generation, model.fps)(values)
    else:
        values = quiet_in_pauses(model, values, stimulus.audio)
        meta["style"] = stimulus.style
    return Motion(
        clip_to_range(values, config.data.space),
        fps=config.data.fps,
        space=config.data.space,
        meta=meta,
    )


def _speaker_of(model: DIM, stimulus: Stimulus) -> Floats:
    """The speaker's motion [T, 56] as the model takes it. One that needs a face is given, where
    none was seen, what the tracker made up; others NaN."""
    centred, seen = model.config.dim.speaker_centering, stimulus.speaker
    if not model.config.face_optional:
        return speaker_values(stimulus.seen, centred)
    hidden = seen_motion(model, stimulus)
    if seen is None:
        return hidden
    return np.where(np.isnan(hidden), hidden, speaker_values(seen, centred))


def seen_motion(model: DIM, stimulus: Stimulus) -> Floats:
    """What is seen of the speaker, [T, 56]: NaN where no face is. Raises InputError where there is
    none at all, for a model that cannot do without."""
    if stimulus.speaker is None and model.config.face_optional:
        return np.full((len(stimulus), MOTION_DIM), np.nan, np.float32)
    return np.where(stimulus.seen.valid[:, None], stimulus.seen.values, np.float32(np.nan))


def listener_traits(model: DIM, stimulus: Stimulus, seed: int) -> Tensor | None:
    """Traits [1, 5] of the listener who answers; None for a model that takes none."""
    if model.traits is None:
        return None
    lift = model.config.generation.smile_lift if stimulus.attitude == "unknown" else 0.0
    attitude = ATTITUDES.index(stimulus.attitude)
    return told(model.people, attitude, dict(stimulus.traits), seed, lift)


def known_style(model: DIM, style: str) -> str:
    """``style`` where the model knows it, else the unknown one."""
    return style if style in model.styles else UNKNOWN_STYLE


def style_index(model: DIM, style: str) -> int:
    """Index of a style by its name. Raises InputError that lists those of the model."""
    if style not in model.styles:
        raise InputError(f"--style {style}: expected one of {', '.join(model.styles)}")
    return model.styles.index(style)


def window_inputs(
    model: DIM,
    speaker: Floats | None,
    audio: Floats,
    attitude: str,
    style: int | None = None,
    traits: Tensor | None = None,
) -> Dyad:
    """One window as the model's input, a batch of one: the ``speaker`` [T, 56] (None where that
    one is generated; NaN where no face was seen) and the ``audio`` [T, A]; the role to be generated
    is all zeros.
    ``traits`` [1, 5] are the listener's (:func:`listener_traits`)."""
    device = model.audio_mean.device
    sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None].to(device)
    frames = sound.shape[1]
    steps = frames // model.config.vq.stride
    codes = {role: torch.zeros(1, steps, model.parts, dtype=torch.long) for role in model.vq}
    there = torch.ones(1, frames, dtype=torch.bool, device=device)
    seen = torch.zeros(1, frames, MOTION_DIM, device=device)
    unseen = None
    if speaker is not None:
        motion = torch.from_numpy(np.ascontiguousarray(speaker, np.float32))[None].to(device)
        unseen = ~model.step_mask(motion.isfinite().all(dim=2))
        motion = motion.nan_to_num()
        seen = model.standardise_motion(motion, "speaker")
        if "speaker" in codes:
            vq = model.vqvae("speaker")
            codes["speaker"] = vq.encode(vq.standardise(motion), there)
    return Dyad(
        motion={"speaker": seen, "listener": torch.zeros_like(seen)},
        audio=model.standardise_audio(sound),
        mask=there,
        attitude=torch.tensor([ATTITUDES.index(attitude)], device=device),
        traits=traits,
        codes={role: value.to(device) for role, value in codes.items()},
        style=None if style is None else torch.tensor([style], device=device),
        unseen=unseen,
    )


@torch.inference_mode()
def predict_window(model: DIM, dyad: Dyad) -> Tensor:
    """What a model that predicts motion itself says of a window: [T, 56] in its units."""
    seen = model.partner_seen("listener", dyad)
    output = model(dyad, {"speaker": seen, "listener": torch.zeros_like(seen)}).logits["listener"]
    return model.unstandardise_listener(output)[0].float()


@torch.inference_mode()
def decode(
    model: DIM,
    role: str,
    dyad: Dyad,
    codes: Tensor,
    expected: tuple[Tensor, Tensor | None] | None = None,
) -> Tensor:
    """Codes long [N, P] of a window -> motion float32 [T, 56] of ``role`` in its units.

    A speaker's expected mouth comes from ``expected``, logits [N, P, K] and its residual [T, C]
    (see :meth:`CodePredictor.logits_and_residual`); None: those given all of ``codes``.
    """
    vq = model.vqvae(role)
    there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
    standardised = vq.decode(vq.vectors(codes[None]), there)
    if role == "listener" or not model.expects_mouth:
        return vq.unstandardise(standardised)[0].float()
    mouth = _expected_mouth(model, dyad, codes, expected)
    standardised[..., model.mouth_columns] = _over_offsets(model, dyad, codes, mouth)
    motion = vq.unstandardise(standardised)[0].float()
    sharpening = model.config.generation.sharpening
    if sharpening:
        motion = sharpened(motion, model.mouth_columns, sharpening, model.fps)
    return motion


def _expected_mouth(
    model: DIM, dyad: Dyad, codes: Tensor, expected: tuple[Tensor, Tensor | None] | None = None
) -> Tensor:
    """The expected mouth of a window, standardised [1, T, C]; see :func:`decode`."""
    there = torch.ones(1, len(codes), dtype=torch.bool, device=codes.device)
    if expected is None:
        everywhere = torch.arange(len(codes), device=codes.device)
        expected = CodePredictor(model, dyad, "speaker").logits_and_residual(
            codes, there[0], everywhere
        )
    logits, residual = expected
    return model.expected_mouth(logits[None], None if residual is None else residual[None], there)


def _over_offsets(model: DIM, dyad: Dyad, codes: Tensor, mouth: Tensor) -> Tensor:
    """The mean of ``mouth`` [1, T, C] and of what it is when the sound comes some frames later in
    its steps (``generation.offsets``)."""
    total, count = mouth.clone(), torch.ones_like(mouth[..., :1])
    for late in range(1, min(model.config.generation.offsets, mouth.shape[1])):
        held = dyad.audio[:, :1].expand(-1, late, -1)
        delayed = replace(dyad, audio=torch.cat([held, dyad.audio[:, :-late]], dim=1))
        total[:, :-late] += _expected_mouth(model, delayed, codes)[:, late:]
        count[:, :-late] += 1
    return total / count


def quiet_in_pauses(model: DIM, values: Floats, audio: Floats) -> Floats:
    """``values`` [T, 56] with the mouth at rest in the pauses of ``audio`` [T, A], where the
    model's features and its space say what these are."""
    data = model.config.data
    if data.space != "arkit" or data.audio_encoder not in (MEL.name, MEL4.name):
        return values
    if data.audio_dim % MEL_DIM:
        return values
    return rested(values, pauses(audio, data.fps))
