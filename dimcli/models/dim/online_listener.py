"""Listeners of speakers who are still talking: a stream in, a stream out.

Works with models that were fine-tuned under causal masks (``dim train --ablation online``). A step
(``stride`` frames, 0.16 s at 25 frames a second) is answered as soon as it has been seen to its
end. What is known of the past is bounded: the model reads the window before (5 to 6 s) and where
the speaker's face rests is the median of the last 30 s. All of it is in one :class:`StreamState`,
so a stream can be stopped, kept and gone on with, and how it is cut into pieces makes no
difference.

Axes: T frames, N steps of the window, P parts, A audio features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import ATTITUDES
from dimcli.data.windows import rest
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.listener import predict_window, window_inputs
from dimcli.models.dim.sampling import Chances, draw
from dimcli.models.listener_io import check_speaker, one_thread, plausible

Floats = NDArray[np.float32]

REST_S = 30.0
_JOIN_FRAMES = 4
"""Frames over which a new step leaves the last frame that was given out."""


@dataclass(frozen=True)
class StreamState:
    """All that a stream knows: nothing else is kept between two calls.

    ``speaker`` [T, 56] and ``audio`` [T, A] of the window, the last frames perhaps not yet a whole
    step; ``resting`` [T, 56], the last 30 s of speaker motion; ``codes`` long [N, P] of the
    window's steps that were answered; ``last`` [1, 56], the frame given out last (or [0, 56]);
    ``random`` the generator's state.
    """

    speaker: Floats
    audio: Floats
    resting: Floats
    codes: Tensor
    last: Floats
    random: Tensor


class OnlineListener:
    """A causal model that answers a stream. Raises InputError for a model that is not causal."""

    def __init__(
        self, model: DIM, *, temperature: float | None = None, attitude: str = "unknown"
    ) -> None:
        require_causal(model)
        if attitude not in ATTITUDES:
            raise InputError(f"attitude is '{attitude}'; expected one of {', '.join(ATTITUDES)}")
        settings, fps = model.config.generation, model.fps
        self.model = model
        self._temperature = settings.temperature if temperature is None else temperature
        self._attitude = attitude
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
        dyad = window_inputs(model, speaker, state.audio, self._attitude)
        generator = torch.Generator()
        generator.set_state(state.random)
        known = len(state.codes)
        codes = torch.cat([state.codes, torch.zeros(1, model.parts, dtype=torch.long)])
        if model.config.dim.targets == "motion":
            frames = predict_window(model, dyad)
        else:
            device = model.audio_mean.device
            visible = torch.arange(known + 1, device=device) < known
            wanted = torch.tensor([known], device=device)
            logits = Chances(model, dyad).logits(codes.to(device), visible, wanted)
            codes[known] = draw(logits.cpu(), self._temperature, generator)[0]
            vq = model.vqvae("listener")
            there = torch.ones(1, len(codes), dtype=torch.bool, device=device)
            decoded = vq.decode(vq.vectors(codes[None].to(device)), there)
            frames = vq.unstandardise(decoded)[0].float().cpu().numpy()
        frames, last = self._joined(frames, state.last)
        kept = min(len(codes), self._window - 1)  # so that the next step is the window's last
        return frames, StreamState(
            speaker=state.speaker[len(state.speaker) - kept * stride :],
            audio=state.audio[len(state.audio) - kept * stride :],
            resting=state.resting,
            codes=codes[len(codes) - kept :],
            last=last,
            random=generator.get_state(),
        )

    def _joined(self, frames: Floats, last: Floats) -> tuple[Floats, Floats]:
        """The last step of ``frames``, without a jump from the frame given out before it.

        When the window moves on the model sees the past a little differently; what it now makes of
        the frame given out last tells by how much.
        """
        stride = self._stride
        fresh = frames[-stride:].copy()
        if len(last) and len(frames) > stride:
            gap = last - frames[-stride - 1 : -stride]
            fade = 1 - (np.arange(stride, dtype=np.float32) + 1) / (_JOIN_FRAMES + 1)
            fresh += gap * fade.clip(0)[:, None]
        fresh = plausible(fresh, self.model.config.data.space)
        return fresh, fresh[-1:]


def require_causal(model: DIM) -> None:
    """Raise InputError unless the model can answer a stream."""
    config = model.config
    if not (config.dim.causal and config.vq.causal) or config.dim.speaker_inputs == "codes":
        raise InputError(
            "--online: these weights were not trained under causal masks; train some with "
            "`dim train DATA --method dim --ablation online -o RUN` and pass --weights RUN"
        )


def generate_online(
    model: DIM,
    speaker: Motion,
    audio: Floats,
    *,
    seed: int,
    temperature: float | None = None,
    attitude: str = "unknown",
) -> Motion:
    """A listener for a whole clip, made as the stream would make it: motion of the same length.

    ``audio`` float32 [T, A]. Raises InputError when an input is not what the model was trained on.
    """
    check_speaker(model.config.data, speaker, audio, attitude)
    listener = OnlineListener(model, temperature=temperature, attitude=attitude)
    frames, state = listener.feed(listener.start(seed), speaker.values, audio)
    return Motion(
        np.concatenate([frames, listener.finish(state)]),
        fps=speaker.fps,
        space=speaker.space,
        meta={"generated": "dim", "seed": seed, "online": True},
    )
