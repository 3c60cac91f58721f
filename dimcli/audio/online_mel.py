"""The ``mel`` features of a sound that is still going on.

Whole-clip features are relative to the clip's own speech: its level, its noise, its pitch. A stream
knows none of that beforehand, so here everything is relative to the last 30 seconds heard, and
the first half second counts as silence. After a few seconds of speech the features are close to the
whole clip's; a model takes either (their name and width are the same). A frame's features depend
on the sound up to the frame's end and on nothing later.
"""

from __future__ import annotations

import numpy as np

from dimcli.audio.log_mel import HOP, MEL_DIM, SAMPLE_RATE, WINDOW, analyse, normalise, silence
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats

HISTORY_S = 30.0
SETTLING_S = 0.5
_HOPS_A_SECOND = SAMPLE_RATE / HOP


class OnlineMel:
    """Hears samples as they come and gives features frame by frame.

    ``feed`` may be called with any number of samples; how they are cut makes no difference.
    """

    def __init__(self, fps: float, rows: int = 1) -> None:
        """``fps`` frames a second; samples are at ``SAMPLE_RATE``; ``rows`` rows of ``mel`` a frame
        as :func:`dimcli.audio.log_mel.mel_rows` lays them out (4: ``mel4``)."""
        self._fps = fps
        self._rows = rows
        self._frame = 0
        self._heard = 0
        self._first = 0  # number of the first sample in the buffer
        self._samples = np.zeros(0, np.float32)
        self._hop = 0  # the next to analyse
        self._power = np.zeros((0, 0), np.float32)
        self._energy = np.zeros(0, np.float32)
        self._voicing = np.zeros(0, np.float32)
        self._pitch = np.zeros(0, np.float32)

    def feed(self, samples: Floats) -> Floats:
        """Features float32 [n, rows * 32] of the n frames that end within what was heard with
        ``samples``.

        Raises InputError on NaN or a wrong shape.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1:
            raise InputError(f"sound has shape {samples.shape}; expected mono [samples]")
        if not np.isfinite(samples).all():
            raise InputError("sound has NaN or infinite samples; re-encode the audio track")
        self._samples = np.concatenate([self._samples, samples])
        self._heard += len(samples)
        rows = []
        while self._end(self._frame) <= self._heard:
            rows.append(self._describe(self._frame))
            self._frame += 1
        return np.stack(rows) if rows else np.zeros((0, self._rows * MEL_DIM), np.float32)

    def _end(self, frame: int) -> int:
        """The number of samples up to the end of ``frame``."""
        return int(np.ceil((frame + 1) / self._fps * SAMPLE_RATE))

    def _describe(self, frame: int) -> Floats:
        self._analyse_until(self._end(frame))
        past = len(self._energy)
        if frame / self._fps < SETTLING_S or past < 2:
            return np.tile(silence(1)[0], self._rows)
        fine = normalise(self._power, self._energy, self._voicing, self._pitch)
        places = frame + (np.arange(self._rows) - self._rows // 2) / self._rows
        return np.concatenate([self._row(fine, place) for place in places])

    def _row(self, fine: Floats, place: float) -> Floats:
        """The row about ``place``, in frames, from the rows every 10 ms so far: [32]."""
        # Rows of the 1 / fps seconds around the frame; see log_mel. What has not been heard to the
        # end yet is left out.
        first = self._hop - len(fine)
        half = 0.5 / self._rows
        low, high = ((place + side) / self._fps * _HOPS_A_SECOND for side in (-half, half))
        rows = np.arange(max(int(np.floor(low + 0.5)), first), self._hop)
        rows = rows[rows <= np.ceil(high - 0.5)]
        if not len(rows):
            rows = np.array([self._hop - 1])
        weight = np.minimum(rows + 0.5, high) - np.maximum(rows - 0.5, low)
        weight = np.maximum(weight, 1e-6)
        described = (fine[rows - first] * (weight / weight.sum())[:, None]).sum(axis=0)
        return described.astype(np.float32)

    def _analyse_until(self, end: int) -> None:
        """Analyse the windows that lie within the first ``end`` samples, and forget old ones."""
        last = (end - WINDOW // 2) // HOP
        count = last + 1 - self._hop
        if count <= 0:
            return
        before = min(
            self._hop, 1 + WINDOW // 2 // HOP
        )  # hops whose samples a window reaches back to
        start = (self._hop - before) * HOP
        local = self._samples[start - self._first : last * HOP + WINDOW // 2 - self._first]
        found = [part[before:] for part in analyse(local, before + count)]
        kept = round(HISTORY_S * _HOPS_A_SECOND)
        power = np.concatenate([self._power, found[0]]) if self._energy.size else found[0]
        self._power = power[-kept:]
        self._energy = np.concatenate([self._energy, found[1]])[-kept:]
        self._voicing = np.concatenate([self._voicing, found[2]])[-kept:]
        self._pitch = np.concatenate([self._pitch, found[3]])[-kept:]
        self._hop = last + 1
        needed = max(0, self._hop - 1 - WINDOW // 2 // HOP) * HOP
        self._samples = self._samples[max(0, needed - self._first) :]
        self._first = max(needed, self._first)


def online_mel(samples: Floats, fps: float, frames: int, rows: int = 1) -> Floats:
    """The features of a whole sound [N] at ``SAMPLE_RATE`` as a stream would have had them:
    float32 [frames, rows * 32]. Sound that ends early counts as silence."""
    needed = int(np.ceil(frames / fps * SAMPLE_RATE)) + 1
    padded = np.zeros(max(needed, 0), np.float32)
    padded[: min(len(samples), needed)] = samples[:needed]
    return OnlineMel(fps, rows).feed(padded)[:frames]
