"""The encoders by name.

``mel`` is built in (:mod:`dimcli.audio.log_mel`), and so is ``mel4``, the same four times a frame,
for lips, which close for less time than two frames take; so is ``l2l-mel``, what Learning2Listen's
arrays have (:mod:`dimcli.audio.l2l_mel`); ``hubert`` is the paper's (:mod:`dimcli.audio.hubert`),
and ``hubert:NAME`` another HuBERT model by its hub name or folder.
Data sets and models record the name and the width of their features, so that a model refuses
those of another encoder.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dimcli.audio.features import AudioEncoder, LoadedEncoder
from dimcli.audio.hubert_files import find_hubert, import_transformers
from dimcli.audio.l2l_mel import L2L_MEL_DIM, l2l_mel
from dimcli.audio.log_mel import MEL_DIM, mel_rows, online_mel
from dimcli.audio.sound import SAMPLE_RATE, checked_sound
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.core.progress import Progress, silent

MEL = AudioEncoder("mel", MEL_DIM)
MEL4 = AudioEncoder("mel4", 4 * MEL_DIM)
"""Four rows of ``mel`` a frame, one after the other: 10 ms each at 25 frames a second."""
L2L_MEL = AudioEncoder("l2l-mel", L2L_MEL_DIM)
HUBERT = AudioEncoder("hubert", 768)
NO_SOUND = AudioEncoder("none", 1)
"""For corpora without sound: one column of zeros, so that a model's input has some width."""
ENCODERS: dict[str, AudioEncoder] = {
    each.name: each for each in (MEL, MEL4, L2L_MEL, HUBERT, NO_SOUND)
}
"""Encoders by name; ``hubert:NAME`` is another HuBERT model than the default one."""


class BuiltInEncoder(LoadedEncoder):
    """``mel``, ``mel4``, ``l2l-mel`` or ``none``: nothing is loaded, and nothing takes long."""

    def __init__(self, encoder: AudioEncoder, *, online: bool = False) -> None:
        """``online``: features of a whole sound as a stream would have had them."""
        self.encoder = encoder
        self._online = online

    def _encode(
        self, samples: Floats, rate: int, fps: float, frames: int, progress: Progress, keep: bool
    ) -> Floats:
        if self.encoder == NO_SOUND:
            return np.zeros((frames, NO_SOUND.dim), np.float32)
        if self.encoder == L2L_MEL:
            return l2l_mel(samples, rate, fps, frames)
        rows = self.encoder.dim // MEL_DIM
        if self._online:
            return online_mel(checked_sound(samples, rate, SAMPLE_RATE), fps, frames, rows)
        return mel_rows(samples, rate, fps, frames, rows)


def encoder(name: str) -> AudioEncoder:
    """The encoder of that name, without loading it; of ``hubert:NAME`` only the settings are read.

    Raises InputError that lists the known ones, or where there is no such model.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    kind, _, model = name.partition(":")
    if kind != HUBERT.name or not model:
        raise InputError(
            f"audio encoder '{name}' is unknown; known: {', '.join(ENCODERS)}, hubert:FOLDER and "
            "hubert:HUB/NAME"
        )
    return AudioEncoder(name, find_hubert(model).width)


def is_encoder(name: str) -> bool:
    """Whether features of that name are made of a sound here. Others came with their corpus."""
    return name in ENCODERS or name.startswith(f"{HUBERT.name}:")


def encoder_here(name: str) -> AudioEncoder:
    """The encoder of that name, if its model and its packages are on this machine: worth asking
    before long work. Raises what :func:`load_encoder` would.
    """
    known = encoder(name)
    if name.partition(":")[0] == HUBERT.name:
        import_transformers()
        find_hubert(name.partition(":")[2] or None)
    return known


@lru_cache(maxsize=2)
def load_encoder(name: str, device: str = "auto", *, online: bool = False) -> LoadedEncoder:
    """The encoder called ``name``, ready to run; a network runs on ``device``.

    ``online`` makes the features of a stream. Raises InputError where the name is unknown, the
    model isn't here or it needs whole sounds, MissingDependencyError where a package isn't.
    """
    known = encoder(name)
    if online and known not in (MEL, MEL4):
        raise InputError(
            f"--online: these weights need the audio encoder '{name}', which encodes whole sounds "
            "only; expected weights that were trained on mel or mel4"
        )
    if known in (MEL, MEL4, L2L_MEL, NO_SOUND):
        return BuiltInEncoder(known, online=online)
    from dimcli.audio.hubert import HubertEncoder  # torch is slow to import

    return HubertEncoder.load(known, device)


def encode(
    name: str,
    samples: Floats,
    rate: int,
    fps: float,
    frames: int,
    *,
    device: str = "auto",
    keep: bool = True,
    progress: Progress = silent,
) -> Floats:
    """Features float32 [frames, dim] of a sound by the encoder ``name``; see
    :class:`dimcli.audio.features.LoadedEncoder`. Raises what :func:`load_encoder` raises, too.
    """
    return load_encoder(name, device)(samples, rate, fps, frames, progress, keep=keep)
