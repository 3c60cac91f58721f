"""What every encoder asks of a sound, and how features come to the motion's rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Floats

SAMPLE_RATE = 16000
"""Hz that every encoder takes."""

_BLOCK = 2000  # output rows made at a time, so that double precision costs little memory


def checked_sound(samples: Floats, rate: int, wanted: int) -> Floats:
    """``samples`` [N] at ``rate`` Hz as float32 at the ``wanted`` rate (a polyphase filter).

    Raises InputError on NaN or a wrong shape.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise InputError(f"sound has shape {samples.shape}; expected mono [samples]")
    if not np.isfinite(samples).all():
        raise InputError("sound has NaN or infinite samples; re-encode the audio track")
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(samples, wanted, int(rate)), np.float32)


def to_frames(
    features: Floats, fps: float, frames: int, *, first_s: float, step_s: float
) -> Floats:
    """Features [N, D] at the times ``first_s + step_s * n`` as rows of a motion: [frames, D].

    Row t is the mean, over the 1/fps seconds around t / fps, of the features joined by straight
    lines and held at both ends: the exact integral. The mean over a frame's own time is the
    anti-aliasing filter that a lower rate needs (50 Hz to 30, 25 or 5); it keeps constants, never
    overshoots, works for rates that are no whole ratio, and at a higher rate than the features' it
    is close to linear interpolation. Raises InputError where there are no features.
    """
    if features.ndim != 2 or len(features) == 0:
        raise InputError(f"audio features have shape {features.shape}; expected [frames, width]")
    output = np.empty((frames, features.shape[1]), np.float32)
    for begin in range(0, frames, _BLOCK):
        end = min(begin + _BLOCK, frames)
        times = (np.arange(begin, end + 1, dtype=np.float64) - 0.5) / fps
        edges = ((times - first_s) / step_s).astype(np.float64)
        low = int(np.clip(np.floor(edges[0]), 0, len(features) - 1))
        high = int(np.clip(np.floor(edges[-1]) + 2, low + 1, len(features)))
        integral = _integral(features[low:high].astype(np.float64), edges - low)
        output[begin:end] = np.diff(integral, axis=0) / np.diff(edges)[:, None]
    return output


def _integral(knots: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to each place ``to`` [P], over the line through ``knots`` [N, D] at 0..N-1, held
    beyond its ends: [P, D].
    """
    last = len(knots) - 1
    total = np.zeros_like(knots)
    np.cumsum((knots[1:] + knots[:-1]) / 2, axis=0, out=total[1:])
    inside = np.clip(to, 0, last)
    whole = np.minimum(inside.astype(int), max(last - 1, 0))
    part = (inside - whole)[:, None]
    begin, end = knots[whole], knots[np.minimum(whole + 1, last)]
    integral = total[whole] + part * begin + part**2 / 2 * (end - begin)
    before, after = np.minimum(to, 0)[:, None], np.maximum(to - last, 0)[:, None]
    return integral + before * knots[0] + after * knots[last]
