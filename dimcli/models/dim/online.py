"""Streams: a listener of somebody who is still talking, and a speaker of speech that goes on.

**Listener.** Works with models that were fine-tuned under causal masks (``dim train --ablation
online``). A step (``stride`` frames, 0.16 s at 25 frames a second) is answered as soon as it has
been seen to its end. The model reads the window before (5 to 6 s), and where the speaker's face
rests is the median of the last 30 s in which it was seen.

**Speaker.** A step is answered once ``LOOK_AHEAD_S`` more has arrived, because lips are shaped
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

from dimcli.audio import MEL, MEL4, MEL_DIM
from dimcli.audio.log_mel import OnlineMel
from dimcli.core.config import require_choice
from dimcli.core.device import one_thread
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Floats, Motion
from dimcli.data.clip import ATTITUDES, UNKNOWN_STYLE, Stimulus
from dimcli.data.windows import rest
from dimcli.models.config import NEEDS_FACE
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import (
    decode,
    known_style,
    listener_traits,
    predict_window,
    seen_motion,
    style_index,
    window_inputs,
)
from dimcli.models.dim.sampling import CodePredictor, draw_step
from dimcli.models.dim.stillness import Hold
from dimcli.models.windows import check_stimulus, clip_to_range

REST_S = 30.0
LOOK_AHEAD_S = 0.24
"""How much of the future a speaker's step is answered from: lips prepare for about so long."""
SPEAKER_WINDOW_S = 2.56
"""How much of the past, and the look-ahead, a speaker's step is answered from."""
JOIN_FRAMES = {"listener": 4, "speaker": 3}
"""Frames over which a new step leaves the last frame that was given out."""


@dataclass(frozen=True)
class StreamState:
    """All that a stream knows: nothing else is kept between two calls.

    ``audio`` [T, A] and, for a listener, ``speaker`` [T, 56] of the window, the last frames perhaps
    not yet a whole step; ``resting`` [T, 56], the last 30 s of a face that was seen; ``codes`` long
    [N, P] of the window's steps that were answered; ``last`` [1, 56], the frame given out last (or
    [0, 56]); ``random`` the generator's state; ``hold`` where the head is held.
    """

    audio: Floats
    speaker: Floats
    resting: Floats
    codes: Tensor
    last: Floats
    random: Tensor
    hold: Hold


class Stream:
    """A model that answers, as ``role``, what is still going on."""

    def __init__(
        self,
        model: DIM,
        role: str,
        *,
        temperature: float | None = None,
        attitude: str = "unknown",
        traits: Tensor | None = None,
        style: str = UNKNOWN_STYLE,
    ) -> None:
        """``attitude`` and ``traits`` [1, 5] are a listener's, ``style`` a speaker's. Raises
        InputError where there is no such one, and for a listener's model that is not causal."""
        settings, fps, stride = model.config.generation, model.fps, model.config.vq.stride
        self.model, self.role, self._stride = model, role, stride
        self._temperature = settings.temperature if temperature is None else temperature
        self._attitude, self._traits = "unknown", traits
        self._style: int | None = None
        self._ahead, window_s, self._hold = 0, settings.window_s, Hold(0.0, 0.0, fps)
        if role == "listener":
            require_causal(model)
            require_choice("attitude", attitude, ATTITUDES)
            self._attitude, self._hold = attitude, Hold.of(settings, fps)
        else:
            window_s, self._style = SPEAKER_WINDOW_S, style_index(model, style)
            if not _is_causal(model):
                self._ahead = -(-round(LOOK_AHEAD_S * fps) // stride)
        self._window = max(self._ahead + 2, round(window_s * fps) // stride)
        self._resting = round(REST_S * fps)

    @property
    def delay_s(self) -> float:
        """Seconds between a frame that comes in and the answer to it, at most."""
        return (1 + self._ahead) * self._stride / self.model.fps

    def start(self, seed: int) -> StreamState:
        """The state of a stream that has not begun."""
        empty = np.zeros((0, MOTION_DIM), np.float32)
        return StreamState(
            audio=np.zeros((0, self.model.config.data.audio_dim), np.float32),
            speaker=empty,
            resting=empty,
            codes=torch.zeros(0, self.model.parts, dtype=torch.long),
            last=empty,
            random=torch.Generator().manual_seed(seed).get_state(),
            hold=self._hold,
        )

    def feed(
        self, state: StreamState, audio: Floats, speaker: Floats | None = None
    ) -> tuple[Floats, StreamState]:
        """Take in features [T, A] and, for a listener, the speaker's motion [T, 56] (NaN where
        nobody is seen); give out motion [M, 56] of the steps that can be answered, which may be
        none.

        ``speaker`` None is a voice alone. Raises InputError where the listener's model needs a
        face, and where the two are not equally long.
        """
        answered = [np.zeros((0, MOTION_DIM), np.float32)]
        if speaker is None and self.role == "listener":
            if not self.model.config.face_optional:
                raise InputError(NEEDS_FACE)
            speaker = np.full((len(audio), MOTION_DIM), np.nan, np.float32)
        if speaker is not None and len(speaker) != len(audio):
            raise InputError(f"{len(speaker)} frames of motion, {len(audio)} of audio features")
        with one_thread():
            for frame in range(len(audio)):
                state = replace(
                    state, audio=np.concatenate([state.audio, audio[frame : frame + 1]])
                )
                if speaker is not None:
                    seen = speaker[frame : frame + 1]
                    resting = state.resting
                    if np.isfinite(seen[0, 0]):
                        resting = np.concatenate([resting, seen])[-self._resting :]
                    seen = np.concatenate([state.speaker, seen])
                    state = replace(state, speaker=seen, resting=resting)
                if len(state.audio) == (len(state.codes) + 1 + self._ahead) * self._stride:
                    frames, state = self._step(state)
                    answered.append(frames)
        return np.concatenate(answered), state

    def finish(self, state: StreamState) -> Floats:
        """Motion [T, 56] of the frames that are not yet answered: the stream has ended."""
        left = len(state.audio) - len(state.codes) * self._stride
        if not left:
            return np.zeros((0, MOTION_DIM), np.float32)
        held = np.full((1 + self._ahead) * self._stride, -1)
        seen = state.speaker[held] if self.role == "listener" else None
        return self.feed(state, state.audio[held], seen)[0][:left]

    @torch.inference_mode()
    def _step(self, state: StreamState) -> tuple[Floats, StreamState]:
        """Answer the first step that has no codes yet."""
        model, role, stride, known = self.model, self.role, self._stride, len(state.codes)
        seen = state.speaker if role == "listener" else None
        if seen is not None:
            seen = self._about_rest(seen, state.resting)
        dyad = window_inputs(model, seen, state.audio, self._attitude, self._style, self._traits)
        generator = torch.Generator()
        generator.set_state(state.random)
        device = model.audio_mean.device
        steps = torch.arange(len(state.audio) // stride, device=device)
        codes = torch.zeros(len(steps), model.parts, dtype=torch.long, device=device)
        codes[:known] = state.codes.to(device)
        if model.config.dim.targets == "motion":
            decoded = predict_window(model, dyad)
        else:
            # a speaker's mouth needs what is expected of the steps that were answered, too
            wanted = steps[known:] if role == "listener" else steps
            expected = CodePredictor(model, dyad, role).logits_and_residual(
                codes, steps < known, wanted
            )
            logits = expected[0][known - len(steps) :]
            # the steps ahead are only guessed at: the likeliest codes, to be drawn when they come
            codes[known:] = logits.argmax(dim=-1)
            codes[known] = draw_step(model, role, logits[:1], self._temperature, generator)[0]
            decoded = decode(model, role, dyad, codes, expected)
        frames = decoded[: (known + 1) * stride].cpu().numpy()
        fresh = joined(frames, state.last, stride, JOIN_FRAMES[role])
        inside = clip_to_range(fresh.copy(), model.config.data.space)
        kept = min(known + 1, self._window - self._ahead - 1)  # the next step is the window's last
        dropped = known + 1 - kept
        given, hold = state.hold(inside)
        return given, StreamState(
            audio=state.audio[dropped * stride :],
            speaker=state.speaker[dropped * stride :],
            resting=state.resting,
            codes=codes[dropped : known + 1].cpu(),
            last=(inside if role == "listener" else fresh)[-1:],
            random=generator.get_state(),
            hold=hold,
        )

    def _about_rest(self, seen: Floats, resting: Floats) -> Floats:
        """The speaker's motion [T, 56] as the model takes it; one that needs a face is told that
        who is not seen is at rest."""
        usual = rest(resting) if len(resting) else np.zeros(MOTION_DIM, np.float32)
        if not self.model.config.face_optional:
            seen = np.where(np.isfinite(seen), seen, usual)
        return seen - usual if self.model.config.dim.speaker_centering else seen


def ear_of(model: DIM) -> OnlineMel:
    """What makes the features that ``model`` takes, as sound comes. Raises InputError where these
    are not ``mel``, or its motion is not ``arkit``."""
    data = model.config.data
    mel = data.audio_encoder in (MEL.name, MEL4.name) and data.audio_dim % MEL_DIM == 0
    if not mel or data.space != "arkit":
        raise InputError(
            f"weights of '{data.audio_encoder}' sound and '{data.space}' motion cannot answer "
            "live; expected weights that were trained on mel or mel4, in the arkit space"
        )
    return OnlineMel(model.fps, data.audio_dim // MEL_DIM)


def _is_causal(model: DIM) -> bool:
    return model.config.dim.causal and model.config.vq.causal


def require_causal(model: DIM) -> None:
    """Raise InputError unless the model can answer a stream as a listener."""
    if not _is_causal(model) or model.config.dim.speaker_inputs == "codes":
        raise InputError(
            "--online: these weights were not trained under causal masks; leave out --weights, or "
            "train some with `dim train DATA --method dim --ablation online -o RUN`"
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
        style, listens = known_style(self.model, stimulus.style), self.role == "listener"
        stream = Stream(
            self.model,
            self.role,
            temperature=temperature,
            attitude=stimulus.attitude,
            traits=listener_traits(self.model, stimulus, seed) if listens else None,
            style=style,
        )
        seen = seen_motion(self.model, stimulus) if listens else None
        frames, state = stream.feed(stream.start(seed), stimulus.audio, seen)
        values = np.concatenate([frames, stream.finish(state)])
        meta = {"generated": "dim", "seed": seed, "online": True}
        if not listens:
            meta["style"] = style
        return Motion(values, fps=data.fps, space=data.space, meta=meta)
