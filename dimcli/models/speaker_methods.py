"""Every way to say a speech with a face, by one name or one run directory.

Names stand for what needs no training; anything that was trained is a run directory, or the name
of bundled weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

import weights
from dimcli.audio import LEVEL, MEL, MEL_DIM
from dimcli.core.device import choose_device
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import UNKNOWN_STYLE, ClipRecord, Predictor, Stimulus
from dimcli.data.store import ClipStore
from dimcli.models.checkpoint import CONFIG, load_run
from dimcli.models.config import RunConfig, read_config
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.speaker import check_speech, generate_speaker, load_speaker
from dimcli.models.kinds import SPEAKER_KINDS
from dimcli.models.listener_io import one_thread, plausible
from dimcli.models.speech_model import SpeakerBaseline

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MeanSpeaker:
    """The mean speaker frame of the train split, held still."""

    mean: Floats

    @classmethod
    def fit(cls, store: ClipStore) -> MeanSpeaker:
        """Take the mean from a data set."""
        return cls(store.statistics()["speaker"].mean)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The mean, for as long as the speech."""
        del seed
        return stimulus.motion(np.tile(self.mean, (len(stimulus), 1)))


@dataclass(frozen=True)
class RandomSpeaker:
    """Somebody saying something else: a random clip of the train split, there and back."""

    store: ClipStore
    records: tuple[ClipRecord, ...]

    @classmethod
    def fit(cls, store: ClipStore) -> RandomSpeaker:
        """Draw from the train split of a data set."""
        records = store.clips("train")
        if not records:
            raise InputError(f"{store.root}: the train split is empty")
        return cls(store, tuple(records))

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The clip from its start, repeated forwards and back where it is too short."""
        random = np.random.default_rng([seed, zlib.crc32(stimulus.id.encode())])
        record = self.records[random.integers(len(self.records))]
        values = self.store.load(record, 0, min(len(record), len(stimulus))).speaker.values
        both = np.concatenate([values, values[::-1]])
        return stimulus.motion(np.tile(both, (-(-len(stimulus) // len(both)), 1))[: len(stimulus)])


@dataclass(frozen=True)
class LoudnessSpeaker:
    """A face that follows the volume: every number of a frame is linear in the sound's level there
    (``weights`` [2, 56], of the level and of a one). What lip sync has to beat.
    """

    weights: Floats

    @classmethod
    def fit(cls, store: ClipStore) -> LoudnessSpeaker:
        """By least squares on the train split. Raises InputError for features without a level."""
        name = store.info.audio_encoder
        if not name.startswith(MEL.name):
            raise InputError(f"{store.root}: features of '{name}' do not say how loud it is")
        products, pulls = np.zeros((2, 2)), np.zeros((2, 56))
        for record in store.clips("train"):
            clip = store.load(record)
            rows = _level(clip.speaker_audio)
            products += rows.T @ rows
            pulls += rows.T @ clip.speaker.values
        if not products.any():
            raise InputError(f"{store.root}: the train split is empty")
        solved = np.linalg.solve(products + 1e-6 * np.eye(2), pulls)
        return cls(solved.astype(np.float32))

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Louder is wider."""
        del seed
        values = (_level(stimulus.audio) @ self.weights).astype(np.float32)
        return stimulus.motion(plausible(values, stimulus.space))


def _level(audio: Floats) -> NDArray[np.float64]:
    """Level and one, [T, 2], of features ``mel`` or ``mel4``."""
    level = audio[:, LEVEL::MEL_DIM].mean(axis=1, dtype=np.float64)
    return np.stack([level, np.ones_like(level)], axis=1)


UNTRAINED_SPEAKERS: dict[str, Callable[[ClipStore], Predictor]] = {
    "mean": MeanSpeaker.fit,
    "random": RandomSpeaker.fit,
    "loudness": LoudnessSpeaker.fit,
}
"""Methods that take what they need from a data set at once."""


class TrainedSpeaker(Protocol):
    """A trained model of any method that generates speakers."""

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        ...

    def say(self, audio: Floats, *, seed: int, style: str) -> Motion:
        """A face that says what is heard in ``audio`` [T, D]; an unknown ``style`` is nobody's."""
        ...


@dataclass(frozen=True)
class DIMSpeaker:
    """A DIM whose speaker task was fine-tuned."""

    model: DIM

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.model.config

    def say(self, audio: Floats, *, seed: int, style: str) -> Motion:
        """Sampled as the run's configuration says."""
        known = style if style in self.model.styles else UNKNOWN_STYLE
        return generate_speaker(self.model, audio, seed=seed, style=known)


@dataclass(frozen=True)
class BaselineSpeaker:
    """A trained baseline that generates speakers."""

    model: SpeakerBaseline

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.model.config

    def say(self, audio: Floats, *, seed: int, style: str) -> Motion:
        """A whole clip in one go."""
        data = self.config.data
        check_speech(data, audio)
        device = next(self.model.buffers()).device
        sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32)).to(device)
        generator = torch.Generator().manual_seed(seed)
        with one_thread(), torch.inference_mode():
            values = self.model.say(sound, style, generator).float().cpu().numpy()
        return Motion(
            plausible(values, data.space),
            fps=data.fps,
            space=data.space,
            meta={"generated": self.config.kind, "seed": seed, "style": style},
        )


@dataclass(frozen=True)
class TrainedSpeakerPredictor:
    """A trained model as a predictor; every clip has randomness of its own."""

    speaker: TrainedSpeaker

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """One sample."""
        expected = self.speaker.config.data.audio_encoder
        if stimulus.audio_encoder != expected:
            raise InputError(
                f"clip {stimulus.id}: audio features of '{stimulus.audio_encoder}'; "
                f"the model was trained on '{expected}'"
            )
        own = np.random.SeedSequence([seed, zlib.crc32(stimulus.id.encode())])
        return self.speaker.say(
            stimulus.audio, seed=int(own.generate_state(1)[0]), style=stimulus.style
        )


def load_trained_speaker(run: Path, device: str = "auto") -> TrainedSpeaker:
    """The speaker of a run directory of any method. InputError when the run is for else."""
    kind = read_config(Path(run) / CONFIG).kind
    if kind in ("dim", "vq"):
        return DIMSpeaker(load_speaker(run, device))
    if kind not in SPEAKER_KINDS:
        raise InputError(f"{run}: a run of {kind}, which generates listeners")
    loaded = load_run(run, choose_device(device)).model
    if not isinstance(loaded, SpeakerBaseline):
        raise InputError(f"{run}: the first stage of {kind}; give the run that it lies in")
    return BaselineSpeaker(loaded)


def load_speaker_predictor(name: str | Path, store: ClipStore, device: str = "auto") -> Predictor:
    """The predictor of a run directory, of bundled weights, or of a method that needs no training.

    ``store`` is what untrained methods draw on (its train split). Raises InputError that lists the
    names when ``name`` is none of them and no run directory.
    """
    if str(name) in UNTRAINED_SPEAKERS:
        return UNTRAINED_SPEAKERS[str(name)](store)
    try:
        run = weights.resolve(str(name))
    except InputError as error:
        raise InputError(f"{error}; without training: {', '.join(UNTRAINED_SPEAKERS)}") from None
    speaker = load_trained_speaker(run, device)
    for field in ("fps", "space", "audio_encoder", "audio_dim"):
        trained, found = getattr(speaker.config.data, field), getattr(store.info, field)
        if trained != found:
            raise InputError(f"{name}: trained at {field} {trained}; {store.root} has {found}")
    return TrainedSpeakerPredictor(speaker)
