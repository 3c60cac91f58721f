"""Voices of a conversation as one sound, put together while it goes on."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from dimcli.audio.sound import SAMPLE_RATE
from dimcli.core.motion import Floats


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
        with self._using:
            self._file.seek(0)
            heard = np.frombuffer(self._file.read(), np.int16)
        least = round(seconds * SAMPLE_RATE)
        wavfile.write(path, SAMPLE_RATE, np.pad(heard, (0, max(0, least - len(heard)))))

    def close(self) -> None:
        """Free what it holds."""
        with self._using:
            self._file.close()
