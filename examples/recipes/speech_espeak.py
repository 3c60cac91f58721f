"""eSpeak NG for :mod:`examples.recipes.build_speech`: IPA of a text, and speech with phone times.

The library comes with the PyPI wheel ``espeakng-loader`` (GPL-3.0; used at build time only, called
through its C interface, documented in its ``speak_lib.h``).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.data.synthetic.phones import Phone

Floats = NDArray[np.float32]

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _IPA_EVENTS = 1, 2
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8 = 1
_AS_IPA = 2
_END_PAUSE_OFF = 0

ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-gbclan")
"""Languages that can read our sentences."""

# fmt: off
VARIANTS = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo",
    "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Reed", "adam", "anika", "announcer",
    "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "f1",
    "f2", "f3", "f4", "f5", "grandma", "ian", "john", "klatt", "klatt2", "klatt3", "klatt5",
    "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max", "miguel",
    "norbert", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph2",
    "travis", "victor", "zac",
)
# fmt: on
"""Voice variants that sound like persons (not the robots and whispers)."""


class _Id(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Setting:
    """How a sentence is read: words a minute, pitch and pitch range (50 is usual, 0-99)."""

    words_a_minute: int = 170
    pitch: int = 50
    pitch_range: int = 50


class Espeak:
    """One eSpeak voice at a time; the library has one state a process."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        self.rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data).encode(), _PHONEME_EVENTS | _IPA_EVENTS
        )
        if self.rate <= 0:
            raise RuntimeError(f"eSpeak does not start with its data in {data}")
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._pieces: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def voice(self, name: str) -> None:
        """Choose a voice, as in ``en-us`` or ``en-us+f3``."""
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise RuntimeError(f"eSpeak has no voice {name}")

    def ipa(self, text: str) -> str:
        """The IPA of a clause, with stress marks and spaces, without its punctuation."""
        pointer = ctypes.pointer(ctypes.c_char_p(text.encode()))
        found = []
        while pointer.contents.value is not None:
            part = self._library.espeak_TextToPhonemes(pointer, _UTF8, _AS_IPA)
            found.append(part.decode())
        return " ".join(part.strip() for part in found if part.strip()).replace("\u200d", "")

    def speak(self, text: str, setting: Setting) -> tuple[Floats, list[Phone]]:
        """Sound float32 [N] at ``rate`` Hz in -1..1 and the phones in it (with stress marks)."""
        for parameter, value in (
            (_RATE, setting.words_a_minute),
            (_VOLUME, 90),
            (_PITCH, setting.pitch),
            (_RANGE, setting.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._pieces, self._events = [], []
        data = text.encode()
        flags = _UTF8 | _END_PAUSE_OFF
        failed = self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, flags, None, None)
        if failed or not self._pieces:
            raise RuntimeError(f"eSpeak cannot say: {text}")
        sound = np.concatenate(self._pieces).astype(np.float32) / 32768.0
        return sound, self._phones(len(sound))

    def _take(self, samples: object, count: int, events: object) -> int:
        if samples and count > 0:
            piece = np.ctypeslib.as_array(samples, shape=(count,))
            self._pieces.append(piece.copy())
        index = 0
        while events[index].type != _EVENT_END:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.type == _EVENT_PHONEME:
                self._events.append((event.sample, event.id.string.decode(errors="ignore")))
            index += 1
        return 0

    def _phones(self, samples: int) -> list[Phone]:
        """An event says where a phone begins; it lasts to the next one."""
        starts = [sample for sample, _ in self._events] + [samples]
        phones = []
        for (start, symbol), end in zip(self._events, starts[1:], strict=True):
            if end > start:
                phones.append(Phone(symbol, start / self.rate, end / self.rate))
        return phones


@cache
def espeak() -> Espeak:
    """The process's eSpeak."""
    return Espeak()
