"""Two corrections of a mouth that was decoded from expected code vectors.

An expectation blurs what is brief: lips that may be closed for a frame or two hardly close. So the
mouth's departures from its own local mean are enlarged again. And it is held at rest in pauses,
where breath and noise would part the lips a little.

Axes: T frames, C columns.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dimcli.audio import ACTIVITY, MEL_DIM
from dimcli.core.masks import runs
from dimcli.core.motion import JAW, Floats, expression_index

MEAN_S = 0.08
"""Standard deviation of the Gaussian that the local mean is taken by."""
PAUSE_S = 0.4
"""Shorter silences are part of speech."""
TO_REST_S = (0.2, 0.45)
"""The mouth goes to rest between these after the sound ends, and"""
FROM_REST_S = (0.15, 0.35)
"""leaves it between these before the sound begins: words are ended and prepared in silence."""
_QUIET = 0.3
_PARTING = (
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("mouthFunnel", "mouthClose"),
)
"""Expressions that keep lips apart (and ``mouthClose``, which bridges an open jaw)."""


def sharpened(motion: Tensor, columns: list[int], amount: float, fps: float) -> Tensor:
    """Motion [T, 56] whose ``columns`` depart from their local mean by 1 + ``amount`` as much."""
    half = max(round(3 * MEAN_S * fps), 1)
    taps = torch.arange(-half, half + 1, device=motion.device) / (MEAN_S * fps)
    taps = torch.exp(-0.5 * taps.square())
    tracks = motion[:, columns].T[:, None]  # [C, 1, T]
    padded = F.pad(tracks, (half, half), mode="replicate")
    mean = F.conv1d(padded, (taps / taps.sum())[None, None].to(motion.dtype))
    result = motion.clone()
    result[:, columns] = (tracks + amount * (tracks - mean))[:, 0].T
    return result


def pauses(audio: Floats, fps: float) -> Floats:
    """How far the mouth may move at each frame of ``mel`` or ``mel4`` features [T, A]: [T], 1 in
    speech and 0 inside pauses of ``PAUSE_S`` and more, with smooth ways between."""
    quiet = audio.reshape(len(audio), -1, MEL_DIM)[:, :, ACTIVITY].mean(axis=1) < _QUIET
    share = np.ones(len(audio), np.float32)
    frame = np.arange(len(audio), dtype=np.float32)
    for start, stop in runs(quiet):
        if stop - start < PAUSE_S * fps:
            continue
        # silence before the first word and after the last has no sound on its other side
        since = _ramp((frame - start) / fps, TO_REST_S) if start else np.ones_like(frame)
        until = _ramp((stop - 1 - frame) / fps, FROM_REST_S)
        until = until if stop < len(audio) else np.ones_like(frame)
        inside = np.minimum(since, until)
        inside[:start] = inside[stop:] = 0.0
        share = np.minimum(share, 0.5 + 0.5 * np.cos(np.pi * inside))
    return share


def _ramp(seconds: Floats, ends: tuple[float, float]) -> Floats:
    """0 until the first of ``ends``, 1 from the second: [T]."""
    return np.clip((seconds - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def rested(values: Floats, share: Floats) -> Floats:
    """Motion [T, 56] in the arkit space with jaw and lips opened by ``share`` [T] of their own."""
    result = values.copy()
    columns = [JAW.start, *map(expression_index, _PARTING)]
    result[:, columns] *= share[:, None]
    return result
