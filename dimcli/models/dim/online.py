"""Streams: a listener of somebody who is still talking, and a speaker of speech that goes on.

**Listener.** Works with models that were fine-tuned under causal masks (``dim train --ablation
online``). A step (``stride`` frames, 0.16 s at 25 frames a second) is answered as soon as it has
been seen to its end. The model reads the window before (5 to 6 s), and where the speaker's face
rests is the median of the last 30 s.

**Speaker.** A step is answered once ``LOOK_AHEAD_S`` more has been heard, because lips are shaped
by the sounds that follow; a model trained under causal masks needs no more than the step.

What a stream knows of the past is bounded, and all of it is in one state: a stream can be stopped,
kept and gone on with, and how it is cut into pieces makes no difference.

Axes: T frames, N steps of the window, P parts, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Floats, Motion
from dimcli.data.clip import ATTITUDES, UNKNOWN_STYLE, Stimulus
from dimcli.data.windows import rest
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import (
    decode,
    known_style,
    listener_traits,
    predict_window,
    style_index,
    window_inputs,
)
from dimcli.models.dim.sampling import Chances, draw
from dimcli.models.dim.stillness import Hold
from dimcli.models.windows import check_stimulus, clip_to_range, one_thread

REST_S = 30.0
LISTENER_JOIN_FRAMES, SPEAKER_JOIN_FRAMES = 4, 3
"""Frames over which a new step leaves the last frame that was given out."""


@dataclass(frozen=True)
class StreamState:
    """All that a stream knows: nothing else is kept between two calls.

    ``speaker`` [T, 56] and ``audio`` [T, A] of the window, the last frames perhaps not yet a whole
    step; ``resting`` [T, 56], the last 30 s of speaker motion; ``codes`` long [N, P] of the
    window's steps that were answered; ``last`` [1, 56], the frame given out last (or [0, 56]);
    ``random`` the generator's state; ``hold`` where the head is held.
    """

    speaker: Floats
    audio: Floats
    resting: Floats
    codes: Tensor
    last: Floats
    random: Tensor
    hold: Hold


class OnlineListener:
    """A causal model that answers a stream. Raises InputError for a model that is not causal."""

    def __init__(
        self,
        model: DIM,
        *,
        temperature: float | None = None,
        attitude: str = "unknown",
        traits: Tensor | None = None,
    ) -> None:
        require_causal(model)
        if attitude not in ATTITUDES:
            raise InputError(f"attitude is '{attitude}'; expected one of {', '.join(ATTITUDES)}")
        settings, fps = model.config.generation, model.fps
        self.model = model
        self._temperature = settings.temperature if temperature is None else temperature
        self._attitude = attitude
        self._traits = traits
        self._stride = model.config.vq.stride
        self._window = max(2, round(settings.window_s * fps) // self._stride)
        self._resting = round(REST_S * fps)

    @property
    def delay_s(self) -> float:
        """Seconds between a speaker's frame and the answer to it, at most."""
        return self._stride / self.model.fps

    def start(self, seed: int) -> StreamState:
        """The state of a stream that has not begun."""
        empty = np.zeros((0, MOTION_DIM), np.float32)
        return StreamState(
            speaker=empty,
            audio=np.zeros((0, self.model.config.data.audio_dim), np.float32),
            resting=empty,
            codes=torch.zeros(0, self.model.parts, dtype=torch.long),
            last=empty,
            random=torch.Generator().manual_seed(seed).get_state(),
            hold=Hold(self.model.config.generation.hold_degrees),
        )

    def feed(
        self, state: StreamState, speaker: Floats, audio: Floats
    ) -> tuple[Floats, StreamState]:
        """Take in frames [T, 56] and [T, A]; give out listener motion of the steps that are whole.

        The result [M, 56] may be empty or, after an incomplete step, longer than T.
        """
        if len(speaker) != len(audio):
            raise InputError(f"{len(speaker)} frames of motion, {len(audio)} of audio features")
        made = []
        with one_thread():
            for frame in range(len(speaker)):
                state = replace(
                    state,
                    speaker=np.concatenate([state.speaker, speaker[frame : frame + 1]]),
                    audio=np.concatenate([state.audio, audio[frame : frame + 1]]),
                    resting=np.concatenate([state.resting, speaker[frame : frame + 1]])[
                        -self._resting :
                    ],
                )
                if len(state.speaker) == (len(state.codes) + 1) * self._stride:
                    frames, state = self._step(state)
                    made.append(frames)
        return np.concatenate([np.zeros((0, MOTION_DIM), np.float32), *made]), state

    def finish(self, state: StreamState) -> Floats:
        """Listener motion [T, 56] of the frames after the last whole step: the stream has ended."""
        left = len(state.speaker) - len(state.codes) * self._stride
        if not left:
            return np.zeros((0, MOTION_DIM), np.float32)
        held = np.full(self._stride - left, -1)
        frames, _ = self.feed(state, state.speaker[held], state.audio[held])
        return frames[:left]

    @torch.inference_mode()
    def _step(self, state: StreamState) -> tuple[Floats, StreamState]:
        """Answer the window's last step."""
        model, stride = self.model, self._stride
        speaker = state.speaker
        if model.config.dim.speaker_centering:
            speaker = speaker - rest(state.resting)
        dyad = window_inputs(model, speaker, state.audio, self._attitude, traits=self._traits)
        generator = torch.Generator()
        generator.set_state(state.random)
        known = len(state.codes)
        codes = torch.cat([state.codes, torch.zeros(1, model.parts, dtype=torch.long)])
        if model.config.dim.targets == "motion":
            frames = predict_window(model, dyad).cpu().numpy()
        else:
            device = model.audio_mean.device
            visible = torch.arange(known + 1, device=device) < known
            wanted = torch.tensor([known], device=device)
            logits = Chances(model, dyad).logits(codes.to(device), visible, wanted)
            codes[known] = draw(logits.cpu(), self._temperature, generator)[0]
            frames = decode(model, "listener", dyad, codes.to(device)).cpu().numpy()
        fresh = joined(frames, state.last, stride, LISTENER_JOIN_FRAMES)
        frames = clip_to_range(fresh, model.config.data.space)
        kept = min(len(codes), self._window - 1)  # so that the next step is the window's last
        given, hold = state.hold(frames)
        return given, StreamState(
            speaker=state.speaker[len(state.speaker) - kept * stride :],
            audio=state.audio[len(state.audio) - kept * stride :],
            resting=state.resting,
            codes=codes[len(codes) - kept :],
            last=frames[-1:],
            random=generator.get_state(),
            hold=hold,
        )


def require_causal(model: DIM) -> None:
    """Raise InputError unless the model can answer a stream."""
    config = model.config
    if not (config.dim.causal and config.vq.causal) or config.dim.speaker_inputs == "codes":
        raise InputError(
            "--online: these weights were not trained under causal masks; train some with "
            "`dim train DATA --method dim --ablation online -o RUN` and pass --weights RUN"
        )


LOOK_AHEAD_S = 0.24
"""How much of the future is heard before a step is answered: lips prepare for about so long."""
WINDOW_S = 2.56
"""How much of the past, and the look-ahead, a step is answered from."""


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
        dyad = window_inputs(model, None, state.audio, "unknown", self._style)
        generator = torch.Generator()
        generator.set_state(state.random)
        device = model.audio_mean.device
        total = len(state.audio) // stride
        codes = torch.zeros(total, model.parts, dtype=torch.long)
        codes[:known] = state.codes
        codes = codes.to(device)
        steps = torch.arange(total, device=device)
        expected = Chances(model, dyad, "speaker").logits_and_residual(codes, steps < known, steps)
        logits = expected[0]
        # the steps ahead are only guessed at: the likeliest codes, to be drawn when they come
        codes[known:] = logits[known:].argmax(dim=-1)
        codes[known] = draw(logits[known : known + 1].cpu(), self._temperature, generator)[0]
        frames = decode(model, "speaker", dyad, codes, expected).cpu().numpy()
        frames = frames[: (known + 1) * stride]
        fresh = joined(frames, state.last, stride, SPEAKER_JOIN_FRAMES)
        kept = min(known + 1, self._window - self._ahead - 1)
        dropped = known + 1 - kept
        return fresh, SpeakingState(
            audio=state.audio[dropped * stride :],
            codes=codes[dropped : known + 1].cpu(),
            last=fresh[-1:],
            random=generator.get_state(),
        )


def joined(frames: Floats, last: Floats, stride: int, fade_frames: int) -> Floats:
    """The last step [stride, 56] of ``frames`` [T, 56], without a jump from ``last`` [1, 56] (or
    [0, 56]), the frame given out before it, which is left over ``fade_frames``.

    When the window moves on the model sees the past a little differently; what it now makes of
    the frame given out last tells by how much.
    """
    fresh = frames[-stride:].copy()
    if len(last) and len(frames) > stride:
        gap = last - frames[-stride - 1 : -stride]
        fade = 1 - (np.arange(stride, dtype=np.float32) + 1) / (fade_frames + 1)
        fresh += gap * fade.clip(0)[:, None]
    return fresh


@dataclass(frozen=True)
class OnlineModel:
    """A model that answers whole clips as a stream would, and so in one pass a step."""

    model: DIM
    role: str

    def __post_init__(self) -> None:
        if self.role == "listener":
            require_causal(self.model)

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
        """Motion of the stimulus's length and rate, made as the stream would make it; ``steps`` is
        ignored.

        Raises InputError when an input is not what the model was trained on.
        """
        del steps
        data = self.config.data
        check_stimulus(data, stimulus)
        meta = {"generated": "dim", "seed": seed, "online": True}
        if self.role == "listener":
            listener = OnlineListener(
                self.model,
                temperature=temperature,
                attitude=stimulus.attitude,
                traits=listener_traits(self.model, stimulus, seed),
            )
            state = listener.start(seed)
            frames, state = listener.feed(state, stimulus.seen.values, stimulus.audio)
            values = np.concatenate([frames, listener.finish(state)])
        else:
            style = known_style(self.model, stimulus.style)
            speaker = OnlineSpeaker(self.model, temperature=temperature, style=style)
            spoken, speaking = speaker.feed(speaker.start(seed), stimulus.audio)
            values = np.concatenate([spoken, speaker.finish(speaking)])
            values = clip_to_range(values, data.space)
            meta["style"] = style
        return Motion(values, fps=data.fps, space=data.space, meta=meta)
