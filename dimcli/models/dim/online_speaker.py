"""Speakers whose speech is still going on: sound in, motion out, a little later.

A step (``stride`` frames) is answered once ``LOOK_AHEAD_S`` more has been heard, because lips are
shaped by the sounds that follow; a model trained under causal masks needs no more than the step.
What is known of the past is bounded by one window. All of it is in one :class:`SpeakingState`, so
how the sound is cut into pieces makes no difference.

Axes: T frames, N steps, P parts, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.audio import MEL, MEL4, MEL_DIM, SAMPLE_RATE
from dimcli.audio.online_mel import online_mel
from dimcli.audio.sound import checked_sound
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import UNKNOWN_STYLE
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.sampling import Chances
from dimcli.models.dim.speaker import advanced, decode_speaker, speech_inputs, style_index
from dimcli.models.draws import draw
from dimcli.models.listener_io import one_thread, plausible

Floats = NDArray[np.float32]

LOOK_AHEAD_S = 0.24
"""How much of the future is heard before a step is answered: lips prepare for about so long."""
WINDOW_S = 2.56
"""How much of the past, and the look-ahead, a step is answered from."""
_JOIN_FRAMES = 3
"""Frames over which a new step leaves the last frame that was given out."""


@dataclass(frozen=True)
class SpeakingState:
    """All that a stream knows: nothing else is kept between two calls.

    ``audio`` [T, A], what was heard in the window; ``codes`` long [N, P] of its steps that were
    answered; ``last`` [1, 56], the frame given out last (or [0, 56]); ``random``, the generator's
    state.
    """

    audio: Floats
    codes: Tensor
    last: Floats
    random: Tensor


class OnlineSpeaker:
    """A speaker that says what it hears while it is being said."""

    def __init__(
        self, model: DIM, *, temperature: float | None = None, style: str = UNKNOWN_STYLE
    ) -> None:
        """Raises InputError where there is no such style."""
        fps, stride = model.fps, model.config.vq.stride
        self._model, self._stride = model, stride
        self._style = style_index(model, style)
        stored = model.config.generation.temperature
        self._temperature = stored if temperature is None else temperature
        causal = model.config.dim.causal and model.config.vq.causal
        self._ahead = 0 if causal else -(-round(LOOK_AHEAD_S * fps) // stride)
        self._window = max(self._ahead + 2, round(WINDOW_S * fps) // stride)

    @property
    def delay_s(self) -> float:
        """Seconds between a sound and the lips that answer it, at most."""
        return (1 + self._ahead) * self._stride / self._model.fps

    def start(self, seed: int) -> SpeakingState:
        """The state of a stream that has not begun."""
        return SpeakingState(
            audio=np.zeros((0, self._model.config.data.audio_dim), np.float32),
            codes=torch.zeros(0, self._model.parts, dtype=torch.long),
            last=np.zeros((0, MOTION_DIM), np.float32),
            random=torch.Generator().manual_seed(seed).get_state(),
        )

    def feed(self, state: SpeakingState, audio: Floats) -> tuple[Floats, SpeakingState]:
        """Take in features [T, A]; give out motion [M, 56] of the steps that can be answered."""
        made = [np.zeros((0, MOTION_DIM), np.float32)]
        with one_thread():
            for frame in range(len(audio)):
                heard = np.concatenate([state.audio, audio[frame : frame + 1]])
                state = replace(state, audio=heard)
                if len(heard) == (len(state.codes) + 1 + self._ahead) * self._stride:
                    frames, state = self._step(state)
                    made.append(frames)
        return np.concatenate(made), state

    def finish(self, state: SpeakingState) -> Floats:
        """Motion [T, 56] of what was heard and not yet answered: the stream has ended."""
        left = len(state.audio) - len(state.codes) * self._stride
        if not left:
            return np.zeros((0, MOTION_DIM), np.float32)
        held = np.repeat(state.audio[-1:], (self._ahead + 1) * self._stride, axis=0)
        frames, _ = self.feed(state, held)
        return frames[:left]

    @torch.inference_mode()
    def _step(self, state: SpeakingState) -> tuple[Floats, SpeakingState]:
        """Answer the first step that has no codes yet."""
        model, stride, known = self._model, self._stride, len(state.codes)
        dyad = speech_inputs(model, state.audio, self._style)
        generator = torch.Generator()
        generator.set_state(state.random)
        device = model.audio_mean.device
        total = len(state.audio) // stride
        codes = torch.zeros(total, model.parts, dtype=torch.long)
        codes[:known] = state.codes
        codes = codes.to(device)
        steps = torch.arange(total, device=device)
        expected = Chances(model, dyad, "speaker").everything(codes, steps < known, steps)
        logits = expected[0]
        # the steps ahead are only guessed at: the likeliest codes, to be drawn when they come
        codes[known:] = logits[known:].argmax(dim=-1)
        codes[known] = draw(logits[known : known + 1].cpu(), self._temperature, generator)[0]
        frames = decode_speaker(model, dyad, codes, expected).cpu().numpy()
        frames = frames[: (known + 1) * stride]
        fresh, last = self._joined(frames, state.last)
        kept = min(known + 1, self._window - self._ahead - 1)
        dropped = known + 1 - kept
        return fresh, SpeakingState(
            audio=state.audio[dropped * stride :],
            codes=codes[dropped : known + 1].cpu(),
            last=last,
            random=generator.get_state(),
        )

    def _joined(self, frames: Floats, last: Floats) -> tuple[Floats, Floats]:
        """The last step of ``frames``, without a jump from the frame given out before it."""
        stride = self._stride
        fresh = frames[-stride:].copy()
        if len(last) and len(frames) > stride:
            gap = last - frames[-stride - 1 : -stride]
            fade = 1 - (np.arange(stride, dtype=np.float32) + 1) / (_JOIN_FRAMES + 1)
            fresh += gap * fade.clip(0)[:, None]
        return fresh, fresh[-1:]


def require_online_encoder(name: str) -> None:
    """Raise InputError unless the audio encoder ``name`` can hear a stream."""
    if name not in (MEL.name, MEL4.name):
        raise InputError(f"--online: hears by mel or mel4, and these weights need '{name}'")


def speak_online(
    model: DIM,
    samples: Floats,
    rate: int,
    *,
    seed: int,
    temperature: float | None = None,
    style: str = UNKNOWN_STYLE,
) -> Motion:
    """A speaker of a whole sound [N] at ``rate`` Hz, made as the stream would make it.

    Raises InputError where the model's encoder cannot hear a stream.
    """
    data = model.config.data
    require_online_encoder(data.audio_encoder)
    sound = checked_sound(samples, rate, SAMPLE_RATE)
    frames = max(1, int(np.ceil(len(sound) / SAMPLE_RATE * data.fps - 1e-6)))
    heard = online_mel(sound, data.fps, frames, data.audio_dim // MEL_DIM)
    speaker = OnlineSpeaker(model, temperature=temperature, style=style)
    made, state = speaker.feed(speaker.start(seed), advanced(heard, data.fps))
    values = np.concatenate([made, speaker.finish(state)])
    return Motion(
        plausible(values, data.space),
        fps=data.fps,
        space=data.space,
        meta={"generated": "dim", "seed": seed, "style": style, "online": True},
    )
