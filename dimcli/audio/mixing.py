"""Voices of a conversation as one sound, put together while it goes on."""

from __future__ import annotations

import tempfile
import threading
import wave
from pathlib import Path

import numpy as np

from dimcli.audio.sound import SAMPLE_RATE
from dimcli.core.motion import Floats

BLOCK_BYTES = 1 << 20


class Mix:
    """Sounds add up where they overlap; between them is silence. They are kept on disk, so that
    memory does not grow. May be used by several threads."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._using = threading.Lock()

    def add(self, samples: Floats, time_s: float) -> None:
        """A sound [N] at 16 kHz that begins at ``time_s``; what comes before 0, and after
        :meth:`close`, is left out."""
        first = round(time_s * SAMPLE_RATE)
        added = (np.asarray(samples[max(0, -first) :]) * 32767).clip(-32768, 32767)
        with self._using:
            if not len(added) or self._file.closed:
                return
            self._file.seek(2 * max(0, first))
            there = np.frombuffer(self._file.read(2 * len(added)), np.int16)
            added[: len(there)] += there
            self._file.seek(2 * max(0, first))
            self._file.write(added.clip(-32768, 32767).astype(np.int16).tobytes())

    def write(self, path: str | Path, seconds: float) -> None:
        """Write all of it as a ``.wav`` that lasts for ``seconds`` at least."""
        missing = 2 * round(seconds * SAMPLE_RATE)
        with self._using, wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            self._file.seek(0)
            while block := self._file.read(BLOCK_BYTES):
                file.writeframesraw(block)
                missing -= len(block)
            while missing > 0:
                file.writeframesraw(bytes(min(missing, BLOCK_BYTES)))
                missing -= BLOCK_BYTES

    def close(self) -> None:
        """Free what it holds."""
        with self._using:
            self._file.close()
