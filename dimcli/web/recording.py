"""A conversation as an mp4: the face, the camera beside it where there is one, and both voices.

Frame, camera and sound are put at their own times in the conversation.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np

from dimcli.audio.mixing import Mix
from dimcli.core.motion import Floats, Picture
from dimcli.jobs.render import covering
from dimcli.media import VideoWriter
from dimcli.web import limits

WAITING_FRAMES = 50


class Arrivals:
    """Tells when sound was heard that comes in pieces, each a little late and some later: they
    follow each other, but for gaps."""

    GAP_S = 0.06

    def __init__(self) -> None:
        self._end_s = -1.0

    def placed(self, samples: Floats, now_s: float) -> tuple[Floats, float]:
        """What of a piece that came ``now_s`` is new, and when it ends."""
        end_s = self._end_s + len(samples) / limits.SOUND_RATE
        if now_s - end_s > self.GAP_S:
            end_s = now_s
        more = max(0, round((end_s - now_s) * limits.SOUND_RATE))
        self._end_s = min(end_s, now_s)
        return samples[more:], self._end_s


class Recording:
    """Written to ``path`` from ``start_s`` on; with ``camera``, its pictures are on the left."""

    def __init__(
        self, path: Path, size: tuple[int, int], fps: float, start_s: float, *, camera: bool
    ) -> None:
        self._path, self._fps, self.start_s = path, fps, start_s
        self._size = size
        self._camera: deque[tuple[float, Picture]] | None = deque(maxlen=60) if camera else None
        self._panel = np.zeros((size[1], size[1] * 4 // 3, 3), np.uint8)
        self._sound = Mix()
        self._frames: queue.Queue[tuple[int, Picture] | None] = queue.Queue(WAITING_FRAMES)
        self._error, self._unheard, self._ended = "", "", False
        self._frame = self._written = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def hear(self, samples: Floats, end_s: float) -> None:
        """A voice's samples [N] at 16 kHz, the last of which ends at ``end_s``; voices add up."""
        try:
            self._sound.add(samples, end_s - len(samples) / limits.SOUND_RATE - self.start_s)
        except OSError as error:  # a full disk; the session goes on, and the end tells it
            self._unheard = error.strerror or type(error).__name__

    def see(self, picture: Picture, time_s: float) -> None:
        """The camera's picture of ``time_s``."""
        if self._camera is not None:
            self._camera.append(
                (time_s, covering(picture, self._panel.shape[1], self._panel.shape[0]))
            )

    def draw(self, picture: Picture, time_s: float) -> None:
        """The face at ``time_s``."""
        index = round((time_s - self.start_s) * self._fps)
        if index < 0 or index > limits.RECORDING_S * self._fps:
            return
        if self._camera is not None:
            while self._camera and self._camera[0][0] <= time_s:
                self._panel = self._camera.popleft()[1]
            picture = np.hstack([self._panel, picture])
        self._frame = index + 1
        with suppress(queue.Full):  # then the one before is shown for longer
            self._frames.put_nowait((index, picture))

    def camera_off(self) -> None:
        """Nothing is shown where the camera was."""
        if self._camera is not None:
            self._camera.clear()
            self._panel = np.zeros_like(self._panel)

    def finish(self) -> float:
        """Write the end; the video's length in seconds. Raises RuntimeError where it cannot be
        written."""
        while not self._ended:
            try:
                self._frames.put(None, timeout=0.1)
                break
            except queue.Full:
                pass
        self._thread.join()
        if error := self._error or self._unheard:
            raise RuntimeError(error)
        return self._written / self._fps

    def _write(self) -> None:
        try:
            with (
                tempfile.NamedTemporaryFile(suffix=".wav") as sound,
                VideoWriter(self._path, fps=self._fps, audio_from=Path(sound.name)) as video,
            ):
                while (due := self._frames.get()) is not None:
                    index, picture = due
                    if not video.frames:
                        video.write(picture)
                    # what was not drawn in time; encoding it would put off the end more and more
                    # on a computer that is too slow
                    video.hold(max(0, index - video.frames))
                    if video.frames == index:
                        video.write(picture)
                if video.frames:
                    video.hold(max(0, self._frame - video.frames))
                self._written = video.frames
                self._sound.write(sound.name, self._written / self._fps)
        except Exception as error:
            self._error = str(error) or type(error).__name__
        finally:
            self._ended = True
            self._sound.close()
