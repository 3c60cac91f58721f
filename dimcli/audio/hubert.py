"""HuBERT features (Hsu et al. 2021), the paper's, by ``transformers``: ``hubert``.

The model is ``facebook/hubert-base-ls960`` (768 numbers every 20 ms, from 25 ms each), or with
``hubert:NAME`` another by its hub name or folder. Its last layer is taken, as in the
paper's code.

A clip longer than a window goes through in overlapping windows, so that time and memory grow with
its length and not with the square of it; they cross over in the middle of the overlap, away from
their edges. What looks at the whole clip besides attention does so here too: the waveform is
brought to zero mean and unit variance over the whole clip, and the group norm behind the first
convolution (of the base models) gets the whole clip's statistics, which a first pass measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dimcli.audio.features import AudioEncoder, LoadedEncoder, cached_features
from dimcli.audio.hubert_files import find_hubert, load_model
from dimcli.audio.sound import SAMPLE_RATE, checked_sound, to_frames
from dimcli.core.device import choose_device, large_products
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.core.progress import Progress, silent

HOP = 320
"""Samples from one row to the next: 20 ms."""
RECEPTIVE = 400
"""Samples that a row sees before the transformer: 25 ms."""
RATE_HZ = SAMPLE_RATE / HOP
FIRST_S = RECEPTIVE / 2 / SAMPLE_RATE
"""Time of the first row: the middle of its samples."""

WINDOW = 1500
"""Rows of a window: 30 s, as long as the longest utterances that the models are judged by."""
OVERLAP = 250
EDGE = 64
"""Rows at a window's edge that are not used: what the positional convolution reaches."""

_BLOCK_S = 5
_EPSILON = 1e-7  # transformers' feature extractor has it too
_VERSION = 1
"""Goes up whenever the same sound and model would give other features."""


@dataclass(frozen=True)
class Statistics:
    """Mean and variance of the first convolution's channels over a clip, [1, C, 1] each."""

    mean: Tensor
    variance: Tensor


class HubertEncoder(LoadedEncoder):
    """A HuBERT model that turns sound into features at a motion's rate."""

    def __init__(
        self,
        encoder: AudioEncoder,
        model: Any,
        *,
        normalise: bool,
        fingerprint: str | None = None,
        window: int = WINDOW,
        overlap: int = OVERLAP,
    ) -> None:
        """``model`` is transformers' HubertModel; ``normalise`` whether it wants waveforms of zero
        mean and unit variance; ``fingerprint`` names it in the cache, None caches nothing.
        """
        if not 2 * EDGE < overlap <= window // 2:
            raise ValueError(f"overlap is {overlap}; expected {2 * EDGE} to {window // 2} rows")
        self.encoder = encoder
        self._model = model.eval()
        self._normalise = normalise
        self._fingerprint = fingerprint
        self._window, self._overlap = window, overlap

    @classmethod
    def load(cls, encoder: AudioEncoder, device: str = "auto") -> HubertEncoder:
        """The model that ``encoder`` names. Raises InputError where it isn't here."""
        files = find_hubert(encoder.name.partition(":")[2] or None)
        if files.width != encoder.dim:
            raise InputError(
                f"{files.weights}: gives {files.width} features; expected {encoder.dim}"
            )
        model = load_model(files).to(choose_device(device))
        return cls(encoder, model, normalise=files.normalises, fingerprint=files.fingerprint)

    def _encode(
        self, samples: Floats, rate: int, fps: float, frames: int, progress: Progress, keep: bool
    ) -> Floats:
        """Rows at 50 Hz become frames by :func:`dimcli.audio.sound.to_frames`."""
        samples = checked_sound(samples, rate, SAMPLE_RATE)
        length = max(int(np.ceil(frames / fps * SAMPLE_RATE)), RECEPTIVE)
        fitted = np.zeros(length, np.float32)
        fitted[: len(samples)] = samples[:length]

        def make() -> Floats:
            return to_frames(
                self.rows(fitted, progress), fps, frames, first_s=FIRST_S, step_s=1 / RATE_HZ
            )

        if self._fingerprint is None or not keep:
            return make()
        settings = [self._fingerprint, _VERSION, self._window, self._overlap, fps, frames]
        return cached_features(fitted, settings, (frames, self.encoder.dim), make)

    def rows(self, samples: Floats, progress: Progress = silent) -> Floats:
        """Features of sound [N] (N >= 400) at 50 Hz: float32 [(N - 400) // 320 + 1, D]."""
        if self._normalise:
            mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
            samples = (samples - np.float32(mean)) / np.float32(np.sqrt(variance + _EPSILON))
        total = (len(samples) - RECEPTIVE) // HOP + 1
        starts = window_starts(total, self._window, self._overlap)
        rows = np.zeros((total, self.encoder.dim), np.float32)
        with torch.inference_mode(), large_products(self._model.device):
            statistics = self._measure(samples)
            for index, start in enumerate(starts):
                stop = min(start + self._window, total)
                piece = samples[start * HOP : (stop - 1) * HOP + RECEPTIVE]
                made = self._run(piece, statistics).float().cpu().numpy()
                weights = self._weights(starts, index, stop)
                rows[start:stop] += weights[:, None] * made
                progress("listening", index + 1, len(starts))
        return rows

    def _weights(self, starts: list[int], index: int, stop: int) -> Floats:
        """How much the rows of a window count, 0..1; those of all windows add up to one."""
        rows = np.arange(starts[index], stop, dtype=np.float32)
        weights = np.ones(len(rows), np.float32)
        if index > 0:
            weights *= self._ramp(rows, starts[index], starts[index - 1] + self._window)
        if index + 1 < len(starts):
            weights *= np.float32(1) - self._ramp(rows, starts[index + 1], stop)
        return weights

    def _ramp(self, rows: Floats, begin: int, end: int) -> Floats:
        """From 0 to 1 in the middle of two windows' overlap ``begin``..``end``."""
        width = self._overlap - 2 * EDGE
        ramp = (rows - np.float32((begin + end - 1) / 2)) / np.float32(width) + np.float32(0.5)
        return ramp.clip(0, 1)

    def _sound(self, samples: Floats) -> Tensor:
        """Samples [N] as the first convolution takes them, [1, 1, N], on the model's device."""
        return torch.from_numpy(samples)[None, None].to(self._model.device)

    def _group_normed(self) -> Any | None:
        """The first convolution's layer where a group norm over time is behind it."""
        first = self._model.feature_extractor.conv_layers[0]
        return first if isinstance(getattr(first, "layer_norm", None), torch.nn.GroupNorm) else None

    def _measure(self, samples: Floats) -> Statistics | None:
        """Statistics of the first convolution over the whole sound, in blocks, if it needs any."""
        layer = self._group_normed()
        if layer is None:
            return None
        (kernel,), (stride,) = layer.conv.kernel_size, layer.conv.stride
        outputs = (len(samples) - kernel) // stride + 1
        block = _BLOCK_S * SAMPLE_RATE // stride
        sums = []
        for begin in range(0, outputs, block):
            end = min(begin + block, outputs)
            sound = self._sound(samples[begin * stride : (end - 1) * stride + kernel])
            made = layer.conv(sound).double()
            sums.append(torch.stack([made.sum(dim=2), made.square().sum(dim=2)]))
        mean, square = torch.stack(sums).sum(dim=0)[..., None] / outputs
        variance = (square - mean.square()).clamp(min=0)
        return Statistics(mean.float(), variance.float())

    def _run(self, samples: Floats, statistics: Statistics | None) -> Tensor:
        """The model's last layer for one window of samples, with the clip's statistics: [T, D]."""
        hidden = self._sound(samples)
        layers = list(self._model.feature_extractor.conv_layers)
        if statistics is not None:
            first = layers.pop(0)
            hidden = torch.nn.functional.batch_norm(
                first.conv(hidden),
                statistics.mean.flatten(),
                statistics.variance.flatten(),
                first.layer_norm.weight,
                first.layer_norm.bias,
                eps=first.layer_norm.eps,
            )
            hidden = first.activation(hidden)
        for layer in layers:
            hidden = layer(hidden)
        projected = self._model.feature_projection(hidden.transpose(1, 2))
        last: Tensor = self._model.encoder(projected).last_hidden_state
        return last[0]


def window_starts(total: int, window: int, overlap: int) -> list[int]:
    """First rows of windows that cover ``total`` rows; neighbours share ``overlap`` or more."""
    if total <= window:
        return [0]
    count = int(np.ceil((total - overlap) / (window - overlap)))
    return [round(start) for start in np.linspace(0, total - window, count)]
