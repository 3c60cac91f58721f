"""Whom a live face listens to: somebody at the camera and microphone, or a clip at its own speed.

A source gives what has come since it was last asked: sound as mono float32 [N] at 16 kHz, pictures
as uint8 [H, W, 3], RGB. It knows no clock: who asks says what time it is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dimcli import media
from dimcli.audio import SAMPLE_RATE
from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.core.motion import Floats, Picture

DEVICES = ("camera", "mic")
"""What is no clip's path."""
CHUNK = SAMPLE_RATE // 50
"""Sound comes 20 ms at a time, as from a microphone."""
LONGEST_QUEUE = 500
"""Chunks of a microphone that may wait; more are those of a program that stands still."""

Hear = Callable[[Floats], None]
See = Callable[[Picture], None]


@dataclass
class Source:
    """``give(now_s, hear, see)`` hands on what has come by ``now_s``, seconds since it began;
    ``length_s`` is when it ends, None for what goes on."""

    name: str
    give: Callable[[float, Hear, See], None]
    length_s: float | None = None


@contextmanager
def clip(path: Path) -> Iterator[Source]:
    """A video of somebody, or a sound file, as if it happened now. Raises InputError."""
    seen, heard = media.has_video(path), media.has_audio(path)
    if not seen and not heard:
        raise InputError(f"--from {path}: has no picture and no sound; expected a video or speech")
    info = media.probe_video(path) if seen else None
    samples = media.read_audio(path, SAMPLE_RATE) if heard else np.zeros(0, np.float32)
    length_s = max(len(samples) / SAMPLE_RATE, info.duration_s if info else 0.0)
    given = shown = 0

    def give(now_s: float, hear: Hear, see: See) -> None:
        nonlocal given, shown
        while given + CHUNK <= now_s * SAMPLE_RATE and given < len(samples):
            hear(samples[given : given + CHUNK])
            given += CHUNK
        while info is not None and shown <= now_s * info.fps:
            picture = next(pictures, None)
            shown += 1
            if picture is None:
                return
            see(picture)

    with closing(media.read_frames(info)) if info else ExitStack() as opened:
        pictures: Iterator[Picture] = iter(()) if info is None else opened  # type: ignore[assignment]
        yield Source(path.name, give, length_s)


@contextmanager
def microphone() -> Iterator[Source]:
    """The system's microphone. Raises InputError where it has none, MissingDependencyError."""
    try:
        import sounddevice
    except ImportError:
        raise MissingDependencyError(
            "--from: a microphone needs sounddevice; install it with "
            "`pip install 'dim-listener[live]'`"
        ) from None
    except OSError:
        raise MissingDependencyError(
            "--from: a microphone needs PortAudio; install it with `apt install libportaudio2`"
        ) from None
    chunks: queue.Queue[Floats] = queue.Queue(LONGEST_QUEUE)

    def keep(chunk: Any, *_: Any) -> None:
        if not chunks.full():
            chunks.put(np.array(chunk[:, 0], np.float32))

    def give(now_s: float, hear: Hear, see: See) -> None:
        while not chunks.empty():
            hear(chunks.get())

    try:
        stream = sounddevice.InputStream(
            SAMPLE_RATE, CHUNK, channels=1, dtype="float32", callback=keep
        )
    except sounddevice.PortAudioError as error:
        raise InputError(f"--from: no microphone can be opened ({error.args[0]})") from None
    with stream:
        yield Source("microphone", give)


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
        watching.start()

        def give(now_s: float, hear: Hear, see: See) -> None:
            sound.give(now_s, hear, see)
            if newest:
                see(newest.pop())

        try:
            yield Source(f"camera {index} and microphone", give)
        finally:
            ended.set()
            watching.join(timeout=2)
            capture.release()


def opened(name: str, index: int = 0) -> AbstractContextManager[Source]:
    """The source that is called ``camera`` (number ``index``) or ``mic``, or a clip's path."""
    if name == "camera":
        return camera(index)
    return microphone() if name == "mic" else clip(Path(name))
