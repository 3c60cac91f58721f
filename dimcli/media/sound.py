"""Reading sound through ffmpeg, whole and within limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.media.ffmpeg import LEAST_SHARE, PIPE_BYTES, Child, command, reading
from dimcli.media.probe import SoundTrack, sound_track

SILENT_PEAK = 10 ** (-60 / 20)
LOUDEST = 100.0
"""Samples beyond this (full scale is 1) are no sound."""


def bounded_track(path: Path) -> SoundTrack | None:
    """The track of :func:`sound_track`, whose sound :func:`read_audio` can hold in memory. Raises
    InputError where the file says that it is longer than that."""
    track = sound_track(path)
    stated_s = track.duration_s or 0.0 if track is not None else 0.0
    if stated_s > limits.SOUND_S + limits.GAP_S:
        raise InputError(
            f"{path}: its sound is {stated_s / 3600:.1f} hours long; expected at most "
            f"{limits.SOUND_S / 3600:.0f}; cut the file"
        )
    return track


def read_audio(path: Path, rate: int = 16000, *, channel: int | None = None) -> Floats:
    """Sound of a video or sound file, mono float32 [N] in -1..1 at ``rate`` Hz.

    The track is that of :func:`sound_track`. Of several channels the mean, or ``channel`` (0 is
    left) where one person has it alone; where channels of opposite phase cancel
    out, the first. Starts at the picture's time zero (silence is put before sound that starts
    late). Empty where a video has no sound. Raises InputError where the file cannot be read, or is
    longer than fits in memory.
    """
    track = bounded_track(path)
    if track is None:
        return np.zeros(0, np.float32)
    samples = _decode_sound(path, track, rate, channel)
    if channel is None and track.channels > 1 and is_silent(samples):
        del samples  # or two sounds of half a gigabyte are in memory
        return _decode_sound(path, track, rate, 0)
    return samples


def is_silent(samples: Floats) -> bool:
    """Whether sound never gets louder than -60 dB of full scale."""
    return _peak(samples) < SILENT_PEAK


def _peak(samples: Floats) -> float:
    # without a second array: a sound can have half a gigabyte
    return float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))


def _decode_sound(path: Path, track: SoundTrack, rate: int, channel: int | None) -> Floats:
    aligned = f"aresample={rate}:async=1:first_pts=0"
    aligned = f"{aligned},pan=mono|c0=c{channel}" if channel is not None else track.mixing + aligned
    decoding = command(
        *("-v", "error", *reading(path), "-map", f"0:a:{track.index}", "-af", aligned, "-ac", "1"),
        *("-t", str(limits.SOUND_S + 1), "-f", "f32le", "pipe:1"),
    )
    child, data = Child(decoding, feed=False), bytearray()
    try:
        while block := child.pipe.read(PIPE_BYTES):
            data += block
        complaint = child.wait()
    finally:
        child.close()
    if complaint:
        raise InputError(
            f"{path}: its sound cannot be read ({complaint}); expected wav, mp3, m4a, mp4, ..."
        )
    samples = np.frombuffer(data, np.float32)
    stated_s = track.duration_s if track.exact and track.duration_s else 0.0
    if len(samples) < LEAST_SHARE * stated_s * rate - rate / 4:
        raise InputError(
            f"{path}: its sound ends after {len(samples) / rate:.1f} of {stated_s:.1f} s "
            "(the file is cut short or damaged)"
        )
    if len(samples) > limits.SOUND_S * rate:
        raise InputError(
            f"{path}: its sound is longer than {limits.SOUND_S / 3600:.0f} hours; cut the file"
        )
    if not _peak(samples) < LOUDEST:
        raise InputError(
            f"{path}: its sound has NaN or infinite samples, or some far beyond full scale; "
            "write it anew"
        )
    return samples
