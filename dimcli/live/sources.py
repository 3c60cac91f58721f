"""Whom a live face listens to, and what it says: somebody at the camera and microphone, a clip at
its own speed; an agent's voice from a file or a pipe.

A source gives what has come since it was last asked: sound as mono float32 [N] at 16 kHz, pictures
as uint8 [H, W, 3], RGB. It knows no clock: who asks says what time it is.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dimcli import media
from dimcli.audio import SAMPLE_RATE
from dimcli.core.errors import InputError, MissingDependencyError, needing
from dimcli.core.installing import install
from dimcli.core.motion import Floats, Picture

DEVICES = ("camera", "mic")
"""What is no clip's path."""
CHUNK = SAMPLE_RATE // 50
"""Sound comes 20 ms at a time, as from a microphone."""
LONGEST_QUEUE = 500
"""Chunks of a microphone that may wait; more are those of a program that stands still."""

PIPE, WEBSOCKET = "-", "ws"
"""Where else a voice may come from than from a file."""
VOICE_AHEAD_S = 30.0
"""A voice is taken in so far ahead of what is said now, and no further."""
PIECE = SAMPLE_RATE // 10
"""A voice is taken in 0.1 s at a time."""


class Talking(Protocol):
    """The face that a source talks to, as :class:`dimcli.live.loop.Loop` is."""

    def hear(self, samples: Floats) -> None:
        """The partner's sound."""

    def see(self, picture: Picture) -> None:
        """The partner's picture."""

    def say(self, samples: Floats) -> float:
        """The agent's voice; returns when it sounds."""


@dataclass
class Source:
    """What is opened, so that everything that can be wrong with it has been told. After ``begin()``
    it takes in; ``give(now_s, face)`` hands on what has come by ``now_s``, seconds since then;
    ``length_s`` is when it ends, None for what goes on."""

    name: str
    give: Callable[[float, Any], None]
    length_s: float | None = None
    begin: Callable[[], None] = lambda: None


@contextmanager
def clip(path: Path, area: tuple[int, int, int, int] | None = None) -> Iterator[Source]:
    """A video of somebody, who is seen in the ``area`` (x, y, width, height px; None: anywhere), or
    a sound file, as if it happened now. Raises InputError."""
    seen, heard = media.has_video(path), media.has_audio(path)
    if not seen and not heard:
        raise InputError(f"--from {path}: has no picture and no sound; expected a video or speech")
    info = media.probe_video(path) if seen else None
    samples = media.read_audio(path, SAMPLE_RATE) if heard else np.zeros(0, np.float32)
    length_s = max(len(samples) / SAMPLE_RATE, info.duration_s if info else 0.0)
    given = shown = 0

    def give(now_s: float, face: Talking) -> None:
        nonlocal given, shown
        while given + CHUNK <= now_s * SAMPLE_RATE and given < len(samples):
            face.hear(samples[given : given + CHUNK])
            given += CHUNK
        while info is not None and shown <= now_s * info.fps:
            picture = next(pictures, None)
            shown += 1
            if picture is None:
                return
            face.see(picture)

    with closing(media.read_frames(info, region=area)) if info else ExitStack() as opened:
        pictures: Iterator[Picture] = iter(()) if info is None else opened  # type: ignore[assignment]
        yield Source(path.name, give, length_s)


def sound_devices(option: str) -> Any:
    """The module that opens microphones and loudspeakers, for an ``option``. Raises
    MissingDependencyError."""
    try:
        with needing(f"{option} needs sounddevice; install it with `{install('live')}`"):
            import sounddevice
    except OSError:
        raise MissingDependencyError(
            f"{option} needs PortAudio; install it with `apt install libportaudio2`"
        ) from None
    return sounddevice


@contextmanager
def microphone() -> Iterator[Source]:
    """The system's microphone. Raises InputError where it has none, MissingDependencyError."""
    sounddevice = sound_devices("--from: a microphone")
    chunks: queue.Queue[Floats] = queue.Queue(LONGEST_QUEUE)

    def keep(chunk: Any, *_: Any) -> None:
        if not chunks.full():
            chunks.put(np.array(chunk[:, 0], np.float32))

    def give(now_s: float, face: Talking) -> None:
        while not chunks.empty():
            face.hear(chunks.get())

    try:
        stream = sounddevice.InputStream(
            SAMPLE_RATE, CHUNK, channels=1, dtype="float32", callback=keep
        )
    except sounddevice.PortAudioError as error:
        raise InputError(f"--from: no microphone can be opened ({error.args[0]})") from None
    with closing(stream):
        yield Source("microphone", give, begin=stream.start)


@contextmanager
def camera(index: int = 0) -> Iterator[Source]:
    """A camera's pictures, the newest at a time, and the microphone. Raises InputError where there
    is no such camera, and as :func:`microphone` does."""
    import cv2

    newest: list[Picture] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            there, picture = capture.read()
            if there:
                newest[:] = [np.ascontiguousarray(picture[:, :, ::-1])]
            else:  # pulled out, or asleep: it may come back
                ended.wait(0.5)

    with microphone() as sound:
        with media.quiet_libraries():
            capture = cv2.VideoCapture(index)
        if not capture.isOpened():
            raise InputError(
                f"--from camera: no camera {index} can be opened; --camera NUMBER names another, "
                "--from mic does without"
            )
        watching = threading.Thread(target=watch, name="camera", daemon=True)

        def begin() -> None:
            sound.begin()
            watching.start()

        def give(now_s: float, face: Talking) -> None:
            sound.give(now_s, face)
            if newest:
                face.see(newest.pop())

        try:
            yield Source(f"camera {index} and microphone", give, begin=begin)
        finally:
            ended.set()
            if watching.ident is not None:
                watching.join(timeout=2)
            capture.release()


def opened(
    name: str, index: int = 0, area: tuple[int, int, int, int] | None = None
) -> AbstractContextManager[Source]:
    """The source that is called ``camera`` (number ``index``) or ``mic``, or a clip's path, whose
    ``area`` is looked at."""
    if name == "camera":
        return camera(index)
    return microphone() if name == "mic" else clip(Path(name), area)


def _saying(
    name: str,
    next_piece: Callable[[], Floats | None],
    begin: Callable[[], None] = lambda: None,
) -> Source:
    """An agent's voice of which ``next_piece`` gives what follows, None where nothing is there."""
    end_s = 0.0

    def give(now_s: float, face: Talking) -> None:
        nonlocal end_s
        while end_s < now_s + VOICE_AHEAD_S and (piece := next_piece()) is not None:
            end_s = face.say(piece) + len(piece) / SAMPLE_RATE

    return Source(name, give, begin=begin)


@contextmanager
def voice_file(path: Path) -> Iterator[Source]:
    """A sound file that the agent says, from the beginning on. Raises InputError."""
    with media.audio_track(None):  # the one that was chosen is the clip's
        samples = media.read_audio(path, SAMPLE_RATE)
    if not len(samples):
        raise InputError(f"--voice {path}: has no sound; expected speech")
    pieces = iter(samples[first : first + PIECE] for first in range(0, len(samples), PIECE))
    yield _saying(path.name, lambda: next(pieces, None))


@contextmanager
def voice_pipe() -> Iterator[Source]:
    """The agent's voice on standard input, as it is made: 16-bit little-endian samples, mono, at
    16 kHz. Raises InputError where a person types there."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "--voice -: reads 16-bit samples (mono, 16 kHz) from a pipe: tts | dim live"
        )
    pieces: queue.Queue[Floats] = queue.Queue(LONGEST_QUEUE)

    def read() -> None:
        odd, coming = b"", sys.stdin.fileno()
        while data := os.read(coming, 2 * PIECE):
            data = odd + data
            odd = data[len(data) - len(data) % 2 :]
            samples = np.frombuffer(data, "<i2", len(data) // 2)
            pieces.put(samples.astype(np.float32) / np.float32(32768))

    def next_piece() -> Floats | None:
        return None if pieces.empty() else pieces.get()

    reading = threading.Thread(target=read, name="voice", daemon=True)
    yield _saying("standard input", next_piece, reading.start)


def voice(name: str) -> AbstractContextManager[Source]:
    """The agent's voice that is called ``-`` (a pipe), or a sound file's path."""
    return voice_pipe() if name == PIPE else voice_file(Path(name))
