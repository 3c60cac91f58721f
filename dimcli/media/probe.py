"""What a video or sound file holds, as its container and its first frame say, through PyAV."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.media.ffmpeg import FORMATS, source_url

FALLBACK_FPS = 30.0
"""For files that give no usable rate, as browser recordings (WebM) do."""

_PLAYLISTS = {
    b"#EXTM3U": "an m3u8 playlist",
    b"ffconcat": "a list of files for ffmpeg",
    b"<?xml": "an XML document",
    b"<MPD": "a DASH manifest",
    b"v=0": "a session description (SDP)",
    b"[playlist]": "a playlist",
}
_MOST_PLACED = 8
"""Channels: 7.1, the most that ffmpeg places by their number and its encoders take."""
_PQ, _HLG = 16, 18  # transfer functions as ITU-T H.273 numbers them


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds, as displayed: rotation tags and non-square pixels are applied."""

    path: Path
    width: int
    height: int
    fps: float
    duration_s: float
    has_audio: bool
    container: str = ""
    """ffmpeg's name for the file format."""
    picture_s: float | None = None
    """Length of the picture alone, where the file says it."""
    peak_nits: float | None = None
    """How bright (cd/m2) a picture of high dynamic range (PQ, HLG) gets; None for any other."""


@dataclass(frozen=True)
class SoundTrack:
    """Which of a file's sound tracks is read."""

    index: int
    """From 0, among the sound tracks."""
    duration_s: float | None
    """Its length, where the file says it."""
    exact: bool
    """Whether it says it exactly; other formats estimate it from the bit rate."""
    channels: int = 1

    @property
    def mixing(self) -> str:
        """The filter that comes before others where ffmpeg does not know which loudspeakers so many
        channels are for: their mean; else ''."""
        if self.channels <= _MOST_PLACED:
            return ""
        parts = "+".join(f"{1 / self.channels:.6f}*c{at}" for at in range(self.channels))
        return f"pan=mono|c0={parts},"


def _is_cut_short(path: Path) -> bool:
    """Whether an mp4, mov or wav ends before its last box does (a broken download or recording)."""
    size = path.stat().st_size
    position, has_index, has_media = 0, False, False
    with path.open("rb") as file:
        riff = file.read(8)
        if riff[:4] == b"RIFF":
            (length,) = struct.unpack("<I", riff[4:].ljust(4, b"\0"))
            # streams of unknown length say 0 or the largest number
            # some writers count the byte that evens a chunk's length and leave it out
            return 0 < length < 0x7FFFFFFF and length + 8 > size + 1
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            (length,) = struct.unpack(">I", header[:4])
            kind = header[4:8]
            if position == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return False
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            has_index |= kind in (b"moov", b"moof")
            has_media |= kind == b"mdat"
            if length == 0:
                break
            if length < 8:
                return False
            position += length
    return position > size or not (has_index or not has_media)


@contextmanager
def _opened(path: Path, kind: str, expected: str) -> Iterator[InputContainer]:
    """The container of a file, of which only the file itself is opened. Raises InputError."""
    path = existing_file(path, kind)
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    for sign, name in _PLAYLISTS.items():
        if start.startswith(sign):
            raise InputError(
                f"{path}: is {name}, which only names other files; expected {expected}"
            )
    if _is_cut_short(path):
        raise InputError(f"{path}: the file is cut short; copy or download it again")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(source_url(path), options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError):
        raise InputError(
            f"{path}: not a {kind} that ffmpeg can read; expected {expected}"
        ) from None
    with container:
        yield container


def _seconds(start: int | None, time_base: object) -> float | None:
    return None if start is None or time_base is None else float(start * time_base)  # type: ignore[operator]


def _decoder(path: Path, stream: Any) -> Any:
    """What decodes a stream. Raises InputError where it is of a kind that nothing here decodes."""
    if stream.codec_context is None:
        raise InputError(f"{path}: its {stream.type} is of a kind that ffmpeg cannot decode")
    return stream.codec_context


def _check_gap(path: Path, container: InputContainer) -> None:
    """Raise InputError where picture and sound start too far apart for the gap to be filled."""
    streams = [*container.streams.video[:1], *container.streams.audio]
    starts = [_seconds(each.start_time, each.time_base) or 0.0 for each in streams]
    if starts and max(starts) - min(starts) > limits.GAP_S:
        raise InputError(
            f"{path}: its picture and its sound start {max(starts) - min(starts):.0f} s apart; "
            f"expected at most {limits.GAP_S:.0f} s; cut the file"
        )


def _check_stops(path: Path, kind: str, index: int) -> None:
    """Raise InputError where a stream, the file's ``kind``, stops for so long that the gap cannot
    be filled."""
    status = path.stat()
    longest = _longest_stop(path, status.st_size, status.st_mtime_ns, index)
    if longest > limits.GAP_S:
        raise InputError(
            f"{path}: its {kind} stops for {longest:.0f} s; expected at most {limits.GAP_S:.0f} s; "
            "cut the file"
        )


@cache
def _longest_stop(path: Path, size: int, changed_ns: int, index: int) -> float:
    """Seconds between a packet of a stream and the next, the most; ``size`` and ``changed_ns`` tell
    one state of the file from another."""
    longest, last = 0.0, None
    with _opened(path, "video or sound", "mp4, mov, wav, ...") as container:
        try:
            for packet in container.demux(index):
                at = _seconds(packet.pts if packet.dts is None else packet.dts, packet.time_base)
                if at is not None:
                    longest = max(longest, at - (at if last is None else last))
                    last = at
        except (av.FFmpegError, OSError, ValueError):
            pass  # what can be read until there counts
    return longest


def _fps(average: float, nominal: float) -> float:
    """Frames a second of the average and the nominal rate (0: not said)."""
    # two digits, as people write them: 29.97 is 30000/1001, and 29.998 is 30
    average, nominal = round(average, 2), round(nominal, 2)
    fps = average or nominal or FALLBACK_FPS
    if average and nominal and 0.9 <= average / nominal < 1:
        fps = nominal
    if not 0 < fps <= limits.HIGHEST_FPS:
        return FALLBACK_FPS
    ntsc = round(fps * 1.001) / 1.001
    return ntsc if fps != round(fps) and abs(ntsc - fps) < 0.006 else fps


def probe_video(path: Path) -> VideoInfo:
    """What is in a video file. Raises InputError where it is missing, empty, cut short, no video,
    a list of other files, or beyond :mod:`dimcli.core.limits`.

    ``duration_s`` is the container's; the number of frames :func:`read_frames` gives can differ
    from ``duration_s * fps`` where sound and picture have different lengths.
    """
    with _opened(path, "video", "mp4, mov, webm, ...") as container:
        videos = _videos(container)
        if not videos:
            raise InputError(f"{path}: has no picture, only sound; expected a video")
        name = container.format.name
        if name == "image2" or name.endswith("_pipe"):
            raise InputError(f"{path}: is a still picture; expected a video")
        stream = videos[0]
        decoder = _decoder(path, stream)
        width, height = decoder.width, decoder.height
        check_size(path, width, height, limits.FRAME_PIXELS)
        _check_gap(path, container)
        try:
            frame = next(container.decode(stream))
        except (av.FFmpegError, StopIteration, OSError, ValueError):
            raise InputError(f"{path}: no frame can be decoded; the file is broken") from None
        width, height = frame.width, frame.height
        check_size(path, width, height, limits.FRAME_PIXELS)
        pixel = stream.sample_aspect_ratio
        if pixel and 1 / 64 < pixel < 64:
            width = max(1, round(width * pixel))
        if round(frame.rotation / 90) % 2:
            width, height = height, width
        peak_nits = None
        if frame.color_trc in (_PQ, _HLG):
            peak_nits = max(map(_peak_nits, [frame, *_frames_along(container, stream)]))
        fps = _fps(float(stream.average_rate or 0), float(stream.base_rate or 0))
        has_audio, index = bool(container.streams.audio), stream.index
        picture_s = _seconds(stream.duration, stream.time_base)
        # to 0.01 s, as the rate is
        duration_s = round((container.duration or 0) / av.time_base, 2)
    if not duration_s:
        duration_s = _measured_duration_s(path)
    if duration_s <= 0:
        raise InputError(f"{path}: has no frames; the file is cut short or broken")
    if duration_s > limits.VIDEO_S:
        raise InputError(
            f"{path}: is {duration_s / 3600:.0f} hours long; expected at most "
            f"{limits.VIDEO_S / 3600:.0f}; cut the file"
        )
    if duration_s * fps > limits.MOTION_FRAMES:
        raise InputError(
            f"{path}: has {duration_s * fps:.0f} frames; expected at most {limits.MOTION_FRAMES}; "
            "cut the file"
        )
    _check_stops(path, "picture", index)
    return VideoInfo(path, width, height, fps, duration_s, has_audio, name, picture_s, peak_nits)


def has_video(path: Path) -> bool:
    """Whether a file has moving pictures. Raises InputError where it is neither video nor sound."""
    with _opened(path, "video or sound", "mp4, mov, wav, mp3, ...") as container:
        return bool(_videos(container))


def _videos(container: InputContainer) -> list[av.VideoStream]:
    """The streams of moving pictures: a cover of an album is none."""
    return [
        each for each in container.streams.video if not each.disposition & Disposition.attached_pic
    ]


def _frames_along(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """A frame at each quarter of a video: the first alone may be black."""
    for quarter in (1, 2, 3):
        try:
            container.seek((container.duration or 0) * quarter // 4)
            yield next(container.decode(stream))
        except (av.FFmpegError, StopIteration):
            return


def _peak_nits(frame: av.VideoFrame) -> float:
    """The luminance (cd/m2) that all but a thousandth of a PQ or HLG frame stay under."""
    luma = frame.reformat(format="gray16le").to_ndarray() / 65535
    signal = float(np.quantile(luma, 0.999))
    if frame.color_trc == _PQ:  # SMPTE ST 2084
        root = signal ** (32 / 2523)
        linear = max(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
        return float(10_000 * linear ** (8192 / 1305))
    # ITU-R BT.2100, on the screen of 1,000 cd/m2 for which its system gamma is 1.2
    if signal <= 0.5:
        scene = signal**2 / 3
    else:
        scene = (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(1000 * scene**1.2)


def check_size(path: Path, width: int, height: int, most: int) -> None:
    """Raise InputError unless a picture of this size may be decoded."""
    if min(width, height) < 1:
        raise InputError(f"{path}: its picture size cannot be read; the file is broken")
    if max(width, height) > limits.SIDE_PIXELS or width * height > most:
        raise InputError(
            f"{path}: is {width}x{height}; expected at most {most / 1e6:.0f} megapixels and "
            f"{limits.SIDE_PIXELS} pixels a side; make it smaller"
        )


def _measured_duration_s(path: Path) -> float:
    """Length of a file whose header does not say, by going through its packets."""
    last = 0.0
    with _opened(path, "video", "mp4, mov, webm, ...") as container:
        stream = container.streams.video[0]
        try:
            for packet in container.demux(stream):
                end = _seconds(packet.pts, packet.time_base)
                if end is not None:
                    last = max(last, end + (_seconds(packet.duration, packet.time_base) or 0.0))
        except av.FFmpegError:
            pass  # what was read until there counts
    return last


@contextmanager
def audio_track(number: int | None) -> Iterator[None]:
    """Within the block every file's sound is its track ``number`` (from 1), where it has any sound;
    None leaves the choice to :func:`sound_track`.
    """
    token = _CHOSEN_TRACK.set(number)
    try:
        yield
    finally:
        _CHOSEN_TRACK.reset(token)


_CHOSEN_TRACK: ContextVar[int | None] = ContextVar("audio track", default=None)
chosen_track = _CHOSEN_TRACK.get
"""The track that :func:`audio_track` chose, or None."""


def sound_track(path: Path) -> SoundTrack | None:
    """Which of a file's sound tracks is read: the one that :func:`audio_track` chose, else
    the one that the file flags as its default, else the first. None where there is no sound.

    It may be of any length: who holds it in memory limits that. Raises InputError where the file
    cannot be read, has no such track, or is beyond the other limits.
    """
    with _opened(path, "video or sound", "wav, mp3, m4a, mp4, ...") as container:
        sounds = container.streams.audio
        if not sounds:
            return None
        track = chosen_track()
        if track is not None and not 1 <= track <= len(sounds):
            raise InputError(
                f"--audio-track {track}: {path} has {len(sounds)} sound track"
                f"{'s' if len(sounds) > 1 else ''}; expected 1 to {len(sounds)}"
            )
        flagged = (i for i, each in enumerate(sounds) if each.disposition & Disposition.default)
        index = track - 1 if track is not None else next(flagged, 0)
        stream = sounds[index]
        place = stream.index  # among all streams
        decoder = _decoder(path, stream)
        rate, channels = decoder.sample_rate, decoder.channels
        if not limits.LOWEST_SOUND_RATE <= rate <= limits.HIGHEST_SOUND_RATE:
            raise InputError(
                f"{path}: its sound has {rate} samples a second; expected "
                f"{limits.LOWEST_SOUND_RATE} to {limits.HIGHEST_SOUND_RATE}; re-encode it"
            )
        if not 1 <= channels <= limits.SOUND_CHANNELS:
            raise InputError(
                f"{path}: its sound has {channels} channels; expected 1 to {limits.SOUND_CHANNELS}"
            )
        _check_gap(path, container)
        duration = _seconds(stream.duration, stream.time_base)
        if duration is None and container.duration:
            duration = container.duration / av.time_base
        exact = container.format.name.startswith(("mov", "wav", "flac"))
    _check_stops(path, "sound", place)
    return SoundTrack(index, duration, exact, channels)


def has_audio(path: Path) -> bool:
    """Whether a file, of any kind, holds sound. Raises InputError where it cannot be read."""
    return sound_track(path) is not None
