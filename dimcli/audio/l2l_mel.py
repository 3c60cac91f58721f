"""Learning2Listen's features, ``l2l-mel``: the power in 128 mel bands, four rows a frame.

Its README makes features of new recordings with ``librosa.feature.melspectrogram``; its authors
gave the settings in issue 2 of their repository (16 kHz, windows of 25 ms every 10 ms, 512 points,
and the picture of the spectrum stretched to four rows a frame by Lanczos), in a listing that calls
``mfcc``, whose 20 numbers cannot be the 128 of their arrays. DIM's released code makes the features
of ViCo for Learning2Listen in the same way. No recording of their corpus is public, so that the
arrays themselves could not be compared; those that cannot be powers are refused this name
(:mod:`dimcli.data.corpora.l2l`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dimcli.audio.sound import SAMPLE_RATE, checked_sound
from dimcli.core.motion import Floats

BANDS = 128
ROWS_A_FRAME = 4
L2L_MEL_DIM = BANDS * ROWS_A_FRAME

WINDOW, POINTS, HOP = 400, 512, 160
"""Samples of a window, of the transform that it lies in the middle of, and between windows."""
_BLOCK = 3000  # windows analysed at a time, so that spectra take little memory


def l2l_mel(samples: Floats, rate: int, fps: float, frames: int) -> Floats:
    """The ``l2l-mel`` features of a mono sound: float32 [frames, 512].

    ``samples`` float [N] at ``rate`` Hz. Row t has the four quarters of the 1/fps seconds from
    t / fps on, one after the other. Sound that ends early counts as silence; sound past the last
    frame is ignored. Raises InputError on NaN or a wrong shape.
    """
    samples = checked_sound(samples, rate, SAMPLE_RATE)
    length = round(frames / fps * SAMPLE_RATE)
    padded = np.zeros(length + POINTS, np.float32)
    heard = samples[:length]
    padded[POINTS // 2 : POINTS // 2 + len(heard)] = heard
    pieces = np.lib.stride_tricks.sliding_window_view(padded, POINTS)[::HOP]
    window = np.zeros(POINTS, np.float32)
    before = (POINTS - WINDOW) // 2
    window[before : before + WINDOW] = np.hanning(WINDOW + 1)[:-1]
    power = np.empty((len(pieces), BANDS), np.float32)
    for first in range(0, len(pieces), _BLOCK):
        spectrum = np.fft.rfft(pieces[first : first + _BLOCK] * window, axis=1)
        power[first : first + _BLOCK] = np.abs(spectrum) ** 2 @ _filters()
    picture = Image.fromarray(power).resize(
        (BANDS, ROWS_A_FRAME * frames), Image.Resampling.LANCZOS
    )
    return np.array(picture, np.float32).reshape(frames, L2L_MEL_DIM)


@cache
def _filters() -> Floats:
    """Triangles from 0 Hz to half the rate, even on Slaney's mel scale, each of area 1 in Hz (as in
    his Auditory Toolbox, and librosa): [POINTS // 2 + 1, BANDS]."""
    nyquist = SAMPLE_RATE / 2
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(nyquist), BANDS + 2))
    bins = np.linspace(0.0, nyquist, POINTS // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins) / np.diff(edges)[1:]
    triangles = np.maximum(np.minimum(rise, fall), 0.0) * 2.0 / (edges[2:] - edges[:-2])
    return triangles.astype(np.float32)


_LINEAR_HZ, _STEP_HZ = 1000.0, 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0
"""Slaney's scale: a mel is 200/3 Hz below 1 kHz, and 27 mels are a factor of 6.4 above."""


def _hz_to_mel(hz: float) -> float:
    return float(_LINEAR_HZ / _STEP_HZ + np.log(hz / _LINEAR_HZ) / _LOG_STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (mel - _LINEAR_HZ / _STEP_HZ))
    return np.where(mel < _LINEAR_HZ / _STEP_HZ, _STEP_HZ * mel, above)
