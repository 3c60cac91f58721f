"""Predictors that learn nothing about the speaker, and the oracle that knows the truth's rule.

Each is a :class:`dimcli.data.clip.Predictor`. Only the oracle looks behind the speaker.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import LEVEL, MEL, MEL_DIM
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Floats, Motion
from dimcli.data.clip import ROLES, ClipRecord, Stimulus
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.rule import ReactionRule
from dimcli.data.synthetic.synthetic import Recipe, conversation_index, redraw_listener
from dimcli.models.registry import Method, register
from dimcli.models.windows import clip_to_range


@dataclass(frozen=True)
class MeanPredictor:
    """The mean frame of a role in the train split, held still."""

    mean: Floats

    @classmethod
    def fit(cls, store: ClipStore, role: str) -> MeanPredictor:
        """Take the mean from a data set."""
        return cls(store.statistics()[role].mean)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The mean, for as long as the stimulus."""
        return stimulus.motion(np.tile(self.mean, (len(stimulus), 1)))


@dataclass(frozen=True)
class RandomPredictor:
    """The same role in a random clip of the train split (the paper's Random).

    A listener is slightly disturbed: ``perturbation`` is the standard deviation of the normal noise
    on every frame, as a share of the standard deviation ``std`` [56] that each column has in the
    train split. A speaker is somebody saying something else, as it is.
    """

    store: ClipStore
    records: tuple[ClipRecord, ...]
    role: str
    std: Floats
    perturbation: float = 0.05

    @classmethod
    def fit(cls, store: ClipStore, role: str) -> RandomPredictor:
        """Draw from the train split of a data set."""
        records = store.clips("train")
        if not records:
            raise InputError(f"{store.root}: the train split is empty")
        return cls(store, tuple(records), role, store.statistics()[role].std)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Another clip's motion, from its start, repeated forwards and back where too short."""
        random = np.random.default_rng([seed, _key(stimulus)])
        record = self.records[random.integers(len(self.records))]
        clip = self.store.load(record, 0, min(len(record), len(stimulus)))
        values = clip.motion(self.role).values
        there_and_back = np.concatenate([values, values[::-1]])
        repeats = -(-len(stimulus) // len(there_and_back))
        values = np.tile(there_and_back, (repeats, 1))[: len(stimulus)]
        if self.role == "speaker":
            return stimulus.motion(values)
        noise = self.perturbation * self.std * random.standard_normal(values.shape, np.float32)
        return stimulus.motion(clip_to_range(values + noise, stimulus.space))


@dataclass(frozen=True)
class MirrorPredictor:
    """The speaker's own motion, smoothed (the paper's Mirror).

    ``smooth_s`` is the length of the moving average in seconds (the released code's is 10 frames);
    past the ends it reads the clip mirrored.
    """

    smooth_s: float = 0.4

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The speaker's motion."""
        values = stimulus.seen.values
        width = min(max(1, round(self.smooth_s * stimulus.fps)), len(values))
        before = width // 2
        padded = np.pad(values, ((before, width - 1 - before), (0, 0)), mode="symmetric")
        smooth = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0).mean(axis=-1)
        return stimulus.motion(smooth)


@dataclass(frozen=True)
class Oracle:
    """A new draw of the synthetic listener given the true hidden events of the speaker.

    It is the best that can be said without seeing the listener: what is left between it and the
    truth is the rule's own chance. Only for synthetic data made by ``recipe``. Of a speaker who
    reacts to the listener, the events are also the reactions and the pair's style: the oracle knows
    what the whole conversation tells of the listener, what comes after included.
    """

    recipe: Recipe

    @classmethod
    def fit(cls, store: ClipStore) -> Oracle:
        """Take the recipe from a synthetic data set; it must be of this version and rule."""
        made_by = store.info.made_by
        if made_by.get("prepare") != "synthetic":
            raise InputError(f"{store.root}: not synthetic; the oracle knows only synthetic dyads")
        recipe = Recipe(
            seed=made_by["seed"],
            fps=store.info.fps,
            conversation_s=made_by["conversation_s"],
            clip_s=made_by["clip_s"],
            reaction=ReactionRule() if made_by.get("reacting") else None,
        )
        if recipe.fingerprint() != made_by["recipe"]:
            raise InputError(f"{store.root}: made by another version of the rule; prepare it again")
        return cls(recipe)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """A fresh listener for the clip's conversation, cut to the clip."""
        index = conversation_index(stimulus.conversation)
        values = redraw_listener(self.recipe, index, draw=1 + seed)
        first = stimulus.first_frame
        return stimulus.motion(values[first : first + len(stimulus)])


@dataclass(frozen=True)
class LoudnessPredictor:
    """A face that follows the volume: every number of a frame is linear in the sound's level there
    (``weights`` [2, 56], of the level and of a one). What lip sync has to beat.
    """

    weights: Floats

    @classmethod
    def fit(cls, store: ClipStore) -> LoudnessPredictor:
        """By least squares on the train split. Raises InputError for features without a level."""
        name = store.info.audio_encoder
        if not name.startswith(MEL.name) or store.info.audio_dim % MEL_DIM:
            raise InputError(f"{store.root}: features of '{name}' do not say how loud it is")
        products, pulls = np.zeros((2, 2)), np.zeros((2, MOTION_DIM))
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
        values = (_level(stimulus.audio) @ self.weights).astype(np.float32)
        return stimulus.motion(clip_to_range(values, stimulus.space))


def _key(stimulus: Stimulus) -> int:
    return zlib.crc32(stimulus.id.encode())


def _level(audio: Floats) -> NDArray[np.float64]:
    """Level and one, [T, 2], of features ``mel`` or ``mel4``."""
    level = audio[:, LEVEL::MEL_DIM].mean(axis=1, dtype=np.float64)
    return np.stack([level, np.ones_like(level)], axis=1)


register(Method("mean", ROLES, untrained=MeanPredictor.fit))
register(Method("random", ROLES, untrained=RandomPredictor.fit))
register(Method("mirror", ("listener",), untrained=lambda store, role: MirrorPredictor()))
register(Method("oracle", ("listener",), untrained=lambda store, role: Oracle.fit(store)))
register(
    Method("loudness", ("speaker",), untrained=lambda store, role: LoudnessPredictor.fit(store))
)
